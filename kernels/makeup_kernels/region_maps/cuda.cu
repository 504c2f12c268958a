// Region maps on NVIDIA GPUs; formula in __init__.py. Four launches for all faces: choose a region
// per pixel, join equal neighbours, measure the components, drop specks. A component's label is its
// first pixel, so labels do not depend on the order in which pixels were joined.

#include "cuda/device.cuh"

namespace makeup {

constexpr int kThreads = kTileColumns * kTileRows;
constexpr int kPoints = 68;
constexpr int kParts = 5;  // lips, two eyes, two brows
constexpr int kPartPoints = 12;
constexpr int kSkin = 2;

struct MapArgs {
    const void* logits;       // [faces][5][side][side]
    const float* landmarks;   // [faces][68][2], x y, pixels of the map
    std::uint8_t* maps;       // [faces][size][size]
    int* labels;              // [faces][size][size]
    int* sizes;               // [faces][size][size]: pixels of the component with that label
    std::uint8_t* at_border;  // [faces][size][size]: whether that component touches the border
    float island_limit, hole_limit;
    int side, size;
};

// The iBUG points of each part, as ranges: first[0] .. first[0] + count[0], then first[1] ...
struct Part {
    int region, first[2], count[2];
    float reach;  // in pupil distances
};

__device__ __forceinline__ Part part_of(int number) {
    switch (number) {
        case 0:
            return {1, {48, 0}, {12, 0}, 0.18f};
        case 1:
            return {3, {17, 36}, {5, 6}, 0.35f};
        case 2:
            return {3, {22, 42}, {5, 6}, 0.35f};
        case 3:
            return {4, {17, 0}, {5, 0}, 0.3f};
        default:
            return {4, {22, 0}, {5, 0}, 0.3f};
    }
}

struct Hulls {
    float x[kParts][kPartPoints], y[kParts][kPartPoints];
    int next[kParts][kPartPoints];  // the hull's next corner; -1: the point is no corner
    float limit[kParts];            // maximum distance of a region from its hull, in pixels
};

__device__ __forceinline__ float cross(float ax, float ay, float bx, float by) {
    return ax * by - ay * bx;
}

// The corner that follows corner i counter-clockwise: the farthest point that has all others on its
// left.
__device__ int next_corner(const float* x, const float* y, int count, int i) {
    int best = -1;
    float farthest = 0;
    for (int j = 0; j < count; ++j) {
        const float dx = x[j] - x[i], dy = y[j] - y[i], length = dx * dx + dy * dy;
        if (length <= farthest) continue;
        bool left = true;
        for (int k = 0; k < count; ++k) left &= cross(dx, dy, x[k] - x[i], y[k] - y[i]) >= 0;
        if (left) best = j, farthest = length;
    }
    return best;
}

__device__ void find_hulls(const float* landmarks, Hulls& hulls) {
    for (int i = threadIdx.x; i < kParts * kPartPoints; i += kThreads) {
        const Part part = part_of(i / kPartPoints);
        const int at = i % kPartPoints;
        if (at >= part.count[0] + part.count[1]) continue;
        const int point =
            at < part.count[0] ? part.first[0] + at : part.first[1] + at - part.count[0];
        hulls.x[i / kPartPoints][at] = landmarks[2 * point];
        hulls.y[i / kPartPoints][at] = landmarks[2 * point + 1];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kParts * kPartPoints; i += kThreads) {
        const int number = i / kPartPoints;
        const Part part = part_of(number);
        const int count = part.count[0] + part.count[1], at = i % kPartPoints;
        hulls.next[number][at] =
            at < count ? next_corner(hulls.x[number], hulls.y[number], count, at) : -1;
        if (at == 0) {
            float x = 0, y = 0;
            for (int k = 0; k < 6; ++k) {
                x += landmarks[2 * (36 + k)] - landmarks[2 * (42 + k)];
                y += landmarks[2 * (36 + k) + 1] - landmarks[2 * (42 + k) + 1];
            }
            hulls.limit[number] = part.reach * sqrtf(x * x + y * y) / 6;
        }
    }
    __syncthreads();
}

// Whether a pixel lies inside a part's hull or within its limit. A point without a next corner adds
// nothing; if all points coincide there are no corners and the point itself counts.
__device__ bool is_near(const Hulls& hulls, int part, float x, float y) {
    const float limit = hulls.limit[part] * hulls.limit[part];
    float nearest = 3e38f;
    bool inside = true, has_corner = false;
    for (int i = 0; i < kPartPoints; ++i) {
        const int next = hulls.next[part][i];
        if (next < 0) continue;
        has_corner = true;
        const float way_x = hulls.x[part][next] - hulls.x[part][i];
        const float way_y = hulls.y[part][next] - hulls.y[part][i];
        const float from_x = x - hulls.x[part][i], from_y = y - hulls.y[part][i];
        inside &= cross(way_x, way_y, from_x, from_y) > 0;
        const float along =
            clamp((from_x * way_x + from_y * way_y) / (way_x * way_x + way_y * way_y), 0.0f, 1.0f);
        const float off_x = from_x - along * way_x, off_y = from_y - along * way_y;
        nearest = fminf(nearest, off_x * off_x + off_y * off_y);
    }
    if (!has_corner) {
        const float off_x = x - hulls.x[part][0], off_y = y - hulls.y[part][0];
        return off_x * off_x + off_y * off_y <= limit;
    }
    return inside || nearest <= limit;
}

__device__ __forceinline__ bool is_allowed(const Hulls& hulls, int region, float x, float y) {
    switch (region) {
        case 1:
            return is_near(hulls, 0, x, y);
        case 3:
            return is_near(hulls, 1, x, y) || is_near(hulls, 2, x, y);
        case 4:
            return is_near(hulls, 3, x, y) || is_near(hulls, 4, x, y);
        default:
            return true;
    }
}

// One axis of an enlargement: the pixel before, and the fraction to the next; the border repeats.
struct Axis {
    int low, high;
    float share;

    __device__ __forceinline__ Axis(int at, int side, int size) {
        const float from = clamp((at + 0.5f) * side / size - 0.5f, 0.0f, side - 1.0f);
        low = min(static_cast<int>(from), max(side - 2, 0));
        high = min(low + 1, side - 1);
        share = from - low;
    }
};

template <class Logit>
__device__ __forceinline__ int choose_region(const MapArgs& args, const Hulls& hulls, int face,
                                             int column, int row) {
    const Axis x(column, args.side, args.size), y(row, args.side, args.size);
    const std::size_t plane = static_cast<std::size_t>(args.side) * args.side;
    const Logit* planes = static_cast<const Logit*>(args.logits) + face * 5 * plane;
    float logits[5];
#pragma unroll
    for (int r = 0; r < 5; ++r) {
        const Logit* top = planes + r * plane + static_cast<std::size_t>(y.low) * args.side;
        const Logit* bottom = planes + r * plane + static_cast<std::size_t>(y.high) * args.side;
        const float left = mix(to_float(top[x.low]), to_float(bottom[x.low]), y.share);
        const float right = mix(to_float(top[x.high]), to_float(bottom[x.high]), y.share);
        logits[r] = mix(left, right, x.share);
    }
    float best = logits[0];
    int chosen = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int region = i == 0 ? 2 : i == 1 ? 1 : i + 1;  // skin, lips, eyes, brows
        if (logits[region] > best) {
            if (is_allowed(hulls, region, column, row)) chosen = region;
            best = logits[region];
        }
    }
    return chosen;
}

// Chooses regions; labels each pixel with the first of its run in the warp's 32 columns.
template <class Logit>
__device__ void choose(const MapArgs& args) {
    __shared__ Hulls hulls;
    const int face = blockIdx.z;
    find_hulls(args.landmarks + static_cast<std::size_t>(face) * kPoints * 2, hulls);
    const int lane = threadIdx.x % kTileColumns;
    const int column = blockIdx.x * kTileColumns + lane;
    const int row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    const bool inside = column < args.size && row < args.size;
    const int region = inside ? choose_region<Logit>(args, hulls, face, column, row) : 0;
    const unsigned painted = __ballot_sync(kWholeWarp, region != 0);
    const unsigned starts = painted ^ (painted << 1);  // where a lane differs from the one before
    const unsigned before = (starts | 1u) & (0xffffffffu >> (31 - lane));
    const int run = 31 - __clz(before);
    if (!inside) return;
    const std::size_t first = static_cast<std::size_t>(face) * args.size * args.size;
    const int pixel = row * args.size + column;
    args.maps[first + pixel] = static_cast<std::uint8_t>(region);
    args.labels[first + pixel] = pixel - lane + run;
    args.sizes[first + pixel] = 0;
    args.at_border[first + pixel] = 0;
}

MAKEUP_KERNEL(regions_choose_float, MapArgs, kThreads) { choose<float>(args); }
MAKEUP_KERNEL(regions_choose_half, MapArgs, kThreads) { choose<half>(args); }

__device__ __forceinline__ int find(const volatile int* labels, int pixel) {
    int label = labels[pixel];
    while (label != pixel) {
        pixel = label;
        label = labels[pixel];
    }
    return label;
}

// Labels only ever decrease, towards the component's first pixel.
__device__ void join(int* labels, int a, int b) {
    while (true) {
        a = find(labels, a);
        b = find(labels, b);
        if (a == b) return;
        const int low = min(a, b), high = max(a, b);
        const int before = atomicMin(labels + high, low);
        if (before == high) return;
        a = before;
        b = low;
    }
}

// Paint is 8-connected, bare pixels are 4-connected.
MAKEUP_KERNEL(regions_join, MapArgs, kThreads) {
    const int face = blockIdx.z, size = args.size;
    const int column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    const int row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    if (column >= size || row >= size) return;
    const std::size_t first = static_cast<std::size_t>(face) * size * size;
    const std::uint8_t* map = args.maps + first;
    int* labels = args.labels + first;
    const int pixel = row * size + column;
    const bool painted = map[pixel] != 0;
    const bool has_left = column > 0, has_above = row > 0;
    const bool left = has_left && (map[pixel - 1] != 0) == painted;
    const bool above = has_above && (map[pixel - size] != 0) == painted;
    const bool above_left = has_left && has_above && (map[pixel - size - 1] != 0) == painted;
    if (left && column % kTileColumns == 0) join(labels, pixel, pixel - 1);
    if (above && !(left && above_left)) join(labels, pixel, pixel - size);
    if (!painted || above) return;
    if (above_left && !left) join(labels, pixel, pixel - size - 1);
    if (has_above && column < size - 1 && map[pixel - size + 1] != 0) {
        join(labels, pixel, pixel - size + 1);
    }
}

MAKEUP_KERNEL(regions_measure, MapArgs, kThreads) {
    const int face = blockIdx.z, size = args.size;
    const int column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    const int row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    const bool inside = column < size && row < size;
    const std::size_t first = static_cast<std::size_t>(face) * size * size;
    const int pixel = row * size + column;
    const int label = inside ? find(args.labels + first, pixel) : -1;
    const unsigned same = __match_any_sync(kWholeWarp, label);
    if (!inside) return;
    args.labels[first + pixel] = label;
    if (static_cast<int>(threadIdx.x % 32) == __ffs(same) - 1) {
        atomicAdd(args.sizes + first + label, __popc(same));
    }
    if (row == 0 || column == 0 || row == size - 1 || column == size - 1) {
        args.at_border[first + label] = 1;
    }
}

MAKEUP_KERNEL(regions_clean, MapArgs, kThreads) {
    const int face = blockIdx.z, size = args.size;
    const int column = blockIdx.x * kTileColumns + threadIdx.x % kTileColumns;
    const int row = blockIdx.y * kTileRows + threadIdx.x / kTileColumns;
    if (column >= size || row >= size) return;
    const std::size_t first = static_cast<std::size_t>(face) * size * size;
    const std::size_t pixel = first + static_cast<std::size_t>(row) * size + column;
    const int label = args.labels[pixel];
    const float pixels = static_cast<float>(args.sizes[first + label]);
    if (args.maps[pixel]) {
        if (pixels < args.island_limit) args.maps[pixel] = 0;
    } else if (pixels < args.hole_limit && !args.at_border[first + label]) {
        args.maps[pixel] = kSkin;
    }
}

}  // namespace makeup

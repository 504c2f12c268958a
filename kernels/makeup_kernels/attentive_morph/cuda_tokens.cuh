// Tokens of the attentive morph: the cells of each region, gathered into rows of a matrix.
#pragma once

#include "cuda/device.cuh"

namespace makeup {

constexpr int kPadding = 32;  // a region's rows are padded to a multiple of this
constexpr int kRegions = 256;
constexpr int kIndexThreads = 1024;
constexpr int kIndexWarps = kIndexThreads / 32;

// Where the rows of each region lie. Written by morph_index.
struct RegionIndex {
    int start[kRegions];
    int count[kRegions];
    int used;  // rows of all regions, padding included
    int padding;
    double mean_y, mean_x;  // of the landmarks
    double spread;          // sum of their squared distances to the mean
    double coupling;        // sum of products with the other side's centred landmarks
};

struct IndexArgs {
    const std::uint8_t* regions;      // [faces][cells]
    const float* landmarks;           // [faces][points][2], x y
    const float* other_landmarks;     // of the reference, or null
    const RegionIndex* other_index;   // of the reference, or null
    RegionIndex* index;               // [faces]
    int* cells_of_rows;               // [faces][rows], -1 in the padding
    int cells, points, rows, others;  // others: number of references, 1 or faces
};

__device__ __forceinline__ double block_sum(double value, double* scratch) {
    const int thread = threadIdx.x;
    scratch[thread] = value;
    __syncthreads();
    for (int step = kIndexThreads / 2; step > 0; step /= 2) {
        if (thread < step) scratch[thread] += scratch[thread + step];
        __syncthreads();
    }
    const double sum = scratch[0];
    __syncthreads();
    return sum;
}

__device__ void index_landmarks(const IndexArgs& args, double* scratch) {
    const int face = blockIdx.x;
    const float* points = args.landmarks + static_cast<std::size_t>(face) * args.points * 2;
    double sum_x = 0, sum_y = 0;
    for (int k = threadIdx.x; k < args.points; k += kIndexThreads) {
        sum_x += points[2 * k];
        sum_y += points[2 * k + 1];
    }
    const double mean_x = block_sum(sum_x, scratch) / args.points;
    const double mean_y = block_sum(sum_y, scratch) / args.points;
    const int other = args.others == 1 ? 0 : face;
    const float* other_points =
        args.other_landmarks
            ? args.other_landmarks + static_cast<std::size_t>(other) * args.points * 2
            : nullptr;
    double spread = 0, coupling = 0;
    for (int k = threadIdx.x; k < args.points; k += kIndexThreads) {
        const double x = points[2 * k] - mean_x, y = points[2 * k + 1] - mean_y;
        spread += y * y + x * x;
        if (other_points) {
            coupling += y * (other_points[2 * k + 1] - args.other_index[other].mean_y) +
                        x * (other_points[2 * k] - args.other_index[other].mean_x);
        }
    }
    spread = block_sum(spread, scratch);
    coupling = block_sum(coupling, scratch);
    if (threadIdx.x == 0) {
        RegionIndex& index = args.index[face];
        index.mean_x = mean_x;
        index.mean_y = mean_y;
        index.spread = spread;
        index.coupling = coupling;
    }
}

// One block per face: a stable counting sort of the cells by region id. Warp w takes the w-th slice
// of the cells; ranks are prefix sums, so nothing depends on timing.
MAKEUP_KERNEL(morph_index, IndexArgs, kIndexThreads) {
    __shared__ int ranks[kIndexWarps][kRegions];
    __shared__ int starts[kRegions];
    __shared__ double scratch[kIndexThreads];
    const int face = blockIdx.x, thread = threadIdx.x;
    const int warp = thread / 32, lane = thread % 32;
    const std::uint8_t* regions = args.regions + static_cast<std::size_t>(face) * args.cells;
    int* rows = args.cells_of_rows + static_cast<std::size_t>(face) * args.rows;
    const int share = (args.cells + kIndexThreads - 1) / kIndexThreads * 32;
    const int first = warp * share, last = min(first + share, args.cells);

    index_landmarks(args, scratch);
    for (int i = thread; i < kIndexWarps * kRegions; i += kIndexThreads) {
        ranks[i / kRegions][i % kRegions] = 0;
    }
    __syncthreads();
    for (int begin = first; begin < last; begin += 32) {
        const int cell = begin + lane;
        const int id = cell < last ? regions[cell] : 0;
        const unsigned same = __match_any_sync(kWholeWarp, id);
        if (lane == __ffs(same) - 1) ranks[warp][id] += __popc(same);
        __syncwarp();
    }
    __syncthreads();
    int count = 0;
    if (thread < kRegions) {
        for (int w = 0; w < kIndexWarps; ++w) {
            const int here = ranks[w][thread];
            ranks[w][thread] = count;
            count += here;
        }
        if (thread == 0) count = 0;  // region 0 is outside
        starts[thread] = (count + kPadding - 1) / kPadding * kPadding;
    }
    __syncthreads();
    for (int step = 1; step < kRegions; step *= 2) {  // inclusive sums
        const int before = thread >= step && thread < kRegions ? starts[thread - step] : 0;
        __syncthreads();
        if (thread < kRegions) starts[thread] += before;
        __syncthreads();
    }
    if (thread < kRegions) {
        const int padded = (count + kPadding - 1) / kPadding * kPadding;
        const int start = starts[thread] - padded;
        RegionIndex& index = args.index[face];
        index.start[thread] = start;
        index.count[thread] = count;
        if (thread == kRegions - 1) index.used = starts[thread];
        for (int row = start + count; row < start + padded; ++row) rows[row] = -1;
        for (int w = 0; w < kIndexWarps; ++w) ranks[w][thread] += start;
    }
    __syncthreads();
    for (int begin = first; begin < last; begin += 32) {
        const int cell = begin + lane;
        const int id = cell < last ? regions[cell] : 0;
        const unsigned same = __match_any_sync(kWholeWarp, id);
        const int before = __popc(same & ((1u << lane) - 1));
        if (id) rows[ranks[warp][id] + before] = cell;
        __syncwarp();
        if (lane == __ffs(same) - 1) ranks[warp][id] += __popc(same);
        __syncwarp();
    }
}

struct PackArgs {
    const void* features;      // [faces][channels][cells]
    const float* planes;       // [faces][plane_count][cells]: values, gradients; or null
    const RegionIndex* index;  // [faces]
    const int* cells_of_rows;  // [faces][rows]
    void* tokens;              // [faces][rows][depth], 0 beyond the channels
    float* packed_planes;      // [faces][rows][plane_stride], 0 beyond the planes
    float4* positions;         // [faces][rows]: y, x, last
    double scale;              // of the positions
    double stride;             // pixels per cell
    int cells, columns, rows, points;
    int channels, depth, plane_count, plane_stride;
    int is_query;  // whether `last` holds the coupling of the two faces
    int padding;
};

// One side of the position product: (sqrt(K) u_y, sqrt(K) u_x, last) / |P| * scale, in double until
// the final rounding, because logits reach hundreds. |P| = 0 gives 0.
__device__ float4 token_position(const PackArgs& args, const RegionIndex& index, int cell) {
    const double y = cell / args.columns * args.stride - index.mean_y;
    const double x = cell % args.columns * args.stride - index.mean_x;
    const double norm = sqrt(args.points * (y * y + x * x) + index.spread);
    const double factor = norm > 0 ? args.scale / norm : 0.0;
    const double root = sqrt(static_cast<double>(args.points)) * factor;
    const double last = args.is_query ? index.coupling : 1.0;
    return {static_cast<float>(root * y), static_cast<float>(root * x),
            static_cast<float>(last * factor), 0.0f};
}

// A block transposes 32 rows of 64 channels: reads run along the cells, writes along the channels.
template <class From, class To>
__device__ void pack(const PackArgs& args) {
    __shared__ float turned[64][33];
    const int face = blockIdx.z, row0 = blockIdx.x * 32, channel0 = blockIdx.y * 64;
    const RegionIndex& index = args.index[face];
    if (row0 >= index.used) return;
    const std::size_t face_rows = static_cast<std::size_t>(face) * args.rows + row0;
    const int* cells = args.cells_of_rows + face_rows;
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int cell = cells[lane];
    if (channel0 == 0) {
        if (warp == 0) {
            args.positions[face_rows + lane] =
                cell < 0 ? float4{0, 0, 0, 0} : token_position(args, index, cell);
        }
        for (int i = thread; i < 32 * args.plane_stride; i += blockDim.x) {
            const int plane = i / 32, at = cells[i % 32];
            const std::size_t from =
                (static_cast<std::size_t>(face) * args.plane_count + plane) * args.cells;
            args.packed_planes[(face_rows + i % 32) * args.plane_stride + plane] =
                at < 0 || plane >= args.plane_count ? 0.0f : args.planes[from + at];
        }
    }
    if (channel0 >= args.depth) return;
    const From* features = static_cast<const From*>(args.features) +
                           static_cast<std::size_t>(face) * args.channels * args.cells;
    for (int c = warp; c < 64; c += blockDim.x / 32) {
        const int channel = channel0 + c;
        const bool there = cell >= 0 && channel < args.channels;
        turned[c][lane] =
            there ? to_float(features[static_cast<std::size_t>(channel) * args.cells + cell])
                  : 0.0f;
    }
    __syncthreads();
    To* tokens = static_cast<To*>(args.tokens) + face_rows * args.depth + channel0;
    const int width = min(64, args.depth - channel0);
    for (int i = thread; i < 32 * 64; i += blockDim.x) {
        const int c = i % 64, row = i / 64;
        if (c < width)
            store(tokens + static_cast<std::size_t>(row) * args.depth + c, turned[c][row]);
    }
}

MAKEUP_KERNEL(morph_pack_float_float, PackArgs, 256) { pack<float, float>(args); }
MAKEUP_KERNEL(morph_pack_float_half, PackArgs, 256) { pack<float, half>(args); }
MAKEUP_KERNEL(morph_pack_half_half, PackArgs, 256) { pack<half, half>(args); }
MAKEUP_KERNEL(morph_pack_half_float, PackArgs, 256) { pack<half, float>(args); }

}  // namespace makeup

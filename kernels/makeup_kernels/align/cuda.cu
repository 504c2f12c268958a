// Align on NVIDIA GPUs; formula in __init__.py. One launch for all faces: crop, resize and, if
// requested, the network's input planes, from BGR, RGB or NV12 frames.

#include "cuda/device.cuh"

namespace makeup {

constexpr int kAlignThreads = kTileColumns * kTileRows;
constexpr int kMaxSamples = 8;  // per axis

struct AlignArgs {
    const std::uint8_t* frame;  // [height][row_bytes]; NV12: then [height / 2][row_bytes] of chroma
    const double* matrices;     // [faces][2][3]: frame pixel to crop pixel
    std::uint8_t* crops;        // [faces][size][size][3], or null
    void* planes;               // [faces][3][size][size], or null
    float mean[3], scale[3];    // of the planes, in the order of the crop's channels
    int width, height, row_bytes, size;
    int nv12;  // whether the frame is NV12 (BT.601, limited range)
    int swap;  // whether planes take the crop's channels in reverse order
};

struct Color {
    float channel[3];
};

struct BytesFrame {
    const std::uint8_t* pixels;
    int row_bytes;

    __device__ __forceinline__ Color at(int column, int row) const {
        const std::uint8_t* p = pixels + static_cast<std::size_t>(row) * row_bytes + 3 * column;
        return {{static_cast<float>(__ldg(p)), static_cast<float>(__ldg(p + 1)),
                 static_cast<float>(__ldg(p + 2))}};
    }
};

struct Nv12Frame {
    const std::uint8_t* luma;
    const std::uint8_t* chroma;
    int row_bytes;

    __device__ __forceinline__ Color at(int column, int row) const {
        const std::uint8_t* uv =
            chroma + static_cast<std::size_t>(row / 2) * row_bytes + column / 2 * 2;
        const float y = 1.164383562f *
                        (__ldg(luma + static_cast<std::size_t>(row) * row_bytes + column) - 16.0f);
        const float u = __ldg(uv) - 128.0f, v = __ldg(uv + 1) - 128.0f;
        return {{clamp(y + 2.017232143f * u, 0.0f, 255.0f),
                 clamp(y - 0.391762290f * u - 0.812967647f * v, 0.0f, 255.0f),
                 clamp(y + 1.596026786f * v, 0.0f, 255.0f)}};
    }
};

// Adds a bilinear sample; beyond the frame its border repeats.
template <class Frame>
__device__ __forceinline__ void add_sample(const Frame& frame, const AlignArgs& args, Position at,
                                           float (&sums)[3]) {
    if (at.column < 0 || at.column >= args.width - 1) at.right = 0.0f;
    if (at.row < 0 || at.row >= args.height - 1) at.down = 0.0f;
    const int left = clamp(at.column, 0, args.width - 1), top = clamp(at.row, 0, args.height - 1);
    const int right = min(left + 1, args.width - 1), bottom = min(top + 1, args.height - 1);
    const Color a = frame.at(left, top), b = frame.at(right, top);
    const Color c = frame.at(left, bottom), d = frame.at(right, bottom);
#pragma unroll
    for (int i = 0; i < 3; ++i) {
        sums[i] += mix(mix(a.channel[i], b.channel[i], at.right),
                       mix(c.channel[i], d.channel[i], at.right), at.down);
    }
}

template <class Plane>
__device__ void align(const AlignArgs& args) {
    __shared__ TileMap to_frame;
    __shared__ double inverse[6];
    __shared__ int samples_of_face;
    const int face = blockIdx.z;
    const int column0 = blockIdx.x * kTileColumns, row0 = blockIdx.y * kTileRows;
    if (threadIdx.x == 0) {
        const double* m = args.matrices + 6 * face;
        const double size = sqrt(m[0] * m[0] + m[3] * m[3]);
        samples_of_face = clamp(static_cast<int>(1.0 / size), 1, kMaxSamples);
        const double determinant = m[0] * m[4] - m[1] * m[3];
        inverse[0] = m[4] / determinant;
        inverse[1] = -m[1] / determinant;
        inverse[2] = (m[1] * m[5] - m[4] * m[2]) / determinant;
        inverse[3] = -m[3] / determinant;
        inverse[4] = m[0] / determinant;
        inverse[5] = (m[3] * m[2] - m[0] * m[5]) / determinant;
        to_frame = tile_map(inverse, column0, row0);
    }
    __syncthreads();
    const int in_column = threadIdx.x % kTileColumns, in_row = threadIdx.x / kTileColumns;
    const int column = column0 + in_column, row = row0 + in_row;
    if (column >= args.size || row >= args.size) return;
    const int samples = samples_of_face;
    const float step = 1.0f / samples;
    const BytesFrame bytes{args.frame, args.row_bytes};
    const Nv12Frame nv12{args.frame,
                         args.frame + static_cast<std::size_t>(args.height) * args.row_bytes,
                         args.row_bytes};
    float sums[3] = {0, 0, 0};
    for (int down = 0; down < samples; ++down) {
        for (int right = 0; right < samples; ++right) {
            const Position at = position(to_frame, in_column + (right + 0.5f) * step - 0.5f,
                                         in_row + (down + 0.5f) * step - 0.5f);
            if (args.nv12) {
                add_sample(nv12, args, at, sums);
            } else {
                add_sample(bytes, args, at, sums);
            }
        }
    }
    const std::size_t plane = static_cast<std::size_t>(args.size) * args.size;
    const std::size_t pixel = static_cast<std::size_t>(row) * args.size + column;
#pragma unroll
    for (int c = 0; c < 3; ++c) {
        const std::uint8_t value = to_byte(sums[c] * step * step);
        if (args.crops) args.crops[(face * plane + pixel) * 3 + c] = value;
        if (args.planes) {
            const int to = args.swap ? 2 - c : c;
            const float normal = (value - args.mean[c]) * args.scale[c];
            store(static_cast<Plane*>(args.planes) + (3 * face + to) * plane + pixel, normal);
        }
    }
}

MAKEUP_KERNEL(align_float, AlignArgs, kAlignThreads) { align<float>(args); }
MAKEUP_KERNEL(align_half, AlignArgs, kAlignThreads) { align<half>(args); }

}  // namespace makeup

// Applies colour maps on NVIDIA GPUs; formula in __init__.py. One launch for all faces of a frame,
// in place: tiles that no map touches exit early.

#include "cuda/paint.cuh"

namespace makeup {

struct ColorChange {
    const float* change;  // [faces][6][height][width]
    int width, height;

    __device__ __forceinline__ float sample(const float* plane, const Position& at) const {
        const float* cell = plane + static_cast<std::size_t>(at.row) * width + at.column;
        const float top = mix(__ldg(cell), __ldg(cell + 1), at.right);
        const float bottom = mix(__ldg(cell + width), __ldg(cell + width + 1), at.right);
        return mix(top, bottom, at.down);
    }

    __device__ __forceinline__ bool operator()(int face, const Position& at,
                                               float (&pixel)[3]) const {
        const std::size_t plane = static_cast<std::size_t>(height) * width;
        const float* planes = change + static_cast<std::size_t>(face) * 6 * plane;
        bool changed = false;
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            const float gain = sample(planes + c * plane, at);
            const float offset = sample(planes + (c + 3) * plane, at);
            changed |= gain != 0.0f || offset != 0.0f;
            pixel[c] += gain * pixel[c] + offset;
        }
        return changed;
    }
};

MAKEUP_KERNEL(apply_color_map, PaintArgs, kPaintThreads) {
    paint(args,
          ColorChange{static_cast<const float*>(args.first), args.map_width, args.map_height});
}

}  // namespace makeup

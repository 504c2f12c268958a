// Composite on NVIDIA GPUs; formula in __init__.py. One launch for all faces of a frame, in place:
// tiles that no crop touches exit early, pixels outside every mask are not written.

#include "cuda/paint.cuh"

namespace makeup {

struct CropChange {
    const std::uint8_t* source;  // [faces][height][width][3]
    const std::uint8_t* result;
    const float* mask;  // [faces][height][width]
    int width, height;

    __device__ __forceinline__ float difference(std::size_t texel, int channel) const {
        return static_cast<float>(__ldg(result + 3 * texel + channel)) -
               static_cast<float>(__ldg(source + 3 * texel + channel));
    }

    __device__ __forceinline__ bool operator()(int face, const Position& at,
                                               float (&pixel)[3]) const {
        const std::size_t texel =
            (static_cast<std::size_t>(face) * height + at.row) * width + at.column;
        const std::size_t below = texel + width;
        const float top = mix(__ldg(mask + texel), __ldg(mask + texel + 1), at.right);
        const float bottom = mix(__ldg(mask + below), __ldg(mask + below + 1), at.right);
        const float share = mix(top, bottom, at.down);
        if (share == 0.0f) return false;
#pragma unroll
        for (int c = 0; c < 3; ++c) {
            const float upper = mix(difference(texel, c), difference(texel + 1, c), at.right);
            const float lower = mix(difference(below, c), difference(below + 1, c), at.right);
            pixel[c] += share * mix(upper, lower, at.down);
        }
        return true;
    }
};

MAKEUP_KERNEL(composite, PaintArgs, kPaintThreads) {
    paint(args, CropChange{static_cast<const std::uint8_t*>(args.first),
                           static_cast<const std::uint8_t*>(args.second),
                           static_cast<const float*>(args.third), args.map_width, args.map_height});
}

}  // namespace makeup

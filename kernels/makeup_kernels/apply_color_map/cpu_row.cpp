// The inner loop of the colour map, compiled once per instruction set.

#include "apply_color_map/cpu.h"
#include "axis.h"
#include "pixel_run.h"

namespace makeup::MAKEUP_ISA {

namespace {

// Gains or offsets of one cell. 16 bytes, so that SSE2 and NEON need no wider vectors.
using Triple = float __attribute__((vector_size(16)));

MAKEUP_INLINE Triple triple(const float* p) {
    Triple t;
    __builtin_memcpy(&t, p, sizeof t);
    return t;
}

MAKEUP_INLINE Triple bilinear(const float* corner, std::ptrdiff_t below, float right, float down) {
    const Triple a = triple(corner), b = triple(corner + kChangeFloats);
    const Triple c = triple(corner + below), d = triple(corner + below + kChangeFloats);
    const Triple top = a + right * (b - a);
    const Triple bottom = c + right * (d - c);
    return top + down * (bottom - top);
}

void sample(const PixelRun& run, int first, int length, const Grid& map, float* gain,
            float* offset) {
    const Axis x(run.x + first * run.step_x, run.step_x, length, map.columns);
    const Axis y(run.y + first * run.step_y, run.step_y, length, map.rows);
    const ChunkCorners<kChangeFloats> at(x, y, length, map.columns);
    const std::ptrdiff_t below = std::ptrdiff_t{map.columns} * kChangeFloats;
    for (int i = 0; i < length; ++i) {
        const float* corner = map.values + at.offset[i];
        const Triple a = bilinear(corner, below, at.right[i], at.down[i]);
        const Triple b = bilinear(corner + 4, below, at.right[i], at.down[i]);
        __builtin_memcpy(gain + 3 * i, &a, sizeof a);  // the next pixel overwrites lane 3
        __builtin_memcpy(offset + 3 * i, &b, sizeof b);
    }
}

void change(const PixelRun& run, const Grid& map) {
    float gain[3 * kChunk + 1], offset[3 * kChunk + 1];
    for (int first = 0; first < run.length; first += kChunk) {
        const int length = run.length - first < kChunk ? run.length - first : kChunk;
        sample(run, first, length, map, gain, offset);
        std::uint8_t* pixels = run.pixels + std::ptrdiff_t{3} * first;
        for (int i = 0; i < 3 * length; ++i) {
            const float before = static_cast<float>(pixels[i]);
            float value = before + (gain[i] * before + offset[i]) + 0.5f;
            value = value < 0.0f ? 0.0f : value;
            value = value > 255.0f ? 255.0f : value;
            pixels[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(value));
        }
    }
}

}  // namespace

extern const ChangeRun change_pixels;
const ChangeRun change_pixels = change;

}  // namespace makeup::MAKEUP_ISA

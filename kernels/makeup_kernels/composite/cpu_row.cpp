// The inner loop of the composite, compiled once per instruction set.

#include "axis.h"
#include "composite/cpu.h"
#include "pixel_run.h"

namespace makeup::MAKEUP_ISA {

namespace {

// One texel, or a blend of texels. 16 bytes on every instruction set: the four values are adjacent
// in the grid, so wider vectors would have to gather.
using Texel = float __attribute__((vector_size(16)));

MAKEUP_INLINE Texel texel(const float* p) {
    Texel t;
    __builtin_memcpy(&t, p, sizeof t);
    return t;
}

void sample(const PixelRun& run, int first, int length, const Grid& grid, float* added) {
    const Axis x(run.x + first * run.step_x, run.step_x, length, grid.columns);
    const Axis y(run.y + first * run.step_y, run.step_y, length, grid.rows);
    const ChunkCorners<kTexelFloats> at(x, y, length, grid.columns);
    const std::ptrdiff_t below = std::ptrdiff_t{grid.columns} * kTexelFloats;
    for (int i = 0; i < length; ++i) {
        const float* corner = grid.values + at.offset[i];
        const Texel a = texel(corner), b = texel(corner + kTexelFloats);
        const Texel c = texel(corner + below), d = texel(corner + below + kTexelFloats);
        const Texel top = a + at.right[i] * (b - a);
        const Texel bottom = c + at.right[i] * (d - c);
        const Texel blend = top + at.down[i] * (bottom - top);
        const Texel weighted = blend * blend[3];
        __builtin_memcpy(added + 3 * i, &weighted, sizeof weighted);  // the next pixel overwrites 3
    }
}

void blend(const PixelRun& run, const Grid& grid) {
    float added[3 * kChunk + 1];
    for (int first = 0; first < run.length; first += kChunk) {
        const int length = run.length - first < kChunk ? run.length - first : kChunk;
        sample(run, first, length, grid, added);
        std::uint8_t* pixels = run.pixels + std::ptrdiff_t{3} * first;
        for (int i = 0; i < 3 * length; ++i) {
            float value = static_cast<float>(pixels[i]) + added[i] + 0.5f;
            value = value < 0.0f ? 0.0f : value;
            value = value > 255.0f ? 255.0f : value;
            pixels[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(value));
        }
    }
}

}  // namespace

extern const ChangeRun blend_run;
const ChangeRun blend_run = blend;

}  // namespace makeup::MAKEUP_ISA

// The inner loop of the composite, compiled once per instruction set.

#include "composite/cpu.h"
#include "simd.h"

namespace makeup::MAKEUP_ISA {

namespace {

// One texel, or what a blend of texels adds to a pixel. 16 bytes on every instruction set: the four
// values lie side by side in the texture, so wider vectors would have to gather.
using Texel = float __attribute__((vector_size(16)));

MAKEUP_INLINE Texel texel(const float* p) {
    Texel t;
    __builtin_memcpy(&t, p, sizeof t);
    return t;
}

constexpr int kChunk = 64;

// One texture coordinate along a chunk. Floats count from the texel at the chunk's low end, so that
// they stay small and their rounding does too.
struct Axis {
    float start, step;
    float high;            // the texture's end: rounding may carry the end of a run past it
    std::int32_t origin;   // texel that `start` counts from
    std::int32_t highest;  // last texel with a right or lower neighbour, from `origin`

    Axis(double begin, double step_, int length, int size) : step(static_cast<float>(step_)) {
        const double end = begin + step_ * (length - 1);
        const double least = begin < end ? begin : end;
        origin = least < 0 ? 0 : static_cast<std::int32_t>(least);
        start = static_cast<float>(begin - origin);
        high = static_cast<float>(size - 1 - origin);
        highest = size - 2 - origin;
    }

    // The texel at or before pixel i, from the texture's start, and the way on to the next one.
    std::int32_t split(int i, float& fraction) const {
        float at = start + static_cast<float>(i) * step;
        at = at < 0.0f ? 0.0f : at;
        at = at > high ? high : at;
        std::int32_t whole = static_cast<std::int32_t>(at);
        whole = whole > highest ? highest : whole;
        fraction = at - static_cast<float>(whole);
        return origin + whole;
    }
};

void sample(const PixelRun& run, int first, int length, const Texture& texture, float* added) {
    const Axis x(run.x + first * run.step_x, run.step_x, length, texture.columns);
    const Axis y(run.y + first * run.step_y, run.step_y, length, texture.rows);
    std::int32_t offset[kChunk];
    float right[kChunk], down[kChunk];
    for (int i = 0; i < length; ++i) {
        const std::int32_t column = x.split(i, right[i]), row = y.split(i, down[i]);
        offset[i] = (row * texture.columns + column) * kTexelFloats;
    }
    const std::ptrdiff_t below = std::ptrdiff_t{texture.columns} * kTexelFloats;
    for (int i = 0; i < length; ++i) {
        const float* corner = texture.texels + offset[i];
        const Texel a = texel(corner), b = texel(corner + kTexelFloats);
        const Texel c = texel(corner + below), d = texel(corner + below + kTexelFloats);
        const Texel top = a + right[i] * (b - a);
        const Texel bottom = c + right[i] * (d - c);
        const Texel blend = top + down[i] * (bottom - top);
        const Texel weighted = blend * blend[3];
        __builtin_memcpy(added + 3 * i, &weighted, sizeof weighted);  // the next pixel overwrites 3
    }
}

void blend(const PixelRun& run, const Texture& texture) {
    float added[3 * kChunk + 1];
    for (int first = 0; first < run.length; first += kChunk) {
        const int length = run.length - first < kChunk ? run.length - first : kChunk;
        sample(run, first, length, texture, added);
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

extern const BlendRun blend_run;
const BlendRun blend_run = blend;

}  // namespace makeup::MAKEUP_ISA

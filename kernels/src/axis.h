// One coordinate of a texture along a run of pixels. Compiled once per instruction set.
#pragma once

#include <cstdint>

#include "simd.h"

namespace makeup::MAKEUP_ISA {

constexpr int kChunk = 64;

// One texture coordinate along a chunk. Floats are relative to the texel at the chunk's low end, so
// that they and their rounding errors stay small.
struct Axis {
    float start, step;
    float high;            // the texture's end: rounding may push the end of a run past it
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

    // The texel at or before pixel i, from the texture's start, and the fraction to the next one.
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

// The texels around the pixels of a chunk: float offsets of the upper left ones, and the weights of
// their right and lower neighbours.
template <int TexelFloats>
struct ChunkCorners {
    std::int32_t offset[kChunk];
    float right[kChunk], down[kChunk];

    ChunkCorners(const Axis& x, const Axis& y, int length, int columns) {
        for (int i = 0; i < length; ++i) {
            const std::int32_t column = x.split(i, right[i]), row = y.split(i, down[i]);
            offset[i] = (row * columns + column) * TexelFloats;
        }
    }
};

}  // namespace makeup::MAKEUP_ISA

// Composite on the CPU; formula in __init__.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arrays.h"
#include "isa.h"

namespace makeup {

// What one crop pixel adds: result - source of the three channels, then the mask.
constexpr int kTexelFloats = 4;

// The part of the crop where the mask is not 0 plus one pixel around: texels[rows][columns][4].
struct Texture {
    const float* texels;
    int rows, columns;
};

// A run of pixels of one frame row and where they fall in the texture: pixel i of the run lies at
// (x + i * step_x, y + i * step_y).
struct PixelRun {
    std::uint8_t* pixels;
    int length;
    double x, y, step_x, step_y;
};

// pixels += mask * (result - source), rounded half up and clipped; compiled once per instruction
// set (cpu_row.cpp).
using BlendRun = void (*)(const PixelRun& run, const Texture& texture);

BlendRun blend_run(Isa isa);

// Writes into `frame` (H, W, 3), whose pixels and channels must be contiguous within a row.
// matrix: frame pixel (x, y, 1) to crop pixel, row by row; invertible.
// Throws std::domain_error when the mask leaves [0, 1].
void composite(const Volume<std::uint8_t>& frame, const Volume<const std::uint8_t>& source_crop,
               const Volume<const std::uint8_t>& result_crop, const Plane<const float>& mask,
               const std::array<double, 6>& matrix, int threads, Isa isa);

}  // namespace makeup

// Apply a colour map on the CPU; formula in __init__.py.
#pragma once

#include <array>
#include <cstdint>

#include "arrays.h"
#include "isa.h"

namespace makeup {

// What one map cell does: gain - 1 of the three channels, 0, their offsets, 0.
constexpr int kChangeFloats = 8;

// The part of the map that is not 0 plus one cell around: cells[rows][columns][8].
struct ChangeMap {
    const float* cells;
    int rows, columns;
};

// A run of pixels of one frame row: pixel i lies at cell (x + i * step_x, y + i * step_y).
struct ChangeRun {
    std::uint8_t* pixels;
    int length;
    double x, y, step_x, step_y;
};

// pixels += gain * pixels + offset, rounded half up and clipped; compiled once per instruction set
// (cpu_row.cpp).
using ChangePixels = void (*)(const ChangeRun& run, const ChangeMap& map);

// Writes into `frame` (H, W, 3), whose pixels and channels must be contiguous within a row.
// change (6, h, w); matrix: frame pixel (x, y, 1) to map cell, row by row; invertible.
// Throws std::domain_error when the change is not finite.
void apply_color_map(const Volume<std::uint8_t>& frame, const Volume<const float>& change,
                     const std::array<double, 6>& matrix, int threads, Isa isa);

}  // namespace makeup

// Apply a colour map on the CPU; formula in __init__.py.
#pragma once

#include <array>
#include <cstdint>

#include "arrays.h"
#include "isa.h"

namespace makeup {

// Floats of a grid cell: gain - 1 of the three channels, 0, their offsets, 0.
constexpr int kChangeFloats = 8;

// Writes into `frame` (H, W, 3), whose pixels and channels must be contiguous within a row.
// change (6, h, w); matrix: frame pixel (x, y, 1) to map cell, row by row; invertible.
// Throws std::domain_error when the change is not finite.
void apply_color_map(const Volume<std::uint8_t>& frame, const Volume<const float>& change,
                     const std::array<double, 6>& matrix, int threads, Isa isa);

}  // namespace makeup

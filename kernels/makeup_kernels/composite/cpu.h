// Composite on the CPU; formula in __init__.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arrays.h"
#include "isa.h"

namespace makeup {

// Floats of a grid cell: result - source of the three channels, the mask.
constexpr int kTexelFloats = 4;

// Writes into `frame` (H, W, 3), whose pixels and channels must be contiguous within a row.
// matrix: frame pixel (x, y, 1) to crop pixel, row by row; invertible.
// Throws std::domain_error when the mask leaves [0, 1].
void composite(const Volume<std::uint8_t>& frame, const Volume<const std::uint8_t>& source_crop,
               const Volume<const std::uint8_t>& result_crop, const Plane<const float>& mask,
               const std::array<double, 6>& matrix, int threads, Isa isa);

}  // namespace makeup

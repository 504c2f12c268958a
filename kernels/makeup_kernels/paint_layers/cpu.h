// Paint layers on the CPU; formula in __init__.py.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "isa.h"

namespace makeup {

enum class LayerKind { pigment, factor, shine };

// One layer over some rows of cells; planes are contiguous.
struct PaintLayer {
    LayerKind kind;
    std::ptrdiff_t begin, size;   // cells that it covers; a factor covers all
    const float* weights;         // of the first channel: opacity, factor, or amount of shine
    std::ptrdiff_t next_weights;  // step to the next channel's plane; 0: one plane for all
    const float* colors;          // of the first channel; not read by factors
    std::ptrdiff_t next_colors;   // step to the next channel's plane
    bool flat;                    // one colour for all cells: colors[0], colors[next_colors], ...
    float amount, hiding, leveling;  // of a pigment
};

struct Ground {
    const float* bare;  // [cells][3]
    std::array<float, 3> light;
    float base;
};

// Writes gains and offsets of the first `count` <= kPaintBlock cells of a block that starts at
// cell `first`; change: [6][cells].
constexpr int kPaintBlock = 256;
using PaintBlock = void (*)(const Ground& ground, const PaintLayer* layers, int layer_count,
                            std::ptrdiff_t first, int count, float* change, std::ptrdiff_t cells);

// change: [6][rows][columns]; its border becomes 0.
void paint_layers(const Ground& ground, const std::vector<PaintLayer>& layers, std::ptrdiff_t rows,
                  std::ptrdiff_t columns, float* change, Isa isa);

}  // namespace makeup

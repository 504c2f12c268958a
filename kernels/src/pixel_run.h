// Interface of the loops that change runs of frame pixels by a coarser grid.
#pragma once

#include <cstdint>

namespace makeup {

// A part of the grid: values[rows][columns][floats of a cell].
struct Grid {
    const float* values;
    int rows, columns;
};

// A run of pixels of one frame row: pixel i lies at cell (x + i * step_x, y + i * step_y).
struct PixelRun {
    std::uint8_t* pixels;
    int length;
    double x, y, step_x, step_y;
};

// Changes a run of pixels in place; compiled once per instruction set (cpu_row.cpp).
using ChangeRun = void (*)(const PixelRun& run, const Grid& grid);

}  // namespace makeup

// The pixels of a frame that an affine transform maps into a box of a coarser grid.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "arrays.h"
#include "parallel.h"
#include "pixel_run.h"

namespace makeup {

// Cells x0..x1, y0..y1 of a grid, both ends included.
struct Box {
    int x0, y0, x1, y1;

    bool empty() const { return x1 <= x0 || y1 <= y0; }
    int columns() const { return x1 - x0 + 1; }
    int rows() const { return y1 - y0 + 1; }
};

// The box of all cells (y, x) that are `in`, grown by one cell on all sides within the grid; every
// cell is visited once, row by row.
template <class In>
Box grown_box(std::ptrdiff_t rows, std::ptrdiff_t columns, const In& in) {
    std::ptrdiff_t x0 = columns, y0 = rows, x1 = -1, y1 = -1;
    for (std::ptrdiff_t y = 0; y < rows; ++y) {
        std::ptrdiff_t first = columns, last = -1;
        for (std::ptrdiff_t x = 0; x < columns; ++x) {
            if (!in(y, x)) continue;
            first = std::min(first, x);
            last = x;
        }
        if (last < 0) continue;
        x0 = std::min(x0, first);
        x1 = std::max(x1, last);
        y0 = std::min(y0, y);
        y1 = y;
    }
    if (x1 < 0) return {0, 0, -1, -1};
    return {static_cast<int>(std::max<std::ptrdiff_t>(0, x0 - 1)),
            static_cast<int>(std::max<std::ptrdiff_t>(0, y0 - 1)),
            static_cast<int>(std::min(columns - 1, x1 + 1)),
            static_cast<int>(std::min(rows - 1, y1 + 1))};
}

// Integers n in [first, last] with low <= slope * n + offset <= high.
inline void narrow(double slope, double offset, double low, double high, double& first,
                   double& last) {
    if (slope == 0) {
        if (offset < low || offset > high) last = first - 1;
        return;
    }
    const double a = (low - offset) / slope, b = (high - offset) / slope;
    first = std::max(first, std::ceil(std::min(a, b)));
    last = std::min(last, std::floor(std::max(a, b)));
}

// A run of pixels of one frame row: pixel i of the run maps to
// (x + i * step_x, y + i * step_y), relative to the box's first cell.
struct Run {
    std::ptrdiff_t row, column;
    int length;
    double x, y, step_x, step_y;
};

// Calls body(run) for every row of a height x width frame that crosses the box.
// matrix: frame pixel (x, y, 1) to grid cell, row by row; invertible.
template <class Body>
void for_each_run(const Box& box, const std::array<double, 6>& matrix, std::ptrdiff_t height,
                  std::ptrdiff_t width, int threads, const Body& body) {
    const double a = matrix[0], b = matrix[1], c = matrix[2];
    const double d = matrix[3], e = matrix[4], f = matrix[5];
    const double determinant = a * e - b * d;
    double top = INFINITY, bottom = -INFINITY;
    for (double x : {box.x0, box.x1}) {
        for (double y : {box.y0, box.y1}) {
            const double row = (a * (y - f) - d * (x - c)) / determinant;
            top = std::min(top, row);
            bottom = std::max(bottom, row);
        }
    }
    top = std::max(0.0, std::floor(top));
    bottom = std::min(static_cast<double>(height - 1), std::ceil(bottom));
    if (!(top <= bottom)) return;

    constexpr int kRowsPerTask = 16;
    const int first_row = static_cast<int>(top), rows = static_cast<int>(bottom - top) + 1;
    parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, threads, [&](int task, int) {
        const int begin = first_row + task * kRowsPerTask;
        const int end = std::min(begin + kRowsPerTask, first_row + rows);
        for (int y = begin; y < end; ++y) {
            const double grid_x = b * y + c, grid_y = e * y + f;
            double first = 0, last = static_cast<double>(width - 1);
            narrow(a, grid_x, box.x0, box.x1, first, last);
            narrow(d, grid_y, box.y0, box.y1, first, last);
            if (!(first <= last)) continue;
            body(Run{y, static_cast<std::ptrdiff_t>(first), static_cast<int>(last - first) + 1,
                     a * first + grid_x - box.x0, d * first + grid_y - box.y0, a, d});
        }
    });
}

// Changes the pixels of a frame (H, W, 3) that an affine transform maps into a box of a grid.
// values: of the box's cells, row by row.
inline void change_frame(const Volume<std::uint8_t>& frame, const Box& box, const float* values,
                         const std::array<double, 6>& matrix, int threads, ChangeRun change) {
    const Grid grid{values, box.rows(), box.columns()};
    for_each_run(box, matrix, frame.planes, frame.rows, threads, [&](const Run& run) {
        change(PixelRun{frame.plane(run.row).at(run.column, 0), run.length, run.x, run.y,
                        run.step_x, run.step_y},
               grid);
    });
}

}  // namespace makeup

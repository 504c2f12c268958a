#include "paint_layers/cpu.h"

#include <algorithm>

namespace makeup {

MAKEUP_LOOP(PaintBlock, paint_block)

void paint_layers(const Ground& ground, const std::vector<PaintLayer>& layers, std::ptrdiff_t rows,
                  std::ptrdiff_t columns, float* change, Isa isa) {
    const std::ptrdiff_t cells = rows * columns;
    if (cells == 0) return;
    const PaintBlock paint = paint_block(isa);
    for (std::ptrdiff_t first = 0; first < cells; first += kPaintBlock) {
        const int count = static_cast<int>(std::min<std::ptrdiff_t>(kPaintBlock, cells - first));
        paint(ground, layers.data(), static_cast<int>(layers.size()), first, count, change, cells);
    }
    for (std::ptrdiff_t plane = 0; plane < 6; ++plane) {
        float* map = change + plane * cells;
        std::fill(map, map + columns, 0.0f);
        std::fill(map + cells - columns, map + cells, 0.0f);
        for (std::ptrdiff_t row = 0; row < rows; ++row) {
            map[row * columns] = map[(row + 1) * columns - 1] = 0.0f;
        }
    }
}

}  // namespace makeup

#include "apply_color_map/cpu.h"

#include <cmath>
#include <stdexcept>

#include "frame_walk.h"

namespace makeup {

MAKEUP_LOOP(ChangeRun, change_pixels)

namespace {

constexpr std::ptrdiff_t kMaps = 6;

// Bounding box of the cells that are not 0, grown by one cell.
Box changed_box(const Volume<const float>& change) {
    bool finite = true;
    const Box box = grown_box(change.rows, change.columns, [&](std::ptrdiff_t y, std::ptrdiff_t x) {
        bool changes = false;
        for (std::ptrdiff_t map = 0; map < kMaps; ++map) {
            const float value = *change.plane(map).at(y, x);
            finite &= std::isfinite(value);
            changes |= value != 0.0f;
        }
        return changes;
    });
    if (!finite) throw std::domain_error("change is not finite");
    return box;
}

AlignedFloats pack_cells(const Box& box, const Volume<const float>& change, int threads) {
    AlignedFloats cells(static_cast<std::size_t>(box.rows()) *
                        static_cast<std::size_t>(box.columns()) * kChangeFloats);
    parallel_for(box.rows(), threads, [&](int row, int) {
        float* to = cells.get() + std::ptrdiff_t{row} * box.columns() * kChangeFloats;
        for (std::ptrdiff_t x = box.x0; x <= box.x1; ++x, to += kChangeFloats) {
            for (std::ptrdiff_t c = 0; c < 3; ++c) {
                to[c] = *change.plane(c).at(box.y0 + row, x);
                to[4 + c] = *change.plane(3 + c).at(box.y0 + row, x);
            }
            to[3] = to[7] = 0.0f;
        }
    });
    return cells;
}

}  // namespace

void apply_color_map(const Volume<std::uint8_t>& frame, const Volume<const float>& change,
                     const std::array<double, 6>& matrix, int threads, Isa isa) {
    const Box box = changed_box(change);
    if (box.empty()) return;
    const AlignedFloats cells = pack_cells(box, change, threads);
    change_frame(frame, box, cells.get(), matrix, threads, change_pixels(isa));
}

}  // namespace makeup

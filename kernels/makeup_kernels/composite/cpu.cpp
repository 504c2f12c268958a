#include "composite/cpu.h"

#include <stdexcept>

#include "frame_walk.h"

namespace makeup {

MAKEUP_LOOP(ChangeRun, blend_run)

namespace {

// Bounding box of the pixels with a mask above 0, grown by one pixel: outside, alpha is 0.
Box mask_box(const Plane<const float>& mask) {
    bool in_range = true;
    const Box box = grown_box(mask.rows, mask.columns, [&](std::ptrdiff_t y, std::ptrdiff_t x) {
        const float value = *mask.at(y, x);
        in_range &= value >= 0.0f && value <= 1.0f;
        return value > 0.0f;
    });
    if (!in_range) throw std::domain_error("mask outside [0, 1]");
    return box;
}

AlignedFloats pack_texture(const Box& box, const Volume<const std::uint8_t>& source_crop,
                           const Volume<const std::uint8_t>& result_crop,
                           const Plane<const float>& mask, int threads) {
    AlignedFloats texels(static_cast<std::size_t>(box.rows()) *
                         static_cast<std::size_t>(box.columns()) * kTexelFloats);
    parallel_for(box.rows(), threads, [&](int row, int) {
        const std::ptrdiff_t y = box.y0 + row;
        const Plane<const std::uint8_t> source = source_crop.plane(y),
                                        result = result_crop.plane(y);
        float* to = texels.get() + std::ptrdiff_t{row} * box.columns() * kTexelFloats;
        for (std::ptrdiff_t x = box.x0; x <= box.x1; ++x, to += kTexelFloats) {
            for (std::ptrdiff_t c = 0; c < 3; ++c) {
                to[c] = static_cast<float>(*result.at(x, c) - *source.at(x, c));
            }
            to[3] = *mask.at(y, x);
        }
    });
    return texels;
}

}  // namespace

void composite(const Volume<std::uint8_t>& frame, const Volume<const std::uint8_t>& source_crop,
               const Volume<const std::uint8_t>& result_crop, const Plane<const float>& mask,
               const std::array<double, 6>& matrix, int threads, Isa isa) {
    const Box box = mask_box(mask);
    if (box.empty()) return;
    const AlignedFloats texels = pack_texture(box, source_crop, result_crop, mask, threads);
    change_frame(frame, box, texels.get(), matrix, threads, blend_run(isa));
}

}  // namespace makeup

#include "composite/cpu.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "parallel.h"

namespace makeup {

namespace baseline {
extern const BlendRun blend_run;
}
#ifdef MAKEUP_X86
namespace avx2 {
extern const BlendRun blend_run;
}
namespace avx512 {
extern const BlendRun blend_run;
}
#endif

BlendRun blend_run(Isa isa) {
#ifdef MAKEUP_X86
    if (isa == Isa::avx512) return avx512::blend_run;
    if (isa == Isa::avx2) return avx2::blend_run;
#endif
    (void)isa;
    return baseline::blend_run;
}

namespace {

// Crop pixels x0..x1, y0..y1, both ends included.
struct Box {
    int x0, y0, x1, y1;

    bool empty() const { return x1 <= x0 || y1 <= y0; }
    int columns() const { return x1 - x0 + 1; }
    int rows() const { return y1 - y0 + 1; }
};

// The pixels with a mask above 0 and one pixel around them: beyond, alpha is 0.
Box mask_box(const Plane<const float>& mask) {
    std::ptrdiff_t x0 = mask.columns, y0 = mask.rows, x1 = -1, y1 = -1;
    bool in_range = true;
    for (std::ptrdiff_t y = 0; y < mask.rows; ++y) {
        std::ptrdiff_t first = mask.columns, last = -1;
        for (std::ptrdiff_t x = 0; x < mask.columns; ++x) {
            const float value = *mask.at(y, x);
            in_range &= value >= 0.0f && value <= 1.0f;
            if (value > 0.0f) {
                first = std::min(first, x);
                last = x;
            }
        }
        if (last < 0) continue;
        x0 = std::min(x0, first);
        x1 = std::max(x1, last);
        y0 = std::min(y0, y);
        y1 = y;
    }
    if (!in_range) throw std::domain_error("mask outside [0, 1]");
    if (x1 < 0) return {0, 0, -1, -1};
    return {static_cast<int>(std::max<std::ptrdiff_t>(0, x0 - 1)),
            static_cast<int>(std::max<std::ptrdiff_t>(0, y0 - 1)),
            static_cast<int>(std::min(mask.columns - 1, x1 + 1)),
            static_cast<int>(std::min(mask.rows - 1, y1 + 1))};
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

// Integers n in [first, last] with low <= slope * n + offset <= high.
void narrow(double slope, double offset, double low, double high, double& first, double& last) {
    if (slope == 0) {
        if (offset < low || offset > high) last = first - 1;
        return;
    }
    const double a = (low - offset) / slope, b = (high - offset) / slope;
    first = std::max(first, std::ceil(std::min(a, b)));
    last = std::min(last, std::floor(std::max(a, b)));
}

}  // namespace

void composite(const Volume<std::uint8_t>& frame, const Volume<const std::uint8_t>& source_crop,
               const Volume<const std::uint8_t>& result_crop, const Plane<const float>& mask,
               const std::array<double, 6>& matrix, int threads, Isa isa) {
    const Box box = mask_box(mask);
    if (box.empty()) return;
    const AlignedFloats texels = pack_texture(box, source_crop, result_crop, mask, threads);
    const Texture texture{texels.get(), box.rows(), box.columns()};
    const BlendRun blend = blend_run(isa);

    // frame rows that the box's corners span
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
    const double height = static_cast<double>(frame.planes),
                 width = static_cast<double>(frame.rows);
    top = std::max(0.0, std::floor(top));
    bottom = std::min(height - 1, std::ceil(bottom));
    if (!(top <= bottom)) return;

    constexpr int kRowsPerTask = 16;
    const int first_row = static_cast<int>(top), rows = static_cast<int>(bottom - top) + 1;
    parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, threads, [&](int task, int) {
        const int begin = first_row + task * kRowsPerTask;
        const int end = std::min(begin + kRowsPerTask, first_row + rows);
        for (int y = begin; y < end; ++y) {
            const double crop_x = b * y + c, crop_y = e * y + f;
            double first = 0, last = width - 1;
            narrow(a, crop_x, box.x0, box.x1, first, last);
            narrow(d, crop_y, box.y0, box.y1, first, last);
            if (!(first <= last)) continue;
            const auto x = static_cast<std::ptrdiff_t>(first);
            blend(PixelRun{frame.plane(y).at(x, 0), static_cast<int>(last - first) + 1,
                           a * first + crop_x - box.x0, d * first + crop_y - box.y0, a, d},
                  texture);
        }
    });
}

}  // namespace makeup

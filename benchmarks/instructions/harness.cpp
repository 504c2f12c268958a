// One call of each CPU kernel on fixed inputs, for counting instructions (count.py).
//
// usage: harness CASE     runs the case once inside counted(); without a case, lists them
//
// Built for one instruction set, without threads. Inputs come from a generator of this file: the
// standard library's distributions differ between versions.

#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../../tests/kernels/packed.h"
#include "apply_color_map/cpu.h"
#include "attentive_morph/cpu.h"
#include "composite/cpu.h"
#include "isa.h"
#include "match_region_histograms/cpu.h"

using namespace makeup;

// What callgrind counts: --toggle-collect=counted.
extern "C" void counted(const std::function<void()>& work) {
    work();
    asm volatile("" ::: "memory");  // keeps the call above from becoming a jump
}

namespace {

// Called through a pointer that the compiler may not look through, so that it is neither inlined
// nor cloned under another name.
void (*volatile count)(const std::function<void()>&) = counted;

std::uint32_t state = 1;

std::uint32_t next() {  // Numerical Recipes' linear congruential generator
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

std::vector<float> floats(int size, float low, float high) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& v : values) v = low + (high - low) * static_cast<float>(next()) / 16777216.0f;
    return values;
}

std::vector<std::uint8_t> bytes(int size) {
    std::vector<std::uint8_t> values(static_cast<std::size_t>(size));
    for (auto& value : values) value = static_cast<std::uint8_t>(next() >> 8);
    return values;
}

// An ellipse of skin with two patches of eye shadow and lips, on size x size cells.
std::vector<std::uint8_t> face_regions(int size) {
    std::vector<std::uint8_t> regions(static_cast<std::size_t>(size) * size);
    const auto inside = [](double x, double y, double cx, double cy, double rx, double ry) {
        const double u = (x - cx) / rx, v = (y - cy) / ry;
        return u * u + v * v < 1;
    };
    for (int i = 0; i < size * size; ++i) {
        const double x = (i % size + 0.5) / size, y = (i / size + 0.5) / size;
        std::uint8_t region = inside(x, y, 0.5, 0.55, 0.3, 0.36) ? 2 : 0;
        if (inside(x, y, 0.37, 0.43, 0.09, 0.06) || inside(x, y, 0.63, 0.43, 0.09, 0.06)) {
            region = 3;
        }
        if (inside(x, y, 0.5, 0.72, 0.11, 0.05)) region = 1;
        regions[static_cast<std::size_t>(i)] = region;
    }
    return regions;
}

enum class Part { prepare, run };

void morph(int grid, int channels, int value_count, Part part) {
    const int cells = grid * grid;
    const auto features = floats(channels * cells, -1, 1), keys = floats(channels * cells, -1, 1);
    const auto values = floats(value_count * cells, -1, 1);
    const auto marks = floats(136, 60, 200), key_marks = floats(136, 60, 200);
    const auto regions = face_regions(grid);
    std::vector<float> out(values.size());
    const auto prepare = [&] {
        return CpuMorphReference(volume<const float>(keys, channels, grid, grid),
                                 plane<const float>(key_marks, 68, 2),
                                 plane<const std::uint8_t>(regions, grid, grid),
                                 volume<const float>(values, value_count, grid, grid),
                                 {0.01, 200, 256.0 / grid}, Isa::baseline);
    };
    if (part == Part::prepare) {
        count([&] { prepare(); });
        return;
    }
    const CpuMorphReference reference = prepare();
    count([&] {
        reference.morph(volume<const float>(features, channels, grid, grid),
                        plane<const float>(marks, 68, 2),
                        plane<const std::uint8_t>(regions, grid, grid),
                        volume<float>(out, value_count, grid, grid), 1);
    });
}

void histograms(int size, Part part) {
    const auto source = bytes(size * size * 3), reference = bytes(size * size * 3);
    const auto regions = face_regions(size);
    auto out = source;
    const auto prepare = [&] {
        return CpuRegionHistogram(volume<const std::uint8_t>(reference, size, size, 3),
                                  plane<const std::uint8_t>(regions, size, size), {1, 2, 3}, 1);
    };
    if (part == Part::prepare) {
        count([&] { prepare(); });
        return;
    }
    const CpuRegionHistogram prepared = prepare();
    count([&] {
        prepared.match(volume<const std::uint8_t>(source, size, size, 3),
                       plane<const std::uint8_t>(regions, size, size),
                       volume<std::uint8_t>(out, size, size, 3), 1);
    });
}

// Frame pixels to a square of `side` cells that covers nine tenths of the frame's height, turned.
std::array<double, 6> frame_to_square(int rows, int columns, int side) {
    const double scale = side / (0.9 * rows), turn = 0.1 * scale;
    return {scale, -turn, -0.1 * columns * scale, turn, scale, -0.1 * rows * scale};
}

void put_back(int rows, int columns) {
    const int crop = 256;
    const auto source = bytes(crop * crop * 3), result = bytes(crop * crop * 3);
    const auto regions = face_regions(crop);
    std::vector<float> mask(regions.size());
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = regions[i] ? 0.75f : 0.0f;
    auto frame = bytes(rows * columns * 3);
    count([&] {
        composite(volume<std::uint8_t>(frame, rows, columns, 3),
                  volume<const std::uint8_t>(source, crop, crop, 3),
                  volume<const std::uint8_t>(result, crop, crop, 3),
                  plane<const float>(mask, crop, crop), frame_to_square(rows, columns, crop), 1,
                  Isa::baseline);
    });
}

void change_colors(int rows, int columns) {
    const int side = 64;
    const auto regions = face_regions(side);
    auto change = floats(6 * side * side, -0.2f, 0.2f);
    for (std::size_t i = 0; i < change.size(); ++i) {
        if (regions[i % regions.size()] == 0) change[i] = 0;
    }
    auto frame = bytes(rows * columns * 3);
    count([&] {
        apply_color_map(volume<std::uint8_t>(frame, rows, columns, 3),
                        volume<const float>(change, 6, side, side),
                        frame_to_square(rows, columns, side), 1, Isa::baseline);
    });
}

const std::map<std::string, std::function<void()>> cases{
    {"attentive_morph 64x64 C=32 V=2", [] { morph(64, 32, 2, Part::run); }},
    {"attentive_morph 64x64 C=0 V=12", [] { morph(64, 0, 12, Part::run); }},
    {"attentive_morph 48x48 C=256 V=2", [] { morph(48, 256, 2, Part::run); }},
    {"attentive_morph 64x64 C=32 V=2, reference", [] { morph(64, 32, 2, Part::prepare); }},
    {"match_region_histograms 256x256", [] { histograms(256, Part::run); }},
    {"match_region_histograms 256x256, reference", [] { histograms(256, Part::prepare); }},
    {"composite 720x1280", [] { put_back(720, 1280); }},
    {"apply_color_map 720x1280", [] { change_colors(720, 1280); }},
};

}  // namespace

int main(int argument_count, char** arguments) {
    if (argument_count < 2) {
        for (const auto& entry : cases) std::puts(entry.first.c_str());
        return 0;
    }
    const auto found = cases.find(arguments[1]);
    if (found == cases.end()) {
        std::fprintf(stderr, "no such case: %s\n", arguments[1]);
        return 2;
    }
    found->second();
    return 0;
}

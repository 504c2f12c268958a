#include "attentive_morph/cpu.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace makeup {

namespace baseline {
extern const MorphTile morph_tile;
}
#ifdef MAKEUP_X86
namespace avx2 {
extern const MorphTile morph_tile;
}
namespace avx512 {
extern const MorphTile morph_tile;
}
#endif

const MorphTile& morph_tile(Isa isa) {
#ifdef MAKEUP_X86
    if (isa == Isa::avx512) return avx512::morph_tile;
    if (isa == Isa::avx2) return avx2::morph_tile;
#endif
    (void)isa;
    return baseline::morph_tile;
}

LandmarkLayout::LandmarkLayout(const Plane<const float>& landmarks) {
    const double count = static_cast<double>(landmarks.rows);
    for (std::ptrdiff_t k = 0; k < landmarks.rows; ++k) {
        mean_x += *landmarks.at(k, 0) / count;
        mean_y += *landmarks.at(k, 1) / count;
    }
    for (std::ptrdiff_t k = 0; k < landmarks.rows; ++k) {
        const double y = *landmarks.at(k, 1) - mean_y;
        const double x = *landmarks.at(k, 0) - mean_x;
        centred.push_back({y, x});
        spread += y * y + x * x;
    }
}

namespace {

struct Cell {
    std::int32_t row, column;
};

// Cells of each region id in row-major order.
std::array<std::vector<Cell>, 256> cells_by_region(const Plane<const std::uint8_t>& regions) {
    std::array<std::size_t, 256> counts{};
    for (std::ptrdiff_t r = 0; r < regions.rows; ++r) {
        for (std::ptrdiff_t c = 0; c < regions.columns; ++c) ++counts[*regions.at(r, c)];
    }
    std::array<std::vector<Cell>, 256> cells;
    for (std::size_t id = 1; id < cells.size(); ++id) cells[id].reserve(counts[id]);
    for (std::ptrdiff_t r = 0; r < regions.rows; ++r) {
        for (std::ptrdiff_t c = 0; c < regions.columns; ++c) {
            const std::uint8_t id = *regions.at(r, c);
            if (id) cells[id].push_back({static_cast<int>(r), static_cast<int>(c)});
        }
    }
    return cells;
}

// One side of the position product: (sqrt(K) u_y, sqrt(K) u_x, last) / |P| * scale, in double until
// the final rounding to float, because logits reach hundreds. |P| = 0 gives 0.
std::array<float, 3> position(const LandmarkLayout& layout, Cell cell, double pixel_stride,
                              double last, double scale) {
    const double count = static_cast<double>(layout.centred.size());
    const double y = cell.row * pixel_stride - layout.mean_y;
    const double x = cell.column * pixel_stride - layout.mean_x;
    const double norm = std::sqrt(count * (y * y + x * x) + layout.spread);
    const double factor = norm > 0 ? scale / norm : 0.0;
    const double root = std::sqrt(count) * factor;
    return {static_cast<float>(root * y), static_cast<float>(root * x),
            static_cast<float>(last * factor)};
}

// Packs `width` tokens into panel[depth][width]: the scaled features, then the three position
// rows. The large position terms come last, after the small visual sum is complete.
struct TokenPacker {
    const Volume<const float>& features;
    const LandmarkLayout& layout;
    double pixel_stride;
    float feature_scale;
    double position_last, position_scale;

    void pack(const Cell* cells, int count, int width, float* panel) const {
        constexpr int kMaxWidth = 64;
        const char* base[kMaxWidth];
        for (int t = 0; t < count; ++t) {
            base[t] =
                reinterpret_cast<const char*>(features.plane(0).at(cells[t].row, cells[t].column));
        }
        for (std::ptrdiff_t c = 0; c < features.planes; ++c, panel += width) {
            const std::ptrdiff_t offset = c * features.plane_stride;
            for (int t = 0; t < count; ++t) {
                panel[t] = feature_scale * *reinterpret_cast<const float*>(base[t] + offset);
            }
            for (int t = count; t < width; ++t) panel[t] = 0;
        }
        for (int t = 0; t < width; ++t) {
            std::array<float, 3> p{};
            if (t < count)
                p = position(layout, cells[t], pixel_stride, position_last, position_scale);
            for (int d = 0; d < 3; ++d) panel[d * width + t] = p[static_cast<std::size_t>(d)];
        }
    }
};

constexpr int round_up(int value, int step) { return (value + step - 1) / step * step; }

}  // namespace

CpuMorphReference::CpuMorphReference(const Volume<const float>& features,
                                     const Plane<const float>& landmarks,
                                     const Plane<const std::uint8_t>& regions,
                                     const Volume<const float>& values, const MorphOptions& options,
                                     Isa isa)
    : tile_(morph_tile(isa)),
      options_(options),
      layout_(landmarks),
      channels_(features.planes),
      value_count_(values.planes),
      cells_(regions.rows * regions.columns) {
    const TokenPacker packer{features, layout_, options.pixel_stride, 1.0f, 1.0, 1.0};
    const auto cells = cells_by_region(regions);
    const int width = tile_.key_columns;
    for (std::size_t id = 1; id < cells.size(); ++id) {
        Region& region = regions_[id];
        region.keys = static_cast<int>(cells[id].size());
        if (region.keys == 0) continue;
        region.padded = round_up(region.keys, width);
        const auto padded = static_cast<std::size_t>(region.padded);
        region.packed_keys = AlignedFloats(padded * static_cast<std::size_t>(depth()));
        for (int first = 0; first < region.keys; first += width) {
            packer.pack(cells[id].data() + first, std::min(width, region.keys - first), width,
                        region.packed_keys.get() + static_cast<std::ptrdiff_t>(first) * depth());
        }
        region.values = AlignedFloats(padded * static_cast<std::size_t>(value_count_));
        for (std::ptrdiff_t v = 0; v < value_count_; ++v) {
            float* row = region.values.get() + v * region.padded;
            for (const Cell& cell : cells[id]) *row++ = *values.plane(v).at(cell.row, cell.column);
        }
    }
}

void CpuMorphReference::morph(const Volume<const float>& features,
                              const Plane<const float>& landmarks,
                              const Plane<const std::uint8_t>& regions, const Volume<float>& out,
                              int threads) const {
    // Queries of one task: keys stream through the cache once for all of them.
    constexpr int kQueriesPerTask = 24;
    struct Task {
        int id, first, count;
    };

    for (std::ptrdiff_t v = 0; v < out.planes; ++v) {
        const Plane<float> plane = out.plane(v);
        for (std::ptrdiff_t r = 0; r < out.rows; ++r) {
            for (std::ptrdiff_t c = 0; c < out.columns; ++c) *plane.at(r, c) = 0;
        }
    }
    const auto cells = cells_by_region(regions);
    std::vector<Task> tasks;
    int longest = 0;
    for (int id = 1; id < 256; ++id) {
        const auto index = static_cast<std::size_t>(id);
        if (regions_[index].keys == 0) continue;
        const int queries = static_cast<int>(cells[index].size());
        for (int first = 0; first < queries; first += kQueriesPerTask) {
            tasks.push_back({id, first, std::min(kQueriesPerTask, queries - first)});
            longest = std::max(longest, regions_[index].padded);
        }
    }
    std::stable_sort(tasks.begin(), tasks.end(), [&](const Task& a, const Task& b) {
        return regions_[static_cast<std::size_t>(a.id)].keys >
               regions_[static_cast<std::size_t>(b.id)].keys;
    });

    const LandmarkLayout layout(landmarks);
    double coupling = 0;  // C of the position identity: the only term that needs both faces
    for (std::size_t k = 0; k < layout.centred.size(); ++k) {
        coupling += layout.centred[k][0] * layout_.centred[k][0] +
                    layout.centred[k][1] * layout_.centred[k][1];
    }
    const double visual_scale =
        options_.temperature * options_.visual_weight * options_.visual_weight;
    const TokenPacker packer{features,
                             layout,
                             options_.pixel_stride,
                             static_cast<float>(visual_scale),
                             coupling,
                             options_.temperature};

    const int rows = tile_.query_rows;
    const int columns = tile_.key_columns;
    const int packed_rows = round_up(kQueriesPerTask, rows);
    const auto per_worker =
        static_cast<std::size_t>(packed_rows) * static_cast<std::size_t>(depth() + longest);
    const int workers = worker_count(static_cast<int>(tasks.size()), threads);
    std::vector<AlignedFloats> scratch;
    for (int w = 0; w < workers; ++w) {
        scratch.emplace_back(per_worker + static_cast<std::size_t>(value_count_));
    }

    parallel_for(static_cast<int>(tasks.size()), threads, [&](int index, int worker) {
        const Task task = tasks[static_cast<std::size_t>(index)];
        const Region& region = regions_[static_cast<std::size_t>(task.id)];
        const Cell* queries = cells[static_cast<std::size_t>(task.id)].data() + task.first;
        float* logits = scratch[static_cast<std::size_t>(worker)].get();
        float* packed = logits + static_cast<std::ptrdiff_t>(packed_rows) * longest;
        float* result = packed + static_cast<std::ptrdiff_t>(packed_rows) * depth();

        for (int q = 0; q < task.count; q += rows) {
            packer.pack(queries + q, std::min(rows, task.count - q), rows,
                        packed + static_cast<std::ptrdiff_t>(q) * depth());
        }
        for (int k = 0; k < region.keys; k += columns) {
            const float* keys = region.packed_keys.get() + static_cast<std::ptrdiff_t>(k) * depth();
            for (int q = 0; q < task.count; q += rows) {
                tile_.logits(packed + static_cast<std::ptrdiff_t>(q) * depth(), keys, depth(),
                             logits + static_cast<std::ptrdiff_t>(q) * region.padded + k,
                             region.padded);
            }
        }
        const float others = static_cast<float>(cells_ - region.keys);
        for (int q = 0; q < task.count; ++q) {
            tile_.weigh(logits + static_cast<std::ptrdiff_t>(q) * region.padded, region.keys,
                        region.padded, region.values.get(), static_cast<int>(value_count_), others,
                        result);
            for (std::ptrdiff_t v = 0; v < value_count_; ++v) {
                *out.plane(v).at(queries[q].row, queries[q].column) = result[v];
            }
        }
    });
}

}  // namespace makeup

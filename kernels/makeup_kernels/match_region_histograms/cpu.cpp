#include "match_region_histograms/cpu.h"

#include <algorithm>
#include <memory>

#include "parallel.h"

namespace makeup {

namespace {

using Slots = std::array<int, 256>;
using Table = std::array<std::array<std::uint8_t, 256>, 3>;

// Two counters per bin, for even and odd pixels: neighbours are often equal, and incrementing the
// same bin twice in a row would stall on the first store.
struct Bins {
    std::uint32_t counts[2][3][256];
};

// Pixels of one task: enough work to outweigh the cost of scheduling it.
constexpr int kBandPixels = 1 << 14;

int band_rows(std::ptrdiff_t columns) {
    return static_cast<int>(
        std::max<std::ptrdiff_t>(1, kBandPixels / std::max<std::ptrdiff_t>(1, columns)));
}

int band_count(std::ptrdiff_t rows, std::ptrdiff_t columns) {
    const int step = band_rows(columns);
    return static_cast<int>((rows + step - 1) / step);
}

// Calls body(row, first, last, slot) for each run of pixels of one slot in a band of rows.
template <class Body>
void for_each_run(const Plane<const std::uint8_t>& regions, int band, const Slots& slots,
                  const Body& body) {
    const std::ptrdiff_t begin = std::ptrdiff_t{band} * band_rows(regions.columns);
    const std::ptrdiff_t end = std::min(regions.rows, begin + band_rows(regions.columns));
    for (std::ptrdiff_t r = begin; r < end; ++r) {
        const std::uint8_t* id = regions.at(r, 0);
        const std::ptrdiff_t step = regions.column_stride;
        std::ptrdiff_t first = 0;
        while (first < regions.columns) {
            const std::uint8_t here = id[first * step];
            std::ptrdiff_t last = first + 1;
            while (last < regions.columns && id[last * step] == here) ++last;
            body(r, first, last, slots[here]);
            first = last;
        }
    }
}

std::vector<RegionCounts> count_regions(const Volume<const std::uint8_t>& image,
                                        const Plane<const std::uint8_t>& regions,
                                        const Slots& slots, std::size_t slot_count, int threads) {
    const int bands = band_count(regions.rows, regions.columns);
    const auto workers = static_cast<std::size_t>(worker_count(bands, threads));
    std::vector<Bins> bins(workers * slot_count, Bins{});
    parallel_for(bands, threads, [&](int band, int worker) {
        Bins* mine = bins.data() + static_cast<std::size_t>(worker) * slot_count;
        for_each_run(regions, band, slots,
                     [&](std::ptrdiff_t r, std::ptrdiff_t first, std::ptrdiff_t last, int slot) {
                         if (slot < 0) return;
                         auto& counts = mine[slot].counts;
                         const std::ptrdiff_t step = image.row_stride;
                         const std::ptrdiff_t channel = image.column_stride;
                         const std::uint8_t* pixel = image.plane(r).at(first, 0);
                         for (std::ptrdiff_t c = first; c < last; ++c, pixel += step) {
                             auto& half = counts[c & 1];
                             ++half[0][pixel[0]];
                             ++half[1][pixel[channel]];
                             ++half[2][pixel[2 * channel]];
                         }
                     });
    });
    std::vector<RegionCounts> result(slot_count);
    for (std::size_t slot = 0; slot < slot_count; ++slot) {
        for (std::size_t channel = 0; channel < 3; ++channel) {
            std::uint64_t sum = 0;
            for (std::size_t value = 0; value < 256; ++value) {
                for (std::size_t w = 0; w < workers; ++w) {
                    const auto& counts = bins[w * slot_count + slot].counts;
                    sum += counts[0][channel][value];
                    sum += counts[1][channel][value];
                }
                result[slot].cumulative[channel][value] = sum;
            }
        }
    }
    return result;
}

// Entry i in 1..254: the first j >= 1 with ref[j-1] <= src[i] <= ref[j] as fractions, compared by
// cross-multiplication; i itself if there is none, i.e. if src[i] < ref[0].
Table matching_table(const RegionCounts& source, const RegionCounts& reference) {
    Table table;
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const auto& src = source.cumulative[channel];
        const auto& ref = reference.cumulative[channel];
        const auto source_share = [&](std::size_t i) { return src[i] * reference.pixels(); };
        const auto reference_share = [&](std::size_t j) { return ref[j] * source.pixels(); };
        std::size_t j = 1;
        table[channel][0] = 0;
        for (std::size_t i = 1; i < 255; ++i) {
            while (reference_share(j) < source_share(i)) ++j;
            const bool found = reference_share(j - 1) <= source_share(i);
            table[channel][i] = static_cast<std::uint8_t>(found ? j : i);
        }
        table[channel][255] = 255;
    }
    return table;
}

}  // namespace

CpuRegionHistogram::CpuRegionHistogram(const Volume<const std::uint8_t>& image,
                                       const Plane<const std::uint8_t>& regions,
                                       const std::vector<int>& ids, int threads) {
    slot_.fill(-1);
    int slots = 0;
    for (int id : ids) {
        int& slot = slot_.at(static_cast<std::size_t>(id));
        if (slot < 0) slot = slots++;
    }
    reference_ = count_regions(image, regions, slot_, static_cast<std::size_t>(slots), threads);
}

void CpuRegionHistogram::match(const Volume<const std::uint8_t>& source,
                               const Plane<const std::uint8_t>& regions,
                               const Volume<std::uint8_t>& out, int threads) const {
    const auto counts = count_regions(source, regions, slot_, reference_.size(), threads);
    std::vector<Table> tables;
    Slots matched = slot_;
    for (std::size_t slot = 0; slot < reference_.size(); ++slot) {
        tables.push_back(matching_table(counts[slot], reference_[slot]));
        if (reference_[slot].pixels() == 0) {
            for (int& s : matched) s = s == static_cast<int>(slot) ? -1 : s;
        }
    }
    const bool in_place =
        static_cast<const void*>(source.data) == static_cast<const void*>(out.data);
    parallel_for(band_count(regions.rows, regions.columns), threads, [&](int band, int) {
        for_each_run(
            regions, band, matched,
            [&](std::ptrdiff_t r, std::ptrdiff_t first, std::ptrdiff_t last, int slot) {
                if (slot < 0 && in_place) return;
                const std::ptrdiff_t step = source.row_stride, out_step = out.row_stride;
                const std::ptrdiff_t channel = source.column_stride;
                const std::ptrdiff_t out_channel = out.column_stride;
                const std::uint8_t* from = source.plane(r).at(first, 0);
                std::uint8_t* to = out.plane(r).at(first, 0);
                const std::ptrdiff_t length = last - first;
                if (slot < 0 && step == 3 && out_step == 3 && channel == 1 && out_channel == 1) {
                    std::memcpy(to, from, static_cast<std::size_t>(length) * 3);
                    return;
                }
                if (slot < 0) {
                    for (std::ptrdiff_t c = 0; c < length; ++c, from += step, to += out_step) {
                        for (int k = 0; k < 3; ++k) to[k * out_channel] = from[k * channel];
                    }
                    return;
                }
                const Table& table = tables[static_cast<std::size_t>(slot)];
                for (std::ptrdiff_t c = 0; c < length; ++c, from += step, to += out_step) {
                    to[0] = table[0][from[0]];
                    to[out_channel] = table[1][from[channel]];
                    to[2 * out_channel] = table[2][from[2 * channel]];
                }
            });
    });
}

}  // namespace makeup

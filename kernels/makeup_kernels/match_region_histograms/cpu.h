// Region histogram matching on the CPU; definition and source in __init__.py.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "arrays.h"

namespace makeup {

// Cumulative histogram of one region: count of values <= v per channel.
struct RegionCounts {
    std::array<std::array<std::uint64_t, 256>, 3> cumulative{};

    std::uint64_t pixels() const { return cumulative[0][255]; }
};

// The reference's cumulative histograms of the regions to match. Immutable.
class CpuRegionHistogram {
 public:
    CpuRegionHistogram(const Volume<const std::uint8_t>& image,
                       const Plane<const std::uint8_t>& regions, const std::vector<int>& ids,
                       int threads);

    // out may be the source itself; every pixel is written.
    void match(const Volume<const std::uint8_t>& source, const Plane<const std::uint8_t>& regions,
               const Volume<std::uint8_t>& out, int threads) const;

 private:
    std::array<int, 256> slot_;  // index of a region id in reference_, -1: leave unchanged
    std::vector<RegionCounts> reference_;
};

}  // namespace makeup

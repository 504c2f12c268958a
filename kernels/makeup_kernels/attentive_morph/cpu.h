// Attentive morph on the CPU; formula and sources in __init__.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "arrays.h"
#include "isa.h"

namespace makeup {

// The inner functions, compiled once per instruction set (cpu_tile.cpp).
struct MorphTile {
    int query_rows;   // queries of one register tile
    int key_columns;  // keys of one register tile

    // logits[q * stride + k] = sum over d of queries[d * query_rows + q] * keys[d * key_columns +
    // k]
    void (*logits)(const float* queries, const float* keys, int depth, float* logits,
                   std::ptrdiff_t stride);

    // result[v] = sum over k < keys of e^logit[k] * values[v * padded + k], divided by
    // sum over k of e^logit[k] + others * e^0. logits[keys .. padded) are scratch.
    void (*weigh)(float* logits, int keys, int padded, const float* values, int value_count,
                  float others, float* result);
};

const MorphTile& morph_tile(Isa isa);

struct MorphOptions {
    double visual_weight;
    double temperature;
    double pixel_stride;
};

// Landmarks reduced to what the position identity needs, one row per point: y, x.
struct LandmarkLayout {
    explicit LandmarkLayout(const Plane<const float>& landmarks);

    double mean_y = 0, mean_x = 0;
    double spread = 0;  // sum over the points of their squared distance to the mean
    std::vector<std::array<double, 2>> centred;
};

// Keys and values of one reference, packed for one instruction set. Immutable.
class CpuMorphReference {
 public:
    CpuMorphReference(const Volume<const float>& features, const Plane<const float>& landmarks,
                      const Plane<const std::uint8_t>& regions, const Volume<const float>& values,
                      const MorphOptions& options, Isa isa);

    // out: values() planes of the source's grid; every cell is written.
    void morph(const Volume<const float>& features, const Plane<const float>& landmarks,
               const Plane<const std::uint8_t>& regions, const Volume<float>& out,
               int threads) const;

    std::ptrdiff_t channels() const { return channels_; }
    std::ptrdiff_t points() const { return static_cast<std::ptrdiff_t>(layout_.centred.size()); }
    std::ptrdiff_t values() const { return value_count_; }

 private:
    struct Region {
        int keys = 0;
        int padded = 0;
        AlignedFloats packed_keys;  // [padded / key_columns][depth][key_columns]
        AlignedFloats values;       // [value][padded]
    };

    int depth() const { return static_cast<int>(channels_) + 3; }

    const MorphTile& tile_;
    MorphOptions options_;
    LandmarkLayout layout_;
    std::ptrdiff_t channels_;
    std::ptrdiff_t value_count_;
    std::ptrdiff_t cells_;
    std::array<Region, 256> regions_;
};

}  // namespace makeup

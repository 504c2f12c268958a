// The inner functions of the attentive morph, compiled once per instruction set.

#include "attentive_morph/cpu.h"
#include "simd.h"

namespace makeup::MAKEUP_ISA {

namespace {

// The accumulators, kKeyVectors vectors of keys and one broadcast must fit the register file: 32
// registers on AVX-512 and AArch64, 16 on AVX2 and SSE2.
#if defined(__AVX512F__)
constexpr int kQueryRows = 12;
constexpr int kKeyVectors = 2;
#elif defined(__aarch64__)
constexpr int kQueryRows = 8;
constexpr int kKeyVectors = 3;
#else
constexpr int kQueryRows = 6;
constexpr int kKeyVectors = 2;
#endif
constexpr int kKeyColumns = kKeyVectors * kLanes;

void logits(const float* queries, const float* keys, int depth, float* out, std::ptrdiff_t stride) {
    Floats sums[kQueryRows][kKeyVectors] = {};
    for (int d = 0; d < depth; ++d) {
        Floats key[kKeyVectors];
        MAKEUP_UNROLL
        for (int v = 0; v < kKeyVectors; ++v) key[v] = load(keys + v * kLanes);
        MAKEUP_UNROLL
        for (int q = 0; q < kQueryRows; ++q) {
            MAKEUP_UNROLL
            for (int v = 0; v < kKeyVectors; ++v) sums[q][v] += queries[q] * key[v];
        }
        queries += kQueryRows;
        keys += kKeyColumns;
    }
    MAKEUP_UNROLL
    for (int q = 0; q < kQueryRows; ++q) {
        MAKEUP_UNROLL
        for (int v = 0; v < kKeyVectors; ++v) store(out + q * stride + v * kLanes, sums[q][v]);
    }
}

// The soft-max processes as many vectors per step as a register tile has: independent sums give
// shorter dependency chains and smaller rounding errors than one sum.
struct Sums {
    Floats parts[kKeyVectors]{};

    float total() const {
        Floats sum = parts[0];
        for (int i = 1; i < kKeyVectors; ++i) sum += parts[i];
        return sum_lanes(sum);
    }
};

float row_maximum(const float* row, int padded) {
    Floats best = load(row);
    for (int k = kLanes; k < padded; k += kLanes) best = larger(load(row + k), best);
    return max_lane(best);
}

// Turns the row into weights e^(logit - maximum) and returns their sum. With kValues > 0 it adds up
// weight * value on the way and does not store the weights.
template <int kValues>
float soft_max_row(float* row, int padded, float maximum, const float* values, float* weighted) {
    Sums total, sums[kValues > 0 ? kValues : 1];
    for (int k = 0; k < padded; k += kKeyColumns) {
        MAKEUP_UNROLL
        for (int i = 0; i < kKeyVectors; ++i) {
            const int at = k + i * kLanes;
            const Floats weight = exp_nonpositive(load(row + at) - maximum);
            total.parts[i] += weight;
            for (int v = 0; v < kValues; ++v) {
                sums[v].parts[i] += weight * load(values + std::ptrdiff_t{v} * padded + at);
            }
            if (kValues == 0) store(row + at, weight);
        }
    }
    for (int v = 0; v < kValues; ++v) weighted[v] = sums[v].total();
    return total.total();
}

float dot(const float* weights, const float* values, int padded) {
    Sums sums;
    for (int k = 0; k < padded; k += kKeyColumns) {
        MAKEUP_UNROLL
        for (int i = 0; i < kKeyVectors; ++i) {
            const int at = k + i * kLanes;
            sums.parts[i] += load(weights + at) * load(values + at);
        }
    }
    return sums.total();
}

void weigh(float* row, int keys, int padded, const float* values, int value_count, float others,
           float* result) {
    for (int k = keys; k < padded; ++k) row[k] = -__builtin_inff();
    float maximum = row_maximum(row, padded);
    if (others > 0 && maximum < 0) maximum = 0;  // e^0 of the keys of other regions is in the sum
    float total;
    switch (value_count) {
        case 1:
            total = soft_max_row<1>(row, padded, maximum, values, result);
            break;
        case 2:
            total = soft_max_row<2>(row, padded, maximum, values, result);
            break;
        case 3:
            total = soft_max_row<3>(row, padded, maximum, values, result);
            break;
        default:
            total = soft_max_row<0>(row, padded, maximum, values, result);
            for (int v = 0; v < value_count; ++v) {
                result[v] = dot(row, values + std::ptrdiff_t{v} * padded, padded);
            }
    }
    if (others > 0) total += others * exp_nonpositive(splat(-maximum))[0];
    for (int v = 0; v < value_count; ++v) result[v] /= total;
}

}  // namespace

extern const MorphTile morph_tile;
const MorphTile morph_tile{kQueryRows, kKeyColumns, logits, weigh};

}  // namespace makeup::MAKEUP_ISA

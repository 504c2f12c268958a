// Gradients of the attentive morph, to the features of either side and to the values.
//
// With w_ij the soft-max weights, g the gradient of the result o and scale = temperature *
// visual_weight^2:
//
//     d value_j = sum over i of w_ij g_i
//     d logit_ij = w_ij * g_i . (value_j - o_i)
//     d F_i = scale * sum over j of d logit_ij R_j,    d R_j likewise over i.
//
// Weights are recomputed from the stored log of each denominator, so memory stays O(H W). A block
// owns 16 rows of one side and iterates over the other side in a fixed order, without atomics.
#pragma once

#include "attentive_morph/cuda_tokens.cuh"

namespace makeup {

constexpr int kGradientThreads = 256;
constexpr int kGradientRows = 16;
constexpr int kGradientColumns = 32;
constexpr int kMostPlanes = 64;

struct GradientArgs {
    const void* queries;             // [faces][query_rows][depth]
    const void* keys;                // [references][key_rows][depth]
    const float4* query_positions;   // [faces][query_rows]
    const float4* key_positions;     // [references][key_rows]
    const float* values;             // [references][key_rows][value_stride]
    const float* results;            // [faces][query_rows][value_stride]: o
    const float* gradients;          // [faces][query_rows][value_stride]: g
    const float* log_totals;         // [faces][query_rows]
    const int* query_cells;          // [faces][query_rows]
    const int* key_cells_of_rows;    // [references][key_rows]
    const RegionIndex* query_index;  // [faces]
    const RegionIndex* key_index;    // [references]
    const std::uint8_t* regions;     // of the side that owns: [faces or references][cells]
    float* out;                      // of that side: [..][channels][cells], 0 before
    float* value_out;                // keys: [references][value_count][key_cells], 0 before
    float visual_scale;
    int channels, depth, query_rows, key_rows;
    int cells;  // of the side that owns
    int faces, references;
    int value_count, value_stride;
    int padding;
};

__device__ __forceinline__ float dot(const float* a, const float* b, int depth) {
    float sum = 0;
    for (int c = 0; c < depth; c += 4) {
        const float4 x = __ldg(reinterpret_cast<const float4*>(a + c));
        const float4 y = __ldg(reinterpret_cast<const float4*>(b + c));
        sum += x.x * y.x, sum += x.y * y.y, sum += x.z * y.z, sum += x.w * y.w;
    }
    return sum;
}

__device__ __forceinline__ float dot(const half* a, const half* b, int depth) {
    float sum = 0;
    for (int c = 0; c < depth; ++c) sum += __half2float(a[c]) * __half2float(b[c]);
    return sum;
}

// A pair's weight and the gradient of its logit.
struct Pull {
    float weight, slope;
};

template <class Token>
__device__ Pull pull(const GradientArgs& args, std::size_t query, std::size_t key) {
    const float4 p = args.query_positions[query], q = args.key_positions[key];
    const float visual = dot(static_cast<const Token*>(args.queries) + query * args.depth,
                             static_cast<const Token*>(args.keys) + key * args.depth, args.depth);
    const float logit = args.visual_scale * visual + (p.x * q.x + p.y * q.y + p.z * q.z);
    const float weight = expf(logit - args.log_totals[query]);
    float slope = 0;
    for (int v = 0; v < args.value_count; ++v) {
        slope += args.gradients[query * args.value_stride + v] *
                 (args.values[key * args.value_stride + v] -
                  args.results[query * args.value_stride + v]);
    }
    return {weight, weight * slope};
}

// Block (tile, channel block, owner): 16 tokens of the side that owns, all tokens of the other
// side.
template <class Token, bool kForKeys>
__device__ void gradients(const GradientArgs& args) {
    __shared__ float slopes[kGradientColumns][kGradientRows];
    __shared__ float weights[kGradientColumns][kGradientRows];
    const int thread = threadIdx.x, owner = blockIdx.z;
    const int own_rows = kForKeys ? args.key_rows : args.query_rows;
    const int other_rows = kForKeys ? args.query_rows : args.key_rows;
    const RegionIndex& own_index = (kForKeys ? args.key_index : args.query_index)[owner];
    const int tile = blockIdx.x * kGradientRows;
    if (tile >= own_index.used) return;
    const std::size_t first = static_cast<std::size_t>(owner) * own_rows + tile;
    const int* cells = (kForKeys ? args.key_cells_of_rows : args.query_cells) + first;
    if (cells[0] < 0) return;
    const int id = args.regions[static_cast<std::size_t>(owner) * args.cells + cells[0]];

    const int channel = blockIdx.y * kGradientThreads + thread;
    const bool has_channel = channel < args.channels;
    const bool for_values = kForKeys && blockIdx.y == 0;
    const int row = thread % kGradientRows, plane = thread / kGradientRows;
    float sums[kGradientRows] = {};
    float value_sums[kMostPlanes / kGradientRows] = {};
    const bool all_faces = kForKeys && args.references == 1;
    const int others = all_faces ? args.faces : 1;
    for (int o = 0; o < others; ++o) {
        const int other = all_faces ? o : !kForKeys && args.references == 1 ? 0 : owner;
        const RegionIndex& index = (kForKeys ? args.query_index : args.key_index)[other];
        const int count = index.count[id];
        const std::size_t start = static_cast<std::size_t>(other) * other_rows + index.start[id];
        for (int begin = 0; begin < count; begin += kGradientColumns) {
            for (int i = thread; i < kGradientRows * kGradientColumns; i += kGradientThreads) {
                const int r = i % kGradientRows, column = i / kGradientRows;
                const bool meets = cells[r] >= 0 && begin + column < count;
                const std::size_t own = first + r, far = start + begin + column;
                const Pull here = !meets     ? Pull{0, 0}
                                  : kForKeys ? pull<Token>(args, far, own)
                                             : pull<Token>(args, own, far);
                weights[column][r] = here.weight;
                slopes[column][r] = here.slope;
            }
            __syncthreads();
            const int columns = min(kGradientColumns, count - begin);
            const Token* tokens = static_cast<const Token*>(kForKeys ? args.queries : args.keys) +
                                  (start + begin) * args.depth + channel;
            for (int j = 0; has_channel && j < columns; ++j) {
                const float x = to_float(tokens[static_cast<std::size_t>(j) * args.depth]);
#pragma unroll
                for (int r = 0; r < kGradientRows; ++r) sums[r] += slopes[j][r] * x;
            }
            for (int j = 0; for_values && j < columns; ++j) {
#pragma unroll
                for (int i = 0; i < kMostPlanes / kGradientRows; ++i) {
                    const int v = plane + kGradientRows * i;
                    if (v >= args.value_count) break;
                    value_sums[i] += weights[j][row] *
                                     args.gradients[(start + begin + j) * args.value_stride + v];
                }
            }
            __syncthreads();
        }
    }
    const std::size_t planes = static_cast<std::size_t>(owner);
    if (has_channel) {
#pragma unroll
        for (int r = 0; r < kGradientRows; ++r) {
            if (cells[r] < 0) continue;
            args.out[(planes * args.channels + channel) * args.cells + cells[r]] =
                args.visual_scale * sums[r];
        }
    }
    if (for_values && cells[row] >= 0) {
#pragma unroll
        for (int i = 0; i < kMostPlanes / kGradientRows; ++i) {
            const int v = plane + kGradientRows * i;
            if (v >= args.value_count) break;
            args.value_out[(planes * args.value_count + v) * args.cells + cells[row]] =
                value_sums[i];
        }
    }
}

MAKEUP_KERNEL(morph_query_gradients_float, GradientArgs, kGradientThreads) {
    gradients<float, false>(args);
}
MAKEUP_KERNEL(morph_query_gradients_half, GradientArgs, kGradientThreads) {
    gradients<half, false>(args);
}
MAKEUP_KERNEL(morph_key_gradients_float, GradientArgs, kGradientThreads) {
    gradients<float, true>(args);
}
MAKEUP_KERNEL(morph_key_gradients_half, GradientArgs, kGradientThreads) {
    gradients<half, true>(args);
}

}  // namespace makeup

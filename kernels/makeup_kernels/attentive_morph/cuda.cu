// Attentive morph on NVIDIA GPUs; formula and sources in __init__.py.
//
// Tokens. The cells of each region are gathered into rows of a matrix, one token per row, region
// after region, each padded to a multiple of 32 rows. `morph_index` finds the order, `morph_pack_*`
// gathers. Keys are packed once per reference, queries once per frame.
//
// Morph. A warp takes 16 queries and every n-th batch of 32 keys of their region. Query channels
// stay in registers; keys stream from the cache straight into tensor-core fragments. The order of
// channels does not matter in a dot product, so lane t takes 8 neighbouring ones of every 32.
// Soft-max runs online, per lane. Lanes and warps are merged at the end in a fixed order, so
// results are bit-identical in every run.

#include "attentive_morph/cuda_gradients.cuh"
#include "attentive_morph/cuda_tokens.cuh"

namespace makeup {

constexpr int kQueries = 16;  // per warp
constexpr int kBatch = 32;    // keys per step
constexpr int kMorphThreads = 256;
constexpr int kMorphWarps = kMorphThreads / 32;
constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLowest = -1e30f;  // below every logit, far from overflow

struct MorphArgs {
    const void* queries;             // [faces][query_rows][depth]
    const void* keys;                // [references][key_rows][depth]
    const float4* query_positions;   // [faces][query_rows], the temperature multiplied in
    const float4* key_positions;     // [references][key_rows]
    const float* values;             // [references][key_rows][value_stride]
    const int* query_cells;          // [faces][query_rows]
    const RegionIndex* query_index;  // [faces]
    const RegionIndex* key_index;    // [references]
    const std::uint8_t* regions;     // [faces][cells] of the source
    float* out;                      // [faces][value_count][cells]
    float* log_totals;               // [faces][query_rows]: log of each denominator, or null
    float visual_scale;              // temperature * visual_weight^2
    int depth, query_rows, key_rows, cells, key_cells;
    int references;  // 1, or as many as faces
    int value_count, value_stride;
    int splits;  // warps that share the keys of one query tile: 1, 2, 4 or 8
};

// Online soft-max of one query over some keys: weights are e^(logit - peak).
template <int kValues>
struct Mixture {
    float peak, total, mixed[kValues];

    __device__ __forceinline__ void clear() {
        peak = kLowest;
        total = 0;
#pragma unroll
        for (int v = 0; v < kValues; ++v) mixed[v] = 0;
    }

    __device__ __forceinline__ void raise(float new_peak) {
        const float factor = exp2f((peak - new_peak) * kLog2E);
        peak = new_peak;
        total *= factor;
#pragma unroll
        for (int v = 0; v < kValues; ++v) mixed[v] *= factor;
    }

    // Merges the state of the lane `distance` away; both lanes then hold the same bits.
    __device__ __forceinline__ void add_lane(int distance) {
        raise(fmaxf(peak, __shfl_xor_sync(kWholeWarp, peak, distance)));
        total += __shfl_xor_sync(kWholeWarp, total, distance);
#pragma unroll
        for (int v = 0; v < kValues; ++v) {
            mixed[v] += __shfl_xor_sync(kWholeWarp, mixed[v], distance);
        }
    }
};

// The visual products of 16 queries and 32 keys in fp16 on the tensor cores, summed in fp32.
// kChunks: groups of 32 channels whose queries stay in registers; 0: any number, re-read.
template <int kChunks>
struct HalfProduct {
    using Token = half;
    uint4 rows[kChunks ? kChunks : 1][2];
    const uint4* queries;
    int chunks;

    // first: the warp's first query; a row of tokens is `chunks` * 4 vectors of 8 channels.
    __device__ __forceinline__ HalfProduct(const half* first, int depth)
        : queries(reinterpret_cast<const uint4*>(first)), chunks(depth / 32) {
        const int lane = threadIdx.x % 32;
        queries += lane / 4 * chunks * 4 + lane % 4;
#pragma unroll
        for (int k = 0; k < kChunks; ++k) {
            rows[k][0] = __ldg(queries + k * 4);
            rows[k][1] = __ldg(queries + (8 * chunks + k) * 4);
        }
    }

    __device__ __forceinline__ void operator()(const half* keys, float (&sums)[4][4]) const {
        const int lane = threadIdx.x % 32;
        const int count = kChunks ? kChunks : chunks;
        const uint4* column =
            reinterpret_cast<const uint4*>(keys) + lane / 4 * count * 4 + lane % 4;
#pragma unroll(kChunks ? kChunks : 1)
        for (int k = 0; k < count; ++k) {
            const uint4 row = kChunks ? rows[k][0] : __ldg(queries + k * 4);
            const uint4 next = kChunks ? rows[k][1] : __ldg(queries + (8 * count + k) * 4);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const uint4 key = __ldg(column + (8 * j * count + k) * 4);
                multiply_16x8x16(sums[j], row.x, next.x, row.y, next.y, key.x, key.y);
                multiply_16x8x16(sums[j], row.z, next.z, row.w, next.w, key.z, key.w);
            }
        }
    }
};

// The same in fp32 on the ordinary cores.
struct FloatProduct {
    using Token = float;
    const float* queries;
    int depth;

    __device__ __forceinline__ FloatProduct(const float* first, int depth_)
        : queries(first + threadIdx.x % 32 / 4 * depth_), depth(depth_) {}

    __device__ __forceinline__ void operator()(const float* keys, float (&sums)[4][4]) const {
        const float* columns = keys + threadIdx.x % 4 * 2 * depth;
        for (int c = 0; c < depth; c += 4) {
            const float4 row = __ldg(reinterpret_cast<const float4*>(queries + c));
            const float4 next = __ldg(reinterpret_cast<const float4*>(queries + 8 * depth + c));
#pragma unroll
            for (int j = 0; j < 4; ++j) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const float4 key =
                        __ldg(reinterpret_cast<const float4*>(columns + (8 * j + i) * depth + c));
                    float& a = sums[j][i];
                    float& b = sums[j][2 + i];
                    a += row.x * key.x, a += row.y * key.y, a += row.z * key.z, a += row.w * key.w;
                    b += next.x * key.x, b += next.y * key.y, b += next.z * key.z,
                        b += next.w * key.w;
                }
            }
        }
    }
};

__device__ __forceinline__ float position_logit(const float4& query, const float4& key) {
    return query.x * key.x + query.y * key.y + query.z * key.z;
}

// Mixes keys first .. first + count of one region, every `step`-th batch, for the lane's two
// queries.
template <class Product, int kValues>
__device__ __forceinline__ void attend(const MorphArgs& args, const Product& product,
                                       std::size_t first, int count, int begin, int step,
                                       int plane0, const float4 (&query)[2],
                                       Mixture<kValues> (&rows)[2]) {
    const int pair = threadIdx.x % 4 * 2;
    for (int batch = begin; batch < count; batch += step) {
        const std::size_t keys = first + batch;
        float logits[4][4] = {};
        product(static_cast<const typename Product::Token*>(args.keys) + keys * args.depth, logits);
        float peaks[2] = {rows[0].peak, rows[1].peak};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const int at = 8 * j + pair + i;
                const float4 key = __ldg(args.key_positions + keys + at);
                const bool there = batch + at < count;
#pragma unroll
                for (int r = 0; r < 2; ++r) {
                    float& logit = logits[j][2 * r + i];
                    logit = args.visual_scale * logit + position_logit(query[r], key);
                    logit = there ? logit : -3e38f;
                    peaks[r] = fmaxf(peaks[r], logit);
                }
            }
        }
        rows[0].raise(peaks[0]);
        rows[1].raise(peaks[1]);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const int at = 8 * j + pair + i;
                const float* value = args.values + (keys + at) * args.value_stride + plane0;
                float values[kValues];
#pragma unroll
                for (int v = 0; v < kValues; v += 2) {
                    const float2 two = __ldg(reinterpret_cast<const float2*>(value + v));
                    values[v] = two.x;
                    values[v + 1] = two.y;
                }
#pragma unroll
                for (int r = 0; r < 2; ++r) {
                    const float weight = exp2f((logits[j][2 * r + i] - peaks[r]) * kLog2E);
                    rows[r].total += weight;
#pragma unroll
                    for (int v = 0; v < kValues; ++v) rows[r].mixed[v] += weight * values[v];
                }
            }
        }
    }
}

// Writes 0 to cells of no region and of regions that the reference lacks.
template <int kValues>
__device__ __forceinline__ void clear_other_cells(const MorphArgs& args, const RegionIndex& keys) {
    const int face = blockIdx.y, plane0 = blockIdx.z * kValues;
    const std::uint8_t* regions = args.regions + static_cast<std::size_t>(face) * args.cells;
    const int step = gridDim.x * kMorphThreads;
    for (int cell = blockIdx.x * kMorphThreads + threadIdx.x; cell < args.cells; cell += step) {
        const int id = regions[cell];
        if (id && keys.count[id]) continue;
        for (int v = plane0; v < min(plane0 + kValues, args.value_count); ++v) {
            args.out[(static_cast<std::size_t>(face) * args.value_count + v) * args.cells + cell] =
                0;
        }
    }
}

template <class Product, int kValues>
__device__ void morph(const MorphArgs& args) {
    __shared__ Mixture<kValues> merged[kMorphWarps][kQueries];
    const int face = blockIdx.y, reference = args.references == 1 ? 0 : face;
    const int plane0 = blockIdx.z * kValues;
    const RegionIndex& keys = args.key_index[reference];
    const std::size_t face_rows = static_cast<std::size_t>(face) * args.query_rows;
    const std::size_t key_rows = static_cast<std::size_t>(reference) * args.key_rows;
    const std::uint8_t* regions = args.regions + static_cast<std::size_t>(face) * args.cells;
    clear_other_cells<kValues>(args, keys);

    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int tiles_of_block = kMorphWarps / args.splits;
    const int tiles = args.query_index[face].used / kQueries;
    for (int first = blockIdx.x * tiles_of_block; first < tiles;
         first += gridDim.x * tiles_of_block) {
        const int tile = first + warp / args.splits;
        Mixture<kValues> rows[2];
        rows[0].clear();
        rows[1].clear();
        const int cell = tile < tiles ? args.query_cells[face_rows + tile * kQueries] : -1;
        const int id = cell < 0 ? 0 : regions[cell];
        const int count = keys.count[id];
        if (count) {
            const std::size_t row = face_rows + static_cast<std::size_t>(tile) * kQueries;
            const Product product(
                static_cast<const typename Product::Token*>(args.queries) + row * args.depth,
                args.depth);
            const float4 query[2] = {args.query_positions[row + lane / 4],
                                     args.query_positions[row + lane / 4 + 8]};
            attend<Product, kValues>(args, product, key_rows + keys.start[id], count,
                                     warp % args.splits * kBatch, args.splits * kBatch, plane0,
                                     query, rows);
            for (int r = 0; r < 2; ++r) {
                rows[r].add_lane(1);
                rows[r].add_lane(2);
                if (lane % 4 == 0) merged[warp][lane / 4 + 8 * r] = rows[r];
            }
        }
        __syncthreads();
        const int group = threadIdx.x / kQueries, query_row = threadIdx.x % kQueries;
        const int merged_tile = first + group;
        if (group < tiles_of_block && merged_tile < tiles) {
            const std::size_t row =
                face_rows + static_cast<std::size_t>(merged_tile) * kQueries + query_row;
            const int out_cell = args.query_cells[row];
            const int key_count = out_cell < 0 ? 0 : keys.count[regions[out_cell]];
            if (key_count) {
                const int others = args.key_cells - key_count;
                float peak = others ? 0.0f : kLowest;
                for (int s = 0; s < args.splits; ++s) {
                    peak = fmaxf(peak, merged[group * args.splits + s][query_row].peak);
                }
                Mixture<kValues> sum;
                sum.clear();
                sum.peak = peak;
                for (int s = 0; s < args.splits; ++s) {
                    const Mixture<kValues>& part = merged[group * args.splits + s][query_row];
                    const float factor = exp2f((part.peak - peak) * kLog2E);
                    sum.total += part.total * factor;
                    for (int v = 0; v < kValues; ++v) sum.mixed[v] += part.mixed[v] * factor;
                }
                if (others) sum.total += others * exp2f(-peak * kLog2E);
                if (args.log_totals) args.log_totals[row] = peak + logf(sum.total);
#pragma unroll
                for (int v = 0; v < kValues; ++v) {
                    if (plane0 + v >= args.value_count) break;
                    const std::size_t plane =
                        static_cast<std::size_t>(face) * args.value_count + plane0 + v;
                    args.out[plane * args.cells + out_cell] = sum.mixed[v] / sum.total;
                }
            }
        }
        __syncthreads();
    }
}

MAKEUP_KERNEL(morph_half_256_2, MorphArgs, kMorphThreads) { morph<HalfProduct<8>, 2>(args); }
MAKEUP_KERNEL(morph_half_256_4, MorphArgs, kMorphThreads) { morph<HalfProduct<8>, 4>(args); }
MAKEUP_KERNEL(morph_half_256_8, MorphArgs, kMorphThreads) { morph<HalfProduct<8>, 8>(args); }
MAKEUP_KERNEL(morph_half_2, MorphArgs, kMorphThreads) { morph<HalfProduct<0>, 2>(args); }
MAKEUP_KERNEL(morph_half_4, MorphArgs, kMorphThreads) { morph<HalfProduct<0>, 4>(args); }
MAKEUP_KERNEL(morph_half_8, MorphArgs, kMorphThreads) { morph<HalfProduct<0>, 8>(args); }
MAKEUP_KERNEL(morph_float_2, MorphArgs, kMorphThreads) { morph<FloatProduct, 2>(args); }
MAKEUP_KERNEL(morph_float_4, MorphArgs, kMorphThreads) { morph<FloatProduct, 4>(args); }
MAKEUP_KERNEL(morph_float_8, MorphArgs, kMorphThreads) { morph<FloatProduct, 8>(args); }

}  // namespace makeup

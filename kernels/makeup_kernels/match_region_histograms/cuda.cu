// Region histogram matching on NVIDIA GPUs; definition and source in __init__.py. All arithmetic is
// in integers, so results do not depend on the order in which pixels are counted.

#include "cuda/device.cuh"

namespace makeup {

constexpr int kBins = 256;
constexpr int kCountThreads = 256;

using Counts = unsigned[3][kBins];
using Table = std::uint8_t[3][kBins];

struct CountArgs {
    const std::uint8_t* images;   // [faces][pixels][3]
    const std::uint8_t* regions;  // [faces][pixels]
    const int* ids;               // [slots]: region ids to count
    Counts* parts;                // [faces][slots][gridDim.x]
    int pixels, slots;
};

// Block (part, slot, face) counts one part of the pixels; each warp has its own bins.
MAKEUP_KERNEL(histogram_count, CountArgs, kCountThreads) {
    __shared__ Counts bins[kCountThreads / 32];
    const int slot = blockIdx.y, face = blockIdx.z, warp = threadIdx.x / 32;
    unsigned* all = &bins[0][0][0];
    for (int i = threadIdx.x; i < kCountThreads / 32 * 3 * kBins; i += kCountThreads) all[i] = 0;
    __syncthreads();
    const std::uint8_t* regions = args.regions + static_cast<std::size_t>(face) * args.pixels;
    const std::uint8_t* image = args.images + static_cast<std::size_t>(face) * args.pixels * 3;
    const int id = args.ids[slot];
    for (int i = blockIdx.x * kCountThreads + threadIdx.x; i < args.pixels;
         i += gridDim.x * kCountThreads) {
        if (regions[i] != id) continue;
        for (int c = 0; c < 3; ++c) atomicAdd(&bins[warp][c][image[3 * std::size_t(i) + c]], 1u);
    }
    __syncthreads();
    unsigned* part = &args.parts[(static_cast<std::size_t>(face) * args.slots + slot) * gridDim.x +
                                 blockIdx.x][0][0];
    for (int i = threadIdx.x; i < 3 * kBins; i += kCountThreads) {
        unsigned sum = 0;
        for (int w = 0; w < kCountThreads / 32; ++w) sum += all[w * 3 * kBins + i];
        part[i] = sum;
    }
}

struct TableArgs {
    const Counts* parts;       // [faces][slots][part_count]
    const Counts* references;  // [reference_count][slots]: cumulative; null: only cumulate
    Counts* cumulative;        // [faces][slots], or null
    Table* tables;             // [faces][slots], or null
    int part_count, slots;
    int reference_count;  // 1, or as many as faces
    int padding;
};

// Block (slot, face), one thread per bin: cumulative counts, and the table that maps them to the
// reference's. Entry i is the first j >= 1 with R(j - 1) <= S(i) <= R(j), by cross-multiplication.
MAKEUP_KERNEL(histogram_table, TableArgs, kBins) {
    __shared__ unsigned sums[kBins];
    const int slot = blockIdx.x, face = blockIdx.y, bin = threadIdx.x;
    const std::size_t at = static_cast<std::size_t>(face) * args.slots + slot;
    for (int c = 0; c < 3; ++c) {
        unsigned count = 0;
        for (int p = 0; p < args.part_count; ++p)
            count += args.parts[at * args.part_count + p][c][bin];
        sums[bin] = count;
        __syncthreads();
        for (int step = 1; step < kBins; step *= 2) {
            const unsigned before = bin >= step ? sums[bin - step] : 0;
            __syncthreads();
            sums[bin] += before;
            __syncthreads();
        }
        if (args.cumulative) args.cumulative[at][c][bin] = sums[bin];
        if (args.tables) {
            const int other = args.reference_count == 1 ? 0 : face;
            const unsigned* reference =
                args.references[static_cast<std::size_t>(other) * args.slots + slot][c];
            const std::uint64_t reference_pixels = reference[kBins - 1];
            const std::uint64_t pixels = sums[kBins - 1];
            const std::uint64_t share = sums[bin] * reference_pixels;
            int low = 1, high = kBins - 1;  // the first j whose share is not below S(i)
            while (low < high) {
                const int middle = (low + high) / 2;
                if (reference[middle] * pixels < share) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            const bool found = reference[low - 1] * pixels <= share;
            const bool keeps = reference_pixels == 0 || bin == 0 || bin == kBins - 1 || !found;
            args.tables[at][c][bin] = static_cast<std::uint8_t>(keeps ? bin : low);
        }
        __syncthreads();
    }
}

struct ApplyArgs {
    const std::uint8_t* images;   // [faces][pixels][3]
    const std::uint8_t* regions;  // [faces][pixels]
    const Table* tables;          // [faces][slots]
    const int* slot_of_id;        // [256], -1: leave unchanged
    std::uint8_t* out;            // [faces][pixels][3], may be the images
    int pixels, slots;
};

MAKEUP_KERNEL(histogram_apply, ApplyArgs, kCountThreads) {
    const int face = blockIdx.y;
    const std::size_t first = static_cast<std::size_t>(face) * args.pixels;
    for (int i = blockIdx.x * kCountThreads + threadIdx.x; i < args.pixels;
         i += gridDim.x * kCountThreads) {
        const int slot = __ldg(args.slot_of_id + args.regions[first + i]);
        const std::uint8_t* from = args.images + (first + i) * 3;
        std::uint8_t* to = args.out + (first + i) * 3;
        if (slot < 0 && from == to) continue;
        for (int c = 0; c < 3; ++c) {
            const std::uint8_t value = from[c];
            to[c] = slot < 0 ? value : args.tables[face * args.slots + slot][c][value];
        }
    }
}

}  // namespace makeup

// CUDA names that the kernels use, and helpers that several of them share.
//
// A kernel takes one struct of arguments, so that its caller packs one buffer. The same sources
// compile as plain C++ if the tests' emulation is included first: it supplies every CUDA name that
// is used here.
#pragma once

#ifdef __CUDACC__
#include <cuda_fp16.h>

#include <cstdint>

#define MAKEUP_KERNEL(name, Args, threads) \
    extern "C" __global__ void __launch_bounds__(threads, 1) name(const Args args)

// Sixteen rows times eight columns on a warp's tensor cores: sums += rows * columns over 16
// channels. Lane (g, t) = (lane / 4, lane % 4) holds two low and two high channels of rows g and
// g + 8 and of column g, and the sums of columns 2t and 2t + 1.
__device__ __forceinline__ void multiply_16x8x16(float (&sums)[4], std::uint32_t row_low,
                                                 std::uint32_t next_row_low, std::uint32_t row_high,
                                                 std::uint32_t next_row_high,
                                                 std::uint32_t column_low,
                                                 std::uint32_t column_high) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(row_low), "r"(next_row_low), "r"(row_high), "r"(next_row_high), "r"(column_low),
          "r"(column_high));
}
#endif

namespace makeup {

constexpr unsigned kWholeWarp = 0xffffffffu;

// Pixels or cells per block: a warp covers 32 neighbours of a row.
constexpr int kTileColumns = 32;
constexpr int kTileRows = 8;

__device__ __forceinline__ int clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

__device__ __forceinline__ float clamp(float value, float low, float high) {
    return fminf(fmaxf(value, low), high);
}

// Nearest of 0..255, halves up.
__device__ __forceinline__ std::uint8_t to_byte(float value) {
    return static_cast<std::uint8_t>(clamp(value + 0.5f, 0.0f, 255.0f));
}

__device__ __forceinline__ float mix(float first, float second, float share) {
    return first + share * (second - first);
}

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(half value) { return __half2float(value); }
__device__ __forceinline__ void store(float* to, float value) { *to = value; }
__device__ __forceinline__ void store(half* to, float value) { *to = __float2half_rn(value); }

// An affine map of a tile of pixels. The tile's first pixel is mapped in double, offsets inside the
// tile in float: coordinates stay precise in frames of any size without double arithmetic in every
// thread.
struct TileMap {
    int whole_x, whole_y;  // position of the tile's first pixel, rounded down
    float x, y;            // fractions
    float dx_dx, dx_dy, dy_dx, dy_dy;
};

__device__ __forceinline__ TileMap tile_map(const double* matrix, int column, int row) {
    const double x = matrix[0] * column + matrix[1] * row + matrix[2];
    const double y = matrix[3] * column + matrix[4] * row + matrix[5];
    // far outside any image; keeps the conversion defined
    const double near_x = fmin(fmax(x, -1e8), 1e8), near_y = fmin(fmax(y, -1e8), 1e8);
    TileMap map;
    map.whole_x = static_cast<int>(floor(near_x));
    map.whole_y = static_cast<int>(floor(near_y));
    map.x = static_cast<float>(near_x - map.whole_x);
    map.y = static_cast<float>(near_y - map.whole_y);
    map.dx_dx = static_cast<float>(matrix[0]);
    map.dx_dy = static_cast<float>(matrix[1]);
    map.dy_dx = static_cast<float>(matrix[3]);
    map.dy_dy = static_cast<float>(matrix[4]);
    return map;
}

// A position: the pixel at or before it, and the fraction towards the next one.
struct Position {
    int column, row;
    float right, down;
};

__device__ __forceinline__ Position position(const TileMap& map, float column, float row) {
    const float x = map.x + map.dx_dx * column + map.dx_dy * row;
    const float y = map.y + map.dy_dx * column + map.dy_dy * row;
    const float floor_x = floorf(x), floor_y = floorf(y);
    return {map.whole_x + static_cast<int>(floor_x), map.whole_y + static_cast<int>(floor_y),
            x - floor_x, y - floor_y};
}

}  // namespace makeup

// Shared by `composite` and `apply_color_map`: change the pixels of a frame where faces lie.
#pragma once

#include "cuda/device.cuh"

namespace makeup {

constexpr int kPaintThreads = kTileColumns * kTileRows;
constexpr int kFacesAtOnce = 32;

struct PaintArgs {
    std::uint8_t* frame;     // [height][row_bytes], 3 bytes a pixel
    const double* matrices;  // [faces][2][3]: frame pixel to map cell
    const void* first;       // per face; composite: source crops; apply_color_map: changes
    const void* second;      // composite: result crops
    const void* third;       // composite: masks
    int width, height;       // of the frame
    int row_bytes, faces;
    int map_width, map_height;
};

// Whether a tile can touch a map: its mapped corners are not all beyond one side.
__device__ __forceinline__ bool touches(const TileMap& map, int width, int height) {
    int left = 0, right = 0, above = 0, below = 0;
#pragma unroll
    for (int corner = 0; corner < 4; ++corner) {
        const Position at =
            position(map, corner % 2 * (kTileColumns - 1.0f), corner / 2 * (kTileRows - 1.0f));
        left += at.column < -1;
        right += at.column > width;
        above += at.row < -1;
        below += at.row > height;
    }
    return left < 4 && right < 4 && above < 4 && below < 4;
}

// Moves a position on a map's last row or column back by one cell, so that it has neighbours to the
// right and below; false outside [0, width - 1] x [0, height - 1].
__device__ __forceinline__ bool settle(Position& at, int width, int height) {
    if (at.column == width - 1 && at.right == 0.0f) at.column = width - 2, at.right = 1.0f;
    if (at.row == height - 1 && at.down == 0.0f) at.row = height - 2, at.down = 1.0f;
    return at.column >= 0 && at.column < width - 1 && at.row >= 0 && at.row < height - 1;
}

// Applies the faces to a pixel in order, each to the rounded result of the one before, as calls for
// single faces would. `change(face, position, pixel)` returns whether it changed the pixel.
template <class Change>
__device__ void paint(const PaintArgs& args, const Change& change) {
    __shared__ TileMap maps[kFacesAtOnce];
    __shared__ int near[kFacesAtOnce];
    const int column0 = blockIdx.x * kTileColumns, row0 = blockIdx.y * kTileRows;
    const int in_column = threadIdx.x % kTileColumns, in_row = threadIdx.x / kTileColumns;
    const int column = column0 + in_column, row = row0 + in_row;
    const bool inside = column < args.width && row < args.height;
    std::uint8_t* pixel = args.frame + static_cast<std::size_t>(row) * args.row_bytes + 3 * column;
    bool loaded = false, changed = false;
    float values[3];
    for (int face0 = 0; face0 < args.faces; face0 += kFacesAtOnce) {
        const int faces = min(kFacesAtOnce, args.faces - face0);
        __syncthreads();
        if (static_cast<int>(threadIdx.x) < faces) {
            const double* matrix = args.matrices + 6 * (face0 + threadIdx.x);
            const TileMap map = tile_map(matrix, column0, row0);
            maps[threadIdx.x] = map;
            near[threadIdx.x] = touches(map, args.map_width, args.map_height);
        }
        __syncthreads();
        if (!inside) continue;
        for (int f = 0; f < faces; ++f) {
            if (!near[f]) continue;
            Position at = position(maps[f], in_column, in_row);
            if (!settle(at, args.map_width, args.map_height)) continue;
            if (!loaded) {
                for (int c = 0; c < 3; ++c) values[c] = pixel[c];
                loaded = true;
            }
            if (!change(face0 + f, at, values)) continue;
            for (int c = 0; c < 3; ++c) values[c] = to_byte(values[c]);
            changed = true;
        }
    }
    if (changed) {
        for (int c = 0; c < 3; ++c) pixel[c] = static_cast<std::uint8_t>(values[c]);
    }
}

}  // namespace makeup

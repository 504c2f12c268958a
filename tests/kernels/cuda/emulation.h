// CUDA in plain C++, for the tests: included before a kernel's source, it supplies every name of
// CUDA that the kernels use. Blocks run one after another; the threads of a block are fibers that
// take turns at barriers and warp operations. Fibers run in either direction of thread order, and
// results that depend on the direction betray a missing barrier.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __restrict__ __restrict

// A kernel becomes a function that takes its arguments' address, and the size of those arguments.
#define MAKEUP_KERNEL(name, Args, threads)                                                   \
    static void name##_body(const Args& args);                                               \
    extern "C" const std::size_t name##_size = sizeof(Args);                                 \
    extern "C" const int name##_threads = threads;                                           \
    extern "C" void name(const void* args) { name##_body(*static_cast<const Args*>(args)); } \
    static void name##_body(const Args& args)

struct Dim3 {
    unsigned x = 1, y = 1, z = 1;
};

inline Dim3 threadIdx, blockIdx, blockDim, gridDim;

struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    std::uint32_t x, y, z, w;
};
struct uchar4 {
    std::uint8_t x, y, z, w;
};

namespace emulation {

constexpr int kWarp = 32;
constexpr std::size_t kStackBytes = 128 << 10;

struct Barrier {
    int arrived = 0;
    unsigned turn = 0;
};

struct Warp {
    Barrier barrier;
    std::uint64_t exchanged[kWarp];
    float rows[kWarp][8], columns[kWarp][4];
};

struct Fiber {
    ucontext_t start;
    jmp_buf resume;
    bool started = false, done = false;
    const Barrier* waits = nullptr;  // for its turn to change
    unsigned turn = 0;
    Dim3 thread;

    bool can_run() const { return !done && (waits == nullptr || waits->turn != turn); }
};

struct Block {
    std::vector<std::unique_ptr<char[]>> stacks;
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    Barrier barrier;
    int running = 0, current = 0, count = 0, direction = 1;
    jmp_buf scheduler;
    void (*kernel)(const void*) = nullptr;
    const void* args = nullptr;
};

inline Block block;

inline void enter() {
    Fiber& fiber = block.fibers[block.current];
    block.kernel(block.args);
    fiber.done = true;
    --block.running;
    _longjmp(block.scheduler, 1);
}

inline void wait(Barrier& barrier, int count) {
    const unsigned turn = barrier.turn;
    if (++barrier.arrived == count) {
        barrier.arrived = 0;
        ++barrier.turn;
        return;
    }
    Fiber& fiber = block.fibers[static_cast<std::size_t>(block.current)];
    fiber.waits = &barrier;
    fiber.turn = turn;
    if (_setjmp(fiber.resume) == 0) _longjmp(block.scheduler, 1);
    block.fibers[static_cast<std::size_t>(block.current)].waits = nullptr;
}

// The next thread of the same warp that can run, else of the next warp.
inline int next_fiber() {
    const int warps = block.count / kWarp, first = block.current / kWarp;
    for (int w = 0; w < warps; ++w) {
        const int warp = (first + w * block.direction + warps) % warps;
        for (int i = 0; i < kWarp; ++i) {
            const int lane = block.direction > 0 ? i : kWarp - 1 - i;
            const int number = warp * kWarp + lane;
            if (block.fibers[static_cast<std::size_t>(number)].can_run()) return number;
        }
    }
    std::fprintf(stderr, "emulation: every thread waits at a barrier that others left out\n");
    std::abort();
}

inline void run_block() {
    block.running = block.count;
    block.barrier = {};
    for (Warp& warp : block.warps) warp.barrier = {};
    for (int i = 0; i < block.count; ++i) {
        Fiber& fiber = block.fibers[static_cast<std::size_t>(i)];
        fiber.started = fiber.done = false;
        fiber.waits = nullptr;
    }
    // a jump back from a fiber lands in the setjmp; what must survive it lives in `block`
    block.current = block.direction > 0 ? 0 : block.count - 1;
    _setjmp(block.scheduler);
    if (block.running == 0) return;
    block.current = next_fiber();
    Fiber& fiber = block.fibers[static_cast<std::size_t>(block.current)];
    threadIdx = fiber.thread;
    if (fiber.started) _longjmp(fiber.resume, 1);
    fiber.started = true;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = block.stacks[static_cast<std::size_t>(block.current)].get();
    fiber.start.uc_stack.ss_size = kStackBytes;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, enter, 0);
    setcontext(&fiber.start);
}

inline Warp& warp() { return block.warps[static_cast<std::size_t>(block.current / kWarp)]; }
inline int lane() { return block.current % kWarp; }

template <class T>
T exchange(T value, int from) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t), "");
    Warp& mine = warp();
    std::memcpy(&mine.exchanged[lane()], &value, sizeof value);
    wait(mine.barrier, kWarp);
    T result;
    std::memcpy(&result, &mine.exchanged[from], sizeof result);
    wait(mine.barrier, kWarp);
    return result;
}

}  // namespace emulation

inline void __syncthreads() { emulation::wait(emulation::block.barrier, emulation::block.count); }
inline void __syncwarp() { emulation::wait(emulation::warp().barrier, emulation::kWarp); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int distance) {
    return emulation::exchange(value, emulation::lane() ^ distance);
}

inline unsigned __ballot_sync(unsigned, int predicate) {
    unsigned votes = 0;
    emulation::Warp& mine = emulation::warp();
    mine.exchanged[emulation::lane()] = predicate != 0;
    emulation::wait(mine.barrier, emulation::kWarp);
    for (int i = 0; i < emulation::kWarp; ++i) votes |= unsigned(mine.exchanged[i]) << i;
    emulation::wait(mine.barrier, emulation::kWarp);
    return votes;
}

inline unsigned __match_any_sync(unsigned, int value) {
    unsigned same = 0;
    emulation::Warp& mine = emulation::warp();
    mine.exchanged[emulation::lane()] = std::uint32_t(value);
    emulation::wait(mine.barrier, emulation::kWarp);
    for (int i = 0; i < emulation::kWarp; ++i) {
        same |= unsigned(mine.exchanged[i] == std::uint32_t(value)) << i;
    }
    emulation::wait(mine.barrier, emulation::kWarp);
    return same;
}

inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }
inline int __clz(unsigned bits) { return bits ? __builtin_clz(bits) : 32; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

template <class T>
T __ldg(const T* from) {
    return *from;
}

template <class T>
T atomicAdd(T* to, T value) {
    const T before = *to;
    *to += value;
    return before;
}

template <class T>
T atomicMin(T* to, T value) {
    const T before = *to;
    *to = std::min(before, value);
    return before;
}

using std::max;
using std::min;

// fp16 as bits: converted to and from float, never calculated with.
struct half {
    std::uint16_t bits;
};

inline float __half2float(half value) {
    const std::uint32_t sign = std::uint32_t(value.bits >> 15) << 31;
    const int exponent = value.bits >> 10 & 31;
    const int fraction = value.bits & 1023;
    float magnitude = exponent == 0 ? std::ldexp(float(fraction), -24)
                                    : std::ldexp(float(fraction + 1024), exponent - 25);
    if (exponent == 31) magnitude = fraction ? NAN : INFINITY;
    return sign ? -magnitude : magnitude;
}

inline half __float2half_rn(float value) {
    const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const float magnitude = std::fabs(value);
    if (std::isnan(value)) return {0x7fff};
    if (magnitude >= 65520.0f) return {std::uint16_t(sign | 0x7c00)};
    if (magnitude < std::ldexp(1.0f, -14)) {  // subnormal: multiples of 2^-24
        return {std::uint16_t(sign | std::uint16_t(std::nearbyint(std::ldexp(magnitude, 24))))};
    }
    int exponent;
    const float fraction = std::frexp(magnitude, &exponent);  // in [0.5, 1)
    const int digits = static_cast<int>(std::nearbyint(std::ldexp(fraction, 11)));
    return {std::uint16_t(sign | (((exponent + 13) << 10) + digits))};
}

// The fragments of mma.m16n8k16 as the PTX manual lays them out: with (g, t) = (lane / 4, lane %
// 4), A holds rows g and g + 8 at channels 2t, 2t + 1 and 2t + 8, 2t + 9; B those channels of
// column g; the sums are those of rows g and g + 8 at columns 2t and 2t + 1.
inline void multiply_16x8x16(float (&sums)[4], std::uint32_t row_low, std::uint32_t next_row_low,
                             std::uint32_t row_high, std::uint32_t next_row_high,
                             std::uint32_t column_low, std::uint32_t column_high) {
    const auto two = [](std::uint32_t pair, float* to) {
        to[0] = __half2float({std::uint16_t(pair)});
        to[1] = __half2float({std::uint16_t(pair >> 16)});
    };
    emulation::Warp& mine = emulation::warp();
    const int lane = emulation::lane();
    two(row_low, mine.rows[lane]), two(row_high, mine.rows[lane] + 2);
    two(next_row_low, mine.rows[lane] + 4), two(next_row_high, mine.rows[lane] + 6);
    two(column_low, mine.columns[lane]), two(column_high, mine.columns[lane] + 2);
    emulation::wait(mine.barrier, emulation::kWarp);
    for (int i = 0; i < 4; ++i) {
        const int row = lane / 4, column = lane % 4 * 2 + i % 2;
        for (int t = 0; t < 4; ++t) {
            for (int k = 0; k < 4; ++k) {
                sums[i] += mine.rows[4 * row + t][i / 2 * 4 + k] * mine.columns[4 * column + t][k];
            }
        }
    }
    emulation::wait(mine.barrier, emulation::kWarp);
}

extern "C" __attribute__((visibility("default"))) void emulate(void (*kernel)(const void*),
                                                               const void* args,
                                                               const unsigned* grid,
                                                               const unsigned* threads,
                                                               int direction) {
    using emulation::block;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads[0], threads[1], threads[2]};
    block.count = static_cast<int>(threads[0] * threads[1] * threads[2]);
    if (block.count % emulation::kWarp) {
        std::fprintf(stderr, "emulation: %d threads are no whole warps\n", block.count);
        std::abort();
    }
    block.kernel = kernel;
    block.args = args;
    block.direction = direction;
    block.fibers.resize(static_cast<std::size_t>(block.count));
    block.warps.resize(static_cast<std::size_t>(block.count / emulation::kWarp));
    while (block.stacks.size() < block.fibers.size()) {
        block.stacks.emplace_back(new char[emulation::kStackBytes]);
    }
    unsigned i = 0;
    for (unsigned z = 0; z < blockDim.z; ++z) {
        for (unsigned y = 0; y < blockDim.y; ++y) {
            for (unsigned x = 0; x < blockDim.x; ++x) block.fibers[i++].thread = {x, y, z};
        }
    }
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z) {
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y) {
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) emulation::run_block();
        }
    }
}

// Vectors of the instruction set that the including file is compiled for.
//
// Files that include this are compiled once per instruction set and must not instantiate anything
// from the standard library: the linker keeps one copy of an inline function, and that copy could
// be the AVX-512 one.
#pragma once

#include <cstdint>

namespace makeup::MAKEUP_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;  // SSE2, NEON
#endif

using Floats = float __attribute__((vector_size(kLanes * 4)));
using Ints = std::int32_t __attribute__((vector_size(kLanes * 4)));
using Bits = std::uint32_t __attribute__((vector_size(kLanes * 4)));

#define MAKEUP_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define MAKEUP_UNROLL _Pragma("unroll")
#else
#define MAKEUP_UNROLL _Pragma("GCC unroll 16")
#endif

MAKEUP_INLINE Floats load(const float* p) {
    Floats v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

MAKEUP_INLINE void store(float* p, Floats v) { __builtin_memcpy(p, &v, sizeof v); }

MAKEUP_INLINE Floats splat(float value) { return Floats{} + value; }

MAKEUP_INLINE Floats select(Ints mask, Floats yes, Floats no) {
    return reinterpret_cast<Floats>((mask & reinterpret_cast<Ints>(yes)) |
                                    (~mask & reinterpret_cast<Ints>(no)));
}

MAKEUP_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// Adds the lanes in a fixed order, so that the sum is the same in every run.
MAKEUP_INLINE float sum_lanes(Floats v) {
    float lanes[kLanes];
    __builtin_memcpy(lanes, &v, sizeof v);
    for (int width = kLanes / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    }
    return lanes[0];
}

MAKEUP_INLINE float max_lane(Floats v) {
    float best = v[0];
    for (int i = 1; i < kLanes; ++i) best = v[i] > best ? v[i] : best;
    return best;
}

// Below this exp_nonpositive returns 0; e^-87 is just above the smallest normal float.
constexpr float kExpUnderflow = -87.0f;

// e^x for -87 <= x <= 88, within one unit in the last place; NaN for NaN.
//
// x = n ln 2 + r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r), where q is the polynomial of degree
// 4 that minimises the largest relative error (3.1e-9).
MAKEUP_INLINE Floats exp_limited(Floats x) {
    const float round_to_integer = 12582912.0f;  // 1.5 * 2^23: leaves n in the low bits
    const Floats shifted = x * 1.44269504f + round_to_integer;
    const Floats n = shifted - round_to_integer;
    Floats r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Floats q = r * 1.3814539415761828e-3f + 8.36874544620514e-3f;
    q = q * r + 4.166838899254799e-2f;
    q = q * r + 1.666652113199234e-1f;
    q = q * r + 4.999999403953552e-1f;
    const Floats e = q * (r * r) + r + 1.0f;
    return reinterpret_cast<Floats>(reinterpret_cast<Bits>(e) +
                                    (reinterpret_cast<Bits>(shifted) << 23));
}

// e^x for x <= 0; 0 below kExpUnderflow.
MAKEUP_INLINE Floats exp_nonpositive(Floats x) {
    return select(x < kExpUnderflow, Floats{}, exp_limited(x));
}

// ln x for normal x > 0.
//
// x = 2^n (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); ln(1 + f) = f - f^2/2 + f^3 q(f), where q is
// the polynomial of degree 7 that minimises the largest relative error (5.8e-9).
MAKEUP_INLINE Floats log_positive(Floats x) {
    const Bits bits = reinterpret_cast<Bits>(x) - 0x3f3504f3u;  // of sqrt(1/2)
    const Ints exponent = reinterpret_cast<Ints>(bits) >> 23;
    const Floats n = __builtin_convertvector(exponent, Floats);
    const Floats f = reinterpret_cast<Floats>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    Floats q = f * -7.634085416793823e-2f + 1.276141107082367e-1f;
    q = q * f - 1.3160260021686554e-1f;
    q = q * f + 1.4201785624027252e-1f;
    q = q * f - 1.6623352468013763e-1f;
    q = q * f + 2.0001225173473358e-1f;
    q = q * f - 2.50008225440979e-1f;
    q = q * f + 3.333333134651184e-1f;
    const Floats square = f * f;
    const Floats small = f * square * q + (n * -2.12194440e-4f - 0.5f * square);
    return n * 0.693359375f + (f + small);
}

// base^exponent for normal base > 0 and |exponent ln base| <= 87.
MAKEUP_INLINE Floats power(Floats base, Floats exponent) {
    return exp_limited(exponent * log_positive(base));
}

}  // namespace makeup::MAKEUP_ISA

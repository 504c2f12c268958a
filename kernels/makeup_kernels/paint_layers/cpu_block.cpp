// The inner loop of painting layers, compiled once per instruction set.

#include "paint_layers/cpu.h"
#include "simd.h"

namespace makeup::MAKEUP_ISA {

namespace {

constexpr float kLuminance[3] = {0.0722f, 0.7152f, 0.2126f};

// A block of cells in planes of kPaintBlock, so that a partial last block needs no extra loops.
struct Block {
    float bare[3][kPaintBlock];    // reflectance R
    float ground[3][kPaintBlock];  // reflectance G
    float shine[3][kPaintBlock];   // H
    float shade[kPaintBlock];      // s
    float diffuse[kPaintBlock];    // d
    float level[kPaintBlock];      // v
};

MAKEUP_INLINE Floats clip(Floats x, float low, float high) {
    x = x > low ? x : splat(low);
    return x < high ? x : splat(high);
}

MAKEUP_INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }

MAKEUP_INLINE Floats luminance(Floats blue, Floats green, Floats red) {
    return kLuminance[0] * blue + kLuminance[1] * green + kLuminance[2] * red;
}

// Loads p[at], p[at + 1], ...; 0 beyond `size`.
MAKEUP_INLINE Floats load_within(const float* p, std::ptrdiff_t at, std::ptrdiff_t size) {
    if (at >= 0 && at + kLanes <= size) return load(p + at);
    float lanes[kLanes] = {};
    for (int i = 0; i < kLanes; ++i) {
        if (at + i >= 0 && at + i < size) lanes[i] = p[at + i];
    }
    return load(lanes);
}

MAKEUP_INLINE void store_some(float* p, Floats v, int left) {
    if (left >= kLanes) return store(p, v);
    float lanes[kLanes];
    store(lanes, v);
    for (int i = 0; i < left; ++i) p[i] = lanes[i];
}

MAKEUP_INLINE bool any(Ints mask) {
    std::int32_t found = 0;
    for (int i = 0; i < kLanes; ++i) found |= mask[i];
    return found != 0;
}

void take_ground(const Ground& ground, std::ptrdiff_t first, int count, Block& block) {
    const float* from = ground.bare + 3 * first;
    for (int i = 0; i < count; ++i) {
        for (int c = 0; c < 3; ++c) block.bare[c][i] = from[3 * i + c];
    }
    for (int c = 0; c < 3; ++c) {  // lanes beyond the last cell hold harmless values
        for (int i = count; i % kLanes != 0; ++i) block.bare[c][i] = 0.1f;
    }
    const float to_shade = 1.0f / ground.base;
    for (int i = 0; i < count; i += kLanes) {
        Floats sent[3];
        for (int c = 0; c < 3; ++c) sent[c] = load(block.bare[c] + i);
        Floats s = luminance(sent[0], sent[1], sent[2]) * to_shade;
        s = larger(s, splat(0.001f));
        store(block.shade + i, s);
        store(block.diffuse + i, smaller(s, 0.6325f + 0.45f * s));
        store(block.level + i, Floats{});
        for (int c = 0; c < 3; ++c) {
            const Floats r = clip(sent[c] / (s * ground.light[c]), 0.004f, 0.97f);
            store(block.bare[c] + i, r);
            store(block.ground[c] + i, r);
            store(block.shine[c] + i, Floats{});
        }
    }
}

void put_pigment(const PaintLayer& layer, std::ptrdiff_t first, int count, Block& block) {
    const float share = layer.amount < 1.0f ? layer.amount : 1.0f;
    const float beyond = layer.amount > 1.0f ? layer.amount - 1.0f : 0.0f;
    const float leveling = layer.leveling * (layer.amount > 1.0f ? layer.amount : 1.0f);
    for (int i = 0; i < count; i += kLanes) {
        const std::ptrdiff_t at = first + i - layer.begin;
        const Floats o = smaller(load_within(layer.weights, at, layer.size), splat(1.0f)) * share;
        const Ints there = o > 0.0f;
        if (!any(there)) continue;
        Floats color[3], ground[3];
        for (int c = 0; c < 3; ++c) {
            const float* from = layer.colors + c * layer.next_colors;
            color[c] = layer.flat ? splat(*from) : load_within(from, at, layer.size);
            ground[c] = load(block.ground[c] + i);
        }
        if (layer.hiding < 1.0f) {
            const Floats below = luminance(ground[0], ground[1], ground[2]);
            const Floats lighter = larger(
                luminance(color[0], color[1], color[2]) / larger(below, splat(0.01f)), splat(1.0f));
            const Floats sheer = power(lighter, splat(layer.hiding - 1.0f));
            for (int c = 0; c < 3; ++c) color[c] *= sheer;
        }
        for (int c = 0; c < 3; ++c) {
            const Floats g = ground[c], r = clip(color[c], 0.012f, 0.95f);
            const Floats a = 1.0f + r * r, b = 1.0f - r * r;  // times 2 r, as is the fraction
            Floats p = (o * (2.0f * r - a * g) + b * g) / (o * (a - 2.0f * r * g) + b);
            if (beyond > 0.0f) p *= power(p / g, splat(beyond));
            store(block.ground[c] + i, select(there, p, g));
        }
        store(block.level + i, load(block.level + i) + select(there, leveling * o, Floats{}));
    }
}

void put_factor(const PaintLayer& layer, std::ptrdiff_t first, int count, Block& block) {
    for (int c = 0; c < 3; ++c) {
        const float* from = layer.weights + c * layer.next_weights;
        for (int i = 0; i < count; i += kLanes) {
            const Floats f = larger(load_within(from, first + i, layer.size), splat(0.02f));
            store(block.ground[c] + i, load(block.ground[c] + i) * f);
        }
    }
}

void put_shine(const PaintLayer& layer, std::ptrdiff_t first, int count, Block& block) {
    for (int i = 0; i < count; i += kLanes) {
        const Floats amount = load_within(layer.weights, first + i - layer.begin, layer.size);
        for (int c = 0; c < 3; ++c) {
            const float tint = layer.colors[c * layer.next_colors];
            store(block.shine[c] + i, load(block.shine[c] + i) + amount * tint);
        }
    }
}

void give_change(const Block& block, std::ptrdiff_t first, int count, float* change,
                 std::ptrdiff_t cells) {
    for (int i = 0; i < count; i += kLanes) {
        const Floats s = load(block.shade + i), d = load(block.diffuse + i);
        const Floats v = load(block.level + i);
        const Floats even = power(d, -v), below = d / s;
        Floats gain[3], most = {};
        for (int c = 0; c < 3; ++c) {
            const Floats r = load(block.bare[c] + i);
            Floats f = load(block.ground[c] + i) / r * even - 1.0f;
            f = 1.0f + f * below + load(block.shine[c] + i) / (s * r);
            gain[c] = power(clip(f, 0.004f, 12.0f), splat(1.0f / 2.4f)) - 1.0f;
            most = larger(most, larger(gain[c], -gain[c]));
        }
        const Ints seen = most > 6e-4f;
        for (int c = 0; c < 3; ++c) {
            const Floats g = select(seen, gain[c], Floats{});
            float* to = change + c * cells + first + i;
            store_some(to, g, count - i);
            store_some(to + 3 * cells, g * (0.055f * 255.0f), count - i);
        }
    }
}

void paint(const Ground& ground, const PaintLayer* layers, int layer_count, std::ptrdiff_t first,
           int count, float* change, std::ptrdiff_t cells) {
    Block block;
    take_ground(ground, first, count, block);
    for (int number = 0; number < layer_count; ++number) {
        const PaintLayer& layer = layers[number];
        if (layer.begin >= first + count || layer.begin + layer.size <= first) continue;
        switch (layer.kind) {
            case LayerKind::pigment:
                put_pigment(layer, first, count, block);
                break;
            case LayerKind::factor:
                put_factor(layer, first, count, block);
                break;
            case LayerKind::shine:
                put_shine(layer, first, count, block);
                break;
        }
    }
    give_change(block, first, count, change, cells);
}

}  // namespace

extern const PaintBlock paint_block;
const PaintBlock paint_block = paint;

}  // namespace makeup::MAKEUP_ISA

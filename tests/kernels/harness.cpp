// The CPU kernels against plain double loops, without Python: for targets that run under an
// emulator (aarch64.sh). Prints the largest errors; exits with 1 if one is out of bounds.

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "attentive_morph/cpu.h"
#include "composite/cpu.h"
#include "isa.h"
#include "match_region_histograms/cpu.h"
#include "packed.h"
#include "paint_layers/cpu.h"

using namespace makeup;

namespace {

std::mt19937 generator(0);

std::vector<float> floats(std::size_t count, float mean, float deviation) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(count);
    for (float& value : values) value = normal(generator);
    return values;
}

std::vector<std::uint8_t> bytes(std::size_t count, int below) {
    std::vector<std::uint8_t> values(count);
    for (auto& value : values) {
        value = static_cast<std::uint8_t>(generator() % static_cast<unsigned>(below));
    }
    return values;
}

// Unit position vectors: offsets of each cell's pixel from every landmark.
std::vector<double> positions(const std::vector<float>& landmarks, int rows, int columns) {
    const std::size_t points = landmarks.size();
    std::vector<double> vectors;
    for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
            double square = 0;
            const std::size_t begin = vectors.size();
            for (std::size_t k = 0; k < points; ++k) {
                vectors.push_back((k % 2 ? r : c) * 4.0 - landmarks[k]);
                square += vectors.back() * vectors.back();
            }
            for (std::size_t k = begin; k < vectors.size(); ++k) vectors[k] /= std::sqrt(square);
        }
    }
    return vectors;
}

double morph_error(Isa isa, int channels, int value_count) {
    const int rows = 24, columns = 30, cells = rows * columns;
    const auto count = [&](int n) { return static_cast<std::size_t>(n) * cells; };
    const auto features = floats(count(channels), 0, 1), keys = floats(count(channels), 0, 1);
    const auto values = floats(count(value_count), 0, 1);
    const auto marks = floats(136, 55, 20), key_marks = floats(136, 55, 20);
    const auto regions = bytes(count(1), 4), key_regions = bytes(count(1), 4);
    std::vector<float> out(count(value_count));
    const CpuMorphReference reference(
        volume<const float>(keys, channels, rows, columns), plane<const float>(key_marks, 68, 2),
        plane<const std::uint8_t>(key_regions, rows, columns),
        volume<const float>(values, value_count, rows, columns), {0.01, 200, 4}, isa);
    reference.morph(volume<const float>(features, channels, rows, columns),
                    plane<const float>(marks, 68, 2),
                    plane<const std::uint8_t>(regions, rows, columns),
                    volume<float>(out, value_count, rows, columns), 2);

    const auto p = positions(marks, rows, columns), q = positions(key_marks, rows, columns);
    double worst = 0;
    for (std::size_t i = 0; i < count(1); ++i) {
        std::vector<double> logits(count(1), 0);
        double peak = -INFINITY;
        for (std::size_t j = 0; j < count(1); ++j) {
            if (key_regions[j] == regions[i]) {
                double visual = 0, position = 0;
                for (int c = 0; c < channels; ++c) {
                    visual += double{features[count(c) + i]} * keys[count(c) + j];
                }
                for (std::size_t k = 0; k < 136; ++k) position += p[i * 136 + k] * q[j * 136 + k];
                logits[j] = 200 * (1e-4 * visual + position);
            }
            peak = std::max(peak, logits[j]);
        }
        for (int v = 0; v < value_count; ++v) {
            double sum = 0, total = 0;
            for (std::size_t j = 0; j < count(1); ++j) {
                const double weight = std::exp(logits[j] - peak);
                total += weight;
                if (key_regions[j] == regions[i]) sum += weight * values[count(v) + j];
            }
            const double expected = regions[i] ? sum / total : 0;
            worst = std::max(worst, std::abs(out[count(v) + i] - expected));
        }
    }
    return worst;
}

double composite_error(Isa isa) {
    const int size = 64, rows = 90, columns = 130;
    const auto source = bytes(size * size * 3, 256), result = bytes(size * size * 3, 256);
    auto mask = floats(size * size, 0.5f, 0.3f);
    for (float& value : mask) value = std::min(1.0f, std::max(0.0f, value));
    const auto frame = bytes(rows * columns * 3, 256);
    auto out = frame;
    const std::array<double, 6> matrix{0.6, -0.13, -1.7137, 0.13, 0.6, 0.9173};
    composite(volume<std::uint8_t>(out, rows, columns, 3),
              volume<const std::uint8_t>(source, size, size, 3),
              volume<const std::uint8_t>(result, size, size, 3),
              plane<const float>(mask, size, size), matrix, 2, isa);
    double worst = 0;
    for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < columns; ++x) {
            const double u = matrix[0] * x + matrix[1] * y + matrix[2];
            const double v = matrix[3] * x + matrix[4] * y + matrix[5];
            const bool inside = u >= 0 && v >= 0 && u <= size - 1 && v <= size - 1;
            for (int c = 0; c < 3; ++c) {
                double change = 0, alpha = 0;
                for (int corner = 0; inside && corner < 4; ++corner) {
                    const int column = std::min(size - 1, static_cast<int>(u) + corner % 2);
                    const int row = std::min(size - 1, static_cast<int>(v) + corner / 2);
                    const double weight = std::abs((1 - corner % 2) - (u - std::floor(u))) *
                                          std::abs((1 - corner / 2) - (v - std::floor(v)));
                    const auto at = static_cast<std::size_t>(row * size + column);
                    const auto channel = at * 3 + static_cast<std::size_t>(c);
                    change += weight * (result[channel] - source[channel]);
                    alpha += weight * mask[at];
                }
                const auto at = static_cast<std::size_t>((y * columns + x) * 3 + c);
                const double expected = std::min(255.0, std::max(0.0, frame[at] + alpha * change));
                worst = std::max(worst, std::abs(out[at] - expected));
            }
        }
    }
    return worst;
}

int histogram_differences() {
    const int rows = 70, columns = 301, cells = rows * columns;
    const auto source = bytes(static_cast<std::size_t>(cells) * 3, 200);
    const auto reference = bytes(static_cast<std::size_t>(cells) * 3, 256);
    const auto regions = bytes(static_cast<std::size_t>(cells), 4);
    auto out = source;
    const CpuRegionHistogram prepared(volume<const std::uint8_t>(reference, rows, columns, 3),
                                      plane<const std::uint8_t>(regions, rows, columns), {1, 3}, 2);
    prepared.match(volume<const std::uint8_t>(source, rows, columns, 3),
                   plane<const std::uint8_t>(regions, rows, columns),
                   volume<std::uint8_t>(out, rows, columns, 3), 2);
    int differences = 0;
    for (std::uint8_t region = 0; region < 4; ++region) {
        for (std::size_t c = 0; c < 3; ++c) {
            long counts[2][256] = {};
            for (std::size_t i = 0; i < regions.size(); ++i) {
                if (regions[i] != region) continue;
                for (int v = source[3 * i + c]; v < 256; ++v) ++counts[0][v];
                for (int v = reference[3 * i + c]; v < 256; ++v) ++counts[1][v];
            }
            int table[256];
            for (int i = 0; i < 256; ++i) table[i] = i;
            for (int i = 1; i < 255 && region % 2; ++i) {
                for (int j = 255; j >= 1; --j) {  // both sides have the same number of pixels
                    if (counts[1][j - 1] <= counts[0][i] && counts[0][i] <= counts[1][j])
                        table[i] = j;
                }
            }
            for (std::size_t i = 0; i < regions.size(); ++i) {
                const std::size_t at = 3 * i + c;
                if (regions[i] == region) differences += out[at] != table[source[at]];
            }
        }
    }
    return differences;
}

// One pigment, beyond its whole strength, over skin in light and shade.
double paint_error(Isa isa) {
    const int rows = 23, columns = 37, cells = rows * columns;
    std::uniform_real_distribution<float> share(0.0f, 1.0f);
    std::vector<float> bare(3 * cells), opacity(cells), change(6 * cells);
    for (float& value : bare) value = 0.02f + 0.9f * share(generator);
    for (float& value : opacity) value = share(generator);
    const float color[3] = {0.05f, 0.3f, 0.6f}, amount = 1.4f, hiding = 0.3f, leveling = 0.4f;
    const Ground ground{bare.data(), {0.6f, 0.8f, 0.9f}, 0.3f};
    const PaintLayer layer{
        LayerKind::pigment, 0, cells, opacity.data(), 0, color, 1, true, amount, hiding, leveling};
    paint_layers(ground, {layer}, rows, columns, change.data(), isa);
    const auto luminance = [](const double* c) {
        return 0.0722 * c[0] + 0.7152 * c[1] + 0.2126 * c[2];
    };
    const auto clip = [](double x, double low, double high) {
        return std::fmin(std::fmax(x, low), high);
    };
    double largest = 0;
    for (int i = 0; i < cells; ++i) {
        const bool border =
            i < columns || i >= cells - columns || i % columns == 0 || i % columns == columns - 1;
        double sent[3], r[3], paint[3] = {color[0], color[1], color[2]};
        for (int c = 0; c < 3; ++c) sent[c] = bare[3 * i + c];
        const double s = std::fmax(luminance(sent) / ground.base, 0.001);
        const double d = std::fmin(s, 0.6325 + 0.45 * s), o = opacity[i];
        for (int c = 0; c < 3; ++c) r[c] = clip(sent[c] / (s * ground.light[c]), 0.004, 0.97);
        const double lighter = luminance(paint) / std::fmax(luminance(r), 0.01);
        const double even = std::pow(d, -double{leveling} * amount * o);
        for (int c = 0; c < 3; ++c) {
            const double t =
                clip(paint[c] * std::pow(std::fmax(lighter, 1), hiding - 1.0), 0.012, 0.95);
            const double a = (1 / t + t) / 2, b = (1 / t - t) / 2;
            double p = (o * (1 - a * r[c]) + b * r[c]) / (o * (a - r[c]) + b);
            p *= std::pow(p / r[c], amount - 1.0);
            const double f = 1 + (p / r[c] * even - 1) * d / s;
            const double gain = border ? 0 : std::pow(clip(f, 0.004, 12), 1 / 2.4) - 1;
            const double found = change[static_cast<std::size_t>(c) * cells + i];
            largest = std::fmax(largest, std::fabs(found - gain));
        }
    }
    return largest;
}

}  // namespace

int main() {
    bool good = true;
    for (const std::string& name : available_isas()) {
        const Isa isa = find_isa(name);
        for (int channels : {0, 1, 32, 256}) {
            for (int values : {1, 2, 12}) {
                const double error = morph_error(isa, channels, values);
                std::printf("%s attentive_morph C=%d V=%d: largest error %.2g\n", name.c_str(),
                            channels, values, error);
                good &= error < 1e-4;
            }
        }
        const double error = composite_error(isa);
        std::printf("%s composite: largest error %.4f of a level\n", name.c_str(), error);
        good &= error <= 0.501;
        const double paint = paint_error(isa);
        std::printf("%s paint_layers: largest error %.2g\n", name.c_str(), paint);
        good &= paint < 1e-3;  // gains below 6e-4 become 0
    }
    const int differences = histogram_differences();
    std::printf("match_region_histograms: %d values differ\n", differences);
    return good && differences == 0 ? 0 : 1;
}

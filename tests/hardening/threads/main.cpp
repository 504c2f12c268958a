// The CPU kernels called by several threads at once, each call itself on two threads; prepared
// references and inputs are shared. Prints the number of values that differ from a serial call.
// With the argument "race" it makes a race instead, to show that the sanitizer sees this set-up.

#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "../../kernels/packed.h"
#include "apply_color_map/cpu.h"
#include "attentive_morph/cpu.h"
#include "composite/cpu.h"
#include "match_region_histograms/cpu.h"
#include "parallel.h"

using namespace makeup;

namespace {

constexpr int kSide = 24, kCells = kSide * kSide, kChannels = 3, kValues = 2, kCallers = 4;
constexpr int kFrameSide = 40;

std::mt19937 generator(0);

std::vector<float> floats(int count, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = uniform(generator);
    return values;
}

std::vector<std::uint8_t> bytes(int count, unsigned below) {
    std::vector<std::uint8_t> values(static_cast<std::size_t>(count));
    for (auto& value : values) value = static_cast<std::uint8_t>(generator() % below);
    return values;
}

// What all callers share, read-only.
struct Inputs {
    std::vector<float> features = floats(kChannels * kCells, -1, 1);
    std::vector<float> values = floats(kValues * kCells, -1, 1);
    std::vector<float> landmarks = floats(136, 0, 4 * kSide);
    std::vector<std::uint8_t> regions = bytes(kCells, 4);
    std::vector<std::uint8_t> source = bytes(kCells * 3, 256), painted = bytes(kCells * 3, 256);
    std::vector<float> mask = floats(kCells, 0, 1), change = floats(6 * kCells, -0.2f, 0.2f);
    std::vector<std::uint8_t> frame = bytes(kFrameSide * kFrameSide * 3, 256);
    std::array<double, 6> matrix{0.55, -0.1, 1.3, 0.1, 0.55, 0.7};
    CpuMorphReference morph{volume<const float>(features, kChannels, kSide, kSide),
                            plane<const float>(landmarks, 68, 2),
                            plane<const std::uint8_t>(regions, kSide, kSide),
                            volume<const float>(values, kValues, kSide, kSide),
                            {0.01, 200, 4},
                            Isa::baseline};
    CpuRegionHistogram histogram{volume<const std::uint8_t>(painted, kSide, kSide, 3),
                                 plane<const std::uint8_t>(regions, kSide, kSide),
                                 {1, 2, 3},
                                 2};
};

struct Results {
    std::vector<float> morphed = std::vector<float>(kValues * kCells);
    std::vector<std::uint8_t> matched = std::vector<std::uint8_t>(kCells * 3);
    std::vector<std::uint8_t> put, coloured;

    int differences(const Results& other) const {
        return (morphed != other.morphed) + (matched != other.matched) + (put != other.put) +
               (coloured != other.coloured);
    }
};

Results call(const Inputs& in, int threads) {
    Results out;
    out.put = out.coloured = in.frame;
    in.morph.morph(volume<const float>(in.features, kChannels, kSide, kSide),
                   plane<const float>(in.landmarks, 68, 2),
                   plane<const std::uint8_t>(in.regions, kSide, kSide),
                   volume<float>(out.morphed, kValues, kSide, kSide), threads);
    in.histogram.match(volume<const std::uint8_t>(in.source, kSide, kSide, 3),
                       plane<const std::uint8_t>(in.regions, kSide, kSide),
                       volume<std::uint8_t>(out.matched, kSide, kSide, 3), threads);
    composite(volume<std::uint8_t>(out.put, kFrameSide, kFrameSide, 3),
              volume<const std::uint8_t>(in.source, kSide, kSide, 3),
              volume<const std::uint8_t>(in.painted, kSide, kSide, 3),
              plane<const float>(in.mask, kSide, kSide), in.matrix, threads, Isa::baseline);
    apply_color_map(volume<std::uint8_t>(out.coloured, kFrameSide, kFrameSide, 3),
                    volume<const float>(in.change, 6, kSide, kSide), in.matrix, threads,
                    Isa::baseline);
    return out;
}

int race() {
    int sum = 0;
    std::atomic<int> present{0};
    parallel_for(kCallers, kCallers, [&](int task, int) {
        present.fetch_add(1, std::memory_order_relaxed);
        while (present.load(std::memory_order_relaxed) < kCallers) std::this_thread::yield();
        sum += task;
    });
    std::printf("raced to %d\n", sum);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (count > 1 && std::strcmp(arguments[1], "race") == 0) return race();
    const Inputs inputs;
    std::vector<Results> results(kCallers);
    std::vector<std::thread> callers;
    for (Results& result : results) {
        callers.emplace_back([&] {
            for (int again = 0; again < 3; ++again) result = call(inputs, 2);
        });
    }
    for (std::thread& caller : callers) caller.join();
    const Results serial = call(inputs, 1);
    int differences = 0;
    for (const Results& result : results) differences += result.differences(serial);
    std::printf("%d callers of 4 kernels: %d results differ from a serial call\n", kCallers,
                differences);
    return differences == 0 ? 0 : 1;
}

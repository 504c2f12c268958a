#include "isa.h"

#include <stdexcept>

namespace makeup {

namespace {

std::vector<Isa> supported() {
    std::vector<Isa> found{Isa::baseline};
#ifdef MAKEUP_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        found.push_back(Isa::avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            found.push_back(Isa::avx512);
        }
    }
#endif
    return found;
}

const std::vector<Isa>& isas() {
    static const std::vector<Isa> found = supported();
    return found;
}

}  // namespace

const char* isa_name(Isa isa) {
    switch (isa) {
        case Isa::avx512:
            return "avx512";
        case Isa::avx2:
            return "avx2";
        case Isa::baseline:
            break;
    }
    return "baseline";
}

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (Isa isa : isas()) names.emplace_back(isa_name(isa));
    return names;
}

Isa find_isa(const std::string& name) {
    if (name.empty()) return isas().back();
    for (Isa isa : isas()) {
        if (name == isa_name(isa)) return isa;
    }
    throw std::invalid_argument("instruction set '" + name + "' is not available");
}

}  // namespace makeup

// The instruction sets one binary carries, and which of them this processor runs.
#pragma once

#include <string>
#include <vector>

namespace makeup {

enum class Isa { baseline, avx2, avx512 };

// Names of the instruction sets that are compiled in and that this processor has, narrowest first.
std::vector<std::string> available_isas();

// The instruction set of that name; "" stands for the widest available one. Throws
// std::invalid_argument for a name that is not in available_isas().
Isa find_isa(const std::string& name);

const char* isa_name(Isa isa);

}  // namespace makeup

// MAKEUP_LOOP(Type, name), in namespace makeup: declares an inner loop that a file compiled once
// per instruction set defines in the namespace of each, and name(isa), which chooses among them.
#ifdef MAKEUP_X86
#define MAKEUP_LOOP(Type, name)                                                                    \
    namespace baseline {                                                                           \
    extern const Type name;                                                                        \
    }                                                                                              \
    namespace avx2 {                                                                               \
    extern const Type name;                                                                        \
    }                                                                                              \
    namespace avx512 {                                                                             \
    extern const Type name;                                                                        \
    }                                                                                              \
    static Type name(Isa isa) {                                                                    \
        return isa == Isa::avx512 ? avx512::name : isa == Isa::avx2 ? avx2::name : baseline::name; \
    }
#else
#define MAKEUP_LOOP(Type, name) \
    namespace baseline {        \
    extern const Type name;     \
    }                           \
    static Type name(Isa) { return baseline::name; }
#endif

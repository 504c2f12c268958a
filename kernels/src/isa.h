// The instruction sets compiled into this binary, and those that this processor supports.
#pragma once

#include <string>
#include <vector>

namespace makeup {

enum class Isa { baseline, avx2, avx512 };

// Names of the compiled instruction sets that this processor supports, narrowest first.
std::vector<std::string> available_isas();

// The instruction set with that name; "": the widest available one. Throws std::invalid_argument
// for a name that is not in available_isas().
Isa find_isa(const std::string& name);

const char* isa_name(Isa isa);

}  // namespace makeup

// MAKEUP_LOOP(Type, name), in namespace makeup: declares an inner loop, defined once per
// instruction set in that set's namespace, and name(isa), which chooses among them.
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

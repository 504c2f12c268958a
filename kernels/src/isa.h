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

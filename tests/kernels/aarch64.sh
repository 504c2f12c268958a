#!/usr/bin/env bash
# Cross-compile the CPU kernels for AArch64 (NEON), warnings as errors, and run harness.cpp on them
# under an emulator.
#
# usage: tests/kernels/aarch64.sh
#   CXX       cross compiler (default: aarch64-linux-gnu-g++)
#   EMULATOR  program that runs the result (default: qemu-aarch64-static; empty: compile only)
#   BUILD     build directory (default: build/aarch64)
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
compiler=${CXX:-aarch64-linux-gnu-g++}
emulator=${EMULATOR-qemu-aarch64-static}
build=${BUILD:-$root/build/aarch64}
kernels=$root/kernels/makeup_kernels

mkdir -p "$build"
"$compiler" -std=c++17 -O3 -Wall -Wextra -Werror -ffp-contract=fast -fopenmp -static \
  -DMAKEUP_ISA=baseline -I"$root/kernels/src" -I"$kernels" \
  "$root/tests/kernels/harness.cpp" "$root/kernels/src/isa.cpp" \
  "$kernels"/{attentive_morph/cpu_tile,composite/cpu_row,paint_layers/cpu_block}.cpp \
  "$kernels"/{attentive_morph,match_region_histograms,composite,paint_layers}/cpu.cpp \
  -o "$build/harness"
if [ -n "$emulator" ]; then
  "$emulator" "$build/harness"
fi

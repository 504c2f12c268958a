#!/usr/bin/env bash
# Build the CPU kernels with sanitizers and run them.
#
# usage: tests/sanitize.sh [pytest arguments]   AddressSanitizer and UndefinedBehaviorSanitizer, on
#                                               tests/kernels
#        tests/sanitize.sh thread               ThreadSanitizer, on tests/hardening/threads (GCC)
#   PYTHON  interpreter with the package's build and test requirements (default: python3)
#   CXX     compiler (default: c++)
#   BUILD   build directory (default: build/sanitize)
#
# The compiled module is put into a copy of the kernels package inside the build directory, so that
# an installed package stays as it is.
#
# ThreadSanitizer runs a program without Python: the kernels with their real `#pragma omp` loops,
# but on a small OpenMP run time of plain threads (openmp.cpp), because libgomp's own hand-overs look
# like races to it. Of the instruction sets only the baseline is built: they share all that is
# threaded, and differ in inner functions that touch only what they are given.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
compiler=${CXX:-c++}
build=${BUILD:-$root/build/sanitize}

thread_sanitizer() {
  local kernels=$root/kernels/makeup_kernels program=$build/threads object log
  mkdir -p "$build"
  if [ ! -e "$("$compiler" -print-file-name=libtsan.so)" ]; then
    echo "skipped: $compiler has no ThreadSanitizer (libtsan); GCC is expected"
    return
  fi
  local flags=(-std=c++17 -O1 -g -Wall -Wextra -Werror -fsanitize=thread -DMAKEUP_ISA=baseline
    -I"$root/kernels/src" -I"$kernels")
  local sources=("$root/tests/hardening/threads/main.cpp" "$root/kernels/src/isa.cpp"
    "$kernels"/{attentive_morph,match_region_histograms,composite,apply_color_map}/cpu.cpp
    "$kernels"/attentive_morph/cpu_tile.cpp "$kernels"/{composite,apply_color_map}/cpu_row.cpp)
  local objects=()
  for source in "${sources[@]}"; do
    object=$build/tsan-$(basename "$(dirname "$source")")-$(basename "$source" .cpp).o
    "$compiler" "${flags[@]}" -fopenmp -c "$source" -o "$object"
    objects+=("$object")
  done
  # without -fopenmp here, so that libgomp stays out
  "$compiler" "${flags[@]}" "$root/tests/hardening/threads/openmp.cpp" "${objects[@]}" -o "$program"

  # ThreadSanitizer wants its fixed places in memory, which random layouts may take
  local run=("$program")
  if setarch -R true 2>/dev/null; then run=(setarch -R "$program"); fi
  log=$build/threads-race.log
  if "${run[@]}" race >"$log" 2>&1 || ! grep -q "ThreadSanitizer: data race" "$log"; then
    echo "ThreadSanitizer did not report a race made on purpose:" && cat "$log"
    return 1
  fi
  TSAN_OPTIONS=halt_on_error=1 "${run[@]}"
}

if [ "${1:-}" = thread ]; then
  thread_sanitizer
  exit
fi

sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS="$sanitizers" -DCMAKE_MODULE_LINKER_FLAGS="$sanitizers" \
  -DPython_EXECUTABLE="$("$python" -c 'import sys; print(sys.executable)')" \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)"
cmake --build "$build" --parallel 2

package=$build/package
rm -rf "$package"
mkdir -p "$package"
cp -r "$root/kernels/makeup_kernels" "$package/"
cp "$build"/kernels/_cpu*.so "$package/makeup_kernels/"

# The interpreter is not instrumented, so the run-time library is loaded first; leaks of the
# interpreter and of NumPy are not ours to report. -S keeps .pth files, and with them an editable
# install of the package, out of the way. A peak of memory means nothing under AddressSanitizer,
# and nvcc does not run under it.
if "$compiler" --version | grep -q clang; then
  runtime=$("$compiler" -print-file-name="libclang_rt.asan-$(uname -m).so")
else
  runtime=$("$compiler" -print-file-name=libasan.so)
fi
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cd "$root"
LD_PRELOAD="$runtime $("$compiler" -print-file-name=libstdc++.so.6)" \
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
  PYTHONPATH="$package:$root/engines:$root/sdk:$site" \
  "$python" -S -m pytest tests/kernels -k "not extra_memory and not compile_without_spills" "$@"

#!/usr/bin/env bash
# Build the CPU kernels with AddressSanitizer and UndefinedBehaviorSanitizer and run tests/kernels.
#
# usage: tests/sanitize.sh [pytest arguments]
#   PYTHON  interpreter with the package's build and test requirements (default: python3)
#   CXX     compiler (default: c++)
#   BUILD   build directory (default: build/sanitize)
#
# The compiled module is put into a copy of the kernels package inside the build directory, so that
# an installed package stays as it is.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
compiler=${CXX:-c++}
build=${BUILD:-$root/build/sanitize}
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
# install of the package, out of the way. A peak of memory means nothing under AddressSanitizer.
if "$compiler" --version | grep -q clang; then
  runtime=$("$compiler" -print-file-name="libclang_rt.asan-$(uname -m).so")
else
  runtime=$("$compiler" -print-file-name=libasan.so)
fi
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cd "$root"
LD_PRELOAD="$runtime $("$compiler" -print-file-name=libstdc++.so.6)" \
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH="$package:$site" \
  "$python" -S -m pytest tests/kernels -k "not extra_memory" "$@"

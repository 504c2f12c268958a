#!/usr/bin/env bash
# Run tests with every library that can be told held to an instruction set: our kernels, NumPy,
# OpenCV, PyTorch and its oneDNN. ONNX Runtime cannot be told: it takes what the processor has.
#
#   bash tests/levels.sh baseline|avx2|avx512 [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

wide="AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
case "${1:-}" in
baseline)
    export ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2
    export OPENCV_CPU_DISABLE=AVX,FP16,AVX2,AVX512-SKX
    export NPY_DISABLE_CPU_FEATURES="AVX F16C FMA3 AVX2 X86_V3 $wide" ;;
avx2)
    export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
    export OPENCV_CPU_DISABLE=AVX512-SKX NPY_DISABLE_CPU_FEATURES="$wide" ;;
avx512) ;;
*) echo "levels.sh: got '${1:-}', expected baseline, avx2 or avx512" >&2 && exit 2 ;;
esac
export MAKEUP_CPU_ISA=$1
shift
exec python -m pytest "$@"

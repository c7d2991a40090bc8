#!/bin/bash
# compute-sanitizer's four tools over the CUDA backend: the goldens, forks and preemption, e4m3 pages, and 200 steps of a
# pocket model. Needs a GPU and the CUDA Toolkit; about five minutes. From the repository's root, after `make` and `make unit`:
#
#   tests/bench/sanitize_cuda.sh [TOOL...]      memcheck, racecheck, initcheck, synccheck when none is named
#
# cuBLAS's kernels are left out: they are not ours to repair, and synccheck cannot follow them.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
sanitizer=${SANITIZER:-compute-sanitizer}
tools=("${@:-}")
[ $# -gt 0 ] || tools=(memcheck racecheck initcheck synccheck)
theirs=kernel_substring=nvjet,kernel_substring=cublas,kernel_substring=cutlass,kernel_substring=xmma,kernel_substring=gemm
failures=0

check() { # check TOOL NAME COMMAND...
  local tool=$1 name=$2 begin=$SECONDS log status
  shift 2
  log=$("$sanitizer" --tool "$tool" --error-exitcode 99 --kernel-name-exclude "$theirs" "$@" 2>&1)
  status=$?
  printf '%-10s %-44s %4d s  %s\n' "$tool" "$name" $((SECONDS - begin)) \
    "$(printf '%s\n' "$log" | grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' | sed 's/^=* *//' | sort -u | tail -1)"
  [ $status -eq 0 ] && return
  failures=$((failures + 1))
  printf '%s\n' "$log" | grep -E '^=|not ok|Bail' | head -${LINES_SHOWN:-40}
}

for tool in "${tools[@]}"; do
  for golden in tests/goldens/parity/*/; do
    check "$tool" "$(basename "$golden")" "$build/tests/test_cuda_parity" --tap -p "/cuda/parity/$(basename "$golden")"
  done
  check "$tool" 'forks, preemption' "$build/tests/test_cuda_decode" --tap -p /cuda/fork-shares-pages -p /cuda/preemption
  check "$tool" 'e4m3 pages' "$build/tests/test_cuda_fp8" --tap
  for precision in bf16 fp8; do
    check "$tool" "pocket, 8 threads, 200 steps, $precision" "$build/hyperscale" generate pocket-reasoner-dms-4x \
      "What is 12 + 34?" -n 8 -m 200 --seed 1 --device cuda --precision $precision
  done
done
[ $failures -eq 0 ] && echo 'clean'
exit $((failures > 0))

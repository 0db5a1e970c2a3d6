#!/usr/bin/env bash
# Packs what a release would publish, with this checkout's own build of the addon as the platform's binary, checks it, installs it with the npm
# that is there and the one after it, and uses it. A binary for other machines is built by scripts/release/binary.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

platform=$(node -p 'require("./dist/native/platform.js").platformName(require("./dist/native/platform.js").currentPlatform())')
node scripts/release/packages.mjs --out "$work/packages" --binary "$platform=build/Release/evenkeel.node"
(cd "$work/packages/evenkeel" && npm pack --silent --pack-destination "$work" >/dev/null)
tarball=$(echo "$work"/evenkeel-*.tgz)
node_modules/.bin/publint run "$tarball" --strict
node_modules/.bin/attw "$tarball" --no-color --no-emoji --format ascii --exclude-entrypoints cli
node scripts/release/try-install.mjs --packages "$work/packages" --managers npm11,npm12 --messages

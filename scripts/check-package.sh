#!/usr/bin/env bash
# Packs the package as it would be published, checks it, installs it into an empty project and uses it from both module systems.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm pack --silent --pack-destination "$work" >/dev/null
tarball=$(echo "$work"/evenkeel-*.tgz)
node_modules/.bin/publint run "$tarball" --strict
node_modules/.bin/attw --no-color --no-emoji --format ascii "$tarball"

mkdir "$work/project"
cd "$work/project"
echo '{ "private": true }' >package.json
# No script runs; the addon is this checkout's.
npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$tarball"
cat >use.cjs <<'JS'
const { RNN, Generator, Tensor } = require('evenkeel');
const generator = new Generator(1);
const rnn = new RNN({ inputSize: 3, hiddenSize: 4, generator });
const output = rnn.forward(Tensor.randn([2, 5, 3], { generator }));
rnn.backward(output);
if (output.shape.join() !== '2,5,4') throw new Error(`shape ${output.shape}`);
JS
sed 's/^const \({.*}\) = require(\(.*\));/import \1 from \2;/' use.cjs >use.mjs
grep -q '^import' use.mjs
export EVENKEEL_ADDON=$root/build/Release/evenkeel.node
node use.cjs
node use.mjs
[ "$(node_modules/.bin/evenkeel --version)" = "$(node -p 'require(process.argv[1]).version' "$root/package.json")" ]

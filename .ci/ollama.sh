#!/bin/sh
# Builds the real Ollama server with the Go toolchain, once per version, for the contract tests.
#
#   OLLAMA_BINARY="$(.ci/ollama.sh | tail -n 1)"
#
# The last line of the output is the path of the binary. Where it cannot be built (no Go, no
# compiler, modules out of reach) the only line is the reason, and the exit status is still 0: the
# tests skip that one target and show the line. A build that fails exits with 1.
set -eu

version=0.24.0 # the newest whose plain Go build carries its CPU engine
headers_version=0.9.6
malgo_version=0.11.24

home="${XDG_CACHE_HOME:-$HOME/.cache}/coachline-ci/ollama-$version"
binary="$home/ollama"
if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi

skip() {
    echo "real Ollama skipped: $1"
    exit 0
}

command -v go >/dev/null || skip "no Go toolchain on PATH"
command -v g++ >/dev/null || skip "no C++ compiler (g++) on PATH"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

# Go's own check of every module against its checksum database stays on.
module() {
    go mod download -json "$1" >"$work/module.json" 2>"$work/module.log" ||
        skip "module $1 is out of reach"
    sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p' "$work/module.json"
}
# In a substitution, skip would end only the sub-shell: what is no folder is the reason.
sources="$(module "github.com/ollama/ollama@v$version")"
[ -d "$sources" ] || { echo "$sources"; exit 0; }
older="$(module "github.com/ollama/ollama@v$headers_version")"
[ -d "$older" ] || { echo "$older"; exit 0; }
malgo="$(module "github.com/gen2brain/malgo@v$malgo_version")"
[ -d "$malgo" ] || { echo "$malgo"; exit 0; }

# Module archives leave out folders called "vendor", and with them three header-only libraries that
# llama.cpp includes. An older Ollama module holds two of them elsewhere, malgo the third.
mkdir -p "$work/include/nlohmann" "$work/include/stb" "$work/include/miniaudio"
cp "$older/llama/llama.cpp/common/json.hpp" "$work/include/nlohmann/json.hpp"
printf '#pragma once\n#include "json.hpp"\n' >"$work/include/nlohmann/json_fwd.hpp"
cp "$older/llama/llama.cpp/common/stb_image.h" "$work/include/stb/stb_image.h"
cp "$malgo/miniaudio.h" "$work/include/miniaudio/miniaudio.h"

echo "building Ollama $version (some minutes, once)"
if ! CGO_ENABLED=1 CGO_CPPFLAGS="-I$work/include" GOBIN="$work/bin" nice go install \
    -ldflags "-s -w -X github.com/ollama/ollama/version.Version=$version" \
    "github.com/ollama/ollama@v$version" >"$work/build.log" 2>&1; then
    grep -v '^go: downloading' "$work/build.log" | tail -n 30 >&2
    echo "Ollama $version does not build: see above" >&2
    exit 1
fi
mkdir -p "$home"
# Into place in one step: a build that is cut short leaves nothing that looks finished.
mv "$work/bin/ollama" "$home/ollama.new"
mv "$home/ollama.new" "$binary"
echo "$binary"

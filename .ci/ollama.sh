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

PATH="$PATH:/usr/local/go/bin" # where Go's own installation lies, often not on a service's PATH
command -v go >/dev/null || skip "no Go toolchain on PATH"
command -v g++ >/dev/null || skip "no C++ compiler (g++) on PATH"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

# All downloads come first: what fails after them is the build. Go checks each module against its
# checksum database.
module() {
    go mod download -json "$1" >"$work/module.json" 2>"$work/module.log" || return 1
    sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p' "$work/module.json"
}
older="$(module "github.com/ollama/ollama@v$headers_version")" || skip "Go modules are out of reach"
malgo="$(module "github.com/gen2brain/malgo@v$malgo_version")" || skip "Go modules are out of reach"
sources="github.com/ollama/ollama@v$version"
go mod init download >"$work/module.log" 2>&1
go get "$sources" >"$work/module.log" 2>&1 || skip "Go modules are out of reach"

# Module archives leave out folders called "vendor", and with them three header-only libraries that
# llama.cpp includes. An older Ollama module holds two of them elsewhere, malgo the third.
include="$home/include" # always the same path, so that Go's build cache serves a second try
mkdir -p "$include/nlohmann" "$include/stb" "$include/miniaudio"
cp -f "$older/llama/llama.cpp/common/json.hpp" "$include/nlohmann/json.hpp"
printf '#pragma once\n#include "json.hpp"\n' >"$include/nlohmann/json_fwd.hpp"
cp -f "$older/llama/llama.cpp/common/stb_image.h" "$include/stb/stb_image.h"
cp -f "$malgo/miniaudio.h" "$include/miniaudio/miniaudio.h"

echo "building Ollama $version (some minutes, once)"
if ! CGO_ENABLED=1 CGO_CPPFLAGS="-I$include" GOBIN="$work/bin" nice go install \
    -ldflags "-s -w -X github.com/ollama/ollama/version.Version=$version" \
    "$sources" >"$work/build.log" 2>&1; then
    grep -v '^go: downloading' "$work/build.log" | tail -n 30 >&2
    echo "Ollama $version does not build: see above" >&2
    exit 1
fi
# Into place in one step: a build that is cut short leaves nothing that looks finished.
mv "$work/bin/ollama" "$home/ollama.new"
mv "$home/ollama.new" "$binary"
echo "$binary"

#!/usr/bin/env bash
# Makes the native program: publish.sh [linux-x64|linux-arm64], into artifacts/. From x64, arm64 needs
# `apt-get install clang lld binutils-aarch64-linux-gnu libc6-dev-arm64-cross libgcc-12-dev-arm64-cross`.
set -euo pipefail
cd "$(dirname "$0")"
rid=${1:-linux-x64}
linker=()
[ "$rid" = linux-x64 ] && linker=(-p:CppCompilerAndLinker=gcc)
dotnet publish src/RatOS.Flash.Agent -c Release -r "$rid" "${linker[@]}" -o "artifacts/$rid"

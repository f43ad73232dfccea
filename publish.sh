#!/usr/bin/env bash
# Builds the native program into artifacts/: publish.sh [linux-x64|linux-arm64]
# It is linked statically with this machine's C library (glibc 2.34 or later), and runs on every Linux of its processor.
# The same commit gives the same bytes in every folder, with the same SDK, compiler and C library.
# arm64 (from x64) needs: apt-get install clang lld binutils-aarch64-linux-gnu libc6-dev-arm64-cross libgcc-12-dev-arm64-cross
set -euo pipefail
cd "$(dirname "$0")"
rid=${1:-linux-x64}
case $rid in
  linux-x64) options=(-p:CppCompilerAndLinker=gcc) ;;
  # llvm-objcopy cannot read a static program of GNU's linker.
  linux-arm64) options=(-p:ObjCopyName=aarch64-linux-gnu-objcopy) ;;
  *) echo "publish.sh [linux-x64|linux-arm64]" && exit 2 ;;
esac
# The build does not track the C library: force a new link.
rm -rf "src/RatOS.Flash.Agent/bin/Release/net10.0/$rid/native"
# PathMap: no path of this machine goes into the program.
options+=(-p:RestoreLockedMode=true "-p:PathMap=$PWD=/ratos-flash")
dotnet publish src/RatOS.Flash.Agent -c Release -r "$rid" "${options[@]}" -o "artifacts/$rid"
if readelf -lW "artifacts/$rid/ratos-flash" | grep INTERP; then echo "publish.sh: the program is not static" >&2 && exit 1; fi

#!/usr/bin/env bash
# The native program beside the real dfu-util, in turns, on the same virtual board behind the guest's kernel; prints the table. bench.sh [ROUNDS [PROGRAM]]
# Fails when a ratio is missed; 77 when there can be no guest, and a line says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5} program=${2:-artifacts/linux-x64/ratos-flash}
tests/usb-rig/rig.sh build amd64
[ -x "$program" ] || [ $# -gt 1 ] || ./publish.sh linux-x64
dotnet build tests/RatOS.Flash.Benchmarks -c Release -v quiet -nologo

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
cp "$program" "$stage/ratos-flash"
cp -r tests/RatOS.Flash.Benchmarks/bin/Release/net10.0 "$stage/benchmarks"
tests/usb-rig/dotnet.sh "$stage"
printf '#!/bin/sh\nDOTNET_ROOT=/rig/dotnet exec /rig/dotnet/dotnet /rig/benchmarks/RatOS.Flash.Benchmarks.dll rig /rig/ratos-flash %s\n' "$rounds" >"$stage/run"
chmod 755 "$stage/run"
tests/usb-rig/rig.sh run amd64 "$stage" 1800

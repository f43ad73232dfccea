#!/usr/bin/env bash
# The native program beside the real dfu-util, in turns, on the same virtual board behind the guest's kernel; prints the table. bench.sh [ROUNDS [PROGRAM [FLASHTOOL]]]
# FLASHTOOL is Katapult's own flashtool.py; it needs this machine's python3-serial, and Python goes into the guest with it.
# Fails when a ratio is missed; 77 when there can be no guest, and a line says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5} program=${2:-artifacts/linux-x64/ratos-flash} flashtool=${3:-}
tests/usb-rig/rig.sh build amd64
[ -x "$program" ] || [ $# -gt 1 ] || ./publish.sh linux-x64
dotnet build tests/RatOS.Flash.Benchmarks -c Release -v quiet -nologo

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
cp "$program" "$stage/ratos-flash"
cp -r tests/RatOS.Flash.Benchmarks/bin/Release/net10.0 "$stage/benchmarks"
tests/usb-rig/dotnet.sh "$stage"
theirs=
if [ -n "$flashtool" ]; then
  python=$(readlink -f /usr/bin/python3)
  mkdir -p "$stage/python/lib"
  cp "$python" "$stage/python/python3"
  cp "$flashtool" "$stage/python/flashtool.py"
  cp -r "/usr/lib/$(basename "$python")" /usr/lib/python3/dist-packages/serial "$stage/python/lib"
  ldd "$python" | sed -n 's|.*=> \(/[^ ]*/lib[ez][^ ]*\) .*|\1|p' | xargs -I{} cp {} "$stage/python/lib"   # expat and zlib; the rest is there
  printf '#!/bin/sh\nPYTHONDONTWRITEBYTECODE=1 PYTHONHOME=/rig/python PYTHONPATH=/rig/python/lib/%s:/rig/python/lib/%s/lib-dynload:/rig/python/lib LD_LIBRARY_PATH=/rig/python/lib exec /rig/python/python3 "$@"\n' \
    "$(basename "$python")" "$(basename "$python")" >"$stage/python/run"
  chmod 755 "$stage/python/run"
  theirs="/rig/python/run /rig/python/flashtool.py"
fi
printf '#!/bin/sh\nDOTNET_ROOT=/rig/dotnet exec /rig/dotnet/dotnet /rig/benchmarks/RatOS.Flash.Benchmarks.dll rig /rig/ratos-flash %s\n' "$rounds $theirs" >"$stage/run"
chmod 755 "$stage/run"
# Work and waits are compared, so both are timed by this computer's clock.
RIG_CLOCK=real tests/usb-rig/rig.sh run amd64 "$stage" 1800

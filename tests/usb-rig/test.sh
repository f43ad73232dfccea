#!/usr/bin/env bash
# The shipped program and the stories of the tests behind a real kernel. test.sh [ARCH]: amd64 runs both, arm64 the program alone.
# Ends with the count of what passed; 77 when there can be no guest, and a line says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
arch=${1:-amd64}
case $arch in
  amd64) rid=linux-x64 ;;
  arm64) rid=linux-arm64 ;;
  *) echo "test.sh [amd64|arm64]" && exit 2 ;;
esac
tests/usb-rig/rig.sh build "$arch"
[ -x "artifacts/$rid/ratos-flash" ] || ./publish.sh "$rid"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
cp "artifacts/$rid/ratos-flash" "artifacts/$rid/99-ratos-flash.rules" tests/usb-rig/scenarios.sh "$stage"
# What the virtual printer's Klipper would build is what stands in its flash after a virtual flash.
artifacts/linux-x64/ratos-flash flash octopus --virtual --folder "$stage/made" --json --log /dev/null >"$stage/made.json"
size=$(sed -n 's/.*"event":"result".*"size":\([0-9]*\).*/\1/p' "$stage/made.json")
dd if="$stage/made/octopus.flash.bin" of="$stage/klipper.bin" iflag=skip_bytes,count_bytes skip=32768 count="$size" status=none
[ "$(stat -c %s "$stage/klipper.bin")" = "$size" ]

printf '#!/bin/sh\nbash /rig/scenarios.sh\n' >"$stage/run"
if [ "$arch" = amd64 ]; then
  dotnet build tests/RatOS.Flash.Tests -c Release --no-restore -v quiet -nologo
  cp -r tests/RatOS.Flash.Tests/bin/Release/net10.0 "$stage/tests"
  # The guest has no .NET of its own.
  root=$(dirname "$(readlink -f "$(command -v dotnet)")")
  mkdir -p "$stage/dotnet/shared"
  cp -r "$root/dotnet" "$root/host" "$stage/dotnet"
  cp -r "$root/shared/Microsoft.NETCore.App" "$stage/dotnet/shared"
  cat >>"$stage/run" <<'RUN'
export RATOS_FLASH_RIG=1 DOTNET_ROOT=/rig/dotnet
exec /rig/dotnet/dotnet /rig/tests/RatOS.Flash.Tests.dll -noColor -parallelMode none -namespace RatOS.Flash.Tests.Scenarios -trait- Runs=virtual-only
RUN
fi
chmod 755 "$stage/run"

log=$stage/log
status=0
tests/usb-rig/rig.sh run "$arch" "$stage" 1800 | tee "$log" || status=$?
passed=$(grep -c '^ok ' "$log" || true)
failed=$(grep -c '^not ok ' "$log" || true)
planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log")
[ "$((passed + failed))" = "${planned:-none}" ] || status=1
[ "$failed" = 0 ] || status=1
if [ "$arch" = amd64 ]; then
  stories=$(sed -n 's/.*Total: \([0-9]*\), Errors: \([0-9]*\), Failed: \([0-9]*\), Skipped: \([0-9]*\).*/\1 \2 \3 \4/p' "$log")
  read -r total errors broken skipped <<<"${stories:-0 1 0 0}"
  echo "usb-rig $arch: $((total - broken - skipped)) stories passed, $((broken + errors)) failed, $skipped skipped"
  [ "$((broken + errors))" = 0 ] && [ "$total" -gt 20 ] || status=1
fi
echo "usb-rig $arch: $passed checks of the program passed, $failed failed"
exit "$status"

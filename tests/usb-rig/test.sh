#!/usr/bin/env bash
# The shipped program, the stories of the tests and the service behind a real kernel. test.sh [ARCH]: amd64 runs all of them, arm64 the program alone.
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
cp "artifacts/$rid/ratos-flash" "artifacts/$rid/99-ratos-flash.rules" tests/usb-rig/{checks,scenarios,service}.sh "$stage"
# As release.sh packs it.
mkdir "$stage/package"
cp -r "artifacts/$rid/ratos-flash" install.sh config moonraker-component src/RatOS.Flash.Agent/99-ratos-flash.rules "$stage/package"
# What the virtual printer's Klipper would build is what stands in its flash after a virtual flash.
artifacts/linux-x64/ratos-flash flash octopus --virtual --folder "$stage/made" --json --log /dev/null >"$stage/made.json"
size=$(sed -n 's/.*"event":"result".*"size":\([0-9]*\).*/\1/p' "$stage/made.json")
dd if="$stage/made/octopus.flash.bin" of="$stage/klipper.bin" iflag=skip_bytes,count_bytes skip=32768 count="$size" status=none
[ "$(stat -c %s "$stage/klipper.bin")" = "$size" ]

printf '#!/bin/sh\nbash /rig/scenarios.sh\n' >"$stage/run"
# In emulation it costs more to count how often code runs, and to spin while nothing is to be done, than it saves.
stories='RATOS_FLASH_RIG=1 DOTNET_TieredPGO=0 DOTNET_ThreadPool_UnfairSemaphoreSpinLimit=0 DOTNET_ROOT=/rig/dotnet exec /rig/dotnet/dotnet /rig/tests/RatOS.Flash.Tests.dll -noColor -parallelMode none'
if [ "$arch" = amd64 ]; then
  dotnet build tests/RatOS.Flash.Tests -c Release --no-restore -v quiet -nologo
  cp -r tests/RatOS.Flash.Tests/bin/Release/net10.0 "$stage/tests"
  tests/usb-rig/dotnet.sh "$stage"
  printf '%s\n' "$stories -namespace RatOS.Flash.Tests.Scenarios -trait- Runs=virtual-only" >>"$stage/run"
fi
chmod 755 "$stage/run"

# What the runner counted: total, broken (errors included), skipped; a runner that counted nothing has failed.
totals() {
  local errors
  read -r total errors broken skipped < <(sed -n 's/.*Total: \([0-9]*\), Errors: \([0-9]*\), Failed: \([0-9]*\), Skipped: \([0-9]*\).*/\1 \2 \3 \4/p' "$1") || true
  total=${total:-0} skipped=${skipped:-0} broken=$((${broken:-1} + ${errors:-0}))
}

log=$stage/log
status=0 checks=0 passed=0 failed=0
# What TAP says in the log: a plan that was not kept has failed.
count_checks() {
  local good bad
  good=$(grep -c '^ok ' "$log" || true)
  bad=$(grep -c '^not ok ' "$log" || true)
  [ "$((good + bad))" = "$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log")" ] && [ "$bad" = 0 ] || checks=1
  passed=$((passed + good)) failed=$((failed + bad))
}
tests/usb-rig/rig.sh run "$arch" "$stage" 3000 | tee "$log" || status=$?
count_checks
if [ "$arch" = amd64 ]; then
  # Time passes unevenly in emulation: a story that failed is told once more, alone. Whoever fails twice has failed.
  mapfile -t again < <(sed -n 's/^ *\(RatOS\.Flash\.Tests\.[A-Za-z0-9_.]*\).* \[FAIL\]$/\1/p' "$log" | sort -u)
  totals "$log"
  if [ ${#again[@]} -gt 0 ] && [ ${#again[@]} -le 5 ]; then
    echo "usb-rig: telling ${#again[@]} stories once more: ${again[*]}"
    printf '#!/bin/sh\n%s\n' "$stories $(printf -- '-method %s ' "${again[@]}")" >"$stage/run"
    status=0
    tests/usb-rig/rig.sh run "$arch" "$stage" 900 | tee "$log" || status=$?
    first=$((total - broken))
    totals "$log"
    total=$((first + total))
  fi
  echo "usb-rig $arch: $((total - broken - skipped)) stories passed, $broken failed, $skipped skipped"
  [ "$broken" = 0 ] && [ "$total" -gt 20 ] || status=1

  # The same guest, run by systemd: the service as it is installed.
  printf '#!/bin/sh\nbash /rig/service.sh\n' >"$stage/run"
  RIG_INIT=systemd tests/usb-rig/rig.sh run "$arch" "$stage" 900 | tee "$log" || status=1
  count_checks
fi
echo "usb-rig $arch: $passed checks of the program passed, $failed failed"
exit "$((status | checks))"

#!/usr/bin/env bash
# Behind a real kernel: test.sh [--no-build] [ARCH [PART...]]. ARCH is amd64 (the default), arm64 or armhf (a 32-bit system with
# arm64's kernel and program). Each PART has a guest of its own:
#   program       the shipped program flashes boards
#   dfu, stories  the stories of the tests: those of the ROM's DFU, and all others
#   service       the program as install.sh sets it up, with systemd
# Without a PART amd64 runs all of them, the others the program. --no-build takes the program and the tests as they were built before.
# Ends with the count of what passed. 77: there can be no guest, and a line says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=1
[ "${1:-}" != --no-build ] || { build='' && shift; }
arch=${1:-amd64}
case $arch in
  amd64) rid=linux-x64 parts=(program dfu stories service) ;;
  arm64 | armhf) rid=linux-arm64 parts=(program) ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
[ $# -lt 2 ] || parts=("${@:2}")
tests/usb-rig/rig.sh build "$arch"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
log=$stage/log
passed=0 failed=0 skipped=0 status=0

# boot COMMANDS: the guest runs them, with the stage's folder "rig" as /rig.
boot() {
  chmod -R u=rwX,go=rX "$stage/rig"
  printf '#!/bin/sh\n%s\n' "$1" >"$stage/rig/run"
  chmod 755 "$stage/rig/run"
  tests/usb-rig/rig.sh run "$arch" "$stage/rig" 3000 | tee "$log" || status=1
}

# What TAP says in the log: a plan that was not kept has failed.
count_checks() {
  local good bad
  good=$(grep -c '^ok ' "$log" || true)
  bad=$(grep -c '^not ok ' "$log" || true)
  [ "$((good + bad))" = "$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log")" ] && [ "$bad" = 0 ] || status=1
  passed=$((passed + good)) failed=$((failed + bad))
}

# What the runner counted, errors included. A runner that counted almost nothing has failed.
count_stories() {
  local total errors broken left_out
  read -r total errors broken left_out < <(sed -n 's/.*Total: \([0-9]*\), Errors: \([0-9]*\), Failed: \([0-9]*\), Skipped: \([0-9]*\).*/\1 \2 \3 \4/p' "$log") || true
  broken=$((${broken:-1} + ${errors:-0}))
  [ "$broken" = 0 ] && [ "${total:-0}" -gt 20 ] || status=1
  passed=$((passed + ${total:-0} - broken - ${left_out:-0})) failed=$((failed + broken)) skipped=$((skipped + ${left_out:-0}))
}

stage_program() {
  [ -x "artifacts/$rid/ratos-flash" ] || ./publish.sh "$rid"
  cp "artifacts/$rid/ratos-flash" "artifacts/$rid/99-ratos-flash.rules" tests/usb-rig/{checks,scenarios,service}.sh "$stage/rig"
  # As release.sh packs it.
  mkdir "$stage/rig/package"
  cp -r "artifacts/$rid/ratos-flash" install.sh config moonraker-component src/RatOS.Flash.Agent/99-ratos-flash.rules "$stage/rig/package"
  echo '{"version": "v0.1.0"}' >"$stage/rig/package/release_info.json"
  # What the virtual printer's Klipper would build is what stands in its flash after a virtual flash.
  local size
  artifacts/linux-x64/ratos-flash flash octopus --virtual --folder "$stage/made" --json --log /dev/null >"$stage/made.json"
  size=$(sed -n 's/.*"event":"result".*"size":\([0-9]*\).*/\1/p' "$stage/made.json")
  dd if="$stage/made/octopus.flash.bin" of="$stage/rig/klipper.bin" iflag=skip_bytes,count_bytes skip=32768 count="$size" status=none
  [ "$(stat -c %s "$stage/rig/klipper.bin")" = "$size" ]
}

# tell FILTER: runs those stories. The runtime compiles in emulation too: it compiles fast code only for methods that run often.
tell() {
  [ -z "$build" ] || dotnet build tests/RatOS.Flash.Tests -c Release --no-restore -v quiet -nologo
  cp -r tests/RatOS.Flash.Tests/bin/Release/net10.0 "$stage/rig/tests"
  tests/usb-rig/dotnet.sh "$stage/rig"
  boot "export RATOS_FLASH_RIG=1 DOTNET_ROOT=/rig/dotnet DOTNET_TieredPGO=0 DOTNET_TC_CallCountThreshold=300 DOTNET_EnableWriteXorExecute=0
exec /rig/dotnet/dotnet /rig/tests/RatOS.Flash.Tests.dll -noColor -parallelMode none -namespace RatOS.Flash.Tests.Scenarios -trait- Runs=virtual-only $1"
  count_stories
}

for part in "${parts[@]}"; do
  rm -rf "$stage"/{rig,made}
  mkdir "$stage/rig"
  case $part in
    program)
      stage_program
      boot "bash /rig/scenarios.sh"
      count_checks
      ;;
    service)
      stage_program
      RIG_INIT=systemd boot "bash /rig/service.sh"
      count_checks
      ;;
    dfu) tell "-class RatOS.Flash.Tests.Scenarios.DfuStories" ;;
    stories) tell "-class- RatOS.Flash.Tests.Scenarios.DfuStories" ;;
    *) echo "usb-rig: there is no part '$part'" && exit 2 ;;
  esac
done
echo "usb-rig $arch ${parts[*]}: $passed passed, $failed failed, $skipped skipped"
exit "$status"

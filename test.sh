#!/usr/bin/env bash
# Runs every test and ends with the count as "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")" || exit
output=$(mktemp)
trap 'rm -f "$output"' EXIT
dotnet test --solution RatOS.Flash.sln --max-parallel-test-modules 1 "$@" | tee "$output"
status=${PIPESTATUS[0]}
failures=$(grep -A 12 "^failed " "$output")
count() { sed -n "s/^ *$1: *\([0-9]\+\).*/\1/p" "$output" | tail -n 1; }
passed=$(count succeeded) failed=$(count failed) skipped=$(count skipped)
# A runner that ran nothing has failed, whatever it says.
[ "${passed:-0}" -gt 0 ] || status=1

# The Moonraker component's tests print such a line themselves.
if command -v python3 >/dev/null; then
  python3 moonraker-component/test_ratos_flash.py 2>&1 | tee "$output"
  [ "${PIPESTATUS[0]}" = 0 ] || status=1
  read -r more_passed more_failed more_skipped < <(tail -n 1 "$output" | tr -dc '0-9 \n')
  passed=$((${passed:-0} + ${more_passed:-0})) failed=$((${failed:-0} + ${more_failed:-0})) skipped=$((${skipped:-0} + ${more_skipped:-0}))
else
  echo "python3 is missing: the Moonraker component is not tested"
  [ -z "${CI:-}" ] || status=1
fi
# The installer, in throw-away roots.
tests/install/test.sh | tee "$output" || status=1
sum() { sed -n "s/^install: .*\b\([0-9]\+\) $1.*/\1/p" "$output"; }
installs=$(sum passed)
[ -n "$installs" ] && passed=$((${passed:-0} + installs)) failed=$((${failed:-0} + $(sum failed))) skipped=$((${skipped:-0} + $(sum skipped)))
# The page, in a browser.
tests/page/test.sh | tee "$output" || status=1
count_page() { sed -n "s/^page: .*\b\([0-9]\+\) $1.*/\1/p" "$output" | tail -n 1; }
pages=$(count_page passed)
[ -n "$pages" ] && passed=$((${passed:-0} + pages)) failed=$((${failed:-0} + $(count_page failed))) \
  skipped=$((${skipped:-0} + $(count_page skipped)))
# The collection for Ansible, and the extension for KIAUH.
tests/ansible/test.sh | tee "$output" || status=1
count_ansible() { sed -n "s/^ansible: .*\b\([0-9]\+\) $1.*/\1/p" "$output" | tail -n 1; }
collections=$(count_ansible passed)
[ -n "$collections" ] && passed=$((${passed:-0} + collections)) failed=$((${failed:-0} + $(count_ansible failed))) \
  skipped=$((${skipped:-0} + $(count_ansible skipped)))
# Once more where they are looked for: thousands of lines are above.
[ -z "$failures" ] || echo "$failures"
echo "${passed:-0} passed, ${failed:-0} failed, ${skipped:-0} skipped"
exit "$status"

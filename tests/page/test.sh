#!/usr/bin/env bash
# The page's types and its tests in Chromium. The last line is "page: N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")" || exit
skip() {
  echo "page: skipped: $1"
  echo "page: 0 passed, 0 failed, 1 skipped"
  [ -z "${CI:-}" ] || exit 1
  exit 0
}
command -v npm >/dev/null || skip "it needs npm (apt-get install npm)"
command -v chromium >/dev/null || skip "it needs Chromium (apt-get install chromium)"
npm ci --no-audit --no-fund --silent || skip "its packages cannot be installed"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
npx --no-install tsc -p . || status=1
node --test --test-reporter=tap page.test.mjs | tee "$output" | grep -v "^ *\(---\|\.\.\.\|duration_ms\|type:\|#\)" || true
count() { sed -n "s/^# $1 \([0-9]*\)$/\1/p" "$output"; }
passed=$(count pass) failed=$(count fail) skipped=$(count skipped)
failed=$((${failed:-1} + status))
[ "${passed:-0}" -gt 0 ] && [ "$failed" = 0 ] || status=1
echo "page: ${passed:-0} passed, $failed failed, ${skipped:-0} skipped"
exit "$status"

#!/usr/bin/env bash
# The collection for Ansible and the extension for KIAUH: what of ansible-test runs offline, scripted agents, a farm of virtual printers.
# The last line is "ansible: N passed, N failed, N skipped". docs/fleet.md says which sanity tests are not among them.
# shellcheck disable=SC2317   # functions that "check" calls
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
passed=0 failed=0 skipped=0
collection=ansible_collections/ratos/flash
scratch=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null; wait; rm -rf "$scratch"' EXIT

finish() {
  echo "ansible: $passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit
}
ok() { passed=$((passed + 1)) && echo "ok - $1"; }
not_ok() { # NAME WHY
  failed=$((failed + 1))
  printf 'not ok - %s\n' "$1"
  printf '#   %s\n' "${2//$'\n'/$'\n#   '}"
}
skip() { skipped=$((skipped + 1)) && echo "# skipped: $1"; }
# A machine of CI must have everything.
miss() { if [ -n "${CI:-}" ]; then not_ok "$1" "missing"; else skip "$1"; fi; }
# check NAME COMMAND...: it succeeds
check() {
  local name=$1
  shift
  if said=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$said"; fi
}
# silent COMMAND...: it succeeds and says nothing
silent() { "$@" 2>&1 | (! grep .); }
# counted FILE: unit tests, whose last line is their count
counted() {
  local numbers
  "$python" "$1" >"$scratch/out" 2>&1 || cat "$scratch/out"
  read -ra numbers < <(tail -n 1 "$scratch/out" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
  passed=$((passed + ${numbers[0]:-0})) failed=$((failed + ${numbers[1]:-1})) skipped=$((skipped + ${numbers[2]:-0}))
  echo "$1: $(tail -n 1 "$scratch/out")"
}

if ! command -v ansible-playbook >/dev/null; then
  miss "the collection needs ansible-core (apt-get install ansible-core ansible-lint yamllint python3-voluptuous)"
  python=python3
  counted tests/ansible/test_kiauh.py
  finish
fi
# The Python that has Ansible.
python=$(sed -n '1s/^#! *//p' "$(command -v ansible-playbook)")
export ANSIBLE_COLLECTIONS_PATH=$PWD ANSIBLE_NOCOLOR=1 ANSIBLE_HOME=$scratch/home HOME=$scratch PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8

# ---- what ansible-test's sanity tests would do

compiles() {
  "$python" - "$@" <<'END'
import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name, feature_version=(3, 7))
END
}
mapfile -t sources < <(find $collection -name '*.py')
check "compile: Python 3.7 reads every file" compiles "${sources[@]}"
check "shebang: every module begins with the one of Ansible" \
  eval "! head -qn 1 $collection/plugins/modules/*.py | grep -vx '#!/usr/bin/python'"
check "shebang: no module is executable" eval "! find $collection -name '*.py' -perm /111 | grep ."
check "licence: every file names it" eval "! grep -L 'GNU General Public License v3.0 or later' ${sources[*]} | grep ."
validator=$("$python" -c 'import ansible_test; print(ansible_test.__path__[0])' 2>/dev/null)/_util/controller/sanity/validate-modules
if [ -d "$validator" ] && "$python" -c 'import voluptuous' 2>/dev/null; then
  version=$(sed -n 's/^version: //p' $collection/galaxy.yml)
  check "validate-modules: documentation, examples, results and options agree" silent env -C $collection PYTHONPATH="$validator:$PWD" \
    "$python" "$validator/validate.py" --collection $collection --collection-version "$version" plugins/modules
else
  miss "validate-modules (it needs python3-voluptuous)"
fi
for module in "$collection"/plugins/modules/*.py; do
  name=ratos.flash.$(basename "$module" .py)
  check "ansible-doc shows $name" ansible-doc -t module "$name"
done
check "ansible-doc shows the role" ansible-doc -t role ratos.flash.install
check "the playbook's syntax" ansible-playbook -i $collection/inventory/farm.yml ratos.flash.update --syntax-check
check "the example of an inventory" eval "ansible-inventory -i $collection/inventory/farm.yml --graph | grep vcore-01"
for tool in yamllint ansible-lint; do command -v $tool >/dev/null || miss "$tool"; done
if command -v yamllint >/dev/null; then
  check "yamllint" yamllint -s -d '{extends: default, rules: {line-length: {max: 140}}}' $collection
fi
if command -v ansible-lint >/dev/null; then
  # The version is the program's, and so is the list of changes.
  check "ansible-lint" ansible-lint --offline --nocolor -q -x 'galaxy[version-incorrect],galaxy[no-changelog]' $collection
fi
check "the collection is built" ansible-galaxy collection build $collection --output-path "$scratch"
check "its version is the program's" grep -qF "<Version>$(sed -n 's/^version: //p' $collection/galaxy.yml)</Version>" Directory.Build.props
check "a README is in it" eval "tar tzf '$scratch'/ratos-flash-*.tar.gz | grep -x README.md"

# ---- the role, with a stand-in for the installer

cat >"$scratch/role.yml" <<END
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: $python
    ansible_become: false
    ratos_flash_user: printer
    ratos_flash_install_options: [--data, /home/printer/printer_data]
  roles:
    - ratos.flash.install
END
role() { # ZIP SHA256
  ansible-playbook "$scratch/role.yml" -e "ratos_flash_zip=$1 ratos_flash_zip_sha256=$2" 2>&1
}
if command -v zip >/dev/null && command -v unzip >/dev/null; then
  mkdir "$scratch/zip"
  grep -qF 'already installed: nothing was changed' install.sh || not_ok "the role knows the words of the installer" "they have changed"
  cat >"$scratch/zip/install.sh" <<'END'
#!/bin/sh
echo "$@" >>../calls
if [ -e done ]; then echo "  already installed: nothing was changed"; else touch done; fi
END
  chmod 755 "$scratch/zip/install.sh"
  (cd "$scratch/zip" && zip -q ../release.zip install.sh)
  sum=$(sha256sum <"$scratch/release.zip" | cut -d ' ' -f 1)
  check "the role refuses a zip of another SHA-256" eval "(role '$scratch/release.zip' ${sum//[0-9]/a} || true) | grep 'another file than expected'"
  check "and has unpacked nothing" [ ! -e "$scratch/ratos-flash/install.sh" ]
  check "the role installs" eval "role '$scratch/release.zip' $sum | grep -E 'changed=[1-9].*failed=0'"
  check "and again changes nothing" eval "role '$scratch/release.zip' $sum | grep 'changed=0.*failed=0'"
  check "with the options" eval "[ \"\$(sort -u '$scratch/calls')\" = '--user printer --data /home/printer/printer_data' ]"
else
  miss "the role (it needs zip and unzip)"
fi

# ---- scripted agents, and KIAUH

counted tests/ansible/test_modules.py
counted tests/ansible/test_kiauh.py

# ---- a farm: eight virtual printers, of which the first gets firmware that does not start, one is busy, and one is off

program=${RATOS_FLASH:-artifacts/linux-x64/ratos-flash}
[ -x "$program" ] || { miss "the farm ($program: ./publish.sh linux-x64)" && finish; }

start() { # NAME SCENARIO
  "$program" virtual --scenario "$2" --folder "$scratch/$1" --moonraker 0 --pace 4 >"$scratch/$1.out" 2>&1 &
  started+=($!)
}
address() { # NAME
  for _ in {1..600}; do
    sed -n 's/.*Moonraker at \(http:[^ ]*\) .*/\1/p' "$scratch/$1.out" 2>/dev/null | grep . && return
    sleep 0.1
  done
}
moonraker() { curl -sS --max-time 120 "$1/$2" -H 'Content-Type: application/json' -d "$3"; }
jobs_of() { moonraker "${url[$1]}" server/extensions/request '{"agent": "ratos_flash", "method": "history"}' | grep -o '"job":' | wc -l; }
# update ARGUMENT...: the playbook; its output is in $scratch/said, its report in $scratch/report.md
update() {
  ansible-playbook -i "$scratch/farm.yml" ratos.flash.update --forks 8 -e "ratos_flash_report=$scratch/report.md" "$@" >"$scratch/said" 2>&1
}
# shows NAME PATTERN [FILE]: the output, or that file, has such a line
shows() { if grep -Eq -- "$2" "${3:-$scratch/said}"; then ok "$1"; else not_ok "$1" "$(cat "${3:-$scratch/said}")"; fi; }

scenarios=([1]=bad-build [2]=octopus [3]=voron [4]=ebb42 [5]=octopus-katapult [6]=rp2040 [7]=manta-m8p)
for i in "${!scenarios[@]}"; do start "p$i" "${scenarios[i]}"; done
{
  printf 'printers:\n  vars: {ansible_connection: local, ansible_python_interpreter: %s}\n  hosts:\n' "$python"
  for i in "${!scenarios[@]}"; do
    url[i]=$(address "p$i")
    # In the second ring, before the last printer.
    [ "$i" != 3 ] || echo "    p8: {ratos_flash_moonraker: 'http://127.0.0.1:1'}"
    # One of them as by ssh: through the agent's own socket.
    if [ "$i" = 5 ]; then echo "    p5: {ratos_flash_data: $scratch/p5/printer_data}"; else echo "    p$i: {ratos_flash_moonraker: '${url[i]}', ratos_flash_probe: G28}"; fi
  done
} >"$scratch/farm.yml"

update --check --diff
shows "a plan shows old and new version" '^\+octopus-pro v0\.13'
shows "a plan names the printer that is off" '^\| p8 \| \| off ' "$scratch/report.md"
shows "a plan covers all rings" '^\| p7 .* would change ' "$scratch/report.md"
check "a plan flashes nothing" [ "$(for i in {1..7}; do jobs_of "$i"; done | sort -u)" = 0 ]

mkdir "$scratch/bundles"
update -e "ratos_flash_bundles=$scratch/bundles" && not_ok "a canary that fails fails the run" "$(cat "$scratch/said")"
shows "a canary that fails is in the report" '^\| p1 \| octopus \| failed ' "$scratch/report.md"
shows "and stops all others" '^\| p2 \| \| not reached ' "$scratch/report.md"
check "which were not asked for anything" [ "$(for i in {2..7}; do jobs_of "$i"; done | sort -u)" = 0 ]
check "and its bundle is here" eval "unzip -l '$scratch'/bundles/p1-*.zip"

# busy NAME: a command of a minute of the printer's time stands for a print: a flash would end it.
busy() { moonraker "${url[$1]}" printer/gcode/script '{"script": "G4 P60000"}' >"$scratch/print" & }
busy 2
print=$!
update --limit 'printers:!p1'
wait "$print"
shows "a printer that is busy is left until it is idle" '"result": *"ok"' "$scratch/print"
shows "and flashed then" '^\| p2 \| octopus \| flashed, confirmed ' "$scratch/report.md"
shows "the rings go on without the printer that failed" '^\| p7 \| .* \| flashed, confirmed ' "$scratch/report.md"
check "each board of them is changed" [ "$(grep -c '| flashed, confirmed |' "$scratch/report.md")" = 8 ]
check "in three rings" [ "$(grep -c 'Update the boards of each ring' "$scratch/said")" = 3 ]
shows "the printer that is off stops no ring, and fails at the end" '^p8 .* failed=1 '

update --limit 'printers:!p1'
check "a second run changes nothing" eval "! grep -E 'changed=[1-9]' '$scratch/said'"
check "and asks for no flash" [ "$(for i in {2..7}; do jobs_of "$i"; done | sort -u)" = 1 ]

# The printer that was off is on again, and prints. The controller dies while its job waits.
start p8 octopus
url[8]=$(address p8)
sed -i "s|http://127.0.0.1:1'|${url[8]}'|" "$scratch/farm.yml"
busy 8
print=$!
setsid ansible -i "$scratch/farm.yml" p8 -m ratos.flash.board -a "moonraker=${url[8]}" >/dev/null 2>&1 &
controller=$!
for _ in {1..300}; do [ "$(jobs_of 8)" = 1 ] && break; sleep 0.1; done
kill -9 -- "-$controller"
update --limit p8
# Its plan comes before the end of that job, or after it.
shows "a run after a controller that died joins its job, or sees that it is done" '^\| p8 \| octopus \| (changed|ok) ' "$scratch/report.md"
check "and makes no other one" [ "$(jobs_of 8)" = 1 ]
wait "$print"
shows "which has waited, too" '"result": *"ok"' "$scratch/print"

finish

#!/usr/bin/env bash
# Installs, installs again and uninstalls in throw-away roots with a fake home, from the very zip that release.sh packs (with a stand-in for the program).
# Prints ok and not ok lines, and ends with the count.
set -uo pipefail
# In a mount namespace of its own, so that file systems can be full or read-only.
if [ -z "${MOUNTS:-}" ] && [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then MOUNTS=yes exec unshare -m "$0" "$@"; fi
here=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
umask 022
export LC_ALL=C
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)) && echo "ok $((passed + failed)) - $1"; }
not_ok() { # NAME WHY
  failed=$((failed + 1))
  echo "not ok $((passed + failed)) - $1"
  printf '#   %s\n' "${2//$'\n'/$'\n#   '}"
}
skip() { skipped=$((skipped + 1)) && echo "# skipped: $1"; }
# check NAME COMMAND...: it succeeds
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$said"; fi
}
# same NAME BEFORE AFTER
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$(diff <(echo "$2") <(echo "$3"))"; fi; }
# says NAME TEXT: the last run's output contains TEXT
says() { if grep -qF -- "$2" <<<"$said"; then ok "$1"; else not_ok "$1" "$said"; fi; }
# json EXPRESSION: the expression of x, which is standard input
json() { python3 -c "import json, sys; x = json.load(sys.stdin); print(json.dumps($1, ensure_ascii=False, separators=(',', ':')))"; }

# ---- the zip

copy=$scratch/copy
mkdir -p "$copy"/{artifacts/linux-x64,artifacts/linux-arm64,src/RatOS.Flash.Agent,moonraker-component}
cp -r "$here"/{config,docs,install.sh,release.sh,publish.sh,LICENSE,README.md,ARCHITECTURE.md,CHANGELOG.md,CONTRIBUTING.md,Directory.Build.props} "$copy"
cp "$here/src/RatOS.Flash.Agent/99-ratos-flash.rules" "$copy/src/RatOS.Flash.Agent"
echo '# a stand-in' >"$copy/moonraker-component/ratos_flash.py"
cp -r "$here/moonraker-component/page" "$copy/moonraker-component"
for rid in linux-x64 linux-arm64; do
  printf '#!/bin/sh\necho 0.1.0\n' >"$copy/artifacts/$rid/ratos-flash"
  echo '{}' >"$copy/artifacts/$rid/sbom.cdx.json"
  echo notices >"$copy/artifacts/$rid/THIRD-PARTY-NOTICES.txt"
done
version=v$(sed -n 's/.*<Version>\(.*\)<.*/\1/p' "$here/Directory.Build.props")
if ! command -v zip >/dev/null || ! command -v unzip >/dev/null; then
  echo "zip and unzip are not installed" && exit 1
fi
check "a release is packed" "$copy/release.sh" "$version" --unsigned --packed
zip=$copy/artifacts/release/ratos-flash-linux-x64.zip
same "the zip holds the program and install.sh as executable, the rest as plain files, and no more" "$(unzip -Z "$zip" | awk '/^-/ && $9 !~ "^(docs|moonraker-component/page)/" { print $1, $9 }' | sort -k 2)" "$(sort -k 2 <<'END'
-rw-r--r-- 99-ratos-flash.rules
-rw-r--r-- ARCHITECTURE.md
-rw-r--r-- CHANGELOG.md
-rw-r--r-- CONTRIBUTING.md
-rw-r--r-- LICENSE
-rw-r--r-- README.md
-rw-r--r-- THIRD-PARTY-NOTICES.txt
-rw-r--r-- config/ratos-flash-host-mcu
-rw-r--r-- config/ratos-flash-host-mcu.service
-rw-r--r-- config/ratos-flash-klipperscreen.conf
-rw-r--r-- config/ratos-flash-moonraker.conf
-rw-r--r-- config/ratos-flash.conf
-rw-r--r-- config/ratos-flash.service
-rw-r--r-- config/ratos_flash.cfg
-rw-r--r-- files.sha256
-rwxr-xr-x install.sh
-rw-r--r-- moonraker-component/ratos_flash.py
-rwxr-xr-x ratos-flash
-rw-r--r-- release_info.json
-rw-r--r-- sbom.cdx.json
END
)"
same "the zip holds the page" "$(cd "$here" && find moonraker-component/page -type f | sort)" "$(unzip -Z1 "$zip" 'moonraker-component/page/*' | sort)"
same "every page and picture that README links to is in the zip" "" \
  "$(comm -23 <(grep -oE '\]\([^):]+\)' "$here/README.md" | sed -E 's/^..//; s/[#)].*//' | sort -u) <(unzip -Z1 "$zip" | sort -u))"
same "each zip has its own name inside, because Moonraker downloads the asset of that name" "$(unzip -p "${zip/x64/arm64}" release_info.json)" \
  '{"project_name": "RatOS.Flash", "project_owner": "Rat-OS", "version": "'"$version"'", "asset_name": "ratos-flash-linux-arm64.zip"}'
# Moonraker 0.9.3, and every rollback, take the first file, whatever its name.
same "the zip for the Raspberry Pi is the first file of the release" "$(find "$copy/artifacts/release" -type f -printf "%f\n" | sort | head -n 1)" ratos-flash-linux-arm64.zip
check "the sums are those of the files" eval "cd '$copy/artifacts/release' && sha256sum -c --quiet sha256sums.txt"
check "a version that the program does not have is refused" eval "! '$copy/release.sh' v99.0.0 --unsigned --packed"
check "a release without a key and without --unsigned is refused" eval "! '$copy/release.sh' '$version' --packed"

# The same commit in another folder, with other times, another umask and another language.
cp -r "$copy" "$scratch/another folder"
find "$scratch/another folder" -exec touch -d 2001-02-03 {} +
chmod -R go= "$scratch/another folder"
# shellcheck disable=SC2016
check "the same commit is packed in another folder" env SOURCE_DATE_EPOCH=1704067200 LC_ALL=C.UTF-8 TZ=Asia/Tokyo \
  bash -c 'umask 077 && "$0" "$1" --unsigned --packed' "$scratch/another folder/release.sh" "$version"
same "both have the same bytes" "$(cat "$scratch/another folder/artifacts/release/sha256sums.txt")" "$(cat "$copy/artifacts/release/sha256sums.txt")"

# A signed release is made from a commit, here with stand-ins for publish.sh and sbom.py, and with a key of this test alone.
if command -v minisign >/dev/null && command -v git >/dev/null; then
  signed=$scratch/signed
  cp -r "$copy" "$signed"
  printf '#!/bin/sh\nexit 0\n' | tee "$signed/publish.sh" >"$signed/sbom.py" && chmod 755 "$signed/sbom.py"
  echo artifacts/ >"$signed/.gitignore"
  for key in key other; do minisign -G -W -f -p "$scratch/$key.pub" -s "$scratch/$key.sec" >/dev/null; done
  check "a signature needs the public key in the folder" eval "! '$signed/release.sh' '$version' --key '$scratch/key.sec'"
  cp "$scratch/key.pub" "$signed/release-key.pub"
  git -C "$signed" init -q && git -C "$signed" add . && git -C "$signed" -c user.name=test -c user.email=test@localhost commit -q -m test
  check "a commit without the tag is refused" eval "! '$signed/release.sh' '$version' --key '$scratch/key.sec'"
  git -C "$signed" tag "$version"
  check "a signed release is made" eval "cd '$scratch' && signed/release.sh '$version' --key key.sec"
  check "its sums are signed, with the version" eval \
    "minisign -V -Q -p '$signed/release-key.pub' -m '$signed/artifacts/release/sha256sums.txt' | grep -qx 'RatOS.Flash $version'"
  check "another key is refused" eval "! '$signed/release.sh' '$version' --key '$scratch/other.sec'"
  check "and leaves no signature" eval "! [ -e '$signed/artifacts/release/sha256sums.txt.minisig' ]"
  echo >>"$signed/README.md"
  check "a change that is not committed is refused" eval "! '$signed/release.sh' '$version' --key '$scratch/key.sec'"
else
  skip "minisign or git is not installed: signed releases"
fi

# ---- throw-away printers

# The test pretends to run on a computer of another kernel.
mkdir "$scratch/bin"
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "${MACHINE:-x86_64}"\n' >"$scratch/bin/uname"
printf '#!/bin/sh\necho amd64\n' >"$scratch/bin/dpkg"
# Another year.
# shellcheck disable=SC2016
printf '#!/bin/sh\nif [ -n "${CLOCK:-}" ]; then exec /bin/date -d "$CLOCK" "$@"; fi\nexec /bin/date "$@"\n' >"$scratch/bin/date"
# A disk that is full for the file that FULL names: cat writes 5 bytes of it.
# shellcheck disable=SC2016
printf '#!/bin/sh\ncase $(readlink /proc/$$/fd/1) in */"${FULL:-none}".ratos-flash-new) head -c 5; echo "cat: write error: No space left on device" >&2; exit 1 ;; esac\nexec /bin/cat "$@"\n' >"$scratch/bin/cat"
chmod 755 "$scratch/bin"/*
export PATH=$scratch/bin:$PATH

printer() {
  local config=$root/home/pi/$1/config
  mkdir -p "$config" "$root/home/pi/$1"/{comms,logs}
  printf '[include mainsail.cfg]\n[mcu]\nserial: x\n\n#*# <---------------------- SAVE_CONFIG ---------------------->\n#*# [bed_mesh default]' >"$config/printer.cfg"
  printf '[respond]\n' >"$config/mainsail.cfg"
  printf '# mine\r\n[server]\r\nport: 7125\r\n[update_manager]\r\n' >"$config/moonraker.conf"
  printf '[main]\nfont_size: medium\n#~# --- Do not edit below this line. This section is auto generated --- #~#\n' >"$config/KlipperScreen.conf"
  chmod 660 "$config/moonraker.conf"
  printf 'klipper_mcu\nwebcamd' >"$root/home/pi/$1/moonraker.asvc"
}

new_root() {
  root=$scratch/$1
  pi=$root/home/pi
  mkdir -p "$root"/{etc/systemd/system,etc/udev/rules.d,usr/local/bin,usr/local/lib,usr/local/share,usr/lib/systemd,proc/device-tree,boot,lib/modules} "$pi/moonraker"/{moonraker/components,.git/info} "$pi/mainsail"
  printf 'root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/bash\n' >"$root/etc/passwd"
  printf 'dialout:x:20:\nplugdev:x:46:\n' >"$root/etc/group"
  # A systemd of 64 bits, by the first bytes of its file.
  printf '\177ELF\002\001\001' >"$root/usr/lib/systemd/systemd"
  printf '# git ls-files --others\n*~\n' >"$pi/moonraker/.git/info/exclude"
  unzip -q "$zip" -d "$pi/ratos-flash"
  shift
  for data; do printer "$data"; done
}

# Everything in the root: kind, mode, name, target, contents.
tree() {
  (cd "$root" && find . -printf '%y %m %p %l\n' | sort -k 3 && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

run() {
  said=$(timeout 60 "$pi/ratos-flash/install.sh" --root "$root" "$@" 2>&1)
  result=$?
}
# expect STATUS NAME ARGUMENTS...
expect() {
  local status=$1 name=$2
  shift 2
  run "$@"
  if [ "$result" = "$status" ]; then ok "$name"; else not_ok "$name" "ended with $result: $said"; fi
}
# refused NAME TEXT ARGUMENTS...: the run fails with TEXT and changes nothing
refused() {
  local name=$1 text=$2 before
  shift 2
  before=$(tree)
  run "$@"
  if [ "$result" = 1 ] && grep -qF -- "$text" <<<"$said" && [ "$(tree)" = "$before" ]; then ok "$name"; else not_ok "$name" "ended with $result: $said"; fi
}

echo "# a plain installation"
new_root plain printer_data
before=$(tree)
expect 0 "a dry run succeeds" --user pi --dry-run
same "a dry run changes nothing" "$before" "$(tree)"
says "a dry run prints the steps" "would write /etc/systemd/system/ratos-flash.service"
promised=$(grep -c '^  would ' <<<"$said")
expect 0 "it installs" --user pi
same "a dry run printed each step" "$promised" "$(grep -c '^  ' <<<"$said")"
config=$pi/printer_data/config
unit=$root/etc/systemd/system/ratos-flash.service
same "the macros are in printer.cfg, on top" "[include ratos_flash.cfg]" "$(head -n 1 "$config/printer.cfg")"
same "Klipper's own block is still the end of printer.cfg" "#*# [bed_mesh default]" "$(tail -n 1 "$config/printer.cfg")"
same "Moonraker includes its file once" 1 "$(grep -c '^\[include ratos-flash-moonraker.conf\]' "$config/moonraker.conf")"
same "moonraker.conf keeps its mode" 660 "$(stat -c %a "$config/moonraker.conf")"
same "KlipperScreen's line has no text after its bracket, which KlipperScreen would refuse" "[include ratos-flash-klipperscreen.conf]" "$(grep ratos "$config/KlipperScreen.conf")"
same "Moonraker may restart the service" ratos-flash "$(grep -x ratos-flash "$pi/printer_data/moonraker.asvc")"
same "the component is linked" /home/pi/ratos-flash/moonraker-component/ratos_flash.py "$(readlink "$pi/moonraker/moonraker/components/ratos_flash.py")"
check "Moonraker's repository does not see the link" grep -qx moonraker/components/ratos_flash.py "$pi/moonraker/.git/info/exclude"
check "the page lies beside the component's real file" [ -f "$pi/ratos-flash/moonraker-component/page/page.html" ]
same "Mainsail's navigation leads to the page" '[["Firmware","/server/ratos_flash/page","_self"]]' \
  "$(json '[(link["title"], link["href"], link["target"]) for link in x]' <"$config/.theme/navi.json")"
check "the unit starts the program with this printer's folder" grep -qx 'ExecStart=/home/pi/ratos-flash/ratos-flash agent --data /home/pi/printer_data' "$unit"
check "the unit runs as the user, after Moonraker" eval "grep -qx User=pi '$unit' && grep -qx After=moonraker.service '$unit'"
check "no placeholder is left in any file" eval "! grep -rlE '@[A-Z]+@' '$unit' '$config/ratos-flash-moonraker.conf'"
check "updates come as this folder's zip" eval "grep -qx '\[update_manager ratos-flash\]' '$config/ratos-flash-moonraker.conf' && grep -qx 'path: /home/pi/ratos-flash' '$config/ratos-flash-moonraker.conf'"
check "a copy of printer.cfg from before is kept" eval "[ -f '$config/printer.cfg.ratos-flash-backup' ] && ! grep -q ratos_flash '$config/printer.cfg.ratos-flash-backup'"
check "the udev rules are there" cmp "$here/src/RatOS.Flash.Agent/99-ratos-flash.rules" "$root/etc/udev/rules.d/99-ratos-flash.rules"
check "the command is there" [ "$(readlink "$root/usr/local/bin/ratos-flash")" = /home/pi/ratos-flash/ratos-flash ]
for file in bash-completion/completions/ratos-flash zsh/site-functions/_ratos-flash fish/vendor_completions.d/ratos-flash.fish; do
  check "the completion is there: $file" [ -s "$root/usr/local/share/$file" ]
done
after=$(tree)
expect 0 "it installs again" --user pi
same "the second time nothing changes" "$after" "$(tree)"
says "and reports that" "nothing was changed"
expect 0 "a dry run of uninstall succeeds" --user pi --uninstall --dry-run
same "a dry run of uninstall changes nothing" "$after" "$(tree)"
expect 0 "it uninstalls" --user pi --uninstall
same "uninstall leaves no trace" "$before" "$(tree)"

if command -v systemd-analyze >/dev/null; then
  run --user pi
  # On this computer the paths lead into the root, and the user is one that every Debian has.
  sed "s|/home/pi|$pi|g; s|^User=pi|User=daemon|" "$unit" >"$scratch/ratos-flash.service"
  same "systemd finds no fault in the unit" "" "$(systemd-analyze verify "$scratch/ratos-flash.service" 2>&1)"
  check "the unit's exposure is what its comment says" systemd-analyze security --offline=true --no-pager --threshold=27 "$scratch/ratos-flash.service"
  run --user pi --uninstall
else
  skip "systemd-analyze is not installed"
fi

echo "# your files stay"
run --user pi
echo 'policy: never' >>"$config/ratos-flash.conf"
settings=$(cat "$config/ratos-flash.conf")
sed -i '/serial: x/s/x/y/' "$config/printer.cfg"
mkdir -p "$pi/printer_data/ratos-flash"/{firmware,jobs}
touch "$pi/printer_data/ratos-flash/firmware/mine.bin" "$pi/printer_data/ratos-flash/jobs/1.json" "$pi/printer_data/logs/ratos-flash.log" "$pi/printer_data/comms/ratos-flash.sock"
expect 0 "it installs over edited files" --user pi
same "settings are never overwritten" "$settings" "$(cat "$config/ratos-flash.conf")"
expect 0 "it uninstalls after edits" --user pi --uninstall
same "edited settings stay" "$settings" "$(cat "$config/ratos-flash.conf")"
same "an edit of printer.cfg stays, without our line" "$(printf '[include mainsail.cfg]\n[mcu]\nserial: y')" "$(head -n 3 "$config/printer.cfg")"
check "the copy from before stays, since it differs now" grep -qx 'serial: x' "$config/printer.cfg.ratos-flash-backup"
same "firmware stays, and no other file of the agent" "$pi/printer_data/ratos-flash/firmware/mine.bin" "$(find "$pi/printer_data" \( -path '*/ratos-flash/*' -type f \) -o -name 'ratos-flash.log' -o -name 'ratos-flash.sock')"

echo "# nothing is left, and nothing more is removed"
new_root strict printer_data
config=$pi/printer_data/config
# zsh's own folder, a theme and no list of excluded files; and what Python, systemd and killed runs leave
mkdir -p "$root/usr/local/share/zsh/site-functions" "$root/usr/bin" "$config/.theme" "$root/etc/systemd/system/multi-user.target.wants"
touch "$root/usr/bin/zsh" "$config/.theme/custom.css"
rm "$pi/moonraker/.git/info/exclude"
before=$(tree)
run --user pi
after=$(tree)
ln -s /etc/systemd/system/ratos-flash.service "$root/etc/systemd/system/multi-user.target.wants/ratos-flash.service"
mkdir "$pi/moonraker/moonraker/components/__pycache__"
touch "$pi/moonraker/moonraker/components/__pycache__/ratos_flash.cpython-311.pyc"
for file in "$config/"{printer.cfg,.theme/navi.json} "$pi/printer_data/moonraker.asvc" "$pi/moonraker/.git/info/exclude" "$root/etc/"{systemd/system/ratos-flash.service,udev/rules.d/99-ratos-flash.rules} \
  "$root/usr/local/share/fish/vendor_completions.d/ratos-flash.fish"; do
  touch "$file.ratos-flash-new"
done
expect 0 "it uninstalls" --user pi --uninstall
rmdir "$pi/moonraker/moonraker/components/__pycache__"
same "and leaves what was there before" "$before" "$(tree)"
run --user pi
touch "$config/printer.cfg.ratos-flash-new"
run --user pi
same "an installation removes the rests of a killed run, too" "$after" "$(tree)"

echo "# what differs: --check"
# differs NAME TEXT: --check ends with 1, says TEXT, and changes nothing; an installation repairs it
differs() {
  local before
  before=$(tree)
  run --user pi --check
  if [ "$result" = 1 ] && grep -qxF -- "  - $2" <<<"$said" && grep -q '^1 difference\. To repair: ' <<<"$said" && [ "$(tree)" = "$before" ]; then ok "$1"; else not_ok "$1" "ended with $result: $said"; fi
  run --user pi
  same "which is repaired" "$after" "$(tree)"
}
new_root differs printer_data
config=$pi/printer_data/config
before=$(tree)
expect 1 "where nothing is installed it ends with 1" --user pi --check
says "and says so of each part" "  - /etc/systemd/system/ratos-flash.service is missing"
same "and changes nothing" "$before" "$(tree)"
run --user pi
after=$(tree)
expect 0 "a complete installation has no difference" --user pi --check
same "which it says" "The installation is complete: nothing differs." "$(tail -n 1 <<<"$said")"
rm "$root/etc/systemd/system/ratos-flash.service"
differs "a missing unit" "/etc/systemd/system/ratos-flash.service is missing"
sed -i 's/^User=pi/User=anna/' "$root/etc/systemd/system/ratos-flash.service"
differs "a changed unit" "/etc/systemd/system/ratos-flash.service is not the one of this version"
ln -sfn /home/pi/old/ratos-flash "$root/usr/local/bin/ratos-flash"
differs "a command of another folder" "/usr/local/bin/ratos-flash leads to /home/pi/old/ratos-flash instead of /home/pi/ratos-flash/ratos-flash"
rm "$pi/moonraker/moonraker/components/ratos_flash.py"
differs "a component that is gone" "/home/pi/moonraker/moonraker/components/ratos_flash.py is missing"
sed -i '/ratos/d' "$pi/moonraker/.git/info/exclude"
differs "a line of git's that is gone" "/home/pi/moonraker/.git/info/exclude has no line moonraker/components/ratos_flash.py"
sed -i '/ratos_flash/d' "$config/printer.cfg"
differs "a line of printer.cfg that is gone" "/home/pi/printer_data/config/printer.cfg has no line [include ratos_flash.cfg]"
sed -i '/ratos-flash/d' "$pi/printer_data/moonraker.asvc"
differs "a service that Moonraker may not restart" "/home/pi/printer_data/moonraker.asvc has no line ratos-flash"
echo '[]' >"$config/.theme/navi.json" && cp "$config/.theme/navi.json" "$config/.theme/navi.json.ratos-flash-backup"
run --user pi --check
says "a page that the navigation does not lead to" "  - /home/pi/printer_data/config/.theme/navi.json does not lead to the page"
rm -r "$config/.theme"
run --user pi
after=$(tree)
ls "$root/usr/local/share/fish/vendor_completions.d/ratos-flash.fish" >/dev/null && rm -r "$root/usr/local/share/fish"
differs "a completion that is gone" "/usr/local/share/fish/vendor_completions.d/ratos-flash.fish is missing"
rm "$root/etc/udev/rules.d/99-ratos-flash.rules"
MACHINE=armv7l expect 1 "a problem of the computer comes first" --user pi --check
printf '#!/bin/sh\nexit 126\n' >"$pi/ratos-flash/ratos-flash"
MACHINE=armv7l expect 1 "a 32-bit kernel" --user pi --check
says "is named" "this computer runs a 32-bit kernel (armv7l)"
expect 1 "--check does not go with --uninstall" --check --uninstall

echo "# other configurations"
new_root globs printer_data
config=$pi/printer_data/config
printf '[include *.conf]\n' >"$config/all.inc"
printf '[include all.inc]\n[include ./printer.cfg]\n' | cat - "$config/moonraker.conf" >"$config/moonraker.new" && mv "$config/moonraker.new" "$config/moonraker.conf"
expect 0 "it installs where a pattern includes every file" --user pi
check "Moonraker does not meet the file a second time" eval "! grep -q ratos-flash '$config/moonraker.conf'"

# included PATTERN TEXT: an installation beside a line that includes our file as well leaves one line, that one
for pattern in './ratos-flash-moonraker.conf' '../config/ratos-flash-moonraker.conf' '**/*-moonraker.conf' 'ratos-flash-moonraker.conf] # mine'; do
  new_root "included-${pattern//[^a-z]/}" printer_data
  config=$pi/printer_data/config
  { printf '[include %s\n' "${pattern/%conf/conf]}" && cat "$config/moonraker.conf"; } >"$config/new" && mv "$config/new" "$config/moonraker.conf"
  before=$(tree)
  run --user pi
  same "[include $pattern is enough" 1 "$(grep -c '^\[include' "$config/moonraker.conf")"
  sed -i '1i [include ratos-flash-moonraker.conf]' "$config/moonraker.conf"
  run --user pi --check
  says "a second line is a difference" "has the line [include ratos-flash-moonraker.conf]"
  run --user pi
  same "and repaired" 1 "$(grep -c '^\[include' "$config/moonraker.conf")"
  run --user pi --uninstall
  case $pattern in
    *\**) same "uninstall leaves a pattern, which may match nothing" "$before" "$(tree)" ;;
    *) check "uninstall removes a line however it is written: Moonraker does not start without its file" eval "! grep -q ratos-flash '$config/moonraker.conf'" ;;
  esac
done

new_root comments printer_data
config=$pi/printer_data/config
run --user pi
sed -i 's/^\[include ratos_flash.cfg\]/[include  ratos_flash.cfg]  # firmware/' "$config/printer.cfg"
printf '[include ratos-flash-klipperscreen.conf]' >>"$config/KlipperScreen.conf"
printf '[include um.conf]' >>"$config/moonraker.conf" && sed -i '/update_manager/d' "$config/moonraker.conf" && printf '[update_manager]' >"$config/um.conf"
run --user pi
run --user pi
check "files without a last line end are read as they are" grep -q '^.update_manager' "$config/ratos-flash-moonraker.conf"
same "and no section is missed" 0 "$(grep -c respond <<<"$said")"
run --user pi --uninstall
check "lines with comments go as well" eval "! grep -rqE 'ratos.flash' '$config' --include=*.cfg --include=*.conf"

new_root readonly printer_data
config=$pi/printer_data/config
chmod 444 "$config/printer.cfg"
expect 0 "a read-only printer.cfg is edited" --user pi
same "and keeps its mode" 444 "$(stat -c %a "$config/printer.cfg")"

new_root refusal printer_data
touch "$root/etc/systemd/system/klipper-mcu.service"
before=$(tree)
run --user pi --no-host-mcu
run --user pi --check
says "a choice against root's unit is kept" "The installation is complete"
run --user pi
check "also by the next run" eval "! compgen -G '$root/etc/systemd/system/ratos-flash-host-mcu*'"
run --user pi --host-mcu
rm "$root/etc/systemd/system/ratos-flash-host-mcu.service"
run --user pi --check
says "a choice for it is kept, too" "/etc/systemd/system/ratos-flash-host-mcu.service is missing"
rm "$pi/ratos-flash/docs/install.md" && echo >>"$pi/ratos-flash/moonraker-component/page/main.js"
run --user pi --no-host-mcu --check
says "a file of the zip that is gone is a difference" "docs/install.md is missing, or not the one of this release"
says "and one that is another" "page/main.js is missing, or not the one of this release"
says "the command that repairs has the options" "install.sh --user pi --root $root --no-host-mcu"
run --user pi --uninstall
same "uninstall leaves no choice" "" "$(diff <(echo "$before") <(tree) | grep -v '/ratos-flash/' | grep '^[<>]')"

new_root foreign printer_data
config=$pi/printer_data/config
printf '[gcode_macro flash_mcu]\ngcode:\n' >>"$config/mainsail.cfg"
before=$(tree)
expect 0 "it installs beside another project's FLASH_MCU" --user pi
says "it names the macro in the way" "/home/pi/printer_data/config/mainsail.cfg:[gcode_macro flash_mcu]"
check "Klipper still reads what it read before" eval "! grep -rq ratos_flash '$config/printer.cfg' && [ ! -e '$config/ratos_flash.cfg' ]"
sed -i '/gcode/d' "$config/mainsail.cfg"
run --user pi
same "when that one is gone, ours are installed" "[include ratos_flash.cfg]" "$(head -n 1 "$config/printer.cfg")"
printf '[gcode_macro flash_mcu]\ngcode:\n' >>"$config/mainsail.cfg"
run --user pi
check "when that one is back, ours are removed, so that Klipper starts" eval "! grep -q ratos_flash '$config/printer.cfg'"
run --user pi --uninstall
same "uninstall leaves no trace here either" "$before" "$(tree)"

new_root bare printer_data
config=$pi/printer_data/config
rm "$config/KlipperScreen.conf"
sed -i '/update_manager/d' "$config/moonraker.conf"
echo >"$config/mainsail.cfg"
before=$(tree)
run --user pi
check "without [update_manager] none is enabled" eval "! grep -q update_manager '$config/ratos-flash-moonraker.conf' && grep -qx '\[ratos_flash\]' '$config/ratos-flash-moonraker.conf'"
check "without KlipperScreen there are no files for it" eval "! ls '$config' | grep -i screen"
says "a missing [respond] is reported" "no section [respond]"
run --user pi --uninstall
same "and uninstall leaves no trace" "$before" "$(tree)"

echo "# RatOS"
# What RatOS 2.1 has on its computer, as far as it meets ours.
ratos_root() {
  local config file
  new_root "$1" printer_data
  config=$pi/printer_data/config
  mkdir -p "$pi"/{ratos-configurator/configuration/{scripts,boards/btt-octopus-11},klipper/.git/hooks,KlipperScreen,moonraker/.git/hooks,printer_data/ratos} "$config/.theme/.git" "$root"/etc/sudoers.d "$root"/dev/RatOS
  ln -s "$pi/ratos-configurator/configuration" "$config/RatOS"
  printf '[server]\nport: 7125\nklippy_uds_address: ~/printer_data/comms/klippy.sock\n[update_manager]\nrefresh_interval: 168\n[update_manager KlipperScreen]\ntype: git_repo\npinned_commit: 71eef9ee\n[update_manager klipper]\npinned_commit: 2817b348\n[update_manager moonraker]\npinned_commit: 71f9e677\n' \
    >"$pi/ratos-configurator/configuration/moonraker.conf"
  printf '[include RatOS/moonraker.conf]\n\n[authorization]\ntrusted_clients:\n  127.0.0.1\n' >"$config/moonraker.conf"
  printf '[respond]\n[mcu]\nserial: /dev/RatOS/btt-octopus-11\n[mcu toolboard_t0]\nserial: /dev/RatOS/btt-ebb42-12-t0\n[mcu rpi]\nserial: /tmp/klipper_host_mcu\n' >"$config/RatOS.cfg"
  printf '[include RatOS.cfg]\n' >"$config/printer.cfg"
  rm "$config/KlipperScreen.conf" && echo '[]' >"$config/.theme/navi.json"
  for file in klipper moonraker; do
    touch "$pi/ratos-configurator/configuration/scripts/$file-post-merge.sh"
    ln -s "$pi/ratos-configurator/configuration/scripts/$file-post-merge.sh" "$pi/$file/.git/hooks/post-merge"
  done
  echo 'pi ALL=(ALL) NOPASSWD: /home/pi/ratos-configurator/configuration/scripts/klipper-mcu-update.sh' >"$root/etc/sudoers.d/030-ratos-githooks"
  for file in 98 98-98; do ln -s "$pi/ratos-configurator/configuration/boards/btt-octopus-11/98-btt-octopus-11.rules" "$root/etc/udev/rules.d/$file-btt-octopus-11.rules"; done
  ln -s ../ttyACM0 "$root/dev/RatOS/btt-octopus-11" && ln -s ../ttyACM1 "$root/dev/RatOS/btt-ebb42-12-t0"
  printf 'klipper_mcu\nwebcamd\nKlipperScreen\nratos-configurator\n' >"$pi/printer_data/moonraker.asvc"
  touch "$root/etc/systemd/system/klipper_mcu.service" "$pi/timelapse.py"
  printf '[{"fileName":"timelapse.py","path":"%s","extensionName":"timelapse"}]' "$pi" >"$pi/printer_data/ratos/moonraker-extensions.json"
  # Does what RatOS's own does with its list, the links and git's exclude file, with the same traps.
  cat >"$root/usr/local/bin/ratos" <<'END'
#!/usr/bin/python3
import json, os, sys
root = os.path.realpath(os.path.dirname(os.path.abspath(__file__)) + "/../../..")
moonraker, listed = root + "/home/pi/moonraker", root + "/home/pi/printer_data/ratos/moonraker-extensions.json"
exclude = moonraker + "/.git/info/exclude"
if os.path.exists(root + "/home/pi/configurator-is-down"):
    sys.exit(2)
print(*sys.argv[1:], file=open(root + "/calls", "a"))
entries = json.load(open(listed))
def save():
    with open(listed, "w") as file:
        json.dump(entries, file, separators=(",", ":"))
def link_of(entry):
    return moonraker + "/moonraker/components/" + entry["fileName"]
def lines(without):
    return [line for line in open(exclude) if line.strip() != without]
match sys.argv[1:]:
    case ["extensions", "register", "moonraker", name, path]:
        if not os.path.isfile(path):
            sys.exit(1)
        folder, file = os.path.split(path)
        if not any(entry["fileName"] == file for entry in entries):   # else ignored, and a success
            entries.append({"fileName": file, "path": folder, "extensionName": name})
            save()
    case ["extensions", "symlink", "moonraker"]:
        for entry in list(entries):
            if not os.path.exists(entry["path"] + "/" + entry["fileName"]):
                entries.remove(entry)
                save()
            elif not os.path.exists(link_of(entry)):
                os.symlink(entry["path"] + "/" + entry["fileName"], link_of(entry))   # fails where a link leads nowhere
                kept = lines("moonraker/components/" + entry["fileName"])
                open(exclude, "w").writelines(kept + ["moonraker/components/" + entry["fileName"] + "\n"])
    case ["extensions", "unregister", "moonraker", name]:
        for entry in [entry for entry in entries if entry["extensionName"] == name]:
            if not os.path.exists(entry["path"] + "/" + entry["fileName"]):
                sys.exit(1)
            kept = lines("moonraker/components/" + entry["fileName"])
            open(exclude, "w").writelines(kept)
            if os.path.exists(link_of(entry)):
                os.unlink(link_of(entry))
            entries.remove(entry)
            save()
    case _:
        sys.exit(2)
END
  chmod 755 "$root/usr/local/bin/ratos"
  "$root/usr/local/bin/ratos" extensions symlink moonraker
  rm "$root/calls"
}
ratos_root ratos
before=$(tree)
expect 0 "it installs on RatOS" --user pi
same "RatOS was asked to link the component" "extensions symlink moonraker" "$(tail -n 1 "$root/calls")"
rm "$root/calls"
same "the component is linked by RatOS" "$pi/ratos-flash/moonraker-component/ratos_flash.py" "$(readlink "$pi/moonraker/moonraker/components/ratos_flash.py")"
same "RatOS's list has it beside the others" '["timelapse","ratos_flash"]' "$(json '[entry["extensionName"] for entry in x]' <"$pi/printer_data/ratos/moonraker-extensions.json")"
after=$(tree)
same "of RatOS's files, these alone are changed" "./home/pi/moonraker/.git/info/exclude
./home/pi/printer_data/config/moonraker.conf
./home/pi/printer_data/config/printer.cfg
./home/pi/printer_data/moonraker.asvc
./home/pi/printer_data/ratos/moonraker-extensions.json" "$(comm -23 <(sort <<<"$before") <(sort <<<"$after") | sed -n 's/^[0-9a-f]\{64\}  //p' | sort)"
same "an update of RatOS.Flash by Moonraker is set up beside RatOS's own" 1 "$(grep -c '^\[update_manager ratos-flash\]' "$pi/printer_data/config/ratos-flash-moonraker.conf")"
check "the Raspberry Pi's own process is replaced by the unit" [ -e "$root/etc/systemd/system/ratos-flash-host-mcu.service" ]
run --user pi
same "the second time nothing changes here either" "$after" "$(tree)"
expect 0 "--check finds no difference" --user pi --check
not_linked="  - RatOS does not link the component /home/pi/ratos-flash/moonraker-component/ratos_flash.py (ratos extensions)"
# repaired NAME TEXT: --check says TEXT, and an installation repairs it
repaired() {
  expect 1 "$1: --check ends with 1" --user pi --check
  says "$1: it says so" "$2"
  run --user pi
  rm -f "$root/calls"
  same "$1: an installation repairs it" "$after" "$(tree)"
}
# As Moonraker's hard recovery does: a new clone.
rm "$pi/moonraker/moonraker/components"/* && printf '# git ls-files --others\n*~\nmoonraker/components/timelapse.py\n' >"$pi/moonraker/.git/info/exclude"
ln -s "$pi/timelapse.py" "$pi/moonraker/moonraker/components/timelapse.py"
repaired "Moonraker was recovered hard" "$not_linked"
printf '[include RatOS.cfg]\n' >"$pi/printer_data/config/printer.cfg"
repaired "ratos config regenerate -p" "  - /home/pi/printer_data/config/printer.cfg has no line [include ratos_flash.cfg]"
printf '[{"fileName":"timelapse.py","path":"%s","extensionName":"timelapse"}]' "$pi" >"$pi/printer_data/ratos/moonraker-extensions.json"
repaired "RatOS struck it from its list" "$not_linked"
sed -i 's|/ratos-flash/moonraker-component|/old/moonraker-component|' "$pi/printer_data/ratos/moonraker-extensions.json"
ln -sfn "$pi/old/moonraker-component/ratos_flash.py" "$pi/moonraker/moonraker/components/ratos_flash.py"
repaired "its folder was moved, so that link and list lead nowhere" "$not_linked"
mkdir -p "$pi/old/moonraker-component" && touch "$pi/old/moonraker-component/ratos_flash.py"
sed -i 's|/ratos-flash/moonraker-component|/old/moonraker-component|' "$pi/printer_data/ratos/moonraker-extensions.json"
run --user pi
rm -r "$pi/old" "$root/calls"
same "its folder was copied, and RatOS's list had the old one" "$after" "$(tree)"
run --user pi --uninstall
rm -f "$root/calls"
same "uninstall leaves no trace here either" "$before" "$(tree)"
touch "$pi/configurator-is-down"
before=$(tree)
expect 0 "it installs while RatOS's configurator is down" --user pi
says "and reports that" "RatOS's configurator did not link the component"
check "the component is linked all the same" [ -e "$pi/moonraker/moonraker/components/ratos_flash.py" -o -L "$pi/moonraker/moonraker/components/ratos_flash.py" ]
expect 1 "--check says that it is not in RatOS's list" --user pi --check
run --user pi --uninstall
same "and uninstall leaves no trace" "$before" "$(tree)"

echo "# a full disk"
new_root full printer_data
before=$(tree)
run --user pi
after=$(tree)
run --user pi --uninstall
# The new file is not written whole; the old one stays, and no other one is left.
for file in exclude printer.cfg.ratos-flash-backup ratos-flash.conf ratos-flash.service; do
  FULL=$file expect 1 "it stops where $file does not fit" --user pi
  says "with the step" "install.sh: stopped at this step: "
  same "every file is the old or the new one" "" "$(comm -13 <({ echo "$before" && echo "$after"; } | sort -u) <(tree | sort -u) | grep -v ' \./home/pi/printer_data/config/.*-backup ')"
  run --user pi
  same "and the next run completes it" "$after" "$(tree)"
  FULL=$file run --user pi --uninstall
  run --user pi --uninstall
  same "uninstall leaves no trace" "$before" "$(tree)"
done
if [ -n "${MOUNTS:-}" ]; then
  mount -t tmpfs -o size=512k none "$root/usr/local"
  mkdir -p "$root/usr/local/bin"
  refused "a full file system" "the file system $root/usr/local is full: " --user pi
  umount "$root/usr/local"
  mount -t tmpfs -o ro none "$root/etc/udev"
  mount -t tmpfs -o ro none "$root/boot"
  refused "a read-only file system" "the file system $root/etc/udev is read-only" --user pi
  refused "also by uninstall" "the file system $root/etc/udev is read-only" --user pi --uninstall
  same "another one does not matter" 0 "$(grep -c "$root/boot" <<<"$said")"
  umount "$root/etc/udev"
  expect 0 "a read-only /boot does not matter" --user pi
  umount "$root/boot"
  run --user pi --uninstall
  mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
  refused "a read-only root" "the file system $root is read-only" --user pi
  umount "$root"
else
  skip "not root: full and read-only file systems were not tested"
fi

echo "# interrupted"
# These kill the whole run the second time that they are called: between two changes, beside a temporary file.
for name in mv ln rmdir; do
  # shellcheck disable=SC2016
  printf '#!/bin/sh\nif [ -n "${KILL:-}" ]; then echo >>"$KILL"; [ "$(wc -l <"$KILL")" -lt 2 ] || kill -9 0; fi\nexec /bin/%s "$@"\n' $name >"$scratch/bin/$name"
done
# A removal, without the temporary files.
# shellcheck disable=SC2016
printf '#!/bin/sh\nif [ -n "${KILL:-}" ] && [ "$1" = -rf ] && [ "${3%%.ratos-flash-new}" = "$3" ]; then echo >>"$KILL"; [ "$(wc -l <"$KILL")" -lt 2 ] || kill -9 0; fi\nexec /bin/rm "$@"\n' >"$scratch/bin/rm"
chmod 755 "$scratch/bin"/*
# killed ARGUMENTS...: each run makes one change and is killed at the next one, until one ends. Calls each_time in between.
killed() {
  times=0
  while [ $times -lt 99 ]; do
    : >"$scratch/kills"
    { KILL=$scratch/kills setsid -w "$pi/ratos-flash/install.sh" --root "$root" "$@"; } >/dev/null 2>&1
    [ $? = 137 ] || break
    times=$((times + 1))
    each_time
  done
}
# The interrupted state, uninstalled in a copy of the root
each_time() {
  local real=$root
  rm -rf "$scratch/interrupted" && cp -a "$root" "$scratch/interrupted"
  root=$scratch/interrupted
  "$root/home/pi/ratos-flash/install.sh" --root "$root" --user pi --uninstall >/dev/null 2>&1
  [ "$(tree)" = "$before" ] || differences+="after $times kills: $(diff <(echo "$before") <(tree))"
  root=$real
}
new_root killed printer_data
# The page's files need not be copied each time.
rm -r "$pi/ratos-flash"/{docs,*.md,moonraker-component/page/*}
touch "$pi/ratos-flash/moonraker-component/page/page.html" "$root/etc/systemd/system/klipper-mcu.service"
before=$(tree)
run --user pi
after=$(tree)
run --user pi --uninstall
differences=''
killed --user pi
same "killed at each of its changes, an installation is completed by the next runs" "$after" "$(tree)"
check "it was killed at all of them ($times)" [ $times -gt 18 ]
same "and uninstall leaves nothing of it in between" "" "$differences"
each_time() { :; }
killed --user pi --uninstall
same "killed at each of its changes, uninstall is completed by the next runs" "$before" "$(tree)"
check "it was killed at all of them ($times)" [ $times -gt 18 ]
rm -f "$scratch/bin"/{mv,ln,rmdir,rm}
hash -r

echo "# an old installation"
# old COMMIT: an installation by that commit's files
old() {
  rm -rf "$pi/ratos-flash" && mkdir "$pi/ratos-flash" &&
    git -C "$here" archive "$1" install.sh config src/RatOS.Flash.Agent/99-ratos-flash.rules | tar -x -C "$pi/ratos-flash" &&
    mv "$pi/ratos-flash/src/RatOS.Flash.Agent/99-ratos-flash.rules" "$pi/ratos-flash" && rm -r "$pi/ratos-flash/src" &&
    unzip -q "$zip" ratos-flash 'moonraker-component/*' release_info.json -d "$pi/ratos-flash" || return
  run --user pi
  [ "$result" = 0 ] && [ -e "$root/etc/systemd/system/ratos-flash.service" ]
}
unmined() { tree | grep -v '/ratos-flash\.conf'; }   # your settings are written once
for commit in 0fe12a35 0111547d; do
  if ! git -C "$here" cat-file -e "$commit:install.sh" 2>/dev/null; then
    skip "this history has no commit $commit, whose installation would be upgraded"
    continue
  fi
  new_root "old$commit" printer_data
  mkdir "$root/usr/lib/x86_64-linux-gnu"
  touch "$root/usr/lib/x86_64-linux-gnu"/{libusb-1.0.so.0,libssl.so.3}   # which those looked for
  before=$(tree)
  run --user pi
  after=$(unmined)
  run --user pi --uninstall
  if old "$commit"; then ok "the installer of $commit installs"; else not_ok "the installer of $commit installs" "$said"; fi
  rm -rf "$pi/ratos-flash" && unzip -q "$zip" -d "$pi/ratos-flash"
  expect 0 "it is upgraded" --user pi
  same "to what a new installation is" "$after" "$(unmined)"
  expect 0 "and uninstalled" --user pi --uninstall
  same "without a trace" "$before" "$(tree)"
done

echo "# Mainsail's navigation"
new_root navigation printer_data
navi=$pi/printer_data/config/.theme/navi.json
mkdir "${navi%/*}"
link='{"title": "Firmware", "href": "/server/ratos_flash/page"'
# shellcheck disable=SC2016
for list in '[]' '[ ]' $'[\n  {"title": "Köln [1], {2}", "href": "/a", "x": ["]", 1.50]},\n  7\n]\n' $'\n [{"href": "/b"}]' $'[\r\n"/server/ratos_flash"]\r\n'; do
  printf %s "$list" >"$navi"
  chmod 640 "$navi"
  before=$(tree)
  run --user pi
  same "the page is added before $(json x <<<"$list")" "$(json x <<<"$list")" "$(json 'x[1:]' <"$navi")"
  check "as a link, in a file with the same mode" eval "grep -qF '$link' '$navi' && [ \"\$(stat -c %a '$navi')\" = 640 ]"
  after=$(tree)
  run --user pi
  same "and not a second time" "$after" "$(tree)"
  run --user pi --uninstall
  same "and removed without a trace" "$before" "$(tree)"
done
for list in '{"a": 1}' '"/server/ratos_flash/page"' '[' '' $'[\xff]' '[{"href": 1},]'; do
  printf %s "$list" >"$navi"
  before=$(sha256sum <"$navi")
  run --user pi
  same "no list is left unchanged: $(printf %q "$list")" "$before" "$(sha256sum <"$navi")"
  says "and named" "navi.json is no list of links"
  run --user pi --uninstall
  same "and uninstall leaves it, too" "$before" "$(sha256sum <"$navi")"
done
printf '[{"href": "/a"}]' >"$navi"
run --user pi
json '[{"title": "Twice", "href": "/server/ratos_flash/page"}, {"href": "/new"}] + x' <"$navi" >"$navi.new" && mv "$navi.new" "$navi"
run --user pi
run --user pi --uninstall
same "links of yours stay, also after an edit" '[{"href":"/new"},{"href":"/a"}]' "$(json x <"$navi")"
says "and the copy from before, which is named" "navi.json.ratos-flash-backup"
rm -r "${navi%/*}"
run --user pi
json 'x + [{"href": "/new"}]' <"$navi" >"$navi.new" && mv "$navi.new" "$navi"
run --user pi --uninstall
same "a list that was created stays with a link of yours" '[{"href":"/new"}]' "$(json x <"$navi")"
rm "$navi" && mkdir "${navi%/*}/.git"
run --user pi
check "a theme that is a git repository is left alone" [ ! -e "$navi" ]
run --user pi --uninstall
rm -r "${navi%/*}" "$pi/mainsail"
run --user pi
check "without Mainsail there is no theme" [ ! -e "${navi%/*}" ]
mkdir "${navi%/*}" && echo '[]' >"$navi"
printf '#!/bin/sh\nexit 127\n' >"$scratch/bin/python3" && chmod 755 "$scratch/bin/python3"
run --user pi
same "without Python the list is left alone" '[]' "$(cat "$navi")"
says "and that is reported" "navi.json is no list of links"
rm "$scratch/bin/python3"

echo "# two printers on one computer"
new_root two printer_1_data printer_left_data
before=$(tree)
expect 0 "it installs for both" --user pi
same "each has its unit" "ratos-flash-1.service ratos-flash-left.service" "$(cd "$root/etc/systemd/system" && echo ratos-flash*)"
check "each unit has its own folder and its own Moonraker" eval "grep -qx 'After=moonraker-left.service' '$root/etc/systemd/system/ratos-flash-left.service' && grep -q -- '--data /home/pi/printer_left_data$' '$root/etc/systemd/system/ratos-flash-left.service'"
check "each Moonraker restarts its own" eval "grep -qx 'managed_services: ratos-flash-1 moonraker' '$pi/printer_1_data/config/ratos-flash-moonraker.conf' && grep -qx ratos-flash-1 '$pi/printer_1_data/moonraker.asvc'"
both=$(tree)
run --user pi --uninstall --data /home/pi/printer_1_data
check "one is uninstalled, and the other keeps the shared parts" [ -L "$pi/moonraker/moonraker/components/ratos_flash.py" -a ! -e "$root/etc/systemd/system/ratos-flash-1.service" ]
run --user pi --data /home/pi/printer_1_data
same "one is installed again" "$both" "$(tree)"
run --user pi --uninstall --dry-run
promised=$(grep -c '^  would ' <<<"$said")
expect 0 "both uninstall" --user pi --uninstall
same "a dry run printed each step of both" "$promised" "$(grep -c '^  ' <<<"$said")"
same "no trace is left" "$before" "$(tree)"
printer odd-place
run --user pi --data /home/pi/odd-place
check "a data folder of another name gives the unit its own" [ -e "$root/etc/systemd/system/ratos-flash-odd-place.service" ]
run --user pi --uninstall
check "uninstall finds it by its unit" [ ! -e "$root/etc/systemd/system/ratos-flash-odd-place.service" ]
refused "two folders of one name are refused" "would have one service" --user pi --data /home/pi/odd-place --data /home/pi/odd-place/

echo "# Klipper's process on this computer"
new_root host printer_data
host=$root/etc/systemd/system/ratos-flash-host-mcu.service
before=$(tree)
run --user pi
check "without such a service the unit is not installed" [ ! -e "$host" -a ! -e "$root/usr/local/lib/ratos-flash" ]
expect 0 "--host-mcu installs it" --user pi --host-mcu
check "the unit has this printer's folder and one target" grep -qx 'ExecStart=/bin/bash /usr/local/lib/ratos-flash/host-mcu pi /home/pi/printer_data/ratos-flash/host-mcu /usr/local/bin/klipper_mcu' "$host"
same "Moonraker may start it" ratos-flash-host-mcu "$(grep -x ratos-flash-host-mcu "$pi/printer_data/moonraker.asvc")"
script=$root/usr/local/lib/ratos-flash/host-mcu
same "only the owner, root, may write script, unit and their folders" "" "$(find "$script" "$host" "${script%/*}" "${host%/*}" -perm /022)"
check "root runs nothing from a folder of the user" eval "! grep -E '^Exec|^Environment' '$host' | sed 's| pi /home/pi/printer_data/ratos-flash/host-mcu | |' | grep /home"
after=$(tree)
run --user pi
same "a repeated installation keeps it" "$after" "$(tree)"
run --user pi --no-host-mcu
check "--no-host-mcu removes it" [ ! -e "$host" ]
run --user pi --uninstall
same "uninstall leaves no trace of it" "$before" "$(tree)"
touch "$root/etc/systemd/system/klipper-mcu.service"
run --user pi
check "where the process is a service, the unit is installed automatically" [ -e "$host" ]
if command -v systemd-analyze >/dev/null; then
  sed "s|/usr/local/lib/ratos-flash|$root/usr/local/lib/ratos-flash|" "$host" >"$scratch/ratos-flash-host-mcu.service"
  same "systemd finds no fault in that unit" "" "$(systemd-analyze verify "$scratch/ratos-flash-host-mcu.service" 2>&1)"
  check "its exposure is at most that of the agent" systemd-analyze security --offline=true --no-pager --threshold=25 "$scratch/ratos-flash-host-mcu.service"
fi
mkdir -p "$pi/printer_host-mcu_data/config"
refused "a data folder whose service would have the same name" "is not accepted: its service" --user pi --data /home/pi/printer_host-mcu_data

echo "# which programs the unit accepts"
# Run by root the user is another one: the folder is read with that user's rights.
who=$(id -un) && [ "$who" != root ] || who=nobody
chmod 755 "$scratch"
bin=$scratch/box/bin in=$scratch/box/in
mkdir -p "$bin" "$in"
[ "$(id -u)" != 0 ] || chown "$who" "$in"
token=0123456789abcdef
dictionary() { printf '%s' "$1" | gzip -9 | tail -c +11 | { printf 'x\332' && cat; }; }
program() { { head -c 64 /bin/sh && head -c 20000 /dev/zero && dictionary "{\"config\":{\"MCU\":\"${1:-linux}\"},\"version\":\"${2:-v1}\"}" && head -c 300 /dev/zero; }; }
ask() { # ORDER: what it answered
  rm -f "$in/result"
  echo "$1 $token" >"$in/request"
  said=$(timeout 60 bash "$script" "$who" "$in" "$bin/klipper_mcu" 2>&1)
  result=$?
  said=$(cat "$in/result" 2>&1)$'\n'$said
}
# declined NAME TEXT: refused with TEXT, and the installed program is unchanged
declined() {
  local before
  before=$(cd "$bin" && sha256sum -- *)
  ask install
  if [ "$result" != 0 ] && grep -q "^$token refused: .*$2" <<<"$said" && [ "$(cd "$bin" && sha256sum -- *)" = "$before" ]; then ok "$1"; else not_ok "$1" "ended with $result: $said"; fi
}
program linux v1 >"$in/klipper_mcu.new"
ask install
same "Klipper's own process is accepted" "$token done" "$(head -n 1 <<<"$said")"
check "unchanged, executable, and no other file is left" eval "cmp '$in/klipper_mcu.new' '$bin/klipper_mcu' && [ -x '$bin/klipper_mcu' ] && [ \"\$(ls '$bin')\" = klipper_mcu ]"
program linux v2 >"$in/klipper_mcu.new"
ask install
check "the next one keeps the previous one" eval "cmp '$in/klipper_mcu.new' '$bin/klipper_mcu' && program linux v1 | cmp - '$bin/klipper_mcu.previous'"
ask restore
check "which a request restores" eval "program linux v1 | cmp - '$bin/klipper_mcu' && [ \"\$(ls '$bin' | wc -l)\" = 2 ]"
ask restore
check "also when it is installed already" eval "[ '$result' = 0 ] && program linux v1 | cmp - '$bin/klipper_mcu'"
program linux v3 >"$in/klipper_mcu.new"
ask install
check "and after that another one is accepted" eval "program linux v3 | cmp - '$bin/klipper_mcu' && program linux v1 | cmp - '$bin/klipper_mcu.previous'"
program stm32f446xx >"$in/klipper_mcu.new"
declined "a firmware for a chip" "it is not Klipper's Linux process"
head -c 30000 /bin/sh >"$in/klipper_mcu.new"
declined "any other program" "it is not Klipper's Linux process"
program | tail -c +2 >"$in/klipper_mcu.new"
declined "a file that is no ELF" "it is no ELF program"
: >"$in/klipper_mcu.new"
declined "an empty file" "it is no ELF program"
program >"$in/klipper_mcu.new" && printf '\363\0' | dd of="$in/klipper_mcu.new" bs=1 seek=18 conv=notrunc status=none
declined "a program for a RISC-V" "another kind of computer"
program >"$in/klipper_mcu.new" && printf '\1' | dd of="$in/klipper_mcu.new" bs=1 seek=4 conv=notrunc status=none
declined "a program of 32 bits" "another kind of computer"
{ program && head -c 17M /dev/zero; } >"$in/klipper_mcu.new"
declined "a program that is too big" "more than 16777216 bytes"
rm "$in/klipper_mcu.new" && program >"$scratch/box/real" && ln -s "$scratch/box/real" "$in/klipper_mcu.new"
declined "a link, even to an acceptable program" "no plain file"
rm "$in/klipper_mcu.new" && mkfifo "$in/klipper_mcu.new"
declined "a pipe, without waiting" "it is no ELF program"
rm "$in/klipper_mcu.new" && mkdir "$in/klipper_mcu.new"
declined "a folder" "no plain file"
rmdir "$in/klipper_mcu.new"
declined "a missing file" "no plain file"
if [ "$(id -u)" = 0 ]; then
  program >"$in/klipper_mcu.new" && chmod 600 "$in/klipper_mcu.new"
  declined "a file that the user may not read, though root may" "no plain file"
  rm "$in/klipper_mcu.new"
  echo secret >"$scratch/box/secret" && chmod 600 "$scratch/box/secret"
  ln -sfn "$scratch/box/secret" "$in/result"
  before=$(sha256sum <"$scratch/box/secret")
  ask restore
  ln -sfn "$scratch/box/secret" "$in/result~"
  ask restore
  same "an answer does not overwrite a file that the user may not write" "$before" "$(sha256sum <"$scratch/box/secret")"
  rm -f "$in/result~" "$in/result"
else
  skip "not root: reading files with the user's rights was not tested"
fi
# shellcheck disable=SC2016
for request in '' 'install' 'install 0123' "install $token; touch $scratch/pwned" "erase $token" '$(touch pwned)' "install ../../../../etc"; do
  rm -f "$in/result"
  echo "$request" >"$in/request"
  check "a request '$request' is refused" eval "! bash '$script' '$who' '$in' '$bin/klipper_mcu' && [ ! -e '$in/result' ]"
done
rm "$in/request" && mkfifo "$in/request"
check "a pipe in place of the request is refused too" eval "! timeout 10 bash '$script' '$who' '$in' '$bin/klipper_mcu'"

echo "# the running system"
# settle SYSTEM...: the last part of install.sh in a system where the words are true: enabled, loaded (the component), current (the program).
settle() {
  sed -n '/^moonraker_port() {/,/^component=/p' "$here/install.sh" | sed '$d' >"$scratch/settle.sh"
  # shellcheck disable=SC2016
  said=$(STATE=" $* " CHECK=${CHECK:-} bash -c '
    changes=0 uninstall= check=$CHECK data=(/home/pi/printer_data) printer=/home/pi/printer_data notes=()
    step() { if [ -z "$CHECK" ]; then echo "step $1"; else echo "difference $2"; fi; }
    note() { echo "note $*"; }
    as() { shift; "$@" >/dev/null; }
    suffix_of() { :; }
    configuration() { :; }
    udevadm() { :; }
    systemctl() { case $* in is-enabled*) [[ $STATE = *" enabled "* ]] ;; "restart moonraker") STATE+=" loaded " ;; esac; }
    dry=""
    . "$1"
    agent_fault() { [[ $STATE = *" current "* ]] || echo "it does not run"; }
    get() { case $* in
      *server/info*) echo "{\"components\": [\"file_manager\"$([[ $STATE != *" loaded "* ]] || echo ", \"ratos_flash\"")], \"x\": 1}" ;;
      *) echo "{\"print_stats\": {\"state\": \"standby\"}}" ;;
    esac; }
    settle' bash "$scratch/settle.sh" 2>&1)
}
settle enabled loaded current
same "a running system at its end state is left alone" "" "$said"
settle loaded current
same "a service that an interrupted run did not enable is enabled" "step enable the service ratos-flash" "$said"
settle enabled current
same "Moonraker that did not load the component is restarted" "step restart Moonraker (moonraker)" "$said"
settle enabled loaded
same "an agent that does not run is started" "step start the service ratos-flash (a write that has begun is finished first)" "$said"
CHECK=yes settle enabled current
same "--check names a Moonraker without the component" "difference Moonraker (moonraker) has not loaded the component" "$said"
CHECK=yes settle enabled loaded
same "and an agent that does not run" "difference it does not run" "$said"
# fault PID PROGRAM: what is said of an agent with that process, where that program is installed
fault() {
  { sed -n '/^agent_fault() {/,/^}/p' "$here/install.sh" && echo "systemctl() { echo $1; }; binary=$2; agent_fault ratos-flash"; } >"$scratch/fault.sh"
  bash "$scratch/fault.sh"
}
same "an agent that runs the installed program is right" "" "$(fault $$ "/proc/$$/exe")"
same "one that runs a replaced program is named" "the service ratos-flash runs another version of the program than the installed one" "$(fault $$ /bin/cat)"
same "one without a process, too" "the service ratos-flash does not run" "$(fault 0 /bin/cat)"
settle
says "without all of it, the service is enabled" "step enable the service ratos-flash"
says "Moonraker restarted" "step restart Moonraker (moonraker)"
says "and the agent started" "step start the service ratos-flash"
if [ -d /run/systemd/system ]; then
  skip "systemd runs here"
else
  said=$("$copy/install.sh" --user daemon 2>&1)
  says "without systemd it says so before it changes anything" "systemd does not run on this computer"
fi

echo "# the last question"
# last_question ANSWER [IDENTITIES]: the question at a terminal, with a program that says how it is called.
last_question() {
  mkdir -p "$scratch/asked/ratos-flash"
  echo "${2:-}" >"$scratch/asked/ratos-flash/mcus.json"
  {
    # shellcheck disable=SC2016
    printf '%s\n' "data=('$scratch/asked') user=pi binary=called yes=" 'as() { shift; "$@"; }' 'called() { echo "called $*"; }'
    sed -n '/^ask_boards() {/,/^}/p' "$here/install.sh"
    echo ask_boards
  } >"$scratch/ask.sh"
  said=$(printf '%s\n' "$1" | script -qec "bash '$scratch/ask.sh'" /dev/null 2>&1)
}
last_question y
says "a yes asks the boards" "called identify --data $scratch/asked"
last_question n
says "a no says how to ask later" "ratos-flash identify"
same "and asks nothing" "" "$(grep -o called <<<"$said")"
last_question y '{"identities": []}'
same "boards that were asked before are not asked again" "y" "$(tr -d '\r' <<<"$said")"
sed -i 's/ yes=$/ yes=yes/' "$scratch/ask.sh"
said=$(bash "$scratch/ask.sh" </dev/null 2>&1)
same "with --yes nothing is asked" "" "$said"

echo "# root's rights"
# rights ID YES SUDO: the problems of a user of that id, where the function sudo does SUDO
rights() {
  {
    sed -n '/^check_root() {/,/^}/p; /^problem() {/p' "$here/install.sh"
    echo "id() { case \$1 in -u) echo $1 ;; *) echo pi ;; esac; }"
    echo "problems=() root= dry_run= check= user=pi here=/home/pi/ratos-flash yes=$2"
    # shellcheck disable=SC2016
    printf '%s\n' "$3" check_root 'printf "%s\n" "${problems[@]}"'
  } >"$scratch/rights.sh"
  said=$(PATH=/nowhere /bin/bash "$scratch/rights.sh" 2>&1)
}
rights 0 yes ''
same "root needs no sudo" "" "$said"
rights 1000 '' ''
says "without sudo the problem names root" "sudo is not installed"
# shellcheck disable=SC2016
rights 1000 yes 'sudo() { [ "$1" = -n ]; }'
same "sudo without a password is enough" "" "$said"
rights 1000 yes 'sudo() { echo "asked $*" && false; }'
says "a password is not asked for without a terminal" "sudo needs a password, which is not asked for here"
same "but by no way" 0 "$(grep -c '^asked -[^n]' <<<"$said")"
# shellcheck disable=SC2016
rights 1000 '' 'sudo() { [ "$1" = -p ] && shift 2 && [ "$*" = "-H -u root -- bash -c :" ]; }'
same "at a terminal it is" "" "$said"
# shellcheck disable=SC2016
rights 1000 '' 'sudo() { [ "$1" = -v ]; }'
says "a user who may run one other program is refused" "sudo refuses them to pi"
rights 1000 '' 'sudo() { false; }'
says "a user without sudo's rights is told before anything is changed" "sudo refuses them to pi"
rights 1000 yes 'sudo() { echo "sudo $*"; }; as() { :; }'
{ sed -n '/^as() {/,/^}/p' "$here/install.sh" && echo 'sudo() { echo "sudo $*"; }; id() { echo 1000; }; dry="" root="" home=/home/pi yes=yes; as root true; yes=""; as root true'; } >"$scratch/as.sh"
same "steps ask for no password with --yes" $'sudo -n -H -u root -- true\nsudo -H -u root -- true' "$(bash "$scratch/as.sh")"

echo "# the page's address"
# address [PORT]: the address, where nginx passes that port on to this printer's Moonraker
address() {
  {
    sed -n '/^page=/p; /^page_address() {/,/^}/p' "$here/install.sh"
    # shellcheck disable=SC2016
    printf '%s\n' "nginx=$root" 'hostname() { echo "${HOST:-192.168.1.7} 10.0.0.1"; }' 'moonraker_port() { echo "${OWN:-7125}"; }' \
      "get() { [ \"\$1\" != '${1:-}' ] || echo '[{\"name\": \"config\", \"path\": \"/home/pi/printer_data/config\"}]'; }" \
      'shopt -s nullglob lastpipe; set -euo pipefail; printer=/home/pi/printer_data root=' page_address
  } >"$scratch/address.sh"
  # shellcheck disable=SC2016
  said=$(sed 's|"$root"/etc/nginx|"$nginx"/etc/nginx|' "$scratch/address.sh" | bash 2>&1)
}
new_root address printer_data
address
same "without a front end it is Moonraker's" http://192.168.1.7:7125/server/ratos_flash/page "$said"
HOST=fd00::7 OWN=7126 address
same "with its own port, also on an IPv6 network" "http://[fd00::7]:7126/server/ratos_flash/page" "$said"
mkdir -p "$root/etc/nginx/sites-enabled"
printf 'server {\n    listen 80 default_server;\n    listen [::]:80;\n}\n' >"$root/etc/nginx/sites-enabled/mainsail"
printf 'server {\n  listen 8080;\n}\n' >"$root/etc/nginx/sites-enabled/fluidd"
address 80
same "a front end's port is used" http://192.168.1.7/server/ratos_flash/page "$said"
address 8080
same "if it leads to this printer's Moonraker" http://192.168.1.7:8080/server/ratos_flash/page "$said"
address
same "and else not" http://192.168.1.7:7125/server/ratos_flash/page "$said"
run --user pi
says "an installation ends with it" "1. Open the page: http://"
says "and the next steps" "2. Press Restart in Mainsail or Fluidd"
same "of which there are three" 3 "$(grep -c '^[0-9]\. ' <<<"$said")"

echo "# everything in the way at once"
new_root ways printer_data printer_b_data
rm -r "$pi/moonraker" "$pi/printer_b_data/config/moonraker.conf" "$pi/printer_data/moonraker.asvc"
sed -i /plugdev/d "$root/etc/group"
CLOCK=1970-01-01 refused "one run says all of it" "5 problems. Nothing was changed." --user pi
for text in "Moonraker was not found in /home/pi/moonraker" "Name its folder: --moonraker DIR" "/home/pi/printer_b_data/config has no moonraker.conf" "/home/pi/printer_data has no moonraker.asvc" \
  "sudo groupadd --system plugdev" "this computer's clock says 1970-01-01" "sudo date -s"; do
  says "$text" "$text"
done
CLOCK=1970-01-01 refused "also --check" "5 problems" --user pi --check
sed -i 's|/home/pi|/home/my pi|' "$root/etc/passwd" && mv "$pi" "$root/home/my pi"
said=$("$root/home/my pi/ratos-flash/install.sh" --root "$root" --user pi 2>&1)
says "a home with a blank" "the home folder '/home/my pi' is not accepted"

new_root mixed printer_data
touch "$pi/ratos-flash/notes.txt"
refused "a release's folder with a file of yours" "holds other files, such as notes.txt" --user pi
rm "$pi/ratos-flash/notes.txt"
touch "$pi/ratos-flash/.hidden"
refused "a release's folder with other files, which an update would delete" "holds other files, such as .hidden" --user pi
rm "$pi/ratos-flash/.hidden"
cp -r "$pi/ratos-flash/." "$pi"
said=$("$pi/install.sh" --root "$root" --user pi 2>&1)
says "such as the home folder" "the folder /home/pi holds other files, such as "
expect 0 "its own files are none" --user pi

echo "# refused arguments"
new_root hostile printer_data
cd "$scratch/bin" || exit 1
# shellcheck disable=SC2016
for name in 'pi;touch pwned' '$(touch pwned)' '../pi' '-pi' $'pi\nUser=root' 'pi pi' '%u'; do
  refused "a user called $(printf %q "$name")" "is not accepted as a user name" --user "$name"
done
refused "root" "the agent does not run as root" --user root
refused "a user who is not here" "there is no user 'anna'" --user anna
# shellcheck disable=SC2016
for name in '/home/pi/printer_data;touch pwned' '/home/pi/$(touch pwned)' '/home/pi/../../etc' 'printer_data' $'/home/pi/printer_data\nUser=root' '/home/pi/my printer' '/home/pi/%h' '/home/pi/a"b' "/home/pi/a'b" '/home/pi/a|b' '/home/pi/a&b' '/home/pi/a@USER@'; do
  [[ $name != /* ]] || mkdir -p "$root$name/config"
  refused "a data folder called $(printf %q "$name")" "is not accepted" --user pi --data "$name"
done
refused "a relative folder of Moonraker's" "--moonraker 'moonraker' is not accepted" --user pi --moonraker moonraker
refused "a folder without a printer" "it has no folder config" --user pi --data /home/pi/nothing
mv "$pi/ratos-flash" "$pi/my flash"
said=$("$pi/my flash/install.sh" --root "$root" --user pi 2>&1)
says "a program in a folder with a blank" "is not accepted"
mv "$pi/my flash" "$pi/ratos-flash"
check "no name was run as a command" eval "! find '$scratch' -name 'pwned*' -type f | grep ."
expect 2 "an unknown option" --frobnicate
expect 0 "--help" --help
says "--help lists the options" "--uninstall"
refused "an option without its value" "needs a value" --user
refused "this computer's own root" "leave the option out" --root /

MACHINE=riscv64 refused "an unsupported processor" "there is no version of RatOS.Flash for the processor riscv64" --user pi
mv "$pi/ratos-flash/ratos-flash" "$scratch/program"
refused "a zip without its program" "the program ratos-flash is missing beside install.sh" --user pi
printf '#!/bin/sh\necho "version GLIBC_2.99 not found" >&2\nexit 1\n' >"$pi/ratos-flash/ratos-flash" && chmod 755 "$pi/ratos-flash/ratos-flash"
refused "a program that does not run here" "the program does not run here" --user pi
refused "such a program, also in a dry run" "the program does not run here" --user pi --dry-run
mv "$scratch/program" "$pi/ratos-flash/ratos-flash"
sed -i /plugdev/d "$root/etc/group"
refused "a system without the group plugdev" "this system has no group plugdev" --user pi
echo plugdev:x:46: >>"$root/etc/group"
refused "a Moonraker that is elsewhere" "Moonraker was not found in /opt/moonraker" --user pi --moonraker /opt/moonraker
rm "$pi/printer_data/moonraker.asvc"
refused "a Moonraker that never ran" "has no moonraker.asvc" --user pi

echo "# a 32-bit system"
new_root bits printer_data
# The kernel refuses a program of 64 bits, if its own bits are 32.
# shellcheck disable=SC2016
printf '#!/bin/sh\ncase $(uname -m) in armv[67]l|i686) echo "cannot execute binary file: Exec format error" >&2; exit 126 ;; esac\necho 0.1.0\n' >"$pi/ratos-flash/ratos-flash"
printf '\177ELF\001\001\001' >"$root/usr/lib/systemd/systemd"
model() { printf '%s\0' "$1" >"$root/proc/device-tree/model"; }
# told NAME TEXT...: the refused run also says each TEXT
told() {
  local name=$1 text
  shift
  for text; do says "$name: $text" "$text"; done
}
model "Raspberry Pi 4 Model B Rev 1.4"
MACHINE=armv7l refused "a Pi 4 with a 32-bit kernel" "The Raspberry Pi 4 Model B Rev 1.4 has it" --user pi
told "a Pi 4" "arm_64bit=0 from /boot/config.txt" "sudo apt-get full-upgrade" "First install that kernel" "install --reinstall raspberrypi-kernel"
mkdir "$root/lib/modules/6.1.21-v8+" && touch "$root/boot/kernel8.img"
MACHINE=armv7l refused "a Pi 4 whose 64-bit kernel is there" "sudo reboot, and run this again" --user pi
same "its kernel need not be installed" 0 "$(grep -c 'First install' <<<"$said")"
same "nothing was installed before" 0 "$(grep -c 'ran here before' <<<"$said")"
for name in "Raspberry Pi 3 Model B Plus Rev 1.3" "Raspberry Pi Zero 2 W Rev 1.0" "Raspberry Pi Compute Module 3 Plus Rev 1.0" "Raspberry Pi 2 Model B Rev 1.2"; do
  model "$name"
  MACHINE=armv7l refused "a $name with a 32-bit kernel" "arm_64bit=1 under [all] at the end of /boot/config.txt" --user pi
  told "$name" "RatOS calls this experimental" "To undo it, remove the line"
done
for name in "Raspberry Pi 2 Model B Rev 1.1" "Raspberry Pi Zero W Rev 1.1" "Raspberry Pi Model B Plus Rev 1.2"; do
  model "$name"
  MACHINE=armv6l refused "a $name" "the $name has a 32-bit processor" --user pi
done
model "Orange Pi Zero"
MACHINE=armv7l refused "another board" "this computer (Orange Pi Zero) runs a 32-bit kernel (armv7l)" --user pi
rm "$root/proc/device-tree/model"
MACHINE=armv7l refused "a computer without a model" "this computer runs a 32-bit kernel (armv7l)" --user pi
MACHINE=i686 refused "a PC with a 32-bit kernel" "this computer runs a 32-bit kernel (i686)" --user pi
mkdir "$root/boot/firmware"
model "Raspberry Pi 4 Model B Rev 1.4"
MACHINE=armv7l refused "a newer image, by its own folder and package" "install --reinstall linux-image-rpi-v8" --user pi
told "a newer image" "arm_64bit=0 from /boot/firmware/config.txt"
rmdir "$root/boot/firmware"
for machine in aarch64 armv8l; do
  MACHINE=$machine expect 0 "a 32-bit system with a 64-bit kernel ($machine)" --user pi
  same "its systemd lets the program of 64 bits run ($machine)" "SystemCallArchitectures=native arm64" "$(grep '^SystemCallArch' "$root/etc/systemd/system/ratos-flash.service")"
done
MACHINE=armv7l refused "a switch back to a 32-bit kernel" "RatOS.Flash is installed, so a 64-bit kernel ran here before" --user pi
MACHINE=armv7l expect 0 "it uninstalls also then" --user pi --uninstall
printf '\177ELF\002\001\001' >"$root/usr/lib/systemd/systemd"
MACHINE=aarch64 expect 0 "a 64-bit system" --user pi
same "its unit has systemd's own architecture alone" "SystemCallArchitectures=native" "$(grep '^SystemCallArch' "$root/etc/systemd/system/ratos-flash.service")"

echo "# a checkout"
new_root checkout printer_data
rm -r "$pi/ratos-flash"
cp -r "$copy" "$pi/ratos-flash"
rm -r "$pi/ratos-flash/artifacts"
printf '#!/bin/sh\nexit 1\n' >"$scratch/bin/dotnet" && chmod 755 "$scratch/bin/dotnet"
refused "without a .NET SDK it names it" "no .NET 10 SDK" --user pi
printf '#!/bin/sh\necho "10.0.401 [/usr/share/dotnet/sdk]"\n' >"$scratch/bin/dotnet"
# shellcheck disable=SC2016
printf '#!/bin/sh\ncd "$(dirname "$0")" && mkdir -p "artifacts/$1" && printf "#!/bin/sh\\n" >"artifacts/$1/ratos-flash" && chmod 755 "artifacts/$1/ratos-flash"\n' >"$pi/ratos-flash/publish.sh"
model "Raspberry Pi 4 Model B Rev 1.4"
MACHINE=armv7l refused "it is not built for a 32-bit kernel" "this computer runs a 32-bit kernel" --user pi
expect 0 "with one it builds the program" --user pi
check "the unit starts that program" grep -q '^ExecStart=/home/pi/ratos-flash/artifacts/linux-x64/ratos-flash ' "$root/etc/systemd/system/ratos-flash.service"
check "Moonraker's update manager does not replace a checkout by a zip" eval "! grep -q update_manager '$pi/printer_data/config/ratos-flash-moonraker.conf'"

echo "# the configuration files"
# Mainsail finds a macro's fields with this expression, one for each pair of braces.
same "Mainsail shows BOARD, FORCE, HOT and CARD, and the fields of a recovery, a rollback and a bundle" "BOARD all string
FORCE 0 int
HOT 0 int
CARD 0 int
BOARD all string
HOT 0 int
BOARD  string
HOT 0 int
JOB  string" "$(sed -nE 's/.*\{%?.*params\.([A-Za-z_0-9]+)\|default\("?([^")]*)"?\)\|(int|string).*/\1 \2 \3/p' "$here/config/ratos_flash.cfg")"
check "no argument of a call has a reserved name of Klipper or Moonraker" eval "! grep -E 'action_call_remote_method.*\b(method|self|method_name|callback)=' '$here/config/ratos_flash.cfg'"
check "no text has a # or a blank before ; in it, where Klipper would end it" eval "! grep -nE '^[^#]*[^#[:space:]][^#]*(#| ;)' '$here/config/ratos_flash.cfg'"
check "KlipperScreen finds no text after a bracket" eval "! grep -nE '.+\].' '$here/config/ratos-flash-klipperscreen.conf'"
check "each macro has a description" [ "$(grep -c '^\[gcode_macro' "$here/config/ratos_flash.cfg")" = "$(grep -c '^description: .' "$here/config/ratos_flash.cfg")" ]

if command -v shellcheck >/dev/null; then
  cd "$here" || exit 1
  mapfile -t scripts < <(find . \( -name artifacts -o -name bin -o -name obj -o -name .git \) -prune -o -type f -size -100k -exec grep -lE -m 1 '^#!.*\b(ba)?sh$' {} +)
  check "shellcheck finds nothing in ${#scripts[@]} scripts" shellcheck "${scripts[@]}"
else
  skip "shellcheck is not installed"
fi

echo "install: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 100 ]

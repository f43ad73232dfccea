#!/usr/bin/env bash
# Installs RatOS.Flash: the agent as a service, its macros, menus and settings, and its Moonraker component.
# Run it as the user that runs Klipper. It uses sudo for steps that need root. Running it again is safe: it repairs what is missing and
# changes nothing else.
#
#   install.sh [options]
#     --user NAME       the user that runs Klipper; needed when root runs this without sudo
#     --data DIR        the printer's data folder, once for each printer; default: ~/printer_data and each ~/printer_NAME_data
#     --moonraker DIR   Moonraker's folder; default: ~/moonraker
#     --host-mcu        lets the agent replace Klipper's Linux process (the Raspberry Pi as MCU); default where that is a service already
#     --no-host-mcu     does not: the process runs as root, and the user could install any program there
#     --dry-run         prints the steps and changes nothing
#     --uninstall       removes everything that was installed; your edited ratos-flash.conf and your firmware files stay
#     --root DIR        treats DIR as the whole computer (for tests): nothing outside of it is touched, no service is started
#     --help
set -euo pipefail
shopt -s nullglob
export LC_ALL=C

die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

# ---- options

user='' data=() moonraker='' dry='' uninstall='' root='' host_mcu=''
while [ $# -gt 0 ]; do
  case $1 in
    --user | --data | --moonraker | --root)
      [ -n "${2:-}" ] || die "$1 needs a value (see --help)"
      case $1 in
        --user) user=$2 ;;
        --data) data+=("$2") ;;
        --moonraker) moonraker=$2 ;;
        --root) root=$2 ;;
      esac
      shift
      ;;
    --host-mcu) host_mcu=yes ;;
    --no-host-mcu) host_mcu=no ;;
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done

# The service is named after the data folder, like Klipper's and Moonraker's: printer_left_data has klipper-left.
suffix_of() {
  local name=${1##*/}
  case $name in
    printer_data) echo ;;
    printer_*_data) name=${name#printer_} && echo "-${name%_data}" ;;
    *) echo "-${name//[^A-Za-z0-9_-]/-}" ;;
  esac
}

# Names and paths go into files that systemd, Klipper and Moonraker read: names that need quoting there are refused.
plain_path() {
  [[ $2 =~ ^/[A-Za-z0-9_./+-]+$ && /$2/ != */../* ]] || die "$1 '$2' is not accepted: use a full path of letters, digits and _ . + - / only"
}

if [ -n "$root" ]; then
  root=$(realpath -e -- "$root") || die "--root: there is no such folder"
  [ "$root" != / ] || die "--root / would be this computer itself: leave the option out"
fi
system=$root/etc/systemd/system

has_systemd() { [ -d /run/systemd/system ]; }

[ -n "$root$uninstall" ] || has_systemd ||
  die "systemd does not run on this computer, and the agent is a service of systemd. Nothing was changed"

if [ -z "$user" ]; then
  user=$(id -un)
  [ "$user" != root ] || user=${SUDO_USER:-root}
fi
[[ $user =~ ^[A-Za-z_][A-Za-z0-9_.-]{0,31}$ ]] || die "'$user' is not accepted as a user name"
[ "$user" != root ] || die "the agent does not run as root. Run this as the user that runs Klipper, or name that user: --user pi"
home=$(if [ -n "$root" ]; then cat "$root/etc/passwd"; else getent passwd "$user" || true; fi | awk -F: -v "user=$user" '$1 == user { print $6 }')
[ -n "$home" ] || die "there is no user '$user' here"
plain_path "the home folder" "$home"

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd -P)
moonraker=${moonraker:-$home/moonraker}
plain_path --moonraker "$moonraker"

if [ ${#data[@]} = 0 ] && [ -n "$uninstall" ]; then
  # The folders that were named at installation.
  for unit in "$system"/ratos-flash*.service; do
    if grep -qxF "User=$user" "$unit"; then data+=("$(sed -n 's/^ExecStart=.* --data //p' "$unit")"); fi
  done
fi
if [ ${#data[@]} = 0 ]; then
  for config in "$root$home"/printer_data/config "$root$home"/printer_*_data/config; do
    config=${config%/config}
    [ ! -d "$config/config" ] || data+=("${config#"$root"}")
  done
fi
[ ${#data[@]} -gt 0 ] || die "there is no printer in $home: no folder printer_data with a folder config in it. Name its folder: --data DIR"
for i in "${!data[@]}"; do
  plain_path --data "${data[i]}"
  data[i]=$(realpath -ms -- "${data[i]}")
  [[ $(suffix_of "${data[i]}") != -host-mcu* ]] || die "a data folder ${data[i]##*/} is not accepted: its service would have the name of another service of RatOS.Flash"
  [ -d "$root${data[i]}/config" ] || [ -n "$uninstall" ] || die "${data[i]} is no printer's data folder: it has no folder config"
done

[ "$(for one in "${data[@]}"; do suffix_of "$one"; done | sort -u | wc -l)" = ${#data[@]} ] ||
  die "two of these data folders would have one service, because it is named after the folder. Name each folder once, with different names"

# ---- steps: each is printed and runs as the user or as root; a dry run only prints

changes=0 has_macros=
step() {
  changes=$((changes + 1))
  printf '  %s\n' "${dry:+would }$*"
}
note() { notes+=("$*"); }
notes=()

# as ACCOUNT COMMAND...
as() {
  local account=$1
  shift
  if [ -n "$dry" ]; then
    return
  elif [ -n "$root" ] || [ "$(id -un)" = "$account" ]; then
    "$@"
  elif [ "$(id -u)" = 0 ]; then
    runuser -u "$account" -- env "HOME=$home" "$@"
  elif command -v sudo >/dev/null; then
    sudo -H -u "$account" -- "$@"
  else
    die "this step needs the user $account, and sudo is not installed: run this as root, with --user $user"
  fi
}

# put ACCOUNT FILE: the file with the text on standard input
put() {
  local account=$1 file=$2 text
  text=$(cat && echo .) # the dot keeps the last line's end
  if [ -f "$root$file" ] && [ "$(cat "$root$file" && echo .)" = "$text" ]; then return; fi
  step "write $file"
  [ -z "$dry" ] || return 0
  as "$account" mkdir -p -- "$root${file%/*}"
  printf %s "${text%.}" | as "$account" tee -- "$root$file" >/dev/null
  as "$account" chmod 644 -- "$root$file"
}

# link ACCOUNT TARGET LINK
link() {
  local account=$1 target=$2 link=$3
  if [ "$(readlink "$root$link" || true)" = "$target" ]; then return; fi
  if [ -e "$root$link" ] && [ ! -L "$root$link" ]; then
    note "$link is your own file and was left unchanged. RatOS.Flash's file is $target."
    return
  fi
  step "link $link to $target"
  as "$account" ln -sfnT -- "$target" "$root$link"
}

# drop ACCOUNT FILE...: removes those that exist
drop() {
  local account=$1 file
  shift
  for file; do
    if [ -e "$root$file" ] || [ -L "$root$file" ]; then
      step "remove $file"
      as "$account" rm -rf -- "$root$file"
    fi
  done
}

# rewrite FILE: replaces its text by standard input, atomically, with the same mode and owner
rewrite() {
  local real
  real=$(readlink -f "$root$1")
  as "$user" cp -p -- "$real" "$real.ratos-flash-new"
  as "$user" tee -- "$real.ratos-flash-new" >/dev/null
  as "$user" mv -fT -- "$real.ratos-flash-new" "$real"
}

# (Nothing here reads a pipe with grep -q: it exits early, and the writer's broken pipe would count as a mismatch.)
has_line() { [ -f "$root$1" ] && sed 's/[[:space:]]*$//' "$root$1" | grep -xF -- "$2" >/dev/null; }

# add_line FILE LINE: on top, where it belongs to no section and a missing last line end does not matter
add_line() {
  if has_line "$1" "$2"; then return; fi
  step "add the line $2 on top of $1"
  [ -z "$dry" ] || return 0
  { printf '%s\n' "$2" && cat -- "$root$1"; } | rewrite "$1"
}

remove_line() {
  local pattern
  if ! has_line "$1" "$2"; then return; fi
  step "remove the line $2 from $1"
  [ -z "$dry" ] || return 0
  pattern=$(printf %s "$2" | sed 's/[][\.*^$/]/\\&/g')
  sed "/^${pattern}[[:space:]]*\$/d" "$root$1" | rewrite "$1"
}

# Keeps a copy of your file, once, before the first edit.
keep() {
  if [ ! -e "$root$1.ratos-flash-backup" ]; then
    step "keep a copy: $1.ratos-flash-backup"
    as "$user" cp -p -- "$root$1" "$root$1.ratos-flash-backup"
  fi
}

# Removes the copy if only our lines were changed since.
unkeep() {
  local copy=$1.ratos-flash-backup
  if [ ! -e "$root$copy" ]; then
    return
  elif [ -z "$dry" ] && ! cmp -s "$root$1" "$root$copy"; then
    note "$1 was edited since the installation, so the copy from before is left: $copy"
  else
    drop "$user" "$copy"
  fi
}

# reached FILE: the file and every file that it includes, resolved like Klipper and Moonraker do
declare -A seen=()
reached() {
  local file=$1 pattern found name
  name=$(realpath -m -- "$file")
  if [ -n "${seen[$name]:-}" ] || [ ! -f "$file" ]; then return; fi
  seen[$name]=1
  printf '%s\n' "$file"
  while IFS= read -r pattern; do
    case $pattern in
      /*) pattern=$root$pattern ;;
      *) pattern=${file%/*}/$pattern ;;
    esac
    while IFS= read -r found; do reached "$found"; done < <(compgen -G "$pattern")
  done < <(sed -nE 's/^[[:space:]]*\[include[[:space:]]+([^]#]*[^]#[:space:]])[[:space:]]*\].*/\1/p' "$file")
}

# configuration FILE: its text and the text of all included files, without our own
configuration() { reached "$root$1" | while IFS= read -r file; do [[ $file = */ratos-flash-moonraker.conf ]] || cat -- "$file"; done; }

# include FILE NAME: adds the line that includes NAME, unless a pattern already does. Moonraker does not start if a file is included twice.
include() {
  if reached "$root$1" | grep -xF -- "$root${1%/*}/$2" >/dev/null; then return; fi
  keep "$1"
  add_line "$1" "[include $2]"
}

# ---- the page in Mainsail's navigation

page=/server/ratos_flash/page
page_link='{"title": "Firmware", "href": "'$page'", "target": "_self", "position": 85, "icon": "M9 2v3H7a2 2 0 0 0-2 2v2H2v2h3v2H2v2h3v2a2 2 0 0 0 2 2h2v3h2v-3h2v3h2v-3h2a2 2 0 0 0 2-2v-2h3v-2h-3v-2h3V9h-3V7a2 2 0 0 0-2-2h-2V2h-2v3h-2V2zM13 8l-1 3h3l-4 5 1-4H9z"}'

# navigation add|remove FILE: its text with or without the page, all else unchanged; fails where that is no list. (Moonraker needs Python too.)
navigation() {
  python3 - "$1" "$root$2" "$page_link" 2>/dev/null <<'END'
import json, sys
verb, path, link = sys.argv[1:]
with open(path, encoding="utf-8", newline="") as file:
    text = file.read()
entries = json.loads(text)
assert isinstance(entries, list)
ours = [isinstance(entry, dict) and entry.get("href") == json.loads(link)["href"] for entry in entries]
at = text.index("[") + 1
if verb == "add" and not any(ours):
    text = text[:at] + link + ("," if entries else "") + text[at:]
if verb == "remove":
    for is_ours in ours:
        while text[at] in " \t\r\n,":
            at += 1
        end = json.JSONDecoder().raw_decode(text, at)[1]
        after = text[end:].lstrip()
        if not is_ours:
            at = end
        elif after.startswith(","):
            text = text[:at] + after[1:]
        else:
            text = text[:at].rstrip().removesuffix(",") + text[end:]
sys.stdout.buffer.write(text.encode())
END
}

install_navigation() {
  local file=$printer/config/.theme/navi.json text
  [ -d "$root$home/mainsail" ] || [ -d "$root${file%/*}" ] || return 0
  # RatOS's theme is a git repository with this file in it. An edit would stop its updates.
  if ratos_command >/dev/null || [ -e "$root${file%/*}/.git" ]; then return; fi
  if [ ! -e "$root$file" ]; then
    put "$user" "$file" <<<"[$page_link]"
    return
  fi
  text=$(navigation add "$file" && echo .) || {
    note "$file is no list of links that can be read, so it was left unchanged. The page of RatOS.Flash is at $page"
    return
  }
  if [ "$text" = "$(cat "$root$file" && echo .)" ]; then return; fi
  keep "$file"
  step "add the page to Mainsail's navigation: $file"
  [ -n "$dry" ] || printf %s "${text%.}" | rewrite "$file"
}

uninstall_navigation() {
  local file=$printer/config/.theme/navi.json text
  grep -qsF "\"$page\"" "$root$file" || return 0
  text=$(navigation remove "$file" && echo .) || {
    note "$file is no list of links that can be read, so it was left unchanged. It names $page"
    return
  }
  if [ ! -e "$root$file.ratos-flash-backup" ] && [ "$(tr -d '[:space:]' <<<"$text")" = '[].' ]; then
    drop "$user" "$file"
    as "$user" rmdir --ignore-fail-on-non-empty -- "$root${file%/*}"
    return
  fi
  step "remove the page from Mainsail's navigation: $file"
  [ -n "$dry" ] || printf %s "${text%.}" | rewrite "$file"
  unkeep "$file"
}

# fill TEMPLATE: inserts this printer's names
fill() { sed -e "s|@UNIT@|$unit|g; s|@SUFFIX@|$suffix|g; s|@USER@|$user|g; s|@FOLDER@|$folder|g; s|@DATA@|$printer|g; s|@ARCHITECTURES@|$(architectures)|g" "$here/config/$1"; }

# ---- requirements, checked before anything is changed

# Ends with what to do where the running kernel has 32 bits. Nothing here edits config.txt: a wrong line in it stops the computer.
refuse_old_kernel() {
  local model boot=/boot package=raspberrypi-kernel first='' again=''
  case $machine in
    aarch64 | armv8* | x86_64) return ;;
    i?86) die "this computer runs a 32-bit kernel ($machine). RatOS.Flash needs a 64-bit one: install a 64-bit image (amd64)" ;;
  esac
  model=$(tr -d '\0' 2>/dev/null <"$root/proc/device-tree/model" || true)
  if [ -d "$root/boot/firmware" ]; then boot=/boot/firmware package=linux-image-rpi-v8; fi
  if ! [ -f "$root$boot/kernel8.img" ] || ! compgen -G "$root/lib/modules/*v8*" >/dev/null; then
    first="
First install that kernel, because $boot/kernel8.img or its modules (/lib/modules/*v8*) are missing:
  sudo apt-get update && sudo apt-get install --reinstall $package"
  fi
  if [ -n "$(compgen -G "$system/ratos-flash*.service" || true)" ]; then
    again="
RatOS.Flash is installed, so a 64-bit kernel ran here before. Until it does again, the agent cannot start."
  fi
  case $model in
    "Raspberry Pi 4"* | "Raspberry Pi Compute Module 4"*)
      die "this computer runs a 32-bit kernel ($machine), and RatOS.Flash needs the 64-bit one. The $model has it; the rest of your system stays as it is.$again$first
Then:
  1. Remove the line arm_64bit=0 from $boot/config.txt, if it is there.
  2. sudo apt-get update && sudo apt-get full-upgrade    (firmware older than March 2023 starts the 32-bit kernel)
  3. sudo reboot, and run this again.
Drivers that you built yourself, for example for a Wi-Fi stick, must be rebuilt for that kernel."
      ;;
    "Raspberry Pi 3"* | "Raspberry Pi Compute Module 3"* | "Raspberry Pi Zero 2"* | "Raspberry Pi 2 Model B Rev 1.2"*)
      die "this computer runs a 32-bit kernel ($machine), and RatOS.Flash needs the 64-bit one. The $model can run it; the rest of your system stays as it is. RatOS calls this experimental.$again$first
Then:
  1. Put the line arm_64bit=1 under [all] at the end of $boot/config.txt. To undo it, remove the line.
  2. sudo reboot, and run this again.
Drivers that you built yourself, for example for a Wi-Fi stick, must be rebuilt for that kernel."
      ;;
    "Raspberry Pi"*) die "the $model has a 32-bit processor ($machine), and RatOS.Flash needs a 64-bit one" ;;
    *)
      die "this computer${model:+ ($model)} runs a 32-bit kernel ($machine), and RatOS.Flash needs a 64-bit one. If its processor has 64 bits, install an image with a 64-bit kernel (arm64).$again"
      ;;
  esac
}

# A 32-bit systemd reads "native" as 32-bit only, and would kill the agent. Byte 4 of an ELF file is 1 for 32 bits.
architectures() {
  local file
  for file in "$root"/{usr/,}lib/systemd/systemd; do
    if [ -f "$file" ] && [ "$(od -An -tu1 -j4 -N1 "$file" | tr -d ' ')" = 1 ]; then
      if [ "$rid" = linux-x64 ]; then echo "native x86-64"; else echo "native arm64"; fi
      return
    fi
  done
  echo native
}

check() {
  command -v dpkg >/dev/null || die "this is not a Debian system (there is no dpkg). Only Debian and RatOS are supported"
  # Only the kernel and the processor count: the program needs nothing from the system, so it also runs on a 32-bit one with a 64-bit kernel.
  machine=$(uname -m)
  case $machine in
    x86_64 | i?86) rid=linux-x64 ;;
    aarch64 | arm*) rid=linux-arm64 ;;
    *) die "there is no version of RatOS.Flash for the processor $machine, only for arm64 and x86_64" ;;
  esac

  [ -d "$root$moonraker/moonraker/components" ] || die "Moonraker was not found in $moonraker. Name its folder: --moonraker DIR"
  for printer in "${data[@]}"; do
    [ -f "$root$printer/config/moonraker.conf" ] || die "$printer/config has no moonraker.conf: start Moonraker once, then run this again"
    [ -f "$root$printer/moonraker.asvc" ] || die "$printer has no moonraker.asvc, which Moonraker makes when it starts: start it once, then run this again"
  done
  for name in dialout plugdev; do
    grep -q "^$name:" "$root/etc/group" || die "this system has no group $name, which owns the boards' ports. Add it: sudo groupadd --system $name"
  done

  for file in config/ratos_flash.cfg config/ratos-flash.service config/ratos-flash-host-mcu config/ratos-flash-host-mcu.service moonraker-component/ratos_flash.py moonraker-component/page/page.html; do
    [ -f "$here/$file" ] || die "$file is missing beside install.sh: unpack the whole zip"
  done
  rules=$here/99-ratos-flash.rules
  [ -f "$rules" ] || rules=$here/src/RatOS.Flash.Agent/99-ratos-flash.rules
  binary=$here/ratos-flash
  [ -f "$binary" ] || binary=$here/artifacts/$rid/ratos-flash
  if [ ! -f "$binary" ]; then
    refuse_old_kernel
    [ -f "$here/publish.sh" ] || die "the program ratos-flash is missing beside install.sh: unpack the whole zip for $rid"
    dotnet --list-sdks 2>/dev/null | grep '^10\.' >/dev/null ||
      die "the program is not built yet, and there is no .NET 10 SDK to build it. Use a release's zip for $rid, or install the SDK and run this again"
    step "build the program with publish.sh $rid (a few minutes)"
    as "$user" "$here/publish.sh" "$rid"
  fi
  folder=${binary%/*}
  folder=${folder#"$root"}
  plain_path "the folder of the program" "$folder"
  plain_path "this folder" "${here#"$root"}"
  # Also in a dry run: it changes nothing.
  if [ -f "$binary" ] && ! dry='' as "$user" "$binary" --version >/dev/null; then
    refuse_old_kernel
    die "the program does not run here (see above). Is it the zip for $rid, and may $user read $folder?"
  fi
}

# ---- install

# Another project's macro of that name: with both, Klipper merges them or does not start.
foreign_macro() {
  local file
  reached "$root$1" | while IFS= read -r file; do
    if [ "${file##*/}" != ratos_flash.cfg ]; then
      grep -HiE '^\[gcode_macro[[:space:]]+(FLASH_MCU|FLASH_RECOVER|FLASH_ROLLBACK|FLASH_STATUS|FLASH_CANCEL|FLASH_DOCTOR|FLASH_BUNDLE)[[:space:]]*\]' "$file" || true
    fi
  done | sed -n 1p
}

install_macros() {
  local config=$printer/config found
  if [ ! -f "$root$config/printer.cfg" ]; then
    note "there is no $config/printer.cfg: add [include ratos_flash.cfg] to your Klipper configuration"
    link "$user" "${here#"$root"}/config/ratos_flash.cfg" "$config/ratos_flash.cfg"
    return
  fi
  found=$(foreign_macro "$config/printer.cfg")
  if [ -n "$found" ]; then
    remove_line "$config/printer.cfg" "[include ratos_flash.cfg]"
    drop "$user" "$config/ratos_flash.cfg"
    note "the macros of RatOS.Flash are left out, because another one of that name exists (${found#"$root"}), and Klipper cannot have both." \
      "Remove it and run this again. Until then use KlipperScreen's menu or the command ratos-flash."
    return
  fi
  has_macros=1
  link "$user" "${here#"$root"}/config/ratos_flash.cfg" "$config/ratos_flash.cfg"
  include "$config/printer.cfg" ratos_flash.cfg
  configuration "$config/printer.cfg" | grep -E '^\[respond\]' >/dev/null ||
    note "$config/printer.cfg and its includes have no section [respond], which the macros need: add a line [respond] to it"
}

# Klipper's Linux process: its program belongs to root, so a unit of root's replaces it, with a script that only root can write.
install_host_mcu() {
  local host=ratos-flash-host-mcu$suffix services
  services=("$system"/klipper[-_]mcu.service "$system/$host.service")
  case $host_mcu in
    yes) ;;
    no) drop_host_mcu && return ;;
    *) [ -e "${services[0]}" ] || return 0 ;;
  esac
  put root /usr/local/lib/ratos-flash/host-mcu <"$here/config/ratos-flash-host-mcu"
  fill ratos-flash-host-mcu.service | put root "/etc/systemd/system/$host.service"
  add_line "$printer/moonraker.asvc" "$host"
}

drop_host_mcu() {
  drop root "/etc/systemd/system/ratos-flash-host-mcu$suffix.service"
  remove_line "$printer/moonraker.asvc" "ratos-flash-host-mcu$suffix"
}

install_printer() {
  local config=$printer/config text
  install_macros
  # Settings are yours: they are written once.
  [ -e "$root$config/ratos-flash.conf" ] || put "$user" "$config/ratos-flash.conf" <"$here/config/ratos-flash.conf"

  text=$(fill ratos-flash-moonraker.conf)
  if [ ! -f "$here/release_info.json" ]; then
    text=${text%%\[update_manager*}
  elif ! configuration "$config/moonraker.conf" | grep -E '^\[update_manager' >/dev/null; then
    # Our section would enable the update manager, which this printer does not use.
    text=${text%%\[update_manager*}
    note "$config/moonraker.conf has no [update_manager], so Moonraker will not update RatOS.Flash"
  fi
  put "$user" "$config/ratos-flash-moonraker.conf" <<<"${text%$'\n\n'}"
  include "$config/moonraker.conf" ratos-flash-moonraker.conf
  add_line "$printer/moonraker.asvc" "$unit"

  if [ -f "$root$config/KlipperScreen.conf" ]; then
    link "$user" "${here#"$root"}/config/ratos-flash-klipperscreen.conf" "$config/ratos-flash-klipperscreen.conf"
    include "$config/KlipperScreen.conf" ratos-flash-klipperscreen.conf
  fi
  install_navigation
  fill ratos-flash.service | put root "/etc/systemd/system/$unit.service"
  install_host_mcu
}

ratos_command() { if [ -n "$root" ]; then compgen -G "$root/usr/local/bin/ratos"; else command -v ratos; fi; }

linked() { [[ $(readlink "$root$component" || true) = @($1|$root$1) ]] && has_line "$exclude" "$excluded"; }

install_component() {
  local file=${here#"$root"}/moonraker-component/ratos_flash.py ratos
  if linked "$file"; then return; fi
  if ratos=$(ratos_command); then
    step "register the component with RatOS: ratos extensions register moonraker ratos_flash $file"
    # RatOS keeps the first path that was registered for a name.
    as "$user" "$ratos" extensions unregister moonraker ratos_flash >/dev/null 2>&1 || true
    as "$user" "$ratos" extensions register moonraker ratos_flash "$root$file" || true
    as "$user" "$ratos" extensions symlink moonraker || true
    if [ -n "$dry" ] || linked "$file"; then return; fi
    note "RatOS's configurator did not link the component (is it running?), so install.sh linked it"
  fi
  link "$user" "$file" "$component"
  # Without this line Moonraker's own update reports a modified folder.
  if [ -d "$root$moonraker/.git/info" ]; then
    if [ ! -e "$root$exclude" ]; then put "$user" "$exclude" </dev/null; fi
    add_line "$exclude" "$excluded"
  fi
}

# Where each shell looks for completions.
share=/usr/local/share
declare -A completions=(
  [bash]=$share/bash-completion/completions/ratos-flash
  [zsh]=$share/zsh/site-functions/_ratos-flash
  [fish]=$share/fish/vendor_completions.d/ratos-flash.fish
)

install_completions() {
  local shell text
  for shell in bash zsh fish; do
    text=$("$binary" completion "$shell" && echo .) || {
      note "the program did not print its completion for $shell"
      continue
    }
    printf %s "${text%.}" | put root "${completions[$shell]}"
  done
}

uninstall_completions() {
  local shell file
  for shell in bash zsh fish; do
    file=${completions[$shell]}
    drop root "$file"
    for file in "${file%/*}" "${file%/*/*}"; do
      if [ -d "$root$file" ]; then as root rmdir --ignore-fail-on-non-empty -- "$root$file"; fi
    done
  done
}

install_all() {
  check
  install_component
  for printer in "${data[@]}"; do
    suffix=$(suffix_of "$printer") unit=ratos-flash$(suffix_of "$printer")
    install_printer
  done
  put root /etc/udev/rules.d/99-ratos-flash.rules <"$rules"
  link root "$folder/ratos-flash" /usr/local/bin/ratos-flash
  install_completions
}

# ---- uninstall

uninstall_printer() {
  local config=$printer/config own=$printer/ratos-flash
  if [ -z "$root" ] && [ -e "$system/$unit.service" ] && has_systemd; then
    step "stop the service $unit (a write that has begun is finished first)"
    as root systemctl disable --now "$unit"
  fi
  drop root "/etc/systemd/system/$unit.service"
  for pair in printer.cfg:ratos_flash.cfg moonraker.conf:ratos-flash-moonraker.conf KlipperScreen.conf:ratos-flash-klipperscreen.conf; do
    remove_line "$config/${pair%:*}" "[include ${pair#*:}]"
    unkeep "$config/${pair%:*}"
    if [ -L "$root$config/${pair#*:}" ] || grep -qs 'written by its install.sh' "$root$config/${pair#*:}"; then drop "$user" "$config/${pair#*:}"; fi
  done
  uninstall_navigation
  remove_line "$printer/moonraker.asvc" "$unit"
  drop_host_mcu
  if cmp -s "$root$config/ratos-flash.conf" "$here/config/ratos-flash.conf"; then
    drop "$user" "$config/ratos-flash.conf"
  elif [ -e "$root$config/ratos-flash.conf" ]; then
    note "$config/ratos-flash.conf has your settings and stays"
  fi
  # The agent's own files. Firmware in its folder is yours.
  for file in "$root$own"/* "$root$printer"/logs/ratos-flash*.log "$root$printer/comms/ratos-flash.sock"; do
    if [ "$file" = "$root$own/firmware" ] && [ -n "$(ls -A "$file")" ]; then
      note "your firmware stays in $own/firmware"
    else
      drop "$user" "${file#"$root"}"
    fi
  done
  if [ -d "$root$own" ]; then as "$user" rmdir --ignore-fail-on-non-empty -- "$root$own"; fi
}

uninstall_all() {
  local others ratos
  for printer in "${data[@]}"; do
    suffix=$(suffix_of "$printer") unit=ratos-flash$(suffix_of "$printer")
    uninstall_printer
  done
  others=("$system"/ratos-flash*.service)
  if [ ${#others[@]} -gt 0 ] && [ -z "$dry" ]; then
    note "another printer uses RatOS.Flash (${others[*]##*/}), so the shared parts stay: the component, the udev rules, the command"
    return
  fi
  if [ -L "$root$component" ] && ratos=$(ratos_command); then
    step "unregister the component from RatOS: ratos extensions unregister moonraker ratos_flash"
    as "$user" "$ratos" extensions unregister moonraker ratos_flash ||
      note "RatOS's configurator did not answer; run later: ratos extensions unregister moonraker ratos_flash"
  fi
  drop "$user" "$component"
  remove_line "$exclude" "$excluded"
  drop root /etc/udev/rules.d/99-ratos-flash.rules /usr/local/lib/ratos-flash
  uninstall_completions
  if [[ $(readlink "$root/usr/local/bin/ratos-flash" || true) = */ratos-flash ]]; then drop root /usr/local/bin/ratos-flash; fi
}

# ---- the running system

# Is the running agent the installed one? An update may have replaced the program.
is_current() {
  local id
  id=$(systemctl show -p MainPID --value "$1")
  [ "${id:-0}" != 0 ] && [ "$(as "$user" readlink "/proc/$id/exe")" = "$(readlink -f "$binary")" ]
}

moonraker_port() {
  local port
  port=$(configuration "$printer/config/moonraker.conf" | awk '/^\[/ { server = /^\[server\]/ } server && sub(/^port *[:=] */, "") { print $0 + 0 }' | tail -n 1)
  echo "${port:-7125}"
}

# Moonraker has loaded the component, or has not, as it should be now.
moonraker_is_right() {
  local info
  info=$(curl -s -m 10 "http://127.0.0.1:$(moonraker_port)/server/info" || true)
  info=${info#*'"components"'} info=${info%%]*}
  if [ -n "$uninstall" ]; then [[ $info != *'"ratos_flash"'* ]]; else [[ $info = *'"ratos_flash"'* ]]; fi
}

# Moonraker reads its components and services only when it starts. A print comes first.
restart_moonraker() {
  local answer service=moonraker$suffix
  if ! systemctl is-active --quiet "$service"; then
    note "restart Moonraker, so that it loads the component (no running service $service was found)"
    return
  fi
  answer=$(curl -s -m 10 "http://127.0.0.1:$(moonraker_port)/printer/objects/query?print_stats" || true)
  case $answer in
    *'"printing"'* | *'"paused"'*) note "the printer prints. Restart Moonraker after the print: sudo systemctl restart $service" ;;
    *'"print_stats"'* | *'not connected'*)
      step "restart Moonraker ($service)"
      as root systemctl restart "$service"
      ;;
    *) note "Moonraker did not report whether the printer prints. Restart it when nothing prints: sudo systemctl restart $service" ;;
  esac
}

# Brings the running system to the state of the files, also when an earlier run was interrupted before this part.
settle() {
  local edited=$changes
  as root systemctl daemon-reload
  as root udevadm control --reload
  as root udevadm trigger --subsystem-match=usb --subsystem-match=tty
  for printer in "${data[@]}"; do
    suffix=$(suffix_of "$printer") unit=ratos-flash$(suffix_of "$printer")
    # First, so that systemd has loaded it when Moonraker lists the services.
    if [ -z "$uninstall" ] && ! systemctl is-enabled --quiet "$unit"; then
      step "enable the service $unit"
      as root systemctl enable "$unit"
    fi
    if [ "$edited" -gt 0 ] || ! moonraker_is_right; then restart_moonraker; fi
    if [ -z "$uninstall" ] && { [ "$edited" -gt 0 ] || ! is_current "$unit"; }; then
      step "start the service $unit"
      as root systemctl restart "$unit" || note "the service $unit did not start. Read why: journalctl -u $unit"
    fi
  done
}

# The last question, at a terminal: boards that were never asked can tell now what they are.
ask_boards() {
  local answer
  [ -t 0 ] && [ -t 1 ] || return 0
  for printer in "${data[@]}"; do
    ! as "$user" grep -qs '"identities"' "$printer/ratos-flash/mcus.json" || continue
    printf '%s\n%s' "Ask the boards of $printer now what they are? Nothing is written." \
      "Klipper stops for about 10 s: heaters go off, the position is lost. [y/N] "
    IFS= read -r answer || return 0
    case $answer in
      [yY] | [yY][eE][sS]) as "$user" "$binary" identify --data "$printer" || true ;;
      *) echo "Later: ratos-flash identify. The first flash asks them too." ;;
    esac
  done
}

component=$moonraker/moonraker/components/ratos_flash.py exclude=$moonraker/.git/info/exclude excluded=moonraker/components/ratos_flash.py
printf '%s\n' "RatOS.Flash, for $user: ${data[*]}"
if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi
if [ -z "$root$dry" ] && has_systemd; then settle; fi

[ "$changes" -gt 0 ] || echo "  already installed: nothing was changed"
for line in "${notes[@]}"; do printf 'Note: %s\n' "$line"; done
if [ -n "$dry" ]; then
  echo "Dry run: nothing was changed. Run this without --dry-run to apply it."
elif [ -n "$uninstall" ]; then
  echo "RatOS.Flash is removed. Restart Klipper, and KlipperScreen if you have it. Then you can delete this folder."
else
  if [ -z "$root" ] && ! id -nG "$user" | grep -w dialout >/dev/null; then
    note=" (for the command without the agent, once: sudo usermod -aG dialout,plugdev $user)"
  fi
  if [ -z "$has_macros" ]; then
    printf '%s\n' "Next: restart KlipperScreen if you have it. Then, on a terminal: ratos-flash boards${note:-}"
  else
    cat <<END
Next: press Restart in Mainsail or Fluidd, so that Klipper reads the new macros. Restart KlipperScreen if you have it.
Then use the macro FLASH_MCU, or on a terminal: ratos-flash boards${note:-}
END
  fi
  if [ -z "$root" ] && has_systemd; then ask_boards; fi
fi

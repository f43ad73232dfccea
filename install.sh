#!/usr/bin/env bash
# Installs RatOS.Flash: the agent as a service, its macros, menus and settings, and its Moonraker component.
# Run it as the user that runs Klipper. It uses sudo for steps that need root. It first looks for everything that stands in the way, then
# prints its steps, and only then changes anything. Running it again is safe: it repairs what is missing and changes nothing else.
#
#   install.sh [options]
#     --user NAME       the user that runs Klipper; needed when root runs this without sudo
#     --data DIR        the printer's data folder, once for each printer; default: ~/printer_data and each ~/printer_NAME_data
#     --moonraker DIR   Moonraker's folder; default: ~/moonraker
#     --host-mcu        lets the agent replace Klipper's Linux process (the Raspberry Pi as MCU); default where that is a service already
#     --no-host-mcu     does not: the process runs as root, and the user could install any program there
#     --dry-run         prints the steps and changes nothing
#     --check           prints what differs from a complete installation, and changes nothing; ends with 0 if nothing differs, else with 1
#     --yes             asks nothing, also no password for sudo; default where there is no terminal
#     --uninstall       removes everything that was installed; your edited ratos-flash.conf and your firmware files stay
#     --root DIR        treats DIR as the whole computer (for tests): nothing outside of it is touched, no service is started
#     --help
set -euo pipefail
shopt -s nullglob lastpipe globstar
export LC_ALL=C
released=2026

die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

# ---- options

user='' data=() moonraker='' dry='' dry_run='' check='' yes='' uninstall='' root='' host_mcu='' given=''
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
      [ "$1" = --user ] || given+=" $1 $2"
      shift
      ;;
    --host-mcu) host_mcu=yes given+=" $1" ;;
    --no-host-mcu) host_mcu=no given+=" $1" ;;
    --dry-run) dry_run=yes ;;
    --check) check=yes ;;
    --yes) yes=yes ;;
    --uninstall) uninstall=yes given+=" $1" ;;
    --help | -h) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
[ -z "$check" ] || [ -z "$uninstall" ] || die "--check looks at an installation, so it does not go with --uninstall"
if ! [ -t 0 ] || ! [ -t 1 ]; then yes=yes; fi

# What stands in the way is collected, so that one run tells everything.
problems=()
problem() { problems+=("$1"$'\n    '"$2"); }   # CAUSE REMEDY

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
  [[ $2 =~ ^/[A-Za-z0-9_./+-]+$ && /$2/ != */../* ]] || problem "$1 '$2' is not accepted" "Use a full path of letters, digits and _ . + - / only."
}

if [ -n "$root" ]; then
  root=$(realpath -e -- "$root") || die "--root: there is no such folder"
  [ "$root" != / ] || die "--root / would be this computer itself: leave the option out"
fi
system=$root/etc/systemd/system

has_systemd() { [ -d /run/systemd/system ]; }

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

machine=$(uname -m) rid=''
case $machine in
  x86_64 | i?86) rid=linux-x64 ;;
  aarch64 | arm*) rid=linux-arm64 ;;
esac
# A zip has the parts beside install.sh; a checkout has them elsewhere.
rules=$here/99-ratos-flash.rules binary=$here/ratos-flash
[ -f "$rules" ] || rules=$here/src/RatOS.Flash.Agent/99-ratos-flash.rules
[ -f "$binary" ] || [ ! -f "$here/publish.sh" ] || binary=$here/artifacts/$rid/ratos-flash
folder=${binary%/*}
folder=${folder#"$root"}

if [ ${#data[@]} = 0 ]; then
  # The folders that were named at installation, and for an installation the usual ones.
  for unit in "$system"/ratos-flash*.service; do
    named=$(sed -n 's/^ExecStart=.* --data //p' "$unit")
    if grep -qxF "User=$user" "$unit" && { [ -n "$uninstall" ] || [ -d "$root$named/config" ]; }; then data+=("$named"); fi
  done
  if [ -z "$uninstall" ] || [ ${#data[@]} = 0 ]; then
    for config in "$root$home"/printer_data/config "$root$home"/printer_*_data/config; do
      config=${config%/config}
      [ ! -d "$config/config" ] || data+=("${config#"$root"}")
    done
  fi
  # A link to another one is that one.
  printf '%s\n' "${data[@]}" | sed '/^$/d' | sort -u | while IFS= read -r one; do
    printf '%s\t%s\n' "$(realpath -m -- "$root$one")" "$one"
  done | sort -t $'\t' -k 1,1 -u | cut -f 2 | sort | mapfile -t data
fi
[ ${#data[@]} -gt 0 ] || [ -n "$uninstall" ] ||
  problem "there is no printer in $home: no folder printer_data with a folder config in it" "Start Moonraker once, or name the printer's folder: --data DIR"
for i in "${!data[@]}"; do
  plain_path --data "${data[i]}"
  data[i]=$(realpath -ms -- "${data[i]}")
  [[ $(suffix_of "${data[i]}") != -host-mcu* ]] || die "a data folder ${data[i]##*/} is not accepted: its service would have the name of another service of RatOS.Flash"
  [ -d "$root${data[i]}/config" ] || [ -n "$uninstall" ] ||
    problem "${data[i]} is no printer's data folder: it has no folder config" "Name a folder that Moonraker uses: --data DIR"
done

[ "$(for one in "${data[@]}"; do suffix_of "$one"; done | sort -u | wc -l)" = ${#data[@]} ] ||
  die "two of these data folders would have one service, because it is named after the folder. Name each folder once, with different names"

# ---- steps: the first pass, which is dry, prints each; the second one does them, as the user or as root

changes=0 doing='' has_macros=
declare -A planned=()
# step ACTION [DIFFERENCE]: DIFFERENCE is how --check says that this step is needed
step() {
  changes=$((changes + 1))
  if [ -n "$check" ]; then
    printf '  - %s\n' "${2:-to do: $1}"
  elif [ -n "$dry_run" ]; then
    printf '  would %s\n' "$1"
  elif [ -z "${planned[$1]:-}" ]; then
    printf '  %s\n' "$1"
  fi
  planned[$1]=1 doing=$1
}
note() { notes+=("$*"); }
notes=()
# tell TEXT: what no step repairs, for --check a difference
tell() { if [ -n "$check" ]; then step "$1" "$1"; else note "$1"; fi; }

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
  else
    sudo ${yes:+-n} -H -u "$account" -- "$@"
  fi
}

# replace ACCOUNT LIKE FILE COMMAND...: FILE becomes what COMMAND makes of standard input, with the mode and owner of LIKE if that exists.
# It is written whole or not at all: a full disk, a crash or a failed COMMAND leaves the old file.
replace() {
  local account=$1
  shift
  if [ -n "$dry" ]; then cat >/dev/null && return; fi   # the writer of a pipe must not find it closed
  # shellcheck disable=SC2016   # "$@" gives its names
  as "$account" bash -c '
    set -e
    umask 022
    like=$1 file=$2 new=$2.ratos-flash-new
    shift 2
    trap "rm -f -- \"\$new\"" EXIT
    mkdir -p -- "${file%/*}"
    rm -f -- "$new"
    if [ -f "$like" ]; then cp -p -- "$like" "$new" && chmod u+w -- "$new"; else : >"$new" && chmod 644 -- "$new"; fi
    "$@" >"$new"
    [ ! -f "$like" ] || chmod --reference="$like" -- "$new"
    sync -- "$new"
    mv -fT -- "$new" "$file"' - "$@"
}

# put ACCOUNT FILE: the file with the text on standard input. Root's files have root's owner and mode.
put() {
  local account=$1 file=$2 text difference="$2 is missing" owner=0
  text=$(cat && echo .) # the dot keeps the last line's end
  [ -z "$root" ] || owner=$(id -u)
  if [ -f "$root$file" ]; then
    difference="$file is not the one of this version"
    if [ "$(cat "$root$file" && echo .)" = "$text" ]; then
      if [ "$account" != root ] || [ "$(stat -c '%u %a %F' -- "$root$file")" = "$owner 644 regular file" ]; then return; fi
      difference="$file is a link, or has another owner or mode than root's 644"
    fi
  fi
  step "write $file" "$difference"
  printf %s "${text%.}" | replace "$account" '' "$root$file" cat
}

# link ACCOUNT TARGET LINK
link() {
  local account=$1 target=$2 link=$3 is
  is=$(readlink "$root$link" || true)
  if [ "$is" = "$target" ]; then return; fi
  if [ -e "$root$link" ] && [ ! -L "$root$link" ]; then
    note "$link is your own file and was left unchanged. RatOS.Flash's file is $target."
    return
  fi
  step "link $link to $target" "$link $([ -z "$is" ] && echo 'is missing' || echo "leads to $is instead of $target")"
  as "$account" ln -sfnT -- "$target" "$root$link"
}

# drop ACCOUNT FILE...: removes those that exist
drop() {
  local account=$1 file
  shift
  for file; do
    if [ -e "$root$file" ] || [ -L "$root$file" ]; then
      step "remove $file" "$file is left over"
      as "$account" rm -rf -- "$root$file"
    fi
  done
}

# drop_empty ACCOUNT FOLDER...
drop_empty() {
  local account=$1 folder
  shift
  for folder; do
    if [ -d "$root$folder" ]; then as "$account" rmdir --ignore-fail-on-non-empty -- "$root$folder"; fi
  done
}

# rewrite FILE COMMAND...: your file through COMMAND; a link stays one
rewrite() {
  local file=$1
  shift
  rewrite_as "$file" "$@" <"$root$file"
}

# rewrite_as FILE [COMMAND...]: the same with standard input
rewrite_as() {
  local real
  real=$(readlink -f "$root$1")
  shift
  replace "$user" "$real" "$real" "${@:-cat}"
}

# (Nothing here reads a pipe with grep -q: it exits early, and the writer's broken pipe would count as a mismatch.)
has_line() { [ -f "$root$1" ] && sed 's/[[:space:]]*$//' "$root$1" | grep -xF -- "$2" >/dev/null; }

# add_line FILE LINE: on top, where it belongs to no section and a missing last line end does not matter
add_line() {
  if has_line "$1" "$2"; then return; fi
  step "add the line $2 on top of $1" "$1 has no line $2"
  # shellcheck disable=SC2016
  rewrite "$1" sh -c 'printf "%s\n" "$1" && cat' - "$2"
}

# deletion LINE: the sed script that deletes it
deletion() { printf '/^%s[[:space:]]*$/d' "$(printf %s "$1" | sed 's/[][\.*^$/]/\\&/g')"; }

remove_line() {
  if ! has_line "$1" "$2"; then return; fi
  step "remove the line $2 from $1" "$1 has the line $2"
  rewrite "$1" sed "$(deletion "$2")"
}

# Keeps a copy of your file, once, before the first edit.
keep() {
  if [ ! -e "$root$1.ratos-flash-backup" ]; then
    step "keep a copy: $1.ratos-flash-backup"
    # shellcheck disable=SC2094   # another file
    replace "$user" "$root$1" "$root$1.ratos-flash-backup" cat <"$root$1"
  fi
}

# unkeep FILE: removes the copy if it is the text on standard input, which is yours without our lines
unkeep() {
  local copy=$1.ratos-flash-backup text
  text=$(cat && echo .)
  if [ ! -e "$root$copy" ]; then
    return
  elif [ "$text" = "$(cat "$root$copy" && echo .)" ]; then
    drop "$user" "$copy"
  else
    note "$1 was edited since the installation, so the copy from before is left: $copy"
  fi
}

included='^[[:space:]]*\[include[[:space:]]+([^]#]*[^]#[:space:]])[[:space:]]*\]'

# resolve FILE: the pattern of an include in FILE becomes a whole path
resolve() {
  case $pattern in
    /*) pattern=$root$pattern ;;
    *) pattern=${1%/*}/$pattern ;;
  esac
}

# reached FILE: the file and every file that it includes, resolved like Klipper and Moonraker do
declare -A seen=()
reached() {
  local file=$1 pattern found name
  name=$(realpath -m -- "$file")
  if [ -n "${seen[$name]:-}" ] || [ ! -f "$file" ]; then return; fi
  seen[$name]=1
  printf '%s\n' "$file"
  while IFS= read -r pattern || [ -n "$pattern" ]; do   # the last line may have no end
    resolve "$file"
    while IFS= read -r found; do reached "$found"; done < <(compgen -G "$pattern")
  done < <(sed -nE "s/$included.*/\1/p" "$file")
}

# configuration FILE: its text and the text of all included files, without our own
# shellcheck disable=SC1003   # sed adds a missing last line end
configuration() { reached "$root$1" | while IFS= read -r file; do [[ $file = */ratos-flash-moonraker.conf ]] || sed '$a\' -- "$file"; done; }

# leads FILE OURS: each line of FILE, and of what it includes, that includes OURS: that file, whether by a pattern, the line
leads() {
  local file line pattern found
  reached "$1" | while IFS= read -r file; do
    { grep -E "$included" "$file" || true; } | sed 's/[[:space:]]*$//' | while IFS= read -r line; do
      pattern=$(sed -nE "s/$included.*/\1/p" <<<"$line")
      resolve "$file"
      if [[ $pattern = *[*?]* ]]; then
        while IFS= read -r found; do
          [ "$found" -ef "$2" ] && printf '%s\tpattern\t%s\n' "$file" "$line"
        done < <(compgen -G "$pattern")
      elif [ "$pattern" -ef "$2" ] || { [ "${pattern##*/}" = "${2##*/}" ] && [ "$(realpath -ms -- "$pattern")" = "$2" ]; }; then
        printf '%s\tname\t%s\n' "$file" "$line"
      fi
    done
  done || true
}

# include FILE NAME: adds the line that includes NAME, unless another one already does. If a file is included twice Moonraker does not start.
include() {
  local line="[include $2]" lines own text
  leads "$root$1" "$root${1%/*}/$2" | mapfile -t lines
  own=$(printf '%s\n' "${lines[@]}" | grep -cxF -- "$root$1"$'\tname\t'"$line" || true)
  if [ ${#lines[@]} -gt 1 ]; then
    if [ "$own" = 0 ]; then
      text=$(printf ', %s' "${lines[@]#*$'\t'*$'\t'}")
      tell "$1 includes $2 ${#lines[@]} times: remove all of these lines but one: ${text#, }"
      return
    fi
    remove_line "$1" "$line"
    [ "$own" = ${#lines[@]} ] || return 0
  elif [ ${#lines[@]} = 1 ]; then
    return
  fi
  keep "$1"
  add_line "$1" "$line"
}

# uninclude FILE NAME: removes each line that includes NAME, however it is written: Klipper and Moonraker do not start without the file.
# Then text is what FILE is without them, with a dot that keeps the last line's end.
uninclude() {
  local file how line lines script=''
  leads "$root$1" "$root${1%/*}/$2" | sort -u | mapfile -t lines
  printf '%s\n' "${lines[@]}" | while IFS=$'\t' read -r file how line; do
    if [ "$how" != name ]; then continue; fi
    if [ "$file" = "$root$1" ]; then script+=$(deletion "$line")$'\n'; fi
    remove_line "${file#"$root"}" "$line"
  done
  text=$(sed "$script" "$root$1" && echo .)
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
  if grep -qF "\"href\": \"$page\"" "$root$file"; then return; fi
  text=$(navigation add "$file" && echo .) || {
    note "$file is no list of links that can be read, so it was left unchanged. The page of RatOS.Flash is at $page"
    return
  }
  if [ "$text" = "$(cat "$root$file" && echo .)" ]; then return; fi
  keep "$file"
  step "add the page to Mainsail's navigation: $file" "$file does not lead to the page"
  printf %s "${text%.}" | rewrite_as "$file"
}

uninstall_navigation() {
  local file=$printer/config/.theme/navi.json text
  if [ ! -e "$root$file" ]; then
    drop_empty "$user" "${file%/*}"   # an interrupted run leaves it
    return
  fi
  if ! grep -qsF "\"$page\"" "$root$file"; then
    unkeep "$file" <"$root$file"
    return
  fi
  if [ "$(cat "$root$file")" = "[$page_link]" ]; then
    text='[].'
  elif ! text=$(navigation remove "$file" && echo .); then
    note "$file is no list of links that can be read, so it was left unchanged. It names $page"
    return
  fi
  if [ ! -e "$root$file.ratos-flash-backup" ] && [ "$(tr -d '[:space:]' <<<"$text")" = '[].' ]; then
    drop "$user" "$file"
    drop_empty "$user" "${file%/*}"
    return
  fi
  if [ "$text" != "$(cat "$root$file" && echo .)" ]; then
    step "remove the page from Mainsail's navigation: $file"
    printf %s "${text%.}" | rewrite_as "$file"
  fi
  printf %s "${text%.}" | unkeep "$file"
}

# fill TEMPLATE: inserts this printer's names
fill() { sed -e "s|@UNIT@|$unit|g; s|@SUFFIX@|$suffix|g; s|@USER@|$user|g; s|@FOLDER@|$folder|g; s|@DATA@|$printer|g; s|@ARCHITECTURES@|$(architectures)|g" "$here/config/$1"; }

# ---- requirements, checked before anything is changed

# Does the running kernel have 32 bits? Then the problem says what to do. Nothing here edits config.txt: a wrong line in it stops the computer.
is_old_kernel() {
  local model boot=/boot package=raspberrypi-kernel first='' again='' cause="this computer runs a 32-bit kernel ($machine), and RatOS.Flash needs a 64-bit one"
  case $machine in
    aarch64 | armv8* | x86_64) return 1 ;;
    i?86) problem "$cause" "Install a 64-bit image (amd64)." && return ;;
  esac
  model=$(tr -d '\0' 2>/dev/null <"$root/proc/device-tree/model" || true)
  if [ -d "$root/boot/firmware" ]; then boot=/boot/firmware package=linux-image-rpi-v8; fi
  if ! [ -f "$root$boot/kernel8.img" ] || ! compgen -G "$root/lib/modules/*v8*" >/dev/null; then
    first="First install that kernel, because $boot/kernel8.img or its modules (/lib/modules/*v8*) are missing:
      sudo apt-get update && sudo apt-get install --reinstall $package
    "
  fi
  if [ -n "$(compgen -G "$system/ratos-flash*.service" || true)" ]; then
    again=". RatOS.Flash is installed, so a 64-bit kernel ran here before. Until it does again, the agent cannot start"
  fi
  case $model in
    "Raspberry Pi 4"* | "Raspberry Pi Compute Module 4"*)
      problem "$cause. The $model has it; the rest of your system stays as it is$again" "${first}Then:
      1. Remove the line arm_64bit=0 from $boot/config.txt, if it is there.
      2. sudo apt-get update && sudo apt-get full-upgrade    (firmware older than March 2023 starts the 32-bit kernel)
      3. sudo reboot, and run this again.
    Drivers that you built yourself, for example for a Wi-Fi stick, must be rebuilt for that kernel."
      ;;
    "Raspberry Pi 3"* | "Raspberry Pi Compute Module 3"* | "Raspberry Pi Zero 2"* | "Raspberry Pi 2 Model B Rev 1.2"*)
      problem "$cause. The $model can run it; the rest of your system stays as it is. RatOS calls this experimental$again" "${first}Then:
      1. Put the line arm_64bit=1 under [all] at the end of $boot/config.txt. To undo it, remove the line.
      2. sudo reboot, and run this again.
    Drivers that you built yourself, for example for a Wi-Fi stick, must be rebuilt for that kernel."
      ;;
    "Raspberry Pi Model "* | "Raspberry Pi Zero"* | "Raspberry Pi Compute Module Rev"* | "Raspberry Pi 2 Model B Rev 1."[01]*)
      problem "the $model has a 32-bit processor ($machine), and RatOS.Flash needs a 64-bit one" "Use another computer."
      ;;
    *) problem "${cause/this computer/this computer${model:+ ($model)}}$again" "If its processor has 64 bits, install an image with a 64-bit kernel (arm64)." ;;
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

# Each file system that is written to, by the nearest folder that is there: it is writable, and has room.
check_file_systems() {
  local at free kilobytes=1024
  for at in /etc/systemd/system /etc/udev/rules.d /usr/local "$moonraker" "${data[@]}"; do
    at=$root/$at
    until [ -d "$at/" ]; do at=${at%/*}; done
    df -k --output=target -- "$at/" | tail -n 1
  done | sort -u | while IFS= read -r at; do
    if awk -v "at=${at// /\\\\040}" '$2 == at { options = $4 } END { exit options !~ /^ro(,|$)/ }' /proc/mounts; then
      problem "the file system $at is read-only" "Make it writable: sudo mount -o remount,rw $at. If it becomes read-only again, look for its errors: sudo dmesg"
    fi
    free=$(df -k --output=avail -- "$at" | tail -n 1)
    [ "$free" -ge "$kilobytes" ] || problem "the file system $at is full: $free KiB are free" "Free at least $kilobytes KiB, for example: sudo apt-get clean"
  done
}

check_root() {
  local again="sudo $here/install.sh --user $user$given"
  if [ "$(id -u)" = 0 ] || [ -n "$root$dry_run$check" ]; then
    return
  elif ! command -v sudo >/dev/null; then
    problem "some steps need root, and sudo is not installed" "Log in as root, and run: ${again#sudo }"
  elif sudo -n -H -u root -- bash -c : 2>/dev/null; then
    return
  elif [ -n "$yes" ]; then
    problem "some steps need root, and sudo needs a password, which is not asked for here (--yes, or no terminal)" "Run: $again"
  elif ! sudo -p "Some steps need root. Password of %p for sudo: " -H -u root -- bash -c :; then   # some users may run one program only
    problem "some steps need root, and sudo refuses them to $(id -un)" "Log in as root, and run: ${again#sudo }"
  fi
}

# Moonraker's update deletes the whole folder of a release, and then unpacks the new zip.
check_folder() {
  local others=()
  [ -f "$here/release_info.json" ] || return 0
  (cd "$here" && printf '%s\n' {,.[!.]}*) |
    grep -vxE 'ratos-flash|install\.sh|99-ratos-flash\.rules|LICENSE|(README|ARCHITECTURE|CHANGELOG|CONTRIBUTING)\.md|THIRD-PARTY-NOTICES\.txt|(release_info|sbom\.cdx|sbom-linux-[0-9a-z]*\.cdx)\.json|ratos-flash-linux-[0-9a-z]*\.zip|sha256sums\.txt(\.minisig)?|release-key\.pub|files\.sha256|config|docs|moonraker-component' | mapfile -t others || true
  [ ${#others[@]} = 0 ] || problem "the folder ${here#"$root"} holds other files, such as ${others[0]}. Each update of RatOS.Flash would delete them" \
    "Unpack the zip in an empty folder, and run the install.sh there: mkdir ~/ratos-flash"
}

# May the user read the files that the steps edit, and write into their folders?
check_access() {
  local file real files=("$moonraker/moonraker/components")
  for file in "${data[@]}"; do
    files+=("$file"/moonraker.asvc "$file"/config{,/printer.cfg,/moonraker.conf,/KlipperScreen.conf,/ratos-flash.conf,/.theme/navi.json})
  done
  for file in "${files[@]}"; do
    real=$(readlink -f -- "$file" || true)
    if [ ! -e "$real" ]; then continue; fi
    if [ -d "$real" ]; then real+=/; fi
    as "$user" test -r "$real" -a -w "${real%/*}/" ||
      problem "$user may not read $file, or not write into its folder" "Give it back: sudo chown $user: ${real%/*} $real"
  done
}

# Everything that the steps need, before anything is changed
check_requirements() {
  local printer file name
  command -v dpkg >/dev/null || problem "this is not a Debian system (there is no dpkg)" "Only Debian and RatOS are supported."
  if [ -z "$root" ]; then
    has_systemd || problem "systemd does not run on this computer, and the agent is a service of systemd" "Start this computer with systemd."
    command -v udevadm >/dev/null || problem "udev is not installed, and the boards' ports need its rules" "Install it: sudo apt-get install udev"
  fi
  [ "$(date +%Y)" -ge $released ] ||
    problem "this computer's clock says $(date +%F), which is before this release" "Connect it to a network, or set the clock: sudo date -s '$released-12-31 12:00'"
  [ -d "$root$moonraker/moonraker/components" ] || problem "Moonraker was not found in $moonraker" "Name its folder: --moonraker DIR"
  for printer in "${data[@]}"; do
    [ -f "$root$printer/config/moonraker.conf" ] || problem "$printer/config has no moonraker.conf" "Start Moonraker once, then run this again."
    file=$system/ratos-flash$(suffix_of "$printer").service
    if [ -f "$file" ] && ! grep -qxF "User=$user" "$file" && ! grep -q "^ExecStart=.* --data $printer\$" "$file"; then
      name=$(sed -n 's/^User=//p' "$file")
      problem "the service $(basename "$file" .service) is that of the user $name" "Uninstall it there first: ${here#"$root"}/install.sh --uninstall --user $name"
    fi
    [ -f "$root$printer/moonraker.asvc" ] || problem "$printer has no moonraker.asvc, which Moonraker makes when it starts" "Start Moonraker once, then run this again."
  done
  for name in dialout plugdev; do
    grep -q "^$name:" "$root/etc/group" || problem "this system has no group $name, which owns the boards' ports" "Add it: sudo groupadd --system $name"
  done
  for file in config/ratos{_flash.cfg,-flash.conf,-flash.service,-flash-host-mcu,-flash-host-mcu.service,-flash-klipperscreen.conf,-flash-moonraker.conf} \
    moonraker-component/{ratos_flash.py,page/page.html} "${rules#"$here/"}"; do
    [ -f "$here/$file" ] || problem "$file is missing beside install.sh" "Unpack the whole zip."
  done
  check_folder
  [ -n "$root" ] || check_access
  plain_path "the folder of the program" "$folder"
  plain_path "this folder" "${here#"$root"}"

  # Only the kernel and the processor count: the program needs nothing from the system, so it also runs on a 32-bit one with a 64-bit kernel.
  if [ -z "$rid" ]; then
    problem "there is no version of RatOS.Flash for the processor $machine, only for arm64 and x86_64" "Use another computer."
  elif [ -f "$binary" ]; then
    # Also in a dry run: it changes nothing.
    if ! name=$(dry='' as "$user" "$binary" --version 2>&1); then
      is_old_kernel || problem "the program does not run here: $name" "Is it the zip for $rid, and may $user read $folder and run the program?"
    fi
  elif is_old_kernel; then
    :
  elif [ ! -f "$here/publish.sh" ]; then
    problem "the program ratos-flash is missing beside install.sh" "Unpack the whole zip for $rid."
  elif ! dotnet --list-sdks 2>/dev/null | grep '^10\.' >/dev/null; then
    problem "the program is not built yet, and there is no .NET 10 SDK to build it" "Use a release's zip for $rid, or install the SDK and run this again."
  fi
}

# preflight: ends with all problems, if there are any
preflight() {
  local each
  [ -n "$uninstall" ] || check_requirements
  check_file_systems
  check_root
  [ ${#problems[@]} -gt 0 ] || return 0
  printf 'install.sh: %s. Nothing was changed.\n' "${#problems[@]} problem$([ ${#problems[@]} = 1 ] || echo s)" >&2
  for each in "${problems[@]}"; do printf '  - %s\n' "$each" >&2; done
  exit 1
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

lib=/usr/local/lib/ratos-flash

# Klipper's Linux process: its program belongs to root, so a unit of root's replaces it, with a script that only root can write.
install_host_mcu() {
  local host=ratos-flash-host-mcu$suffix refusal=$lib/no-host-mcu$suffix services text
  services=("$system"/klipper[-_]mcu.service "$system/$host.service")
  if [ "$host_mcu" = no ] || { [ -z "$host_mcu" ] && [ -e "$root$refusal" ]; }; then
    # Later runs, which repair, do not undo it.
    put root "$refusal" <<<"install.sh --no-host-mcu made this file, and install.sh --host-mcu removes it."
    drop_host_mcu
    return
  fi
  [ -n "$host_mcu" ] || [ -e "${services[0]}" ] || has_line "$printer/moonraker.asvc" "$host" || return 0
  drop root "$refusal"
  put root $lib/host-mcu <"$here/config/ratos-flash-host-mcu"
  text=$(fill ratos-flash-host-mcu.service)
  put root "/etc/systemd/system/$host.service" <<<"$text"
  add_line "$printer/moonraker.asvc" "$host"
}

drop_host_mcu() {
  local unit=ratos-flash-host-mcu$suffix.service
  drop root "/etc/systemd/system/$unit"
  if ! compgen -G "$system/ratos-flash-host-mcu*.service" | grep -vxF -- "$system/$unit" >/dev/null; then drop root $lib/host-mcu; fi
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
  elif [ -d "$root$home/KlipperScreen" ]; then
    link "$user" "${here#"$root"}/config/ratos-flash-klipperscreen.conf" "$config/ratos-flash-klipperscreen.conf"
    put "$user" "$config/KlipperScreen.conf" <<<"[include ratos-flash-klipperscreen.conf]"
  fi
  install_navigation
  text=$(fill ratos-flash.service)
  put root "/etc/systemd/system/$unit.service" <<<"$text"
  install_host_mcu
}

ratos_command() { if [ -n "$root" ]; then compgen -G "$root/usr/local/bin/ratos"; else command -v ratos; fi; }

linked() { [[ $(readlink "$root$component" || true) = @($1|$root$1) ]] && has_line "$exclude" "$excluded"; }

# RatOS's list of extensions, which it links again after each of its updates: does it name our component (in that folder)?
registry() { compgen -G "$root$home/printer*_data/ratos/moonraker-extensions.json" || true; }
# registered [FOLDER]
registered() {
  local list
  list=$(registry | xargs -r -d '\n' cat | tr -d '[:space:]')
  [[ $list = *'"fileName":"ratos_flash.py","path":"'@("${1:-}"|"$root${1:-}")* ]]
}

install_component() {
  local file=${here#"$root"}/moonraker-component/ratos_flash.py ratos
  if linked "$file" && { [ -z "$(registry)" ] || registered "${file%/*}\""; }; then return; fi
  if ratos=$(ratos_command); then
    step "register the component with RatOS: ratos extensions register moonraker ratos_flash $file" \
      "RatOS does not link the component $file (ratos extensions)"
    # RatOS keeps the first path that was registered for a name, and forgets it only while that file and a link to it exist, or by "symlink"
    # if the file is gone. A link that leads nowhere stops it.
    if [ ! -e "$root$component" ]; then as "$user" rm -f -- "$root$component"; fi
    as "$user" "$ratos" extensions symlink moonraker >/dev/null 2>&1 || true
    as "$user" "$ratos" extensions unregister moonraker ratos_flash >/dev/null 2>&1 || true
    as "$user" "$ratos" extensions register moonraker ratos_flash "$root$file" >/dev/null || true
    as "$user" "$ratos" extensions symlink moonraker >/dev/null || true
    if [ -n "$dry" ] || linked "$file"; then return; fi
    note "RatOS's configurator did not link the component (is it running?), so install.sh linked it"
  fi
  link "$user" "$file" "$component"
  # Without this line Moonraker's own update reports a modified folder.
  if [ -d "$root$moonraker/.git/info" ]; then
    if [ -e "$root$exclude" ]; then add_line "$exclude" "$excluded"; else put "$user" "$exclude" <<<"$excluded"; fi
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
    if [ -n "$dry" ] && [ ! -f "$binary" ]; then
      step "write ${completions[$shell]}"
      continue
    fi
    text=$("$binary" completion "$shell") || {
      note "the program did not print its completion for $shell"
      continue
    }
    put root "${completions[$shell]}" <<<"$text"
  done
}

uninstall_completions() {
  local shell file
  for shell in bash zsh fish; do
    file=${completions[$shell]}
    drop root "$file"
    # That folder is zsh's own where zsh is installed.
    if [ "$shell" != zsh ] || [ ! -e "$root/usr/bin/zsh" ]; then drop_empty root "${file%/*}" "${file%/*/*}"; fi
  done
}

build_program() {
  if [ -f "$binary" ]; then return; fi
  step "build the program with publish.sh $rid (a few minutes)" "the program is not built yet"
  as "$user" "$here/publish.sh" "$rid"
}

# A release's files are as they were packed. Only its zip repairs them.
compare_folder() {
  local file
  [ -f "$here/files.sha256" ] || return 0
  { (cd "$here" && sha256sum --quiet -c files.sha256 2>/dev/null) || true; } | sed -n 's/: FAILED.*//p' | while IFS= read -r file; do
    tell "$here/${file#./} is missing, or not the one of this release: unpack its zip over this folder"
  done
}

# What changes the services and is not install.sh's
name_others() {
  local file named
  for file in "$system"/ratos-flash*.service.d; do note "${file#"$root"} changes the service ${file##*/}: it is not install.sh's, and stays"; done
  for file in "$system"/ratos-flash*.service; do
    named=$(sed -n 's/^ExecStart=.* --data //p' "$file")
    [ -z "$named" ] || [ -d "$root$named" ] ||
      note "the service $(basename "$file" .service) is for $named, which does not exist. To remove it: ${here#"$root"}/install.sh --uninstall --data $named"
  done
}

install_all() {
  compare_folder
  name_others
  build_program
  drop_leftovers
  install_component
  for printer in "${data[@]}"; do
    suffix=$(suffix_of "$printer") unit=ratos-flash$(suffix_of "$printer")
    install_printer
  done
  put root /etc/udev/rules.d/99-ratos-flash.rules <"$rules"
  link root "$folder/ratos-flash" /usr/local/bin/ratos-flash
  install_completions
}

# What a run left that was killed while it wrote a file
drop_leftovers() {
  local file
  for file in "$root"/etc/systemd/system/ratos-flash*.ratos-flash-new "$root"/etc/udev/rules.d/99-ratos-flash.rules.ratos-flash-new \
    "$root$share"/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}/*.ratos-flash-new; do
    drop root "${file#"$root"}"
  done
  for printer in "${data[@]}"; do
    for file in "$root$printer"/*.ratos-flash-new "$root$printer"/config/{,.theme/}*.ratos-flash-new; do
      drop "$user" "${file#"$root"}"
    done
  done
  drop "$user" "$exclude.ratos-flash-new"
}

# ---- uninstall

# Settings that are those of this version, apart from comments
has_default_settings() { [ -r "$root$1" ] && ! grep -vE '^[[:space:]]*(#|$)' "$root$1" | grep -vxFf "$here/config/ratos-flash.conf" >/dev/null; }

uninstall_printer() {
  local config=$printer/config own=$printer/ratos-flash pair file text
  if [ -z "$root" ] && [ -e "$system/$unit.service" ] && has_systemd; then
    step "stop the service $unit (a write that has begun is finished first)"
    as root systemctl disable --now "$unit"
  fi
  for pair in printer.cfg:ratos_flash.cfg moonraker.conf:ratos-flash-moonraker.conf KlipperScreen.conf:ratos-flash-klipperscreen.conf; do
    file=$config/${pair%:*} pair=${pair#*:}
    if [ -f "$root$file" ]; then
      uninclude "$file" "$pair"
      # One that install.sh made.
      if [ "$text" = . ] && [ ! -L "$root$file" ] && [ ! -e "$root$file.ratos-flash-backup" ]; then drop "$user" "$file"; fi
      printf %s "${text%.}" | unkeep "$file"
    fi
    if [ -L "$root$config/$pair" ] || grep -qs 'written by its install.sh' "$root$config/$pair"; then drop "$user" "$config/$pair"; fi
  done
  uninstall_navigation
  remove_line "$printer/moonraker.asvc" "$unit"
  drop_host_mcu
  drop root "$lib/no-host-mcu$suffix"
  if [ -e "$root$config/ratos-flash.conf" ]; then
    if has_default_settings "$config/ratos-flash.conf"; then drop "$user" "$config/ratos-flash.conf"; else note "$config/ratos-flash.conf has your settings and stays"; fi
  fi
  # The agent's own files. Firmware in its folder is yours.
  for file in "$root$own"/* "$root$printer"/logs/ratos-flash*.log "$root$printer/comms/ratos-flash.sock"; do
    if [ "$file" = "$root$own/firmware" ] && [ -n "$(ls -A "$file")" ]; then
      note "your firmware stays in $own/firmware"
    else
      drop "$user" "${file#"$root"}"
    fi
  done
  drop_empty "$user" "$own"
  # Last, because it names the folder.
  drop root "/etc/systemd/system/multi-user.target.wants/$unit.service" "/etc/systemd/system/$unit.service"
}

uninstall_all() {
  local others ratos file
  drop_leftovers
  for printer in "${data[@]}"; do
    suffix=$(suffix_of "$printer") unit=ratos-flash$(suffix_of "$printer")
    uninstall_printer
    ours+=" $unit ratos-flash-host-mcu$suffix "
  done
  for file in "$system"/ratos-flash*.service; do
    file=$(basename "$file" .service)
    [[ $ours = *" $file "* ]] || others+=" $file"
  done
  if [ -n "${others:-}" ]; then
    note "another printer uses RatOS.Flash ($others ), so the shared parts stay: the component, the udev rules, the command"
    return
  fi
  if { [ -L "$root$component" ] || registered; } && ratos=$(ratos_command); then
    step "unregister the component from RatOS: ratos extensions unregister moonraker ratos_flash"
    as "$user" "$ratos" extensions unregister moonraker ratos_flash ||
      note "RatOS's configurator did not answer; run later: ratos extensions unregister moonraker ratos_flash"
  fi
  drop "$user" "$component"
  # What Python made of it.
  for file in "$root${component%/*}"/__pycache__/ratos_flash.*; do drop "$user" "${file#"$root"}"; done
  remove_line "$exclude" "$excluded"
  [ -s "$root$exclude" ] || drop "$user" "$exclude"
  [ -d "$root$moonraker" ] || note "Moonraker was not found in $moonraker. If it is elsewhere, also run this: install.sh --uninstall --moonraker DIR"
  drop root /etc/udev/rules.d/99-ratos-flash.rules $lib /usr/local/bin/klipper_mcu.previous
  uninstall_completions
  if [[ $(readlink "$root/usr/local/bin/ratos-flash" || true) = */ratos-flash ]]; then drop root /usr/local/bin/ratos-flash; fi
}

# ---- the running system

# Does the agent of this unit run, from the installed program? Else prints why not. An update may have replaced the program.
agent_fault() {
  local id
  id=$(systemctl show -p MainPID --value "$1")
  if [ "${id:-0}" = 0 ]; then
    echo "the service $1 does not run"
  elif [ "$(readlink "/proc/$id/exe")" != "$(readlink -f "$binary")" ]; then
    echo "the service $1 runs another version of the program than the installed one"
  fi
}

moonraker_port() {
  local port
  port=$(configuration "$printer/config/moonraker.conf" | awk '/^\[/ { server = /^\[server\]/ } server && sub(/^port *[:=] */, "") { print $0 + 0 }' | tail -n 1)
  echo "${port:-7125}"
}

# get PORT PATH: what a web server of this computer answers, or nothing
get() {
  # shellcheck disable=SC2016
  timeout 10 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" "$2" >&3 && cat <&3' - "$@" 2>/dev/null || true
}

# Moonraker's answer about its components: yes, no, or nothing
has_component() {
  local info
  info=$(get "$(moonraker_port)" /server/info)
  [[ $info = *'"components"'* ]] || return 0
  info=${info#*'"components"'} info=${info%%]*}
  if [[ $info = *'"ratos_flash"'* ]]; then echo yes; else echo no; fi
}

# Until the page is there, or for half a minute
wait_for_component() {
  local seconds
  for seconds in {1..30}; do
    if [ "$(has_component)" = yes ] || [[ $(get "$(moonraker_port)" /server/info) = *Unauthorized* ]]; then return; fi
    sleep 1
  done
  note "Moonraker did not load the component within $seconds s. If the page does not open, read the file moonraker.log"
}

# Moonraker reads its components and services only when it starts. A print comes first.
restart_moonraker() {
  local answer service=moonraker$suffix
  first='After the restart of Moonraker (see the note above), open'
  if [ -n "$check" ]; then
    step "restart $service" "Moonraker ($service) has not loaded the component"
    return
  elif ! systemctl is-active --quiet "$service"; then
    note "restart Moonraker, so that it loads the component (no running service $service was found)"
    return
  fi
  answer=$(get "$(moonraker_port)" '/printer/objects/query?print_stats')
  case $answer in
    *'"printing"'* | *'"paused"'*) note "the printer prints. Restart Moonraker after the print: sudo systemctl restart $service" ;;
    *'"print_stats"'* | *'not connected'*)
      first=Open
      step "restart Moonraker ($service)"
      as root systemctl restart "$service"
      [ -n "$dry$uninstall" ] || wait_for_component
      ;;
    *) note "Moonraker did not report whether the printer prints. Restart it when nothing prints: sudo systemctl restart $service" ;;
  esac
}

# Brings the running system to the state of the files, also when an earlier run was interrupted before this part. --check asks for its state
# alone, not for restarts that follow from other differences.
settle() {
  local edited=$changes fault
  [ -z "$check" ] || edited=0
  as root systemctl daemon-reload
  as root udevadm control --reload
  as root udevadm trigger --subsystem-match=usb --subsystem-match=tty
  for printer in "${data[@]}"; do
    suffix=$(suffix_of "$printer") unit=ratos-flash$(suffix_of "$printer")
    # First, so that systemd has loaded it when Moonraker lists the services.
    if [ -z "$uninstall" ] && ! systemctl is-enabled --quiet "$unit" 2>/dev/null; then
      step "enable the service $unit" "the service $unit is not enabled, so it does not start with the computer"
      as root systemctl enable --quiet "$unit"
    fi
    if [ "$edited" -gt 0 ] || [ "$(has_component)" = "$([ -n "$uninstall" ] && echo yes || echo no)" ]; then restart_moonraker; fi
    [ -z "$uninstall" ] || continue
    fault=$(agent_fault "$unit")
    if [ "$edited" -gt 0 ] || [ -n "$fault" ]; then
      step "start the service $unit (a write that has begun is finished first)" "$fault"
      as root systemctl restart "$unit" || note "the service $unit did not start. Read why: journalctl -u $unit"
    fi
  done
}

# The last question, at a terminal: boards that were never asked can tell now what they are.
ask_boards() {
  local answer
  [ -z "$yes" ] || return 0
  for printer in "${data[@]}"; do
    ! as "$user" grep -qs '"identities"' "$printer/ratos-flash/mcus.json" || continue
    printf '%s\n%s' "Identify the boards of $printer now? Nothing is written." \
      "Klipper stops, and is ready again after about 10 s: heaters go off, the position is lost. [y/N] "
    IFS= read -r answer || return 0
    case $answer in
      [yY] | [yY][eE][sS]) as "$user" "$binary" identify --data "$printer" || true ;;
      *) echo "Later: ratos-flash identify. The first flash asks them too." ;;
    esac
  done
}

# The address of this printer's page: on a front end's port that leads to this printer's Moonraker, or else on Moonraker's own.
page_address() {
  local host='' port ports own
  own=$(moonraker_port)
  [ -n "$root" ] || host=$(hostname -I 2>/dev/null | awk '{ print $1 }' || true)
  host=${host:-$(cat "$root/etc/hostname" 2>/dev/null || echo localhost)}
  [[ $host != *:* ]] || host="[$host]"
  # nginx's ports
  sed -nE 's/^[[:space:]]*listen[[:space:]]+([^[:space:];]*:)?([0-9]+)[ ;].*/\2/p' "$root"/etc/nginx/{sites-enabled,conf.d}/* </dev/null | sort -un | mapfile -t ports
  for port in "${ports[@]}"; do
    if [ -z "$root" ] && [[ $(get "$port" /server/files/roots) = *"\"$printer/config\""* ]]; then own=$port && break; fi
  done
  [ "$own" = 80 ] && own='' || own=:$own
  echo "http://$host$own$page"
}

# One step after the other, for a reader who has never seen this program.
print_next_steps() {
  local screen=''
  [ ! -d "$root$home/KlipperScreen" ] || screen=" Restart KlipperScreen, too."
  echo "RatOS.Flash is installed. Next:"
  for printer in "${data[@]}"; do
    echo "1. $first the page: $(page_address)"
  done
  if [ -n "$has_macros" ]; then
    echo "2. Press Restart in Mainsail or Fluidd, so that Klipper reads the new macros.$screen"
  else
    echo "2. Read the note above about the macros.$screen"
  fi
  echo "3. See which boards need new firmware: on the page, or on a terminal with: ratos-flash boards"
}

# One pass over all steps: dry it finds them, else it does them.
pass() {
  changes=0 notes=() ours='' first=Open
  if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi
  if [ -z "$root" ] && has_systemd; then settle; fi
}

print_notes() { for line in "${notes[@]}"; do printf 'Note: %s\n' "$line"; done; }

component=$moonraker/moonraker/components/ratos_flash.py exclude=$moonraker/.git/info/exclude excluded=moonraker/components/ratos_flash.py
preflight
printf '%s\n' "RatOS.Flash, for $user: ${data[*]}"
dry=yes
pass
if [ -n "$check" ]; then
  print_notes
  [ "$changes" -gt 0 ] || { echo "The installation is complete: nothing differs." && exit; }
  printf '%s\n' "$changes difference$([ "$changes" = 1 ] || echo s). To repair: $here/install.sh$([ "$user" = "$(id -un)" ] || echo " --user $user")$given"
  exit 1
fi
if [ "$changes" = 0 ]; then
  if [ -n "$uninstall" ]; then echo "  not installed: nothing was changed"; else echo "  already installed: nothing was changed"; fi
fi
if [ -n "$dry_run" ]; then
  print_notes
  echo "Dry run: nothing was changed. Run this without --dry-run to apply it."
  exit
fi

dry='' doing=''
stopped() {
  [ "$1" = 0 ] || printf '%s\n' "install.sh: stopped${doing:+ at this step: $doing}. Repair the cause above, then run this again: it continues." >&2
}
trap 'stopped $?' EXIT
if [ "$changes" -gt 0 ]; then pass; elif [ -z "$root" ] && has_systemd; then settle; fi
trap - EXIT
print_notes
if [ -n "$uninstall" ]; then
  echo "RatOS.Flash is removed. Restart Klipper, and KlipperScreen if you have it. Then you can delete this folder."
  exit
fi
if [ -z "$root" ] && ! id -nG "$user" | grep -w dialout >/dev/null; then
  echo "Note: for the command without the agent, once: sudo usermod -aG dialout,plugdev $user"
fi
print_next_steps
if [ -z "$root" ] && has_systemd; then ask_boards; fi

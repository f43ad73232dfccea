#!/bin/bash
# In the guest, for those that check something there.
# shellcheck disable=SC2034
flash=/rig/ratos-flash
serial=/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00
count=0

check() {
  local name=$1
  shift
  count=$((count + 1))
  : >/tmp/said
  if "$@"; then
    echo "ok $count - $name"
  else
    echo "not ok $count - $name"
    sed 's/^/# /' /tmp/said
  fi
}

# all_are [--removed] FILE...
all_are() {
  local file gone=
  [ "$1" != --removed ] || { gone=1 && shift; }
  for file; do if [ -e "$file" ]; then [ -z "$gone" ]; else [ -n "$gone" ]; fi || return 1; done
}

# udevadm's wait for devices; one that never ends well ends the run, so that no check is made of the wrong board.
settle() {
  # Before systemd 251 there is none.
  if udevadm wait --help >/dev/null 2>&1; then
    udevadm wait --timeout=60 "$@" && return
  else
    local left=600
    until udevadm settle && all_are "$@"; do
      left=$((left - 1))
      [ "$left" -gt 0 ] || break
      sleep 0.1
    done
    [ "$left" -eq 0 ] || return 0
  fi
  echo "Bail out! waited 60 s in vain: $*"
  exit 1
}

# serve SCENARIO DEVICE: plugs a virtual printer's boards in, and waits until udev is done with one of them.
serve() {
  $flash virtual --usbip 0 --attach --scenario "$1" --folder "/tmp/$1" --pace 1 >/tmp/served 2>&1 &
  server=$!
  settle "$2"
}

# Unplugs them, and keeps what is in their flash.
serve_no_more() {
  kill -TERM "$server"
  wait "$server"
  settle --removed /sys/bus/usb/devices/1-1
}

# The virtual flash, as it was kept, holds the firmware where the board's application begins.
holds_firmware() {
  cmp -n "$(stat -c %s /rig/klipper.bin)" -i 32768:0 "/tmp/$1/$2.flash.bin" /rig/klipper.bin >/tmp/said 2>&1
}

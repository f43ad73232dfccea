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

# udevadm's wait for devices; one that never ends well ends the run, so that no check is made of the wrong board.
settle() {
  udevadm wait --timeout=60 "$@" && return
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

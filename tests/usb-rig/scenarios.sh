#!/bin/bash
# In the guest: the shipped program, as an ordinary user without a PATH, flashes virtual boards through the real kernel. Prints TAP.
# shellcheck source=tests/usb-rig/checks.sh
. /rig/checks.sh

# as USER GROUPS ARGUMENTS...: the program with an empty environment; its exit status and everything it said are kept.
as() {
  setpriv --reuid "$1" --regid "$1" --groups "$2" /usr/bin/env -i HOME=/tmp PATH= "$flash" "${@:3}" --log "/tmp/log.$1" >/tmp/said 2>&1
}

refused() {
  local code=$1 text=$2
  shift 2
  ! as "$@" && grep -q "\[$code\]" /tmp/said && grep -q "$text" /tmp/said
}

echo "# $(uname -m) $(uname -r), $(dfu-util --version | head -n 1)"
check "there is no Python to lean on" sh -c '! command -v python3'

serve octopus $serial
check "Klipper to DFU to Klipper needs the rule for the ROM" refused no-permission 99-ratos-flash.rules pi dialout,plugdev flash btt-octopus-11 --firmware /rig/klipper.bin
install -m 644 /rig/99-ratos-flash.rules /etc/udev/rules.d/
udevadm control --reload
# On a slow machine udev may still be at its old rules when it hears of the device.
for _ in 1 2 3 4 5; do
  udevadm trigger --action=add --settle /sys/bus/usb/devices/1-1
  [ "$(stat -c %G "$(udevadm info --query=name --root /sys/bus/usb/devices/1-1)")" != plugdev ] || break
done
check "with the rule it is flashed" as pi dialout,plugdev flash btt-octopus-11 --port 1-1 --firmware /rig/klipper.bin
settle $serial
check "Klipper to DFU to Klipper" as pi dialout,plugdev flash btt-octopus-11 --firmware /rig/klipper.bin
settle $serial
check "the printer's own link names the board too" as pi dialout,plugdev flash btt-octopus-11 --port /dev/btt-octopus-11 --firmware /rig/klipper.bin
settle $serial
check "its boards are listed" as pi dialout,plugdev boards
check "a user outside of the groups is told which one is missing" refused no-permission "usermod -aG dialout" stranger stranger flash btt-octopus-11 --firmware /rig/klipper.bin

sh -c "exec 3<>$serial; exec sleep 1000" &
held=$!
check "a port that is in use is refused, and the process is named" refused port-held "process $held" root root flash btt-octopus-11 --firmware /rig/klipper.bin
kill $held
# Without --close the sleeping child would keep the port, and its number, after its parent is killed.
flock --close $serial sleep 1000 &
held=$!
check "and so it is when only a lock can be seen" refused port-held "process of another user" pi dialout,plugdev flash btt-octopus-11 --firmware /rig/klipper.bin
kill $held

echo 1-1:1.0 >/sys/bus/usb/drivers/cdc_acm/unbind
check "a board without the kernel's serial driver is told so" refused no-serial-driver cdc_acm pi dialout,plugdev flash btt-octopus-11 --port 1-1 --firmware /rig/klipper.bin
serve_no_more
check "the flash holds the firmware" holds_firmware octopus octopus

serve octopus-katapult $serial
check "Klipper to Katapult to Klipper" as pi dialout,plugdev flash btt-octopus-11 --firmware /rig/klipper.bin
serve_no_more
check "and the flash holds the firmware" holds_firmware octopus-katapult octopus

serve two-octopuses /sys/bus/usb/devices/1-2
settle /dev/serial/by-path/platform-vhci_hcd.0-usb-0:1:1.0 /dev/serial/by-path/platform-vhci_hcd.0-usb-0:2:1.0
check "of two equal boards with one serial neither is guessed" refused boards-alike "\-\-port" pi dialout,plugdev flash btt-octopus-11 --firmware /rig/klipper.bin
check "the one that was named is flashed" as pi dialout,plugdev flash btt-octopus-11 --port 1-2 --firmware /rig/klipper.bin
serve_no_more
check "it holds the firmware" holds_firmware two-octopuses octopus-2
check "and the other one does not" eval '! holds_firmware two-octopuses octopus'

serve octopus $serial
mkfs.vfat /dev/sda >/dev/null 2>&1
check "a card that is not mounted is named with the command" refused sd-card-by-hand "udisksctl mount -b /dev/sda" pi dialout,plugdev flash btt-octopus-11 --sd-card --firmware /rig/klipper.bin
mkdir -p /media/card && mount -o uid=pi /dev/sda /media/card
check "a card gets the file, and a person is to carry it" refused sd-card-by-hand "umount /media/card" pi dialout,plugdev flash btt-octopus-11 --sd-card --firmware /rig/klipper.bin
umount /media/card && mount -o ro /dev/sda /media/card
check "it is on the card, whole" cmp /media/card/firmware.bin /rig/klipper.bin
check "and nothing else is" [ "$(ls /media/card)" = firmware.bin ]
check "one that cannot be written is told so" refused sd-card-by-hand "Read-only file system" pi dialout,plugdev flash btt-octopus-11 --sd-card --firmware /rig/klipper.bin
umount /media/card
serve_no_more

echo "1..$count"

#!/bin/bash
# In the guest, where systemd runs everything: what install.sh sets up, behind the walls of its units. Prints TAP.
# shellcheck source=tests/usb-rig/checks.sh
. /rig/checks.sh
home=/home/pi data=/home/pi/v/printer_data
units=/etc/systemd/system

pi() { setpriv --reuid pi --regid pi --init-groups /usr/bin/env -i HOME=$home PATH="$PATH" "$@" >/tmp/said 2>&1; }
ask() { pi $home/ratos-flash/ratos-flash "$@" --data $data; }
says() {
  local text=$1
  shift
  "$@" && grep -q "$text" /tmp/said
}
# until_true SECONDS COMMAND...: systemd announces nothing to a script
until_true() {
  local left=$1
  shift
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 1
  done
}
# walled COMMAND: done once, behind the walls of the agent's unit
walled() {
  sed "s|^ExecStart=.*|ExecStart=$1|; s/^Type=.*/Type=oneshot/; /^NotifyAccess\|^Restart\|^WatchdogSec/d" "$units/ratos-flash.service" >"$units/walled.service"
  systemctl daemon-reload
  systemctl start walled >/tmp/said 2>&1 || { journalctl -u walled --no-pager >>/tmp/said 2>&1; return 1; }
}
# Klipper's process as far as the unit looks at it: a program's head, and a dictionary.
program() {
  head -c 64 /bin/sh && head -c 20000 /dev/zero
  printf 'x\332' && printf '{"config":{"MCU":"linux"},"version":"%s"}' "$1" | gzip -9 | tail -c +11
}
# replaced VERSION: the unit of root's has put that program in its place
replaced() {
  program "$1" >$data/ratos-flash/host-mcu/klipper_mcu.new
  echo "install 0123456789abcdef" >$data/ratos-flash/host-mcu/request
  chown pi $data/ratos-flash/host-mcu/*
  systemctl start ratos-flash-host-mcu >/tmp/said 2>&1
  cat $data/ratos-flash/host-mcu/result >>/tmp/said 2>&1
  grep -qx "0123456789abcdef done" /tmp/said && program "$1" | cmp - /usr/local/bin/klipper_mcu >>/tmp/said 2>&1
}

# The agent's own memory in kB: here all files are in memory, and their pages count as dirty.
own() { awk '/^Anonymous/ { print $2 }' "/proc/$(systemctl show -p MainPID --value ratos-flash)/smaps_rollup"; }
# Flashes the board from the kernel's bus, and keeps the most memory that the agent has meanwhile: its boards are in another process.
flash_and_measure() {
  idle=$(own)
  most=$idle
  ask flash octopus --firmware /rig/klipper.bin &
  local flash=$! now
  while kill -0 $flash 2>/dev/null; do
    now=$(own)
    [ "$now" -le "$most" ] || most=$now
    sleep 0.05
  done
  wait $flash && grep -q "octopus OK: runs v0.13.0" /tmp/said
}

mkdir -p /usr/local/bin $data/config $data/logs $home/moonraker/moonraker/components
cp -r /rig/package $home/ratos-flash
echo '[server]' >$data/config/moonraker.conf
echo '[printer]' >$data/config/printer.cfg
echo moonraker >$data/moonraker.asvc
sed -i -E 's/^((dialout|plugdev|tty):.*)$/\1pi/' /etc/group
chown -R pi:pi $home
ip link set lo up

# Moonraker and Klipper of one virtual printer, and the boards of another on the kernel's own bus.
pi $flash virtual --no-agent --moonraker 7125 --folder $home/v --pace 1 &
moonraker=$!
serve octopus $serial
until_true 60 [ -S $data/comms/moonraker.sock ]

check "systemd runs everything" [ "$(cat /proc/1/comm)" = systemd ]
check "it is installed" eval "$home/ratos-flash/install.sh --user pi --data $data --host-mcu >/tmp/said 2>&1"
check "the agent is up, and has said so to systemd" eval "systemctl is-active ratos-flash >/tmp/said 2>&1"
first=$(own)
check "it answers" says "Klipper: ready" ask status
check "the version that runs is kept" until_true 60 [ -x $data/ratos-flash/last-version/ratos-flash ]
check "doctor finds every file of this version" eval 'ask doctor --json; ! grep -q installation-old /tmp/said'
echo "# newer" >>$home/ratos-flash/config/ratos-flash.service
check "doctor names the unit that an update left behind" eval \
  'ask doctor --json; grep "installation-old" /tmp/said | grep -q "/etc/systemd/system/ratos-flash.service.*/home/pi/ratos-flash/install.sh"'
check "and install.sh renews it" eval \
  "$home/ratos-flash/install.sh --user pi --data $data --host-mcu >/tmp/said 2>&1; ask doctor --json; ! grep -q installation-old /tmp/said"
check "it sees the board" says "octopus.*v0.12.0-10-g1f2a9e1c" ask boards
check "it flashes the board from behind its walls" flash_and_measure
echo "# memory of the agent: $first kB after its start, $idle kB after $count checks, at most $most kB in the flash of a board on the kernel's bus"
check "killed, it is started again" eval 'systemctl kill -s KILL --kill-who=main ratos-flash >/tmp/said 2>&1 && until_true 60 says "Klipper: ready" ask status'
printf 'all:\n\tmkdir -p %s/made\n\t/bin/sh -c "echo made >%s/made/it"\n' $data $data >/tmp/Makefile
check "make builds in the printer's folder" walled "/usr/bin/make -f /tmp/Makefile"
check "by way of a shell, too" [ "$(cat $data/made/it 2>&1)" = made ]
check "and nowhere else" eval '! walled "/usr/bin/touch /home/pi/elsewhere" && [ ! -e /home/pi/elsewhere ]'
mkdir -p $data/ratos-flash/host-mcu && chown pi $data/ratos-flash/host-mcu
hub=/sys/bus/usb/devices/1-0:1.0/usb1-port1/disable
chgrp plugdev $hub && chmod g+w $hub
check "a hub's switch that the user may use is reached" walled "/bin/sh -c 'echo 0 >$hub'"
mkfs.vfat /dev/sda >/dev/null 2>&1
mkdir -p /media/card && mount -o uid=pi /dev/sda /media/card
check "a card that was put in later gets the file" eval '! ask flash octopus --sd-card --firmware /rig/klipper.bin && grep -q "\[sd-card-by-hand\]" /tmp/said && cmp /media/card/firmware.bin /rig/klipper.bin'
umount /media/card
check "Klipper's process is replaced by root's unit" replaced v1
check "and the one before is kept" eval 'replaced v2 && program v1 | cmp - /usr/local/bin/klipper_mcu.previous'
rm -f $units/walled.service && systemctl daemon-reload
check "it goes" eval "$home/ratos-flash/install.sh --user pi --data $data --uninstall >/tmp/said 2>&1"
check "and no unit of it is left" eval 'systemctl list-units --all --no-legend "ratos-flash*" >/tmp/said; [ ! -s /tmp/said ]'
kill $moonraker
serve_no_more
check "the flash holds the firmware" holds_firmware octopus octopus

echo "1..$count"

#!/usr/bin/env bash
# A guest with Debian's own kernel, in which the virtual boards meet the real Linux USB stack. Made of Debian packages alone, in software emulation.
#   rig.sh build [ARCH]                 makes the guest, or does nothing when it is there (ARCH: amd64, arm64; armhf: bullseye's
#                                       32-bit system, as RatOS's images have it, or RIG_SUITE's, on the arm64 kernel)
#   rig.sh run ARCH FOLDER [SECONDS]    boots it with FOLDER as /rig, runs /rig/run there, and ends as that did; with RIG_INIT=systemd that is what runs everything
# Its clock counts instructions, one for each nanosecond, and skips idle time: a run needs one core, and a busy computer changes nothing.
# RIG_CLOCK=real gives it two cores and this computer's clock.
# 77: it cannot be made here, and a line says why.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../artifacts/usb-rig

modules="vhci-hcd cdc-acm usbmon vcan can-raw gs_usb virtio_pci virtio_scsi sd_mod vfat nls_cp437 nls_ascii"
packages="udev,kmod,dfu-util,usbip,can-utils,iproute2,libusb-1.0-0,busybox,dosfstools,systemd,make,findutils,mawk,gzip,libc-bin,bash,coreutils,diffutils,util-linux,mount,sed,grep,procps,libssl3,zlib1g,libstdc++6,libgcc-s1,base-files,base-passwd"

give_up() {
  echo "usb-rig: skipped: $1"
  exit 77
}

set_arch() {
  arch=$1 guest=$cache/$1
  case $arch in
    amd64) qemu=qemu-system-x86_64 kernel=linux-image-amd64 ;;
    arm64 | armhf) qemu=qemu-system-aarch64 kernel=linux-image-arm64 ;;
    *) give_up "there is no guest for '$arch'" ;;
  esac
  command -v "$qemu" >/dev/null || give_up "$qemu is not installed"
}

build() {
  for tool in mmdebstrap cpio xz depmod; do
    command -v "$tool" >/dev/null || give_up "$tool is not installed"
  done
  local suite key root version mirror old=${RIG_SUITE:-bullseye}
  # shellcheck disable=SC1091
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  key=$(cat "$0" "$here/init" "$here/rules" "$here/rig.service" <(echo "$suite $arch $old") | sha256sum | cut -c1-16)
  [ "$(cat "$guest/key" 2>/dev/null)" = "$key" ] && return
  echo "usb-rig: making the $arch guest"
  rm -rf "$guest"
  mkdir -p "$guest"
  root=$guest/root
  # No maintainer script runs, so another machine's architecture needs nothing special.
  mkdir "$root"
  if [ "$arch" = armhf ]; then
    # The system has neither libusb nor libssl, but for the tools of the tests. No rule of dfu-util's package opens the ROM's DFU.
    # The package source of this machine.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" | head -n 1)
    mmdebstrap --quiet --variant=extract --architectures=armhf --include="${packages/libssl3,/}" "$old" "$guest/root.tar" "deb $mirror $old main" ||
      give_up "Debian's $old cannot be had here"
    mmdebstrap --quiet --variant=extract --architectures=arm64 --include="$kernel" "$suite" "$guest/kernel.tar"
    mkdir "$guest/kernel-root"
    tar -xf "$guest/kernel.tar" -C "$guest/kernel-root" ./boot ./lib/modules
    rm "$guest/kernel.tar"
  else
    mmdebstrap --quiet --variant=extract --architectures="$arch" --include="$packages,$kernel" "$suite" "$guest/root.tar"
  fi
  tar -xf "$guest/root.tar" -C "$root" --exclude=./usr/share/{doc,man,locale,info,i18n,hwdata,perl} --exclude='./usr/lib/*/'{gconv,perl,perl-base} \
    --exclude='./usr/*/python3*' --exclude='./lib/udev/hwdb.d/*' --exclude='./usr/lib/linux-image-*' --exclude=./dev
  if [ "$arch" = armhf ]; then
    rm -f "$root"/{usr/,}lib/udev/rules.d/*dfu-util*
    mkdir -p "$root/boot"
    mv "$guest"/kernel-root/boot/* "$root/boot"
    mv "$guest/kernel-root/lib/modules" "$root/lib/modules"
    rm -r "$guest/kernel-root"
  fi
  rm -f "$root/etc/pam.d/other"   # it includes files that a maintainer script would write, and without them runuser fails
  version=$(basename "$root"/lib/modules/*)
  depmod -b "$root" "$version"
  # The few modules that are needed, with what they need.
  local module
  mkdir -p "$guest/modules"
  for module in $modules; do modprobe -d "$root" -S "$version" --show-depends "$module"; done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r module; do
    install -D "$module" "$guest/modules/${module#"$root"/lib/modules/}"
  done
  cp "$root/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$guest/modules/$version/"
  rm -rf "$root/lib/modules"
  mv "$guest/modules" "$root/lib/modules"
  depmod -b "$root" "$version"
  if [ "$arch" = amd64 ]; then
    # The unpacked kernel has an entry for QEMU of its own, and boots two seconds sooner than the packed one.
    unpack "$root/boot/vmlinuz-$version" >"$guest/kernel"
  else
    mv "$root/boot/vmlinuz-$version" "$guest/kernel"
  fi
  rm -rf "${root:?}/boot"
  cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
  printf '%s\n' 'render:x:990:' 'kvm:x:991:' 'input:x:992:' 'sgx:x:993:' 'pi:x:1000:' 'stranger:x:1001:' >>"$root/etc/group"
  printf '%s\n' root:x:0:0::/root:/bin/sh pi:x:1000:1000::/home/pi:/bin/sh stranger:x:1001:1001::/tmp:/bin/sh >"$root/etc/passwd"
  [ -e "$root/bin/sh" ] || ln -s bash "$root/bin/sh"
  # What the guest's udev is given before any board comes: a RatOS printer's own link for its board.
  install -D -m 644 "$here/rules" "$root/etc/udev/rules.d/98-printer.rules"
  install -m 755 "$here/init" "$root/init"
  install -D -m 644 "$here/rig.service" "$root/etc/systemd/system/rig.service"
  mkdir -p "$root/etc/systemd/system/default.target.wants"
  ln -s ../rig.service "$root/etc/systemd/system/default.target.wants/rig.service"
  ln -sf /lib/systemd/system/basic.target "$root/etc/systemd/system/default.target"
  ln -s mawk "$root/usr/bin/awk"
  : >"$root/etc/machine-id"
  mkdir -p "$root"/{dev,proc,sys,run,tmp,rig,results}
  (cd "$root" && find . -print0 | cpio --quiet --null -o -H newc -R 0:0) >"$guest/initrd"
  rm -rf "$root" "$guest/root.tar"
  echo "$key" >"$guest/key"
}

# The xz stream in a bzImage.
unpack() {
  local at
  at=$(LC_ALL=C grep -abom1 $'\xfd7zXZ' "$1" | head -n 1 | cut -d: -f1)
  [ -n "$at" ] || give_up "the kernel is packed in a way that is not known here"
  tail -c +$((at + 1)) "$1" | xz -dc 2>/dev/null || true   # what stands behind the stream is not its business
}

run() {
  local folder=$1 seconds=${2:-900} temporary console status clock machine
  temporary=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$temporary'" EXIT
  console=$temporary/console
  : >"$console"
  truncate -s 64M "$temporary/card"   # a card in a reader, empty
  # In the guest's memory: while the guest waits for a disk of this computer its own clock runs on.
  cp -r "$folder" "$temporary/rig"
  (cat "$guest/initrd" && cd "$temporary" && find rig -print0 | cpio --quiet --null -o -H newc -R 0:0) >"$temporary/initrd"
  rm -r "$temporary/rig"
  case ${RIG_CLOCK:-counted} in
    counted) clock=(-accel "tcg,thread=single" -smp 1 -icount "shift=0,sleep=off" -rtc clock=vm) ;;
    real) clock=(-accel "tcg,thread=multi" -smp 2) ;;
  esac
  # The smallest processor that .NET runs on: vector instructions are slow in emulation.
  case $arch in
    amd64) machine=(-M q35 -cpu "Nehalem,+rdrand" -append "rig=${RIG_INIT:-} console=ttyS0 quiet systemd.show_status=0 panic=-1 mitigations=off") ;;
    arm64 | armhf) machine=(-M virt -cpu cortex-a72 -append "rig=${RIG_INIT:-} console=ttyAMA0 quiet systemd.show_status=0 panic=-1 mitigations=off") ;;
  esac
  # The console is a file: a chardev on an input at its end would block the guest.
  timeout "$seconds" "$qemu" "${clock[@]}" -m 3072 "${machine[@]}" -nodefaults -no-reboot -display none \
    -kernel "$guest/kernel" -initrd "$temporary/initrd" -chardev "file,id=console,path=$console" -serial chardev:console \
    -device virtio-scsi-pci -drive "if=none,id=card,format=raw,file=$temporary/card" -device scsi-hd,drive=card,removable=on </dev/null &
  local machine_id=$!
  tail -n +1 -f --pid="$machine_id" "$console" | sed -u 's/\r$//; /^usb-rig: ended with/d'
  wait "$machine_id" || true
  status=$(tr -d '\r' <"$console" | sed -n 's/^usb-rig: ended with \([0-9]*\)$/\1/p')
  [ -n "$status" ] || echo "usb-rig: the guest did not end by itself within $seconds s"
  return "${status:-1}"
}

case ${1:-} in
  build) set_arch "${2:-amd64}" && build ;;
  run) set_arch "$2" && build && run "$(realpath "$3")" "${4:-900}" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac

#!/usr/bin/env bash
# Builds the native program into artifacts/: publish.sh [linux-x64|linux-arm64] [bullseye]
# arm64 (from x64) and bullseye need: apt-get install clang lld binutils-aarch64-linux-gnu libc6-dev-arm64-cross libgcc-12-dev-arm64-cross
# bullseye (as root, with mmdebstrap) links it with that Debian's C library. The program then runs on RatOS's images too, not only on
# this machine's Debian and later.
set -euo pipefail
cd "$(dirname "$0")"
rid=${1:-linux-x64} suite=${2:-}
case $rid in
  linux-x64) arch=amd64 options=(-p:CppCompilerAndLinker=gcc) ;;
  linux-arm64) arch=arm64 options=() ;;
  *) echo "publish.sh [linux-x64|linux-arm64] [bullseye]" && exit 2 ;;
esac
[ -z "$suite" ] || [ "$suite" = bullseye ] || { echo "publish.sh RID [bullseye]" && exit 2; }

if [ -n "$suite" ]; then
  sysroot=$PWD/artifacts/sysroot/$suite-$arch
  if [ ! -d "$sysroot" ]; then
    # The package source of this machine.
    # shellcheck disable=SC1091,SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -n 1)
    rm -rf "$sysroot.new"
    mkdir -p "$sysroot.new"
    mmdebstrap --quiet --variant=extract --architectures="$arch" --include=libc6-dev,libgcc-10-dev,zlib1g-dev "$suite" - "deb $mirror $suite main" |
      tar -x -C "$sysroot.new" --wildcards './lib*' './usr/lib*' './usr/include*'
    # A linker would follow an absolute link out of the folder.
    find "$sysroot.new" -type l -lname '/*' -print0 | while read -r -d '' link; do ln -sfr "$sysroot.new$(readlink "$link")" "$link"; done
    mv "$sysroot.new" "$sysroot"
  fi
  options=(-p:CppCompilerAndLinker=clang -p:LinkerFlavor=lld "-p:SysRoot=$sysroot")
fi
# The build does not track the C library: force a new link.
rm -rf "src/RatOS.Flash.Agent/bin/Release/net10.0/$rid/native"
dotnet publish src/RatOS.Flash.Agent -c Release -r "$rid" "${options[@]}" -o "artifacts/$rid"

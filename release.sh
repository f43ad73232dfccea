#!/usr/bin/env bash
# Makes the files of a GitHub release in artifacts/release/: release.sh VERSION [--packed]
# VERSION is the tag, for example v0.1.0. The release on GitHub must have the same name: Moonraker compares names.
# --packed uses the programs in artifacts/. Otherwise publish.sh builds them, which lists its requirements.
set -euo pipefail
cd "$(dirname "$0")"
version=${1:-} packed=${2:-}
[[ "$version $packed" =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?\ (--packed)?$ ]] || { echo "release.sh vX.Y.Z [--packed]" >&2 && exit 2; }
grep -qF "<Version>${version#v}</Version>" Directory.Build.props || { echo "release.sh: Directory.Build.props names another version than ${version#v}" >&2 && exit 1; }
command -v zip >/dev/null || { echo "release.sh: zip is not installed: apt-get install zip" >&2 && exit 1; }
# Moonraker's settings name the repository of the releases.
repo=$(sed -n 's/^repo: //p' config/ratos-flash-moonraker.conf)

out=$PWD/artifacts/release
rm -rf "$out"
mkdir -p "$out"
for rid in linux-x64 linux-arm64; do
  [ -n "$packed" ] || ./publish.sh "$rid"
  stage=$out/$rid
  mkdir -p "$stage/moonraker-component"
  cp "artifacts/$rid/ratos-flash" install.sh LICENSE ./*.md src/RatOS.Flash.Agent/99-ratos-flash.rules "$stage"
  cp -r config docs "$stage"
  cp -r moonraker-component/ratos_flash.py moonraker-component/page "$stage/moonraker-component"
  cat >"$stage/release_info.json" <<END
{"project_name": "${repo#*/}", "project_owner": "${repo%/*}", "version": "$version", "asset_name": "ratos-flash-$rid.zip"}
END
  # Moonraker gives each file the mode that is in the zip.
  chmod -R u=rwX,go=rX "$stage"
  chmod 755 "$stage/ratos-flash" "$stage/install.sh"
  (cd "$stage" && zip -q -X -D -r "$out/ratos-flash-$rid.zip" .)
  rm -rf "$stage"
done
cd "$out"
stat -c '%s bytes  %n' -- *.zip
sha256sum -- *.zip | tee sha256sums.txt

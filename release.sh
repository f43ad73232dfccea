#!/usr/bin/env bash
# Makes the files of a GitHub release in artifacts/release/: release.sh VERSION --key FILE | --unsigned [--packed]
# docs/release.md has the whole procedure. VERSION is the tag, for example v0.1.0. The release on GitHub must have the same name:
# Moonraker compares names.
#   --key FILE   signs with this secret key of minisign. release-key.pub in this folder must be its public key
#   --unsigned   makes no signature, for a trial: do not publish it
#   --packed     uses what is in artifacts/. Otherwise publish.sh builds the programs, and sbom.py lists what is linked in
# The same commit gives the same bytes, with the same SDK, compiler and C library. Releases are made on Debian 12.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")"
export LC_ALL=C TZ=UTC
umask 022
usage="release.sh vX.Y.Z --key FILE | --unsigned [--packed]"
die() { echo "release.sh: $*" >&2 && exit 1; }

[[ ${1:-} =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.]+)?$ ]] || { echo "$usage" >&2 && exit 2; }
version=$1 key='' unsigned='' packed=''
shift
while [ $# -gt 0 ]; do
  case $1 in
    --key)
      key=${2:-}
      [[ -z $key || $key = /* ]] || key=$here/$key
      shift
      ;;
    --unsigned) unsigned=yes ;;
    --packed) packed=yes ;;
    *) echo "$usage" >&2 && exit 2 ;;
  esac
  shift || true
done
[ -n "$key$unsigned" ] || die "name the secret key with --key FILE, or use --unsigned for a trial"
[ -z "$key" ] || [ -z "$unsigned" ] || die "--key and --unsigned exclude each other"
grep -qF "<Version>${version#v}</Version>" Directory.Build.props || die "Directory.Build.props names another version than ${version#v}"
command -v zip >/dev/null || die "zip is not installed: apt-get install zip"
if [ -n "$key" ]; then
  command -v minisign >/dev/null || die "minisign is not installed: apt-get install minisign"
  [ -f "$key" ] || die "there is no key file $key"
  [ -f release-key.pub ] || die "release-key.pub is missing: docs/release.md says how the key is made"
  [ -z "$packed" ] || die "a signed release is built from its commit: leave --packed out"
  [ -z "$(git status --porcelain)" ] || die "this folder has changes that are not committed"
  [ "$(git describe --tags --exact-match 2>/dev/null)" = "$version" ] || die "this commit is not tagged $version: git tag $version"
fi
# Moonraker's settings name the repository of the releases.
repo=$(sed -n 's/^repo: //p' config/ratos-flash-moonraker.conf)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1704067200)}
export SOURCE_DATE_EPOCH

out=$PWD/artifacts/release
rm -rf "$out"
mkdir -p "$out"
# Names: Moonraker 0.9.3, and every rollback, take the first file of a release. So the zip for the Raspberry Pi sorts first.
for rid in linux-arm64 linux-x64; do
  [ -n "$packed" ] || { ./publish.sh "$rid" && ./sbom.py "$rid" "artifacts/$rid"; }
  stage=$out/$rid
  mkdir -p "$stage/moonraker-component"
  cp "artifacts/$rid/"{ratos-flash,sbom.cdx.json,THIRD-PARTY-NOTICES.txt} "$stage"
  cp install.sh LICENSE ./*.md src/RatOS.Flash.Agent/99-ratos-flash.rules "$stage"
  cp -r config docs "$stage"
  cp -r moonraker-component/ratos_flash.py moonraker-component/page "$stage/moonraker-component"
  cat >"$stage/release_info.json" <<END
{"project_name": "${repo#*/}", "project_owner": "${repo%/*}", "version": "$version", "asset_name": "ratos-flash-$rid.zip"}
END
  # For install.sh --check.
  sums=$(cd "$stage" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
  printf '%s\n' "$sums" >"$stage/files.sha256"
  # Moonraker gives each file the mode that is in the zip.
  chmod -R u=rwX,go=rX "$stage"
  chmod 755 "$stage/ratos-flash" "$stage/install.sh"
  find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  (cd "$stage" && find . -type f | sort | zip -q -X -D -@ "$out/ratos-flash-$rid.zip")
  cp "$stage/sbom.cdx.json" "$out/sbom-$rid.cdx.json"
  rm -rf "$stage"
done
cd "$out"
stat -c '%s bytes  %n' -- *
sha256sum -- *.zip *.json | tee sha256sums.txt
if [ -n "$key" ]; then
  # The signed comment names the version: the sums of another release do not pass for this one's.
  minisign -S -s "$key" -m sha256sums.txt -t "RatOS.Flash $version" -c "signature of RatOS.Flash $version"
  if ! minisign -V -q -p "$OLDPWD/release-key.pub" -m sha256sums.txt; then
    rm -f sha256sums.txt.minisig
    die "$key is not the key of release-key.pub"
  fi
fi

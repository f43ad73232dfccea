#!/usr/bin/env bash
# dotnet.sh FOLDER: this machine's .NET runtime, as FOLDER/dotnet: the guest has none of its own.
set -euo pipefail
root=$(dotnet --list-runtimes | sed -n 's|^Microsoft\.NETCore\.App .*\[\(.*\)/shared/Microsoft\.NETCore\.App\]$|\1|p' | tail -n 1)
mkdir -p "$1/dotnet/shared"
cp -r "$root/dotnet" "$root/host" "$1/dotnet"
cp -r "$root/shared/Microsoft.NETCore.App" "$1/dotnet/shared"

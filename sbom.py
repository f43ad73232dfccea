#!/usr/bin/env python3
"""Lists what is linked into a program of publish.sh, and its licences: sbom.py linux-x64|linux-arm64 FOLDER

Writes sbom.cdx.json (CycloneDX 1.6) and THIRD-PARTY-NOTICES.txt into FOLDER. Both follow from the lock file, the packages that it names,
and this machine's C library. It ends with an error if a package has no licence whose text it knows: no release lacks a notice.
"""
import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid
import xml.etree.ElementTree as xml
from datetime import datetime, timezone

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = pathlib.Path(os.environ.get("NUGET_PACKAGES") or pathlib.Path.home() / ".nuget" / "packages")
# Compilers and analyzers of the lock file: they run during the build, and nothing of them is linked.
BUILD_ONLY = {
    "Meziantou.Analyzer", "Microsoft.CodeAnalysis.BannedApiAnalyzers", "Microsoft.DotNet.ILCompiler", "Microsoft.NET.ILLink.Tasks"}
RUNTIME = "Microsoft.NETCore.App.Runtime.NativeAOT."
# Debian 12's packages of the static C library and of the compiler's own library.
DEBIAN = {
    "linux-x64": [("libc6-dev", "glibc", "LGPL-2.1-or-later"), ("libgcc-12-dev", "libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1")],
    "linux-arm64": [("libc6-dev-arm64-cross", "glibc", "LGPL-2.1-or-later"),
                    ("libgcc-12-dev-arm64-cross", "libgcc", "GPL-3.0-or-later WITH GCC-exception-3.1")],
}
COMMON = pathlib.Path("/usr/share/common-licenses")
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
TEXTS = {"MIT": lambda: MIT, "Apache-2.0": lambda: (COMMON / "Apache-2.0").read_text()}
INTRO = """Third-party notices of RatOS.Flash {version} for {rid}

RatOS.Flash is licensed under the GPL-3.0 (LICENSE). The program ratos-flash is one static file, and contains the parts below.

The GNU C library (glibc) is licensed under the LGPL-2.1 or later. The program as a whole is licensed under the GPL-3.0, which the LGPL
permits. You may change the C library and link the program with yours: the program's whole source and the scripts that link it are public
at https://github.com/{repo} (tag v{version}). publish.sh links with the C library of the computer on which it runs.
The source of the C library in this program is Debian's source package glibc {libc}:
    apt-get source glibc={libc}
Debian's snapshot archive keeps every version.
"""


def linked(rid):
    """The packages that the program is compiled with, as (name, version, sha512 in base64)."""
    lock = json.loads((HERE / "src" / "RatOS.Flash.Agent" / "packages.lock.json").read_text())["dependencies"]["net10.0"]
    found = [(name, item["resolved"], item["contentHash"]) for name, item in lock.items()
             if item["type"] != "Project" and name not in BUILD_ONLY]
    # The runtime is of the version of the compiler, which the lock file names.
    runtime = (RUNTIME + rid, lock["Microsoft.DotNet.ILCompiler"]["resolved"], None)
    return sorted(found, key=lambda item: item[0].lower()) + [runtime]


def package(name, version, sha512):
    folder = PACKAGES / name.lower() / version
    root = xml.parse(folder / f"{name.lower()}.nuspec").getroot()
    find = {element.tag.rpartition("}")[2]: element for element in root.iter()}
    text = {tag: (element.text or "").strip() for tag, element in find.items()}
    if find["license"].get("type") != "expression" or text["license"] not in TEXTS:
        sys.exit(f"sbom.py: {name} {version} has the licence {text.get('license')!r}, whose text sbom.py does not know")
    owner = text.get("copyright", "")
    if not re.search("[A-Za-z]", owner):
        owner = " ".join(f"Copyright (c) {owner} {text['authors']}".split())
    notices = sorted(path for path in folder.rglob("*") if path.is_file()
                     and re.fullmatch(r"(licen[cs]e|notice|third-?party-?notices)(\.(txt|md))?", path.name, re.IGNORECASE))
    return {
        "name": name, "version": version, "license": text["license"], "notices": notices, "purl": f"pkg:nuget/{name}@{version}",
        "owner": owner, "sha512": sha512,
        "source": find["repository"].get("url"), "commit": find["repository"].get("commit"),
    }


def debian(name, title, licence):
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Version} ${source:Package} ${source:Version}", name],
                           check=True, capture_output=True, text=True).stdout
    version, source, source_version = query.split(" ")
    return {
        "name": title, "version": version, "license": licence, "purl": f"pkg:deb/debian/{name}@{version}", "sha512": None,
        "notices": [pathlib.Path("/usr/share/doc", name, "copyright").resolve()], "owner": "Free Software Foundation and others",
        "source": None, "commit": None, "from": f"{source} {source_version}",
    }


def component(part):
    licence = part["license"]
    entry = {
        "type": "library", "bom-ref": part["purl"], "name": part["name"], "version": part["version"], "purl": part["purl"],
        "copyright": part["owner"], "licenses": [{"expression": licence} if " " in licence else {"license": {"id": licence}}],
    }
    if part["sha512"]:
        entry["hashes"] = [{"alg": "SHA-512", "content": base64.b64decode(part["sha512"]).hex()}]
    if part["source"]:
        entry["externalReferences"] = [{"type": "vcs", "url": part["source"], "comment": f"commit {part['commit']}"}]
    if "from" in part:
        entry["properties"] = [{"name": "debian:source", "value": part["from"]}]
    return entry


def sbom(rid, version, repo, parts, tools):
    at = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or 0), timezone.utc)
    reference = f"ratos-flash@{version}"
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'https://github.com/{repo}/{version}/{rid}')}",
        "metadata": {
            "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "component": {"type": "application", "bom-ref": reference, "name": "ratos-flash", "version": version,
                          "licenses": [{"license": {"id": "GPL-3.0-only"}}]},
            "properties": [{"name": f"build:{name}", "value": value} for name, value in tools],
        },
        "components": [component(part) for part in parts],
        "dependencies": [{"ref": reference, "dependsOn": [part["purl"] for part in parts]}],
    }


def notices(rid, version, repo, parts):
    # A cross library is made from the source package of the version before its "cross".
    libc = next(part for part in parts if part["name"] == "glibc")["version"].partition("cross")[0]
    lines = [INTRO.format(version=version, rid=rid, repo=repo, libc=libc), ""]
    for part in parts:
        lines += [f"{part['name']} {part['version']}: {part['license']}", f"    {part['owner']}"]
    for name in sorted({part["license"] for part in parts} & set(TEXTS)):
        lines += ["", "=" * 80, f"{name}, for: " + ", ".join(part["name"] for part in parts if part["license"] == name), "", TEXTS[name]()]
    lines += ["", "=" * 80, "LGPL-2.1, for: glibc", "", (COMMON / "LGPL-2.1").read_text()]
    for part in parts:
        for path in part["notices"]:
            lines += ["", "=" * 80, f"{part['name']}: {path.name}", "", path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")]
    return "\n".join(lines)


def first_line(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0].strip()


def main(rid, folder):
    version = re.search(r"<Version>(.+)</Version>", (HERE / "Directory.Build.props").read_text())[1]
    repo = re.search(r"^repo: (.+)$", (HERE / "config" / "ratos-flash-moonraker.conf").read_text(), re.MULTILINE)[1]
    parts = [package(*item) for item in linked(rid)] + [debian(*item) for item in DEBIAN[rid]]
    # The same commit gives the same bytes with these versions.
    linker = ("gcc", "--version") if rid == "linux-x64" else ("clang", "--version")
    tools = [("sdk", first_line("dotnet", "--version")), ("compiler", first_line(*linker)), ("binutils", first_line("ld", "--version"))]
    target = pathlib.Path(folder)
    (target / "sbom.cdx.json").write_text(json.dumps(sbom(rid, version, repo, parts, tools), indent=1, ensure_ascii=False) + "\n")
    (target / "THIRD-PARTY-NOTICES.txt").write_text(notices(rid, version, repo, parts))
    print(f"{len(parts)} parts are linked in, each with its notice")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in DEBIAN:
        sys.exit("sbom.py linux-x64|linux-arm64 FOLDER")
    main(*sys.argv[1:])

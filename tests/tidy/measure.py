#!/usr/bin/env python3
"""Prints how legible a commit's code is, in numbers that can be compared between commits.

usage: measure.py [REV] [--ci-seconds N]      REV: any commit of this repository (default: the files as they are now)

Nothing is built: all of it is read from the text of the files. What each number means stands beside it.
"""
import argparse
import io
import os
import re
import subprocess
import tarfile

ROOT = subprocess.run(["git", "rev-parse", "--show-toplevel"], check=True, capture_output=True, text=True,
                      cwd=os.path.dirname(os.path.abspath(__file__))).stdout.strip()
TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|\$*"{3,}.*?"{3,}|(?:\$@|@\$|@)"(?:[^"]|"")*"|\$?"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
CONTROL = {"if", "else", "for", "foreach", "while", "do", "switch", "case", "try", "catch", "finally", "lock"}
PHASES = "Look|Build|Stop|Ask|Enter|Identify|Erase|Write|Verify|Leave|Confirm|Prove|Start"


def read(rev):
    """All text files by path."""
    if rev:
        archive = subprocess.run(["git", "-C", ROOT, "archive", rev], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}
    else:
        names = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                               check=True, capture_output=True, text=True).stdout
        files = {}
        for name in names.splitlines():
            if os.path.isfile(os.path.join(ROOT, name)):
                with open(os.path.join(ROOT, name), "rb") as file:
                    files[name] = file.read()
    return {name: data.decode("utf-8-sig", "replace") for name, data in files.items() if name.endswith((".cs", ".md"))}


def code(text):
    """Without comments; strings stay."""
    return TOKENS.sub(lambda found: " " if found[0].startswith("/") else found[0], text)


def bare(text):
    """Without comments and strings."""
    return TOKENS.sub(lambda found: " " if found[0].startswith("/") else '""', text)


def namespace(text):
    found = re.search(r"^namespace ([\w.]+);", text, re.M)
    return found[1] if found else ""


def circles(sources):
    """Sizes of the circles that namespaces of one assembly form by their using directives and whole names."""
    sizes = []
    for project in sorted({name.split("/")[1] for name in sources}):
        own = {name: text for name, text in sources.items() if name.split("/")[1] == project}
        spaces = {namespace(text) for text in own.values()} - {""}
        arrows = {space: set() for space in spaces}
        for text in own.values():
            home = namespace(text)
            for space in spaces - {home}:
                # Names of an outer namespace need no directive; where they are used cannot be told from text.
                if home and re.search(r"\b" + re.escape(space) + r"\b(?!\.\w+;)", bare(text)):
                    arrows[home].add(space)
        left = set(spaces)
        while left:
            start = left.pop()
            circle = {other for other in left if reaches(arrows, start, other) and reaches(arrows, other, start)}
            left -= circle
            if circle:
                sizes.append(f"{len(circle) + 1} in {project}")
    return ", ".join(sizes) or "none"


def reaches(arrows, start, end):
    seen, todo = set(), [start]
    while todo:
        for other in arrows[todo.pop()] - seen:
            seen.add(other)
            todo.append(other)
    return end in seen


def count_statements(text):
    """What a compiler calls statements, nearly: semicolons and control flow within members, and one for each expression body."""
    count, levels, since = 0, [], ""
    for token in re.findall(r"[{};()]|=>|[^{};()\w]+|\w+", bare(text)):
        within = "type" in levels and levels[-1] != "type"
        if token == "{":
            is_type = not within and re.search(r"\b(?:class|struct|record|interface|enum)\b", since)
            is_property = levels[-1:] == ["type"] and re.fullmatch(r"[^=(]*", since)
            levels.append("type" if is_type else "accessors" if is_property else "body")
            since = ""
        elif token == "}":
            if levels:
                levels.pop()
            since = ""
        elif token == "(":
            levels.append("parenthesis")
            since += token
        elif token == ")":
            if levels and levels[-1] == "parenthesis":
                levels.pop()
            since += token
        elif token == ";":
            if levels[-1:] == ["body"]:
                count += 1
            elif levels[-1:] == ["type"] and "=>" in since:
                count += 1
            elif levels[-1:] == ["accessors"] and since.strip() not in ("get", "set", "init"):
                count += 1
            since = ""
        else:
            if within and token in CONTROL:
                count += 1
            since += token
    return count


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("rev", nargs="?")
    parser.add_argument("--ci-seconds", default="not given")
    arguments = parser.parse_args()
    files = read(arguments.rev)
    sources = {name: text for name, text in files.items() if name.startswith("src/")}
    engine = {name: code(text) for name, text in sources.items() if name.startswith("src/RatOS.Flash/")}
    stripped = {name: code(text) for name, text in sources.items()}
    both = {name: text for name, text in files.items() if name.endswith(".cs") and name.startswith(("src/", "tests/"))}

    catalogue = {name for name in sources if re.search(r"/(Fault[^/]*|[^/]*Faults(\.\w+)?)\.cs$", name)}
    codes = {found for name in catalogue for found in re.findall(r'new\(\s*"([a-z0-9]+(?:-[a-z0-9]+)+|cancelled|interrupted)"', stripped[name])}
    literal = re.compile('"(' + "|".join(sorted(map(re.escape, codes), key=len, reverse=True)) + ')"')
    compared = [
        (name, number, found[1])
        for name, text in stripped.items() if name not in catalogue
        for number, line in enumerate(text.splitlines()) if re.search(r'\b[Cc]ode\b|StringComparer|^\s*(or )?"', line)
        for found in literal.finditer(line)]

    partial = {}
    for name, text in sources.items():
        for found in re.findall(r"\bpartial (?:class|record struct|record|struct|interface) (\w+)", bare(text)):
            partial.setdefault((namespace(text), found), []).append(name)

    def knowing(pattern, within=None):
        return sum(1 for text in (within or stripped).values() if re.search(pattern, text))

    statements = sum(map(count_statements, sources.values()))

    rows = [
        ("files that report a step of a flash",
         knowing(r"\bFlashPhase\.(?:%s)\b" % PHASES, {name: text for name, text in engine.items() if "enum FlashPhase" not in text}),
         "engine files that name one of the phases look ... start"),
        ("files that order the steps of a flash", sum(1 for t in engine.values() if re.search(r"\bclass (?:Flasher|BoardFlash)\b", t)),
         "engine files that hold a part of Flasher or BoardFlash: opened to follow one flash"),
        ("files that know a bootloader's name",
         knowing(r"\b(?:BootloaderKind\.\w+|(?:DfuSe|Katapult|Stm32Uart)(?:Driver)?)\b",
                 {name: bare(text) for name, text in sources.items() if not name.startswith("src/RatOS.Flash.Virtual/")}),
         "src without the virtual devices, in code"),
        ("fault codes compared as text",
         f"{len({code for _, _, code in compared})} of {len(codes)} on {len({(name, number) for name, number, _ in compared})} lines "
         f"in {len({name for name, _, _ in compared})} files",
         "string literals outside the catalogue of faults"),
        ("circles of namespaces", circles(sources), "by using directives and whole names"),
        ("interfaces", sum(len(re.findall(r"(?m)^\s*(?:public|internal) (?:partial )?interface \w+", bare(text))) for text in sources.values()),
         "in src"),
        ("types in more than one file", sum(1 for places in partial.values() if len(set(places)) > 1), "partial types, in src"),
        ("lines over 140 characters", sum(1 for t in both.values() for line in t.splitlines() if len(line) > 140), "in src and tests"),
        ("files that know --hot", knowing(r"--hot\b|\bHot\b|AllowsHot"), "in src"),
        ("files that know --sd-card", knowing(r"--sd-card\b|SdCard|sd_card|sd-card"), "in src"),
        ("files that know rollback", knowing(r"[Rr]oll[Bb]ack|RollsBack"), "in src"),
        ("statements", statements, "in src: what stands in bodies of members; an expression body is one, a declaration none"),
        ("lines of README.md", len(files.get("README.md", "").splitlines()), ""),
        ("seconds of CI", arguments.ci_seconds, "as given"),
    ]
    for name, value, meaning in rows:
        print(f"{name:38} {value!s:40} {meaning}".rstrip())


main()

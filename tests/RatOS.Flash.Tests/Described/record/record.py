#!/usr/bin/env python3
"""Run what builds.py built and write builds.jsonl: TREE OUT TARGET. Needs Debian's python3-unicorn."""
import json
import os
import pathlib
import struct
import sys

import unicorn

import builds
import families
from core import BX_LR, Core, Elf, VTOR

UID = struct.pack("<III", 0x00290045, 0x3138510B, 0x34333038)

# Where the vectors of a firmware can be, by the beginning of the chip's name: only where its start is found by trying.
CANDIDATES = {"stm32f0": (0, 0x1000, 0x2000, 0x4000), "rp": (0, 0x100, 0x4000), "lpc": (0, 0x4000), "sam": (0, 0x2000, 0x4000),
              "HC32": (0x8000, 0xC000, 0x10000)}


def open_tree(tree):
    sys.path.insert(0, str(tree / "lib/kconfiglib"))
    import kconfiglib
    os.chdir(tree)
    os.environ["srctree"] = str(tree)
    return kconfiglib.Kconfig("src/Kconfig", warn=False)


def kconfig(kconf, config):
    """The symbols a person can set in this .config with their values, and some that follow from them: (chosen, derived)."""
    kconf.load_config(str(config))
    chosen = {}
    for symbol in kconf.unique_defined_syms:
        if symbol.choice is not None:
            if symbol.str_value == "y":
                chosen[symbol.name] = "y"
        elif symbol.visibility and symbol.name != "LOW_LEVEL_OPTIONS":
            chosen[symbol.name] = symbol.str_value
    derived = ("MCU", "CLOCK_FREQ", "CLOCK_REF_FREQ", "FLASH_BOOT_ADDRESS", "FLASH_APPLICATION_ADDRESS", "FLASH_SIZE", "RAM_START",
               "RAM_SIZE", "USBSERIAL", "SERIAL", "CANSERIAL", "USBCANBUS", "CANBUS_FREQUENCY", "SERIAL_BAUD")
    values = {name: kconf.syms[name].str_value for name in derived if name in kconf.syms}
    return chosen, {name: value for name, value in values.items() if value not in ("", "n")}


def completed(kconf, symbols):
    """What olddefconfig makes of these."""
    kconf.unset_values()
    for name, value in {"LOW_LEVEL_OPTIONS": "y", **symbols}.items():
        kconf.syms[name].set_value(value)
    return {symbol.name: symbol.str_value for symbol in kconf.unique_defined_syms}


def needed(kconf, chosen):
    """The least of them that still gives the whole configuration: the others have these values anyway."""
    whole, least = completed(kconf, chosen), dict(chosen)
    for name in chosen:
        less = {other: value for other, value in least.items() if other != name}
        if completed(kconf, less) == whole:
            least = less
    return sorted(least)


def flash_kib(derived):
    """In the chip's own register: a part that holds the firmware, except the H750, which always says 128."""
    start = int(derived["FLASH_APPLICATION_ADDRESS"], 16) - int(derived["FLASH_BOOT_ADDRESS"], 16)
    size = int(derived["FLASH_SIZE"], 16) // 1024
    return 512 if derived["MCU"] == "stm32f103xe" and start + 0x10000 > size * 1024 else size


def power_on(derived, of):
    """A core with its reset values and what its maker wrote into it."""
    core = Core(of["model"], of["ready"], derived["MCU"].startswith("rp"))
    for address, size in of["ram"]:
        core.lay(address, bytes(size))
    if of["uid"]:
        core.lay(of["uid"], UID)
        core.lay(of["flash_size"], struct.pack("<H", flash_kib(derived)))
    if of["dbgmcu"]:
        core.set(*of["dbgmcu"])
    for address, word in of["reset"].items():
        core.set(address, word)
    if derived["MCU"].startswith("rp"):
        # Functions of the ROM: the look-up (pointers at 14 to 18) gives a function that returns at once.
        core.lay(0x14, struct.pack("<HHH", 0, 0x101, 0x101))
        core.lay(0x100, bytes.fromhex("004870471101000000000000000000007047"))
        core.lay(0x10000000, BX_LR)   # the second boot stage, where the image does not bring it
    if derived["MCU"].startswith("lpc"):
        core.lay(0x1FFF1FF0, BX_LR)
    return core


def start(core, elf, derived, vtor=None):
    """Enters a firmware as its bootloader does: VTOR at its vectors, for those that leave it there."""
    for run, (load, data) in zip(elf.run_at, elf.segments):
        core.lay(load, data)
        if run == 0:
            core.lay(run, data)   # SAME70: its flash stands there too, until it has copied itself into the memory that replaces it
    table = int(derived["FLASH_APPLICATION_ADDRESS"], 16)
    core.set(VTOR, table if vtor is None else vtor)
    core.run(table, elf.sleeps())


def read_back(core, elf, derived, of):
    """{address: word} of what tells a running firmware's build."""
    table, mcu = int(derived["FLASH_APPLICATION_ADDRESS"], 16), derived["MCU"]
    words = {address: core.word(address) for address in [VTOR, *of["read"]]}
    base = 0x10000000 if mcu.startswith("rp") else int(derived["FLASH_BOOT_ADDRESS"], 16)
    offsets = next((tried for begin, tried in CANDIDATES.items() if mcu.startswith(begin)), (table - base,))
    for at in sorted({base + offset + half for offset in (*offsets, table - base) for half in (0, 4)}):
        if elf.at(at, 4):
            words[at] = struct.unpack("<I", elf.at(at, 4))[0]
    if mcu.startswith("rp"):
        words |= {words[VTOR] + half: core.word(words[VTOR] + half) for half in (0, 4)}
        if table == 0x10000100:
            words[0x100000FC] = struct.unpack("<I", elf.at(0x100000FC, 4))[0]
    return words


def record(kconf, out, name, log):
    dictionary = json.loads((out / f"{name}.dict").read_text())
    chosen, derived = kconfig(kconf, out / f"{name}.config")
    of, words = families.FAMILIES.get(families.family_of(derived["MCU"]) or ""), {}
    if of:
        core, elf = power_on(derived, of), Elf((out / f"{name}.elf").read_bytes())
        start(core, elf, derived)
        words = read_back(core, elf, derived, of)
        polled = [f"{at:08x}" for at in sorted(core.polled)]
        print(f"{name}: {len(words)} words; VTOR {'written' if VTOR in core.written else 'left'}; polled {polled}", file=log)
    constants = {k: v for k, v in dictionary["config"].items() if not k.startswith("BUS_PINS_")}
    commands = sorted(name for name in {c.split()[0] for c in dictionary["commands"]}
                      if name.startswith(("config_", "debug_read", "reset")) or "_set_s" in name)
    return {
        "version": dictionary["version"], "name": name, "config": chosen, "needed": needed(kconf, chosen), "derived": derived,
        "constants": constants, "commands": commands, "flashKib": flash_kib(derived) if of else 0,
        "words": {f"{at:08X}": f"{word:08X}" for at, word in sorted(words.items())}}


def main():
    tree, out, target = (pathlib.Path(a).absolute() for a in sys.argv[1:4])
    kconf, sets, lines, version = open_tree(tree), {}, [], None
    for name, _ in builds.configurations():
        if not (out / f"{name}.dict").exists():
            print(f"{name}: not built", file=sys.stderr)
            continue
        try:
            build = record(kconf, out, name, sys.stderr)
        except (RuntimeError, unicorn.UcError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        version = build.pop("version")
        key = json.dumps(build["commands"])
        build["commands"] = sets.setdefault(key, len(sets))
        lines.append(build)
    with open(target, "w") as file:
        file.write(json.dumps({"klipper": version}, separators=(",", ":")) + "\n")
        for key, number in sets.items():
            file.write(json.dumps({"commands": number, "names": json.loads(key)}, separators=(",", ":")) + "\n")
        for build in lines:
            file.write(json.dumps(build, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()

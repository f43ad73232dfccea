#!/usr/bin/env python3
"""What Klipper's Kconfig offers for each chip: TREE TARGET. Writes kconfig.json."""
import json
import pathlib
import subprocess
import sys

from record import open_tree

LINKS = {"USBCANBUS": "bridge", "CANSERIAL": "can", "SERIAL": "uart", "USBSERIAL": "usb"}
CLOCKS = ("CLOCK_REF", "SAMD51_FREQ", "HC32F460_CLOCK", "AVR_FREQ")


def value(kconf, name):
    return kconf.syms[name].str_value if name in kconf.syms else ""


def offered(kconf, wanted):
    """The symbols of the choices in sight of which one's name satisfies a test."""
    for choice in kconf.unique_choices:
        symbols = [s for s in choice.syms if s.visibility]
        if choice.visibility and symbols and any(wanted(s.name) for s in symbols):
            yield from symbols


def is_start(name):
    return "FLASH_START_" in name or "APPLICATION_ADDRESS_" in name


def chip(kconf, machine):
    for name in ["LOW_LEVEL_OPTIONS", *machine]:
        kconf.syms[name].set_value(2)
    found = {"mcu": value(kconf, "MCU"), "machine": machine}
    if value(kconf, "RAM_START"):
        found["ramEnd"] = f"{int(value(kconf, 'RAM_START'), 16) + int(value(kconf, 'RAM_SIZE'), 16):08X}"
    starts, clocks, links, bridges = {}, {}, {}, []
    for symbol in offered(kconf, is_start):
        symbol.set_value(2)
        starts[symbol.name] = f"{int(value(kconf, 'FLASH_APPLICATION_ADDRESS'), 16):08X}"
    if not starts and value(kconf, "FLASH_APPLICATION_ADDRESS"):
        found["start"] = f"{int(value(kconf, 'FLASH_APPLICATION_ADDRESS'), 16):08X}"
    for symbol in offered(kconf, lambda name: any(part in name for part in CLOCKS)):
        symbol.set_value(2)
        reference = value(kconf, "CLOCK_REF_FREQ")
        clocks[symbol.name] = [int(value(kconf, "CLOCK_FREQ")), *([int(reference)] if reference else [])]
        # F103 and F070 have no USB without a crystal.
        seen = links_of(kconf)
        links.update((name, kind) for name, kind in seen.items() if name not in links)
        if "INTERNAL" in symbol.name and len(seen) < len(links):
            found["notInternal"] = sorted(set(links) - set(seen))
    if not clocks:
        links = links_of(kconf)
        found["clock"] = int(value(kconf, "CLOCK_FREQ"))
    for name, kind in links.items():
        if kind == "bridge":
            kconf.syms[name].set_value(2)
            bridges = [s.name for s in offered(kconf, lambda other: "CMENU_CANBUS" in other)]
    if not links:
        found["link"] = kind_of(kconf)
    found |= {key: part for key, part in (("starts", starts), ("clocks", clocks), ("links", links), ("bridges", bridges)) if part}
    if value(kconf, "HAVE_LIMITED_CODE_SIZE") == "y":
        found["features"] = [s.name for s in kconf.unique_defined_syms if s.name.startswith("WANT_") and s.visibility
                             and s.name != "WANT_STEPPER_OPTIMIZED_BOTH_EDGE"]
    return found


def kind_of(kconf):
    return next((kind for symbol, kind in LINKS.items() if value(kconf, symbol) == "y"), None)


def links_of(kconf):
    found = {}
    for symbol in offered(kconf, lambda name: name in ("RPXXXX_USB", "ATSAMD_USB", "ATSAM_USB", "LPC_USB", "AVR_SERIAL_UART1")
                          or "MMENU_CANBUS" in name or name.startswith(("STM32_SERIAL_", "HC32F460_SERIAL_"))):
        symbol.set_value(2)
        found[symbol.name] = kind_of(kconf)
    return found


def main():
    tree, target = (pathlib.Path(a).absolute() for a in sys.argv[1:3])
    machines = []
    for architecture in ("AVR", "ATSAM", "ATSAMD", "LPC176X", "STM32", "RPXXXX"):
        kconf = open_tree(tree)
        kconf.syms[f"MACH_{architecture}"].set_value(2)
        for symbol in offered(kconf, lambda name: name.startswith("MACH_") and name != "MACH_AVR"):
            if symbol.choice is not kconf.syms["MACH_AVR"].choice:
                machines.append([f"MACH_{architecture}", symbol.name])
    machines += [["MACH_HC32F460"]]
    machines += [["MACH_STM32", small[:-2], small] for small in ("MACH_STM32F103x6", "MACH_STM32F070x6")]
    describe = ["git", "-C", str(tree), "describe", "--always", "--tags", "--long"]
    version = subprocess.run(describe, capture_output=True, text=True, check=True)
    chips = [chip(open_tree(tree), machine) for machine in machines]
    lines = ",\n".join("  " + json.dumps(c, separators=(",", ":")) for c in chips)
    target.write_text(f'{{"klipper":"{version.stdout.strip()}","chips":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Build each configuration of configs.txt in a Klipper tree: TREE OUT [NAME...]. Writes OUT/NAME.{config,elf,dict}."""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def configurations():
    for line in (HERE / "configs.txt").read_text().splitlines():
        if line and line[0] != "#":
            name, *symbols = line.split()
            yield name, symbols


def config_line(symbol):
    if symbol[0] == "!":
        return f"# CONFIG_{symbol[1:]} is not set"
    name, _, value = symbol.partition("=")
    quoted = name in ("INITIAL_PINS", "USB_SERIAL_NUMBER")
    return f"CONFIG_{name}=" + (f'"{value}"' if quoted else value or "y")


def build(tree, out, name, symbols):
    config, folder = out / f"{name}.config", out / "work"
    config.write_text("\n".join(config_line(s) for s in ["LOW_LEVEL_OPTIONS", *symbols]) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    make = ["make", "-s", "-C", str(tree), f"KCONFIG_CONFIG={config}", f"OUT={folder}/"]
    with open(out / f"{name}.log", "w") as log:
        for target in (["olddefconfig"], []):
            if subprocess.run(make + target, stdout=log, stderr=log, check=False).returncode:
                return "failed"
    text = config.read_text().splitlines()
    lost = [s for s in symbols if config_line(s) not in text]
    for end in ("elf", "dict"):
        shutil.copy(folder / f"klipper.{end}", out / f"{name}.{end}")
    return f"lost {lost}" if lost else "ok"


if __name__ == "__main__":
    os.nice(10)
    tree, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).absolute()
    for name, symbols in configurations():
        if (not sys.argv[3:] or name in sys.argv[3:]) and not (out / f"{name}.dict").exists():
            print(name, build(tree, out, name, symbols), flush=True)

# ======================================================================= #
#  Copyright (C) 2026 RatOS.Flash contributors                            #
#                                                                         #
#  This file is part of KIAUH - Klipper Installation And Update Helper    #
#  https://github.com/dw-0/kiauh                                          #
#                                                                         #
#  This file may be distributed under the terms of the GNU GPLv3 license  #
# ======================================================================= #
from __future__ import annotations

import hashlib
import http.client
import platform
import shutil
import subprocess
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

from core.logger import Logger
from extensions.base_extension import BaseExtension

RELEASE = "https://github.com/Rat-OS/RatOS.Flash/releases/latest/download"
SUMS = "sha256sums.txt"
ZIPS = {
    "x86_64": "ratos-flash-linux-x64.zip",
    "aarch64": "ratos-flash-linux-arm64.zip",
}
LARGEST = 64 * 1024 * 1024
TIMEOUT = 60
FOLDER = Path.home().joinpath("ratos-flash")
FAULTS = (OSError, ValueError, http.client.HTTPException, zipfile.BadZipFile)


# noinspection PyMethodMayBeStatic
class RatosFlashExtension(BaseExtension):
    def install_extension(self, **kwargs) -> None:
        Logger.print_status("Installing RatOS.Flash ...")
        try:
            if FOLDER.joinpath(".git").exists():
                raise OSError(f"{FOLDER} is a git checkout: update it with git pull")
            unpack(verified_zip())
            run_installer()
        except FAULTS as e:
            Logger.print_error(f"Installing RatOS.Flash failed: {e}")
            return
        Logger.print_ok("RatOS.Flash is installed. Restart Klipper for its macros.")

    def update_extension(self, **kwargs) -> None:
        self.install_extension(**kwargs)

    def remove_extension(self, **kwargs) -> None:
        Logger.print_status("Removing RatOS.Flash ...")
        if not FOLDER.joinpath("install.sh").is_file():
            Logger.print_info(f"RatOS.Flash is not in {FOLDER}.")
            return
        try:
            run_installer("--uninstall")
            if not FOLDER.joinpath(".git").exists():
                shutil.rmtree(FOLDER)
        except OSError as e:
            Logger.print_error(f"Removing RatOS.Flash failed: {e}")
            return
        Logger.print_ok("RatOS.Flash is removed. Restart Klipper.")


def verified_zip() -> bytes:
    """The zip of the latest release for this computer, as its sums say."""
    name = ZIPS.get(platform.machine())
    if name is None:
        raise OSError(f"there is no release for {platform.machine()}")
    sums = dict(
        reversed(line.split(maxsplit=1))
        for line in download(SUMS).decode().splitlines()
        if line.strip()
    )
    content = download(name)
    found = hashlib.sha256(content).hexdigest()
    # A name in binary mode begins with an asterisk.
    expected = sums.get(name, sums.get(f"*{name}"))
    if found != expected:
        raise OSError(f"the SHA-256 of {name} is {found}, not {expected}")
    return content


def download(name: str) -> bytes:
    Logger.print_status(f"Downloading {name} ...")
    with urllib.request.urlopen(f"{RELEASE}/{name}", timeout=TIMEOUT) as response:
        content = response.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(f"{name} has more than {LARGEST} bytes")
    return content


def unpack(content: bytes) -> None:
    """Replaces the folder as a whole: a running program cannot be overwritten."""
    new = FOLDER.with_name(f"{FOLDER.name}.new")
    old = FOLDER.with_name(f"{FOLDER.name}.old")
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, new)
            if not entry.is_dir():
                Path(path).chmod(entry.external_attr >> 16 & 0o755 or 0o644)
    if FOLDER.exists():
        FOLDER.rename(old)
    new.rename(FOLDER)
    shutil.rmtree(old, ignore_errors=True)


def run_installer(*options: str) -> None:
    # It asks for the sudo password.
    status = subprocess.run(["./install.sh", *options], cwd=FOLDER).returncode
    if status != 0:
        raise OSError(f"install.sh ended with {status}")

"""Updates of RatOS.Flash itself by Moonraker's update manager, inside the real Moonraker, with a local stand-in of GitHub.

    MOONRAKER_PATH=~/moonraker ~/moonraker-env/bin/python test_update.py

The settings are those that install.sh writes. Replaced are GitHub's address, the restart of services, which is noted instead, the first
look for updates of other programs, and the component's time for the agent to start.
"""
import http.server
import io
import json
import os
import pathlib
import platform
import shutil
import struct
import sys
import threading
import time
import unittest
import zipfile

from test_ratos_flash import HERE, HOLD, MOONRAKER_PATH, RealClient, RealMoonraker, Refused

REPO = "Rat-OS/RatOS.Flash"
ARM, PC = "ratos-flash-linux-arm64.zip", "ratos-flash-linux-x64.zip"
ELF = {"x86_64": 62, "aarch64": 183}
OWN = ELF[platform.machine()]
FOREIGN = next(number for number in ELF.values() if number != OWN)
OWN_ZIP, FOREIGN_ZIP = (PC, ARM) if platform.machine() == "x86_64" else (ARM, PC)
STARTING = 1.0
OLD = MOONRAKER_PATH and not pathlib.Path(MOONRAKER_PATH, "moonraker/components/update_manager/net_deploy.py").exists()


def program(machine, version):
    """As much of a program as the component reads."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 2, machine) + version.encode()


def files(version, asset=OWN_ZIP, machine=OWN, info=True):
    yield "ratos-flash", program(machine, version), 0o755
    yield "install.sh", b"#!/bin/sh\n", 0o755
    if info:
        owner, name = REPO.split("/")
        yield "release_info.json", json.dumps(
            {"project_name": name, "project_owner": owner, "version": version, "asset_name": asset}).encode(), 0o644
    yield "moonraker-component/ratos_flash.py", (HERE / "ratos_flash.py").read_bytes(), 0o644


def packed(*args, **values):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, data, mode in files(*args, **values):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | mode) << 16
            file.writestr(entry, data)
    return content.getvalue()


class GitHub:
    """The requests that Moonraker sends for a release, and the files. Releases are (tag, {name: content}), the newest first."""

    def __init__(self, releases):
        github, self.releases = self, releases

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                content = github.answer(self.path)
                self.send_response(200 if content is not None else 404)
                self.end_headers()
                self.wfile.write(content or b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path):
        start = f"/repos/{REPO}/releases"
        if path.startswith("/download/"):
            _, _, tag, name = path.split("/")
            return dict(self.releases)[tag][name]
        tags = [tag for tag, _ in self.releases if path in (f"{start}/latest", f"{start}/tags/{tag}")]
        if not tags:
            return None
        return json.dumps({"name": tags[0], "tag_name": tags[0], "prerelease": False, "assets": [
            {"name": name, "content_type": "application/zip", "size": len(content),
             "browser_download_url": f"{self.address}download/{tags[0]}/{name}"}
            for name, content in dict(self.releases)[tags[0]].items()]}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Installed(RealMoonraker):
    """Moonraker on a printer where install.sh has installed v0.1.0 from a zip, with an agent that is connected."""

    def __init__(self, github):
        self.LAUNCH = (
            "import sys; sys.path.insert(0, {path!r}); import moonraker.components as all; all.__path__.insert(0, %r);"
            "import moonraker.components.ratos_flash as component; component.GRACE = {grace}; component.STARTING = %r;"
            "import moonraker.components.http_client as client; client.GITHUB_PREFIX = %r;"
            "import moonraker.components.update_manager.base_deploy as base; base.BaseDeploy.needs_refresh = lambda *_: False;"
            "import moonraker.components.machine as machine\n"
            "async def act(self, action, name): open(%r, 'a').write(action + ' ' + name + '\\n')\n"
            "machine.Machine.do_service_action = act\n"
            "from moonraker.server import main; main()")
        self.github = github
        super().__init__(True, prepare=self.install)
        self.agent = self.connect("ratos_flash")

    def install(self, root):
        self.program = root / "program"
        for name, data, mode in files("v0.1.0"):
            path = self.program / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(mode)
        self.services = root / "services"
        self.services.touch()
        self.LAUNCH = self.LAUNCH % (str(self.program / "moonraker-component"), STARTING, self.github.address, str(self.services))
        settings = (HERE.parent / "config" / "ratos-flash-moonraker.conf").read_text()
        settings = settings[settings.index("[update_manager"):].replace("@UNIT@", "ratos-flash").replace("@FOLDER@", str(self.program))
        with (root / "config" / "moonraker.conf").open("a") as file:
            file.write(settings)
        (root / "moonraker.asvc").write_text("ratos-flash\n")
        self.kept = root / "ratos-flash" / "last-version"

    def keep(self):
        """What the agent does when it starts."""
        shutil.copytree(self.program, self.kept)

    def refresh(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                self.call("machine.update.refresh", {"name": "ratos-flash"})
                return self.status()
            except Refused as busy:   # Moonraker has not looked at its own programs yet
                if "busy" not in str(busy) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def status(self):
        return self.call("machine.update.status", {})["version_info"]["ratos-flash"]

    def update(self):
        self.call("machine.update.client", {"name": "ratos-flash"})

    def version(self):
        return json.loads((self.program / "release_info.json").read_text())["version"]

    def restarted(self):
        return self.services.read_text().split("\n")[:-1]


class Updates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not MOONRAKER_PATH:
            raise unittest.SkipTest("updates inside the real Moonraker: MOONRAKER_PATH names no checkout of it")

    def world(self, *releases):
        github = GitHub(list(releases))
        self.addCleanup(github.close)
        world = Installed(github)
        self.addCleanup(world.close)
        return world

    def told(self, world):
        """What the component says when its time for the agent's start is over."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            entries = world.announced()
            if entries:
                return entries[0][1]
            time.sleep(0.1)
        return None

    def test_the_settings_of_install_sh_are_valid(self):
        world = self.world(("v0.1.0", {OWN_ZIP: packed("v0.1.0")}))
        status = world.refresh()
        self.assertEqual(("v0.1.0", "v0.1.0", []), (status["version"], status["remote_version"], status["warnings"]))
        self.assertEqual([], [line for line in world.call("server.info", {})["warnings"] if "ratos" in line])

    def test_an_update_replaces_the_folder_and_restarts_the_agent_then_moonraker(self):
        world = self.world(("v0.2.0", {OWN_ZIP: packed("v0.2.0"), FOREIGN_ZIP: packed("v0.2.0", FOREIGN_ZIP, FOREIGN)}))
        (world.program / "left-over").touch()
        self.assertEqual("v0.2.0", world.refresh()["remote_version"])
        world.update()
        self.assertEqual("v0.2.0", world.version())
        self.assertEqual(program(OWN, "v0.2.0"), (world.program / "ratos-flash").read_bytes())
        self.assertEqual(0o755, (world.program / "ratos-flash").stat().st_mode & 0o777)
        self.assertFalse((world.program / "left-over").exists())
        self.assertEqual(["restart ratos-flash", "restart moonraker"], world.restarted())
        self.assertEqual(("v0.2.0", []), (world.status()["version"], world.status()["warnings"]))
        time.sleep(2 * STARTING)
        self.assertEqual([], world.announced())   # the agent is connected, and its program is there

    if OLD:
        def test_an_old_moonraker_takes_the_first_file_of_a_release(self):
            world = self.world(("v0.2.0", {ARM: packed("v0.2.0", ARM), PC: b"not this one"}))
            world.refresh()
            world.update()
            self.assertEqual("v0.2.0", world.version())
    else:
        def test_moonraker_takes_the_zip_that_release_info_names_wherever_it_lies(self):
            world = self.world(("v0.2.0", {FOREIGN_ZIP: b"", "sums.txt": b"", OWN_ZIP: packed("v0.2.0")}))
            world.refresh()
            world.update()
            self.assertEqual("v0.2.0", world.version())

    def test_a_rollback_takes_the_first_file_of_a_release(self):
        world = self.world(
            ("v0.2.0", {OWN_ZIP: packed("v0.2.0")}), ("v0.1.0", {ARM: packed("v0.1.0", ARM), PC: b"not this one"}))
        world.refresh()
        world.update()
        world.call("machine.update.rollback", {"name": "ratos-flash"})
        self.assertEqual("v0.1.0", world.version())

    def test_an_update_waits_for_the_end_of_a_flash(self):
        world = self.world(("v0.2.0", {OWN_ZIP: packed("v0.2.0")}))
        world.refresh()
        self.assertTrue(world.agent.call(HOLD, {"job": "7f3a", "hold": True})["held"])
        user = RealClient(world.path, world.process)
        self.addCleanup(user.close)
        asking = threading.Thread(target=lambda: user.call("machine.update.client", {"name": "ratos-flash"}))
        asking.start()
        time.sleep(2)
        self.assertEqual(("v0.1.0", []), (world.version(), world.restarted()))
        self.assertTrue(asking.is_alive())
        world.agent.call(HOLD, {"job": "7f3a", "hold": False})
        asking.join(20)
        self.assertEqual(("v0.2.0", ["restart ratos-flash", "restart moonraker"]), (world.version(), world.restarted()))

    def test_a_broken_zip_leaves_no_program_and_the_way_back_is_told(self):
        good = packed("v0.2.0")
        for name, broken in (("cut", good[:len(good) // 2]), ("no zip", b"<html>503</html>")):
            with self.subTest(name):
                world = self.world(("v0.2.0", {OWN_ZIP: broken}))
                world.keep()
                world.refresh()
                with self.assertRaises(Refused):
                    world.update()
                self.assertFalse((world.program / "ratos-flash").exists())   # Moonraker deletes before it opens the zip
                self.assertEqual([], world.restarted())
                text = self.told(world)
                self.assertIn(f"The update of RatOS.Flash failed: {world.program}/ratos-flash is missing.", text)
                self.go_back(world, text)

    def go_back(self, world, text):
        command = f"cp -a {world.kept}/. {world.program}/"
        self.assertIn(f"{command} && {world.program}/install.sh", text)
        self.assertEqual(0, os.system(command))
        self.assertEqual("v0.1.0", world.version())
        self.assertEqual(0o755, (world.program / "ratos-flash").stat().st_mode & 0o777)
        self.assertEqual(("v0.1.0", []), (world.refresh()["version"], world.status()["warnings"]))

    def test_a_zip_of_another_processor_is_told(self):
        world = self.world(("v0.2.0", {OWN_ZIP: packed("v0.2.0", OWN_ZIP, FOREIGN)}))
        world.keep()
        world.refresh()
        world.update()
        text = self.told(world)
        self.assertIn(f"{world.program}/ratos-flash is for another processor than {platform.machine()}.", text)
        console = [line for line in world.seen("notify_gcode_response") if line.startswith("!! ")]
        self.assertEqual(1, len(console))
        self.go_back(world, text)
        world.agent.close()
        time.sleep(0.5)
        world.connect("ratos_flash")   # the agent runs again
        deadline = time.monotonic() + 5
        while world.announced() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual([], world.announced())

    def test_an_agent_that_does_not_start_after_an_update_is_told(self):
        world = self.world(("v0.2.0", {OWN_ZIP: packed("v0.2.0")}))
        world.refresh()
        world.agent.close()
        world.update()
        self.assertIn("its agent does not run. On the printer run: systemctl status ratos-flash Unpack the zip", self.told(world))

    def test_a_zip_without_release_info_runs_and_is_not_updated_any_more(self):
        world = self.world(("v0.2.0", {OWN_ZIP: packed("v0.2.0", info=False)}))
        world.refresh()
        world.update()
        self.assertEqual(program(OWN, "v0.2.0"), (world.program / "ratos-flash").read_bytes())
        self.assertIn("Failed to validate installation", world.status()["warnings"])
        with self.assertRaises(Refused) as refused:
            world.update()
        self.assertIn("Invalid install detected", str(refused.exception))


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{result.testsRun - failed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)

"""The Moonraker component, on a small stand-in of Moonraker and, where MOONRAKER_PATH names a checkout of it, inside the real one.

Both are told the same stories. The real one needs a Python that has Moonraker's packages:
    MOONRAKER_PATH=~/moonraker ~/moonraker-env/bin/python test_ratos_flash.py
"""
import asyncio
import contextlib
import enum
import http.client
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
MOONRAKER_PATH = os.environ.get("MOONRAKER_PATH")
GRACE = 1.0  # seconds; shorter than the component's own, since the real Moonraker has no other clock than ours
SETTLE = 3.0  # as the component's
LOADED = 2.0
DIALOG, CONSOLE, NEWS = "notify_update_response", "notify_gcode_response", "notify_announcement_update"
STATUS = "notify_update_refreshed"
HOLD = "server.ratos_flash.hold"


LINK = ' <a href="/server/ratos_flash/page" target="_blank">Open RatOS.Flash</a>'
INFO = {"api": 1, "dialog": True, "announcements": True, "page": True, "frame_origins": []}


class Refused(Exception):
    def __init__(self, message, code=400):
        super().__init__(message)
        self.code = code


class Stories:
    """What front ends see. A world has: call, seen (the notifications of these names since the last call), connect, wait, stop."""

    def world(self, update_manager=True, announcements=True, options="", prepare=None):
        raise NotImplementedError

    def show(self, world, **params):
        return world.call("server.ratos_flash.show", {"job": "7f3a", **params})

    def dialog(self, world):
        """The dialog's lines as (message, complete). What completes it is a frame of its own, without a text."""
        lines = []
        for line in world.seen(DIALOG):
            if line["complete"] and lines:
                self.assertEqual("", line["message"])
                lines[-1] = (lines[-1][0], True)
            else:
                lines.append((line["message"], line["complete"]))
        return lines

    def assert_refused(self, world, method, params, *words):
        with self.assertRaises(Refused) as refused:
            world.call(method, params)
        self.assertEqual(400, refused.exception.code)
        for word in words:
            self.assertIn(word, str(refused.exception))

    def test_it_reports_what_it_can_show(self):
        world = self.world()
        self.assertEqual(INFO, world.call("server.ratos_flash.info", {}))

    def test_the_page_and_its_files_are_served_as_they_are(self):
        world = self.world()
        status, content_type, content = world.get("/server/ratos_flash/page")
        self.assertEqual((200, "text/html; charset=UTF-8"), (status, content_type))
        page = (HERE / "page" / "page.html").read_bytes()
        self.assertEqual(page, content.replace(b'\n<meta name="frame-origins" content="">', b"", 1))
        self.assertLess(len(page), len(content), "page.html has a line <head>")
        for file in sorted((HERE / "page").iterdir()):
            if file.name != "page.html":
                with self.subTest(file.name):
                    status, content_type, content = world.get(f"/server/ratos_flash/page/{file.name}")
                    self.assertEqual((200, file.read_bytes()), (status, content))
                    self.assertIn(content_type, ("text/javascript; charset=UTF-8", "text/css; charset=UTF-8", "image/svg+xml"))

    def test_files_that_the_page_does_not_have_are_not_found(self):
        world = self.world()
        for name in ("page/page.html", "page/", "page/none.js", "page/../info", "page/%2e%2e/ratos_flash.py", "page/main.js/x", "pages"):
            with self.subTest(name):
                self.assertEqual(404, world.get(f"/server/ratos_flash/{name}")[0])

    def test_the_page_is_no_method_of_the_websocket(self):
        world = self.world()
        for method in ("server.ratos_flash.page", "server.ratos_flash.page.main.js"):
            with self.assertRaises(Refused):
                world.call(method, {})

    def test_origins_that_may_frame_the_page_are_in_it(self):
        world = self.world(options="frame_origins: https://My.mainsail.xyz, http://10.0.0.2:8080\n  http://[fe80::1]:80")
        origins = ["https://my.mainsail.xyz", "http://10.0.0.2:8080", "http://[fe80::1]:80"]
        self.assertEqual(origins, world.call("server.ratos_flash.info", {})["frame_origins"])
        meta = f'<meta name="frame-origins" content="{" ".join(origins)}">'
        self.assertIn(meta.encode(), world.get("/server/ratos_flash/page")[2])
        self.assertEqual([], world.warnings())

    def test_what_is_no_origin_is_reported_and_left_out(self):
        wrong = ["mainsail.xyz", "https://", "https://a.b/path", "https://a.b:port", "https://*.b", '"><script>', "https://a@b", "*"]
        world = self.world(options="frame_origins: https://a.b " + " ".join(wrong))
        self.assertEqual(["https://a.b"], world.call("server.ratos_flash.info", {})["frame_origins"])
        self.assertIn(b'content="https://a.b">', world.get("/server/ratos_flash/page")[2])
        self.assertEqual(len(wrong), len(world.warnings()))
        for word in wrong:
            self.assertTrue(any(repr(word) in warning for warning in world.warnings()), word)

    def test_firmware_can_be_uploaded_listed_read_and_deleted(self):
        world = self.world()
        self.assertIn({"name": "ratos_flash", "path": str(world.folder / "ratos-flash" / "firmware"), "permissions": "rw"},
                      world.call("server.files.roots", {}))
        self.assertEqual(201, world.upload("ratos_flash", "octopus.bin", b"\x00firmware"))
        self.assertEqual(b"\x00firmware", (world.folder / "ratos-flash" / "firmware" / "octopus.bin").read_bytes())
        self.assertEqual(["octopus.bin"], [file["path"] for file in world.call("server.files.list", {"root": "ratos_flash"})])
        self.assertEqual((200, b"\x00firmware"), world.get("/server/files/ratos_flash/octopus.bin")[::2])
        world.call("server.files.delete_file", {"path": "ratos_flash/octopus.bin"})
        self.assertEqual([], world.call("server.files.list", {"root": "ratos_flash"}))

    def test_a_firmware_folder_from_before_keeps_its_files_and_its_mode(self):
        def prepare(folder):
            (folder / "ratos-flash" / "firmware").mkdir(parents=True, mode=0o700)
            (folder / "ratos-flash" / "firmware" / "mine.uf2").write_bytes(b"x")

        world = self.world(prepare=prepare)
        self.assertEqual(["mine.uf2"], [file["path"] for file in world.call("server.files.list", {"root": "ratos_flash"})])
        self.assertEqual(0o700, (world.folder / "ratos-flash" / "firmware").stat().st_mode & 0o777)

    def test_a_firmware_folder_that_cannot_be_made_leaves_the_rest(self):
        world = self.world(prepare=lambda folder: (folder / "ratos-flash").write_text("a file"))
        self.assertEqual(INFO, world.call("server.ratos_flash.info", {}))
        self.assertNotIn("ratos_flash", [root["name"] for root in world.call("server.files.roots", {})])

    def test_a_dialog_line_carries_what_the_front_ends_read(self):
        world = self.world()
        self.show(world, dialog=["octopus: erase", "octopus: write 25 %"])
        first, second = world.seen(DIALOG)
        self.assertEqual({"message": "octopus: erase", "application": "firmware of boards", "proc_id": first["proc_id"], "complete": False}, first)
        self.assertEqual(("octopus: write 25 %", False), (second["message"], second["complete"]))
        self.assertIsInstance(first["proc_id"], int)
        self.assertEqual(first["proc_id"], second["proc_id"])
        world.call("server.ratos_flash.show", {"job": "another", "dialog": ["x"]})
        self.assertNotEqual(first["proc_id"], world.seen(DIALOG)[0]["proc_id"])

    def test_only_the_last_line_of_a_completing_call_completes(self):
        world = self.world()
        self.show(world, dialog=["octopus: verified", "done"], complete=True)
        self.assertEqual([("octopus: verified", False), ("done", True)], self.dialog(world))

    def test_an_open_dialog_is_completed_also_without_a_line(self):
        world = self.world()
        self.show(world, dialog=["octopus: write"])
        self.show(world, complete=True)
        self.assertEqual([("octopus: write", True)], self.dialog(world))

    def test_fluidd_opens_its_dialog_once_and_reads_the_verdict(self):
        for update_manager in (True, False):
            with self.subTest(update_manager=update_manager):
                world = self.world(update_manager=update_manager)
                self.show(world, dialog=["octopus: erase"])
                self.show(world, dialog=["octopus: write"])
                world.wait(0.2)
                (status,) = world.seen(STATUS)
                self.assertTrue(status["busy"])
                self.assertIsInstance(status["version_info"], dict)   # Mainsail reads it
                self.show(world, dialog=["octopus OK"], complete=True)
                self.assertEqual([("octopus: erase", False), ("octopus: write", False), ("octopus OK", False), ("", True)],
                                 [(line["message"], line["complete"]) for line in world.seen(DIALOG)])
                world.wait(0.2)
                self.assertEqual([], world.seen(STATUS))
                self.show(world, dialog=["octopus OK"], complete=True)   # a result alone: closed before it is open
                world.wait(0.2)
                self.assertEqual([], world.seen(STATUS))

    def test_a_browser_that_comes_later_opens_its_dialog_too(self):
        world = self.world()
        self.show(world, dialog=["octopus: erase"])
        world.wait(0.2)
        world.seen(STATUS)
        world.connect("browser", "web")
        world.wait(0.2)
        self.assertEqual([], world.seen(STATUS), "Fluidd asks for the status first")
        world.wait(LOADED)
        self.assertEqual([True], [status["busy"] for status in world.seen(STATUS)])
        world.connect("another", "agent")
        world.wait(LOADED + 0.2)
        self.assertEqual([], world.seen(STATUS))

    def test_the_title_names_the_boards_and_the_outcome(self):
        world = self.world()
        self.show(world, dialog=["octopus: erase"], title="octopus")
        self.show(world, dialog=["octopus: write"])
        self.show(world, dialog=["octopus FAILED"], title="octopus: FAILED", complete=True)
        titles = [line["application"] for line in world.seen(DIALOG)]
        self.assertEqual(["firmware of octopus"] * 2 + ["firmware of octopus: FAILED"] * 2, titles)
        self.assert_refused(world, "server.ratos_flash.show", {"job": "7f3a", "dialog": ["x"], "title": 7}, "'title'")

    def test_a_prompt_is_shown_again_to_a_browser_that_comes_while_klipper_is_not_ready(self):
        prompt = ["// action:prompt_begin Boards need firmware", "// action:prompt_text Flash?",
                  "// action:prompt_footer_button Flash|RESPOND|primary", "// action:prompt_show"]
        world = self.world()
        self.show(world, console=["// action:prompt_end", *prompt, "// another line"])
        world.seen(CONSOLE)
        world.connect("agent", "agent")
        world.wait(LOADED + 0.2)
        self.assertEqual([], world.seen(CONSOLE))
        world.connect("browser", "web")
        world.connect("second", "web")
        world.wait(LOADED + 0.2)
        self.assertEqual(prompt, world.seen(CONSOLE))
        # Also after that: the one that was shown again is the same prompt.
        world.connect("third", "web")
        world.wait(LOADED + 0.2)
        self.assertEqual(prompt, world.seen(CONSOLE))
        self.show(world, console=["// action:prompt_end"])
        world.seen(CONSOLE)
        world.connect("fourth", "web")
        world.wait(LOADED + 0.2)
        self.assertEqual([], world.seen(CONSOLE))

    def test_a_result_of_several_lines_is_one_message(self):
        world = self.world()
        self.show(world, console=["!! octopus FAILED\nWhat to do: x"], dialog=["first\nsecond"])
        self.assertEqual(["!! octopus FAILED\nWhat to do: x"], world.seen(CONSOLE))
        self.assertEqual([("first", False), ("second", False)], self.dialog(world))
        self.assert_refused(world, "server.ratos_flash.show", {"job": "7f3a", "console": ["bad\n// good"]}, "bad")

    def test_no_update_begins_beside_a_flash_until_it_is_over_or_its_agent_is_gone(self):
        world = self.world()
        agent, other = world.connect("ratos_flash"), world.connect("other", "web")
        for _ in range(100):   # the real update manager looks at its programs first
            if agent.call(HOLD, {"job": "7f3a", "hold": True})["held"]:
                break
            world.wait(0.2)
        self.assertEqual({"held": True}, agent.call(HOLD, {"job": "8b1c", "hold": True}))
        self.assertEqual({"held": True}, agent.call(HOLD, {"job": "7f3a", "hold": False}))
        self.assertEqual({"held": True}, other.call(HOLD, {"job": "unknown", "hold": False}))
        agent.close()
        world.wait(1)
        self.assertEqual({"held": False}, other.call(HOLD, {"job": "unknown", "hold": False}))
        for values in ({"hold": True}, {"job": "", "hold": True}, {"job": "1", "hold": 1}):
            self.assert_refused(world, HOLD, values, "must be")

    def test_without_an_update_manager_nothing_is_held(self):
        world = self.world(update_manager=False)
        self.assertEqual({"held": False}, world.connect("ratos_flash").call(HOLD, {"job": "7f3a", "hold": True}))

    def test_a_display_gets_no_prompt_above_a_dialog_that_it_may_still_show(self):
        prompt = ["// action:prompt_begin Roll back?", "// action:prompt_text x", "// action:prompt_show"]
        world = self.world()
        display, browser = world.connect("KlipperScreen", "display"), world.connect("browser", "web")
        world.wait(LOADED + 0.2)
        self.show(world, console=prompt)
        self.assertEqual((prompt, prompt), (display.heard(CONSOLE), browser.heard(CONSOLE)))
        self.show(world, dialog=["octopus: write", "octopus FAILED"], complete=True)
        self.show(world, console=["// action:prompt_end", *prompt, "!! octopus FAILED"])
        self.assertEqual(["// action:prompt_end", "!! octopus FAILED"], display.heard(CONSOLE))
        self.assertEqual(["// action:prompt_end", *prompt, "!! octopus FAILED"], browser.heard(CONSOLE))
        # The console's past does not have it, so a browser that comes later is shown it in any state of Klipper.
        later = world.connect("later", "web")
        world.wait(LOADED + 0.2)
        self.assertEqual(prompt, later.heard(CONSOLE))
        self.assertEqual([], display.heard(CONSOLE))
        # KlipperScreen was restarted.
        display.close()
        display = world.connect("KlipperScreen", "display")
        self.show(world, console=["// action:prompt_end", *prompt])
        self.assertEqual(["// action:prompt_end", *prompt], display.heard(CONSOLE))

    def test_completing_a_closed_dialog_opens_none(self):
        world = self.world()
        self.show(world, complete=True)
        self.assertEqual([], self.dialog(world))

    def test_html_in_the_dialog_is_text(self):
        world = self.world()
        self.show(world, dialog=["<img src=x onerror=alert(1)> & 'quoted' \"twice\""], complete=True)
        self.assertEqual([("‹img src=x onerror=alert(1)› & 'quoted' \"twice\"", True)], self.dialog(world))
        self.show(world, dialog=["&lt;b&gt; &#60;"])
        self.assertEqual([("&amp;lt;b&amp;gt; &amp;#60;", False)], self.dialog(world))

    def test_a_line_is_as_long_as_the_smallest_screen_shows(self):
        world = self.world()
        self.show(world, dialog=["What to do: " + "switch it off & on, " * 6])
        (text, _), = self.dialog(world)
        self.assertEqual("What to do: " + "switch it off & on, " * 6, text.replace("\n", " ") + " ")
        self.assertLessEqual(max(len(line) for line in text.split("\n")), 64)

    def test_console_lines_arrive_as_they_are_and_in_order(self):
        world = self.world()
        lines = ["// action:prompt_begin Flash?", "// action:prompt_button Yes|FLASH_MCU BOARD=all|primary", "!! ebb42: failed", "echo: <hello> & goodbye"]
        self.show(world, console=lines)
        self.assertEqual(lines, world.seen(CONSOLE))
        self.assertEqual([], self.dialog(world))

    def test_a_console_line_of_unknown_kind_is_refused_and_nothing_is_shown(self):
        world = self.world()
        for line in ("ok", "//no space", " // late", "!!", "echo:x", "", "B:20.0 /0.0"):
            self.assert_refused(world, "server.ratos_flash.show", {"job": "7f3a", "dialog": ["x"], "console": ["// fine", line]}, "console", "'!! '")
        self.assertEqual([], world.seen(DIALOG) + world.seen(CONSOLE))

    def test_control_characters_are_removed(self):
        world = self.world()
        self.show(world, dialog=["a\r\nb\x00\x1b[31m\x7f\x85\u2028\u202ec\ud800"], console=["// one\n!! two\x03"], complete=True)
        self.assertEqual([("a", False), ("b[31mc", True)], self.dialog(world))
        self.assertEqual(["// one\n!! two"], world.seen(CONSOLE))

    def test_long_lines_are_cut_before_they_are_escaped(self):
        world = self.world()
        self.show(world, dialog=["<" * 5000], complete=True)
        (text, complete), = self.dialog(world)
        self.assertEqual(("‹" * 999 + "…", True), (text.replace("\n", ""), complete))

    def test_too_many_lines_are_refused(self):
        world = self.world()
        for name in ("dialog", "console"):
            self.assert_refused(world, "server.ratos_flash.show", {"job": "7f3a", name: ["// x"] * 101}, name, "101")
        self.show(world, console=["// x"] * 100)
        self.assertEqual(100, len(world.seen(CONSOLE)))

    def test_wrong_types_are_refused_with_the_name_of_the_argument(self):
        world = self.world()
        good = {"job": "7f3a", "dialog": ["x"], "console": ["// x"], "complete": True}
        for name, values in {"job": (None, 7, "", "\n", ["x"]), "dialog": ("x", None, [1], {"a": 1}, [None]), "console": ("// x", [["// x"]]),
                             "complete": ("true", 1, None)}.items():
            for value in values:
                self.assert_refused(world, "server.ratos_flash.show", {**good, name: value}, f"'{name}'")
        self.assert_refused(world, "server.ratos_flash.show", {"dialog": ["x"]}, "'job'")
        self.assertEqual([], world.seen(DIALOG) + world.seen(CONSOLE))

    def test_a_dialog_of_an_agent_that_died_is_completed(self):
        world = self.world()
        agent = world.connect("ratos_flash")
        agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["octopus: write"]})
        agent.close()
        world.wait(GRACE / 2)
        self.assertEqual([("octopus: write", False)], self.dialog(world))
        world.wait(GRACE)
        (line, complete), = self.dialog(world)
        self.assertTrue(complete)
        self.assertIn("RatOS.Flash is not running", line)
        self.assertIn("systemctl status ratos-flash", line)
        world.wait(2 * GRACE)
        self.assertEqual([], self.dialog(world))

    def test_an_agent_that_reconnects_continues_its_dialog(self):
        world = self.world()
        agent = world.connect("ratos_flash")
        agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["octopus: write"]})
        agent.close()
        agent = world.connect("ratos_flash")
        agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["octopus: verify"]})
        world.wait(2 * GRACE)
        self.assertEqual([("octopus: write", False), ("octopus: verify", False)], self.dialog(world))
        agent.close()
        agent = world.connect("ratos_flash")
        agent.call("server.ratos_flash.show", {"job": "7f3a", "console": ["// octopus: still verifying"]})
        world.wait(2 * GRACE)
        self.assertEqual([], self.dialog(world))
        agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["done"], "complete": True})
        agent.close()
        world.wait(2 * GRACE)
        self.assertEqual([("done", True)], self.dialog(world))

    def test_an_agent_that_reconnects_and_stays_silent_is_not_reported_as_stopped(self):
        world = self.world()
        agent = world.connect("ratos_flash")
        agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["octopus: write"]})
        agent.close()
        world.connect("ratos_flash")
        world.wait(2 * GRACE)
        line, complete = self.dialog(world)[-1]
        self.assertTrue(complete)
        self.assertNotIn("gone", line)

    def test_only_the_client_that_opened_the_dialog_is_watched(self):
        world = self.world()
        program, other = world.connect("a program", "other"), world.connect("somebody", "other")
        program.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["octopus: write"]})
        other.call("server.ratos_flash.show", {"job": "8b11", "console": ["// hello"]})
        other.close()
        world.wait(2 * GRACE)
        self.assertEqual([("octopus: write", False)], self.dialog(world))
        program.close()
        world.wait(2 * GRACE)
        self.assertTrue(self.dialog(world)[-1][1])

    def test_the_agent_is_watched_however_its_lines_came(self):
        world = self.world()
        agent = world.connect("ratos_flash")
        self.show(world, dialog=["octopus: write"])
        agent.close()
        world.wait(2 * GRACE)
        self.assertTrue(self.dialog(world)[-1][1])

    def test_an_agent_without_an_open_dialog_disconnects_silently(self):
        world = self.world()
        world.connect("ratos_flash").close()
        world.wait(2 * GRACE)
        self.assertEqual([], self.dialog(world))

    def test_moonraker_leaves_no_dialog_open(self):
        world = self.world()
        self.show(world, dialog=["octopus: write"])
        world.stop()
        (_, before), (line, after) = self.dialog(world)
        self.assertEqual((False, True), (before, after))
        self.assertIn("Moonraker", line)

    def test_every_line_comes_once_with_and_without_update_manager(self):
        for update_manager in (True, False):
            with self.subTest(update_manager=update_manager):
                world = self.world(update_manager=update_manager)
                self.show(world, dialog=["once"], complete=True)
                self.assertEqual([("once", True)], self.dialog(world))

    def test_an_announcement_replaces_the_previous_one_and_can_be_removed(self):
        world = self.world()
        self.assertEqual({"shown": True}, world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"}))
        self.assertEqual({"shown": True}, world.call("server.ratos_flash.announce", {"title": "2 boards <b>", "description": "octopus <b> & ebb42"}))
        self.assertEqual([("2 boards <b>", "octopus ‹b› & ebb42" + LINK)], world.announced())
        self.assertEqual({"shown": False}, world.call("server.ratos_flash.announce", {"dismiss": True}))
        self.assertEqual([], world.announced())
        self.assertEqual({"shown": False}, world.call("server.ratos_flash.announce", {"dismiss": True}))

    def test_a_dismissed_announcement_does_not_return(self):
        world = self.world()
        world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"})
        world.dismiss_all()
        world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"})
        self.assertEqual([], world.announced())
        world.call("server.ratos_flash.announce", {"title": "2 boards", "description": "octopus"})
        self.assertEqual([("2 boards", "octopus" + LINK)], world.announced())

    def test_wrong_announcements_are_refused(self):
        world = self.world()
        good = {"title": "1 board", "description": "octopus"}
        for name, value in (("title", 7), ("title", ""), ("description", None), ("description", ["x"]), ("dismiss", "yes")):
            self.assert_refused(world, "server.ratos_flash.announce", {**good, name: value}, f"'{name}'")
        self.assertEqual([], world.announced())


    def test_announcements_link_the_page(self):
        world = self.world()
        world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"})
        self.assertEqual(["/server/ratos_flash/page"], world.links())


class OnAStandIn(Stories, unittest.TestCase):
    def world(self, update_manager=True, announcements=True, options="", prepare=None, file_manager=True):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        if prepare is not None:
            prepare(pathlib.Path(folder.name))
        return StandIn(update_manager, announcements, options, pathlib.Path(folder.name), file_manager)

    def without_page(self, prepare):
        """What a component answers whose folder page was prepared: its page, and what it logged."""
        with tempfile.TemporaryDirectory() as folder, page_in(pathlib.Path(folder, "page")) as page:
            prepare(page)
            with self.assertLogs(level="INFO") as logged:
                world = self.world()
            self.assertFalse(world.call("server.ratos_flash.info", {})["page"])
            self.assertEqual(404, world.get("/server/ratos_flash/page/main.js")[0])
            status, content_type, content = world.get("/server/ratos_flash/page")
            self.assertEqual((200, "text/html; charset=UTF-8"), (status, content_type))
            self.assertIn(b"installation is incomplete", content)
            self.assertIn(b"~/ratos-flash/install.sh", content)
            self.show(world, dialog=["still works"], complete=True)
            self.assertEqual([("still works", True)], self.dialog(world))
            return "\n".join(logged.output)

    def test_without_its_files_the_page_says_so(self):
        self.assertIn("No such file", self.without_page(shutil.rmtree))
        self.without_page(lambda page: (page / "page.html").unlink())

    def test_files_that_cannot_be_served_leave_no_half_page(self):
        def replace(name, make):
            def prepare(page):
                (page / name).unlink(missing_ok=True)
                make(page / name)
            return prepare

        self.assertIn("no file", self.without_page(replace("main.js", pathlib.Path.mkdir)))
        self.assertIn("no file", self.without_page(replace("main.js", os.mkfifo)))
        self.assertIn("no file", self.without_page(replace("main.js", lambda path: path.symlink_to("nothing"))))
        self.assertIn("1000000 bytes", self.without_page(replace("z.js", lambda path: path.write_bytes(bytes(1_000_000)))))
        self.assertIn("40 files", self.without_page(lambda page: [(page / f"{i}.js").touch() for i in range(39)]))

    def test_only_files_of_the_page_are_served(self):
        with tempfile.TemporaryDirectory() as folder, page_in(pathlib.Path(folder, "page")) as page:
            served = ["a-b_c.1.js", "x.css", "x.svg"]
            others = ["README.md", "A.js", ".js", "x.js~", "x.html", "x.py", "a b.js", "ä.js", "x.js\n"]
            for name in served + others:
                (page / name).touch()
            world = self.world()
            self.assertEqual(sorted(served + ["main.js", "page.html"]), sorted(world.page_files()))
            self.assertTrue(world.call("server.ratos_flash.info", {})["page"])

    def test_the_page_lies_beside_the_real_file_of_a_link(self):
        with tempfile.TemporaryDirectory() as folder:
            link = pathlib.Path(folder, "ratos_flash.py")
            link.symlink_to(HERE / "ratos_flash.py")
            load_component_file()
            spec = importlib.util.spec_from_file_location("moonraker.components.linked", link)
            linked = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(linked)
            self.assertEqual(HERE / "page", linked.PAGE)

    def test_without_a_file_manager_it_works_without_uploads(self):
        world = self.world(file_manager=False)
        self.assertEqual(INFO, world.call("server.ratos_flash.info", {}))

    def test_a_new_firmware_folder_is_readable_by_others_and_writable_only_by_its_user(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        world = self.world()
        self.assertEqual(0o755, (world.folder / "ratos-flash" / "firmware").stat().st_mode & 0o777)

    def test_only_the_variables_of_the_macros_can_be_set(self):
        world = self.world()
        for params in ({}, {"variable": "absent"}, {"variable": "alive VALUE=1\nM112"}, {"variable": 1}):
            self.assert_refused(world, "server.ratos_flash.macro", params, "variable")
        self.assert_refused(world, "server.ratos_flash.macro", {"variable": "alive", "value": 7}, "value")

    def test_without_announcements_it_reports_that_nothing_is_shown(self):
        world = self.world(announcements=False)
        self.assertEqual({"shown": False}, world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"}))
        self.assertFalse(world.call("server.ratos_flash.info", {})["announcements"])

    def test_the_last_line_waits_until_mainsail_has_rebuilt_its_page(self):
        world = self.world()
        self.show(world, dialog=["octopus: write"])
        world.send_event("server:klippy_ready")
        self.show(world, dialog=["octopus OK", "proven"], console=["// octopus OK"], complete=True)
        self.assertEqual([("octopus: write", False), ("octopus OK", False)], self.dialog(world))
        self.assertEqual(["// octopus OK"], world.seen(CONSOLE))
        world.wait(SETTLE)
        self.assertEqual([("proven", True)], self.dialog(world))
        world.wait(2 * SETTLE)
        self.show(world, dialog=["octopus: write", "done"], complete=True)
        self.assertEqual([("octopus: write", False), ("done", True)], self.dialog(world))

    def test_a_waiting_last_line_is_never_lost(self):
        for what in ("another job", "the agent leaves", "moonraker stops"):
            with self.subTest(what):
                world = self.world()
                agent = world.connect("ratos_flash")
                agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["octopus: write"]})
                world.send_event("server:klippy_ready")
                agent.call("server.ratos_flash.show", {"job": "7f3a", "dialog": ["done"], "complete": True})
                if what == "another job":
                    agent.call("server.ratos_flash.show", {"job": "8b11", "dialog": ["ebb42: erase"]})
                    world.wait(SETTLE)
                    self.assertEqual([("octopus: write", False), ("done", True), ("ebb42: erase", False)], self.dialog(world))
                    continue
                if what == "the agent leaves":
                    agent.close()
                    world.wait(SETTLE)
                    world.wait(2 * GRACE)
                else:
                    world.stop()
                self.assertEqual([("octopus: write", False), ("done", True)], self.dialog(world))

    def test_a_browser_reads_the_prompt_itself_while_klipper_is_ready(self):
        world = self.world()
        world.ready = True
        self.show(world, console=["// action:prompt_begin Flash?", "// action:prompt_text x", "// action:prompt_show"])
        world.seen(CONSOLE)
        world.connect("browser", "web")
        world.wait(2 * LOADED)
        self.assertEqual([], world.seen(CONSOLE))

    def test_an_update_that_is_under_way_is_not_waited_for_and_its_lock_is_taken_behind_it(self):
        world = self.world()
        asyncio.run(world.cmd_request_lock.acquire())   # by an update
        self.assertEqual({"held": False}, world.call(HOLD, {"job": "7f3a", "hold": True}))
        self.assertEqual({"held": False}, world.call(HOLD, {"job": "8b1c", "hold": True}))
        world.cmd_request_lock.release()
        world.wait(0)
        self.assertTrue(world.cmd_request_lock.locked())
        world.call(HOLD, {"job": "7f3a", "hold": False})
        self.assertEqual({"held": False}, world.call(HOLD, {"job": "8b1c", "hold": False}))
        self.assertFalse(world.cmd_request_lock.locked())
        # A flash that was over before the update was: nothing is held for it.
        asyncio.run(world.cmd_request_lock.acquire())
        world.call(HOLD, {"job": "7f3a", "hold": True})
        world.call(HOLD, {"job": "7f3a", "hold": False})
        world.cmd_request_lock.release()
        world.wait(0)
        self.assertFalse(world.cmd_request_lock.locked())

    def test_a_refresh_of_the_update_manager_does_not_end_the_dialog_of_fluidd(self):
        world = self.world()
        self.show(world, dialog=["octopus: erase"])
        world.wait(0.2)
        world.seen(STATUS)
        world.send_event("update_manager:update_refreshed", {"version_info": {}, "busy": False})
        world.wait(0.2)
        self.assertEqual([False, True], [status["busy"] for status in world.seen(STATUS)])
        self.show(world, complete=True)
        world.send_event("update_manager:update_refreshed", {"version_info": {}, "busy": False})
        world.wait(0.2)
        self.assertEqual([False], [status["busy"] for status in world.seen(STATUS)])

    def test_klipperscreen_shows_every_result_as_a_popup(self):
        world = self.world()
        screen, browser = world.connect("KlipperScreen", "display"), world.connect("mainsail", "web")
        for dialog in (["octopus: write", "octopus OK"], []):
            browser.heard(CONSOLE)
            console = ["// octopus OK\n16.6 s", "// ebb42: up to date", "!! knee FAILED", "// action:prompt_end"]
            self.show(world, dialog=dialog, console=console, complete=True)
            popups = ["echo: octopus OK\n16.6 s\nebb42: up to date"]
            self.assertEqual(popups, [line for line in screen.heard(CONSOLE) if line.startswith("echo")])
            self.assertEqual([], [line for line in browser.heard(CONSOLE) if line.startswith("echo")])
        self.show(world, console=["// job 7f3a: octopus"])
        self.assertEqual([], [line for line in screen.heard(CONSOLE) if line.startswith("echo")])

    def test_the_macros_are_told_without_a_command_in_the_console(self):
        world = self.world()
        script = "SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE={} VALUE={}"
        world.call("server.ratos_flash.macro", {"variable": "alive", "value": True})
        world.call("server.ratos_flash.macro", {"variable": "asked", "value": False})
        scripts = [script.format("alive", 1), script.format("asked", 0)]
        self.assertEqual([("gcode/script", {"script": one}) for one in scripts], world.requests)
        del world.components["klippy_connection"]._request_standard
        world.call("server.ratos_flash.macro", {"variable": "alive", "value": True})
        self.assertEqual(("stored", "gcode/script", {"script": scripts[0]}), world.requests[-1])

    def test_the_page_has_its_address_behind_a_route_prefix(self):
        world = StandIn.__new__(StandIn)
        world.getsection = lambda name: types.SimpleNamespace(get=lambda option, default=None: {"route_prefix": "/printer1/"}[option])
        with tempfile.TemporaryDirectory() as folder:
            world.__init__(True, True, "", pathlib.Path(folder), True)
            world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"})
        self.assertEqual(["/printer1/server/ratos_flash/page"], world.links())

    @contextlib.contextmanager
    def released(self, program):
        """A world with a program from a release. The world's folder is the printer's folder of data."""
        component = load_component_file()
        with tempfile.TemporaryDirectory() as folder:
            before, component.FOLDER = component.FOLDER, pathlib.Path(folder)
            (component.FOLDER / "release_info.json").touch()
            if program is not None:
                (component.FOLDER / "ratos-flash").write_bytes(program)
            try:
                yield self.world(), component
            finally:
                component.FOLDER = before

    def news(self, world):
        return [text.removesuffix(LINK) for _, text in world.announced()]

    def test_a_program_that_does_not_run_after_an_update_is_told_with_the_way_back(self):
        component = load_component_file()
        own = component.PROCESSORS[platform.machine()]
        elf = [b"\x7fELF" + bytes(14) + bytes([number, 0]) for number in (own, own ^ 1)]
        for program, connected, problem in (
                (elf[0], True, None), (b"#!/bin/sh\n", True, None), (elf[0], False, "its agent does not run"),
                (elf[1], False, "another processor"), (b"\x7fELF", True, "another processor"), (None, True, "is missing")):
            with self.subTest(program=program, connected=connected), self.released(program) as (world, _):
                if connected:
                    world.connect("ratos_flash")
                world.wait(component.STARTING)
                self.assertEqual(problem is not None, bool(self.news(world)))
                self.assertIn(problem or "", "".join(self.news(world)))
                self.assertEqual(problem is not None, any(line.startswith("!! ") for line in world.seen(CONSOLE)))

    def test_the_way_back_is_the_kept_version_or_a_zip_and_an_agent_that_returns_ends_the_news(self):
        with self.released(None) as (world, component):
            world.wait(component.STARTING)
            self.assertIn(f"Unpack the zip for this computer in {component.FOLDER}", self.news(world)[0])
            kept = world.folder / "ratos-flash" / "last-version"
            kept.mkdir()
            (kept / "ratos-flash").touch()
            world.send_event("update_manager:update_response", {"application": "ratos-flash", "message": "", "complete": True})
            world.wait(component.STARTING)
            self.assertIn(f"cp -a {kept}/. {component.FOLDER}/ && {component.FOLDER}/install.sh", self.news(world)[0])
            world.connect("another")
            world.wait(0)
            self.assertEqual(1, len(self.news(world)))
            world.connect("ratos_flash")
            world.wait(0)
            self.assertEqual([], self.news(world))

    def test_the_program_is_looked_at_after_its_own_and_a_full_update_only(self):
        with self.released(b"") as (world, component):
            world.connect("ratos_flash")
            world.wait(component.STARTING)
            (component.FOLDER / "ratos-flash").unlink()
            for line in ({"application": "klipper", "complete": True}, {"application": "firmware of octopus", "complete": True},
                         {"application": "ratos-flash", "complete": False}):
                world.send_event("update_manager:update_response", {"message": "", **line})
                world.wait(component.STARTING)
                self.assertEqual([], self.news(world))
            world.send_event("update_manager:update_response", {"application": "full", "message": "", "complete": True})
            world.wait(component.STARTING)
            self.assertEqual(1, len(self.news(world)))

    def test_a_checkout_is_not_looked_at(self):
        world = self.world()
        world.wait(load_component_file().STARTING)
        self.assertEqual([], self.news(world))

    def test_announcements_of_others_stay(self):
        world = self.world()
        world.add_internal_announcement("Klipper", "news", "", "normal", "klipper")
        world.call("server.ratos_flash.announce", {"title": "1 board", "description": "octopus"})
        world.call("server.ratos_flash.announce", {"dismiss": True})
        self.assertEqual([("Klipper", "news")], world.announced())


class Done:
    """A future that is over."""

    def __await__(self):
        return iter(())


class StandIn:
    """As much of Moonraker as the component uses, with time that passes when told to. It is itself server, event loop, config and world."""

    error = Refused

    def __init__(self, update_manager, announcements, options, folder, file_manager):
        self.folder, self.roots, self.warned = folder, {}, []
        self.options = dict([options.split(": ", 1)] if options else [])
        self.static = {}
        self.endpoints, self.handlers, self.frames, self.timers, self.now = {}, {}, [], [], 0.0
        self.components = {"extensions": self, "internal_transport": self, "websockets": self}
        self.components["klippy_connection"] = types.SimpleNamespace(
            is_ready=self.is_ready, request=self.request_and_store, _request_standard=self._request_standard)
        self.clients = []
        self.agents = {}
        self.entries, self.requests = [], []
        if announcements:
            self.components["announcements"] = self
        if update_manager:
            self.components["update_manager"] = self
            self.cmd_request_lock = asyncio.Lock()
            self.register_notification("update_manager:update_response")
            self.register_notification("update_manager:update_refreshed")
        if file_manager:
            self.components["file_manager"] = self
        self.register_notification("server:gcode_response")
        self.component = load_component_file().load_component(self)
        self.component.component_init()

    # Moonraker's side
    def get_server(self):
        return self

    def get_event_loop(self):
        return self

    def getsection(self, name):
        return types.SimpleNamespace(get=lambda option, default=None: default)

    def get_clients_by_type(self, kind):
        return [client for client in self.clients if client.client_data["type"] == kind]

    def notify_clients(self, name, data, mask):
        for client in self.clients:
            if client.uid not in mask:
                client.frames.append(("notify_" + name, data[0]))
        self.frames.append(("notify_" + name, data[0]))   # the observer

    def is_ready(self):
        return self.ready

    async def _request_standard(self, request):
        self.requests.append(request)

    async def request_and_store(self, request):
        self.requests.append(("stored", *request))

    ready = False

    async def call_method(self, name):
        assert name == "machine.update.status"
        return {"version_info": {"klipper": {"version": "v0.13.0"}}, "busy": False}

    def register_callback(self, callback, *args):
        self.delay_callback(0, lambda: asyncio.run(callback(*args)))

    def get_app_args(self):
        return {"data_path": str(self.folder)}

    def get(self, option, *default):
        if option.startswith("/"):
            return self.request(option)
        return self.options.get(option, *default)

    def add_warning(self, warning):
        self.warned.append(warning)

    def register_endpoint(self, path, request_type, callback, transports=None, wrap_result=True, content_type=None, auth_required=True):
        if transports is None:
            self.endpoints[path.strip("/").replace("/", ".")] = callback
        else:
            assert (transports.name, wrap_result, auth_required) == ("HTTP", False, False)
            self.static[path] = (content_type, callback)

    def register_directory(self, root, path, full_access=False):
        self.roots[root] = {"name": root, "path": path, "permissions": "rw" if full_access else "r"}
        self.endpoints["server.files.roots"] = self.list_roots
        self.endpoints["server.files.list"] = self.list_files
        self.endpoints["server.files.delete_file"] = self.delete_file
        return True

    async def list_roots(self, request):
        return list(self.roots.values())

    async def list_files(self, request):
        return [{"path": name} for name in os.listdir(self.roots[request.get_args()["root"]]["path"])]

    async def delete_file(self, request):
        root, _, name = request.get_args()["path"].partition("/")
        os.remove(os.path.join(self.roots[root]["path"], name))

    def register_notification(self, event):
        self.register_event_handler(event, lambda data: self.notify_clients(event.split(":")[1], [data], []))

    def register_event_handler(self, event, handler):
        self.handlers.setdefault(event, []).append(handler)

    def send_event(self, event, *args):
        for handler in self.handlers.get(event, []):
            handler(*args)
        return Done()

    def lookup_component(self, name, *default):
        return self.components.get(name, *default) if default else self.components[name]

    def delay_callback(self, delay, callback):
        timer = types.SimpleNamespace(at=self.now + delay, callback=callback)
        timer.cancel = lambda: self.timers.remove(timer)
        self.timers.append(timer)
        return timer

    async def get_announcements(self, include_dismissed=False):
        return [entry for entry in self.entries if include_dismissed or not entry["dismissed"]]

    async def remove_announcement(self, entry_id):
        self.entries = [entry for entry in self.entries if entry["entry_id"] != entry_id]

    def add_internal_announcement(self, title, desc, url, priority, feed):
        self.entries.append({"entry_id": f"{feed}/{self.now}", "url": url, "title": title, "description": desc, "feed": feed, "dismissed": False})

    # The world's side
    def request(self, path):
        if path.startswith("/server/files/"):
            root, name = path.split("/")[3:]
            return 200, None, pathlib.Path(self.roots[root]["path"], name).read_bytes()
        content_type, callback = self.static.get(path, (None, None))
        return (200, content_type, asyncio.run(callback(None))) if callback else (404, None, b"")

    def upload(self, root, name, content):
        pathlib.Path(self.roots[root]["path"], name).write_bytes(content)
        return 201

    def page_files(self):
        return [path.rpartition("/")[2].replace("page", "page.html") for path in self.static]

    def warnings(self):
        return self.warned

    def call(self, method, params, client=None):
        if method == "server.files.roots" and not self.roots:
            return []
        if method not in self.endpoints:
            raise Refused("Method not found", 404)
        request = types.SimpleNamespace(get_args=lambda: params, get_client_connection=lambda: client)
        return asyncio.run(self.endpoints[method](request))

    def seen(self, name):
        seen = [data for frame, data in self.frames if frame == name]
        self.frames = [frame for frame in self.frames if frame[0] != name]
        return seen

    def connect(self, name, kind="agent"):
        client = types.SimpleNamespace(client_data={"name": name, "type": kind}, uid=object(), frames=[])
        client.queue_message = lambda message: client.frames.append((message["method"], message["params"][0]))
        client.heard = lambda frame: [client.frames.remove(one) or one[1] for one in list(client.frames) if one[0] == frame]
        self.clients.append(client)
        client.call = lambda method, params: self.call(method, params, client)
        client.close = lambda: (self.agents.pop(name, None), self.clients.remove(client), self.send_event("websockets:client_removed", client))
        if kind == "agent":
            self.agents[name] = client
        self.send_event("websockets:client_identified", client)
        return client

    def wait(self, seconds):
        end = self.now + seconds
        while due := sorted((timer for timer in self.timers if timer.at <= end), key=lambda timer: timer.at):
            self.now = max(self.now, due[0].at)
            self.timers.remove(due[0])
            if asyncio.iscoroutine(work := due[0].callback()):
                asyncio.run(work)
        self.now = end

    def stop(self):
        self.component.on_exit()

    def announced(self):
        return [(entry["title"], entry["description"]) for entry in self.entries if not entry["dismissed"]]

    def links(self):
        return [entry["url"] for entry in self.entries]

    def dismiss_all(self):
        for entry in self.entries:
            entry["dismissed"] = True


def load_component_file():
    """The component as Moonraker imports it: a module of the package moonraker.components."""
    name = "moonraker.components.ratos_flash"
    if name not in sys.modules:
        for package in ("moonraker", "moonraker.components"):
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = []
        sys.modules["moonraker.common"] = types.ModuleType("moonraker.common")
        sys.modules["moonraker.common"].RequestType = enum.Enum("RequestType", "GET POST")
        sys.modules["moonraker.common"].WebRequest = lambda endpoint, args: (endpoint, args)
        sys.modules["moonraker.common"].TransportType = enum.Enum("TransportType", "HTTP WEBSOCKET")
        spec = importlib.util.spec_from_file_location(name, HERE / "ratos_flash.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        sys.modules[name].GRACE = GRACE
    return sys.modules[name]


@contextlib.contextmanager
def page_in(folder):
    """The component takes its page from this folder, which begins with a page and a script."""
    folder.mkdir()
    (folder / "page.html").write_text("<html><head></head></html>")
    (folder / "main.js").write_text("")
    component = load_component_file()
    before, component.PAGE = component.PAGE, folder
    try:
        yield folder
    finally:
        component.PAGE = before


class InMoonraker(Stories, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not MOONRAKER_PATH:
            raise unittest.SkipTest("the stories inside the real Moonraker: MOONRAKER_PATH names no checkout of it")

    def world(self, update_manager=True, announcements=True, options="", prepare=None, trusted="127.0.0.1"):
        world = RealMoonraker(update_manager, options, prepare, trusted)
        self.addCleanup(world.close)
        return world

    def test_the_page_needs_no_login_and_all_else_does(self):
        world = self.world(trusted="192.0.2.1")
        self.assertEqual(200, world.get("/server/ratos_flash/page")[0])
        self.assertEqual(200, world.get("/server/ratos_flash/page/main.js")[0])
        self.assertEqual(401, world.get("/server/ratos_flash/info")[0])
        self.assertEqual(401, world.get("/server/files/list?root=ratos_flash")[0])
        self.assertEqual(401, world.upload("ratos_flash", "octopus.bin", b"x"))

    def test_the_same_endpoints_work_by_http(self):
        world = self.world()
        self.assertEqual((200, INFO), world.http("GET", "info"))
        self.assertEqual((200, {"shown": True}), world.http("POST", "show", {"job": "7f3a", "dialog": ["by http"], "complete": True}))
        self.assertEqual([("by http", True)], self.dialog(world))
        self.assertEqual(400, world.http("POST", "show", {"job": 7})[0])

    def test_console_lines_stay_in_the_store_for_later_clients(self):
        world = self.world()
        self.show(world, console=["!! ebb42: failed"])
        store = world.call("server.gcode_store", {})["gcode_store"]
        self.assertEqual(["!! ebb42: failed"], [entry["message"] for entry in store])


class RealMoonraker:
    """Moonraker from MOONRAKER_PATH in a folder of its own, with no Klipper. The component is taken from here; the checkout is not touched."""

    LAUNCH = ("import sys; sys.path.insert(0, {path!r}); import moonraker.components as all; all.__path__.insert(0, {here!r}); "
              "import moonraker.components.ratos_flash as component; component.GRACE = {grace}; from moonraker.server import main; main()")

    def __init__(self, update_manager, options="", prepare=None, trusted="127.0.0.1"):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = root = pathlib.Path(self.scratch.name).resolve()
        (root / "config").mkdir()
        (root / "logs").mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (root / "config" / "moonraker.conf").write_text(
            f"[server]\nhost: 127.0.0.1\nport: {self.port}\n[machine]\nprovider: none\nvalidate_service: False\n[authorization]\n"
            f"trusted_clients: {trusted}\n[ratos_flash]\n{options}\n" + ("[update_manager]\nenable_auto_refresh: False\n" if update_manager else ""))
        if prepare is not None:
            prepare(root)
        self.path = str(root / "comms" / "moonraker.sock")
        launch = self.LAUNCH.format(path=MOONRAKER_PATH, here=str(HERE), grace=GRACE)
        self.log = open(root / "out", "w+")
        self.process = subprocess.Popen([sys.executable, "-c", launch, "-d", str(root)], stdout=self.log, stderr=subprocess.STDOUT)
        self.clients = []
        try:
            self.observer = self.connect("observer", "other")
            self.call = self.observer.call
            failed = self.call("server.info", {})["failed_components"]
            if failed:
                raise ConnectionError(f"failed components: {failed}")
        except (OSError, Refused) as error:
            self.kill()
            self.log.seek(0)
            raise AssertionError(f"Moonraker did not start: {error}\n" + self.log.read()[-3000:]) from None

    def connect(self, name, kind="agent"):
        client = RealClient(self.path, self.process)
        self.clients.append(client)
        client.call("server.connection.identify", {"client_name": name, "version": "1", "type": kind, "url": "http://localhost"})
        return client

    def seen(self, name):
        # What was sent before this call's answer has arrived with it; events of timers came while waiting.
        if self.process.poll() is None:
            self.observer.call("server.ratos_flash.info", {})
        seen = [frame["params"][0] for frame in self.observer.frames if frame["method"] == name]
        self.observer.frames = [frame for frame in self.observer.frames if frame["method"] != name]
        return seen

    def wait(self, seconds):
        time.sleep(seconds)

    def announced(self):
        entries = self.call("server.announcements.list", {"include_dismissed": False})["entries"]
        return [(entry["title"], entry["description"]) for entry in entries if entry["feed"] == "ratos_flash"]

    def links(self):
        return [entry["url"] for entry in self.call("server.announcements.list", {})["entries"] if entry["feed"] == "ratos_flash"]

    def dismiss_all(self):
        for entry in self.call("server.announcements.list", {})["entries"]:
            self.call("server.announcements.dismiss", {"entry_id": entry["entry_id"]})

    def http(self, verb, name, body=None):
        status, _, content = self.request(verb, f"/server/ratos_flash/{name}", json.dumps(body) if body else None, "application/json")
        return status, json.loads(content).get("result")

    def get(self, path):
        return self.request("GET", path)

    def upload(self, root, name, content):
        form = b'--x\r\nContent-Disposition: form-data; name="root"\r\n\r\n%s\r\n' % root.encode()
        form += b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--x--\r\n' % (name.encode(), content)
        return self.request("POST", "/server/files/upload", form, "multipart/form-data; boundary=x")[0]

    def request(self, verb, path, body=None, content_type=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(verb, path, body, {"Content-Type": content_type} if content_type else {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.headers["Content-Type"], content

    def warnings(self):
        return [warning for warning in self.call("server.info", {})["warnings"] if "frame_origins" in warning]

    def stop(self):
        self.process.terminate()
        self.observer.drain()
        self.kill()

    def kill(self):
        # Moonraker can hang for long when it is ended while update_manager looks around for the first time.
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        for client in self.clients:
            client.close()
        self.log.close()
        self.scratch.cleanup()


class RealClient:
    """A connection over Moonraker's unix socket: JSON-RPC messages, each ended by ETX."""

    def __init__(self, path, process):
        self.frames, self.buffer, self.last = [], b"", 0
        deadline = time.monotonic() + 30
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(20)
            try:
                self.socket.connect(path)
                return
            except OSError:
                self.socket.close()
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def call(self, method, params):
        self.last += 1
        self.socket.sendall(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": self.last}).encode() + b"\x03")
        while True:
            frame = self.receive()
            if frame is None:
                raise ConnectionError("Moonraker closed the connection")
            if frame.get("id") == self.last:
                if "error" in frame:
                    raise Refused(frame["error"]["message"], frame["error"]["code"])
                return frame["result"]

    def receive(self):
        while b"\x03" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\x03")
        frame = json.loads(text)
        if frame.get("method", "").startswith("notify_"):
            self.frames.append(frame)
        return frame

    def heard(self, name):
        self.call("server.ratos_flash.info", {})
        heard = [frame["params"][0] for frame in self.frames if frame["method"] == name]
        self.frames = [frame for frame in self.frames if frame["method"] != name]
        return heard

    def drain(self):
        while self.receive() is not None:
            pass

    def close(self):
        self.socket.close()


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{result.testsRun - failed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)

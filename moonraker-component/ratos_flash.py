# Shows a flash of RatOS.Flash in stock Mainsail, Fluidd and KlipperScreen, also while Klipper is stopped, and serves its page.
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# An agent can send events, but no front end shows them, and G-code needs a running Klipper. A component may send what front ends
# do show: lines of the update dialog, console lines, announcements. It also serves the files of the page, and offers the agent's
# firmware folder for uploads. The agent decides and flashes.
# Moonraker catches and logs exceptions of endpoints, event handlers and timers, so nothing is caught here a second time.
from __future__ import annotations
import asyncio
import html
import logging
import pathlib
import platform
import re
import textwrap
import time
import zlib
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple

from ..common import RequestType, TransportType, WebRequest

if TYPE_CHECKING:
    from ..confighelper import ConfigHelper
    from .announcements import Announcements
    from .file_manager.file_manager import FileManager
    from .websockets import BaseRemoteConnection

API = 1
AGENT = "ratos_flash"
# The dialog's title. Front ends treat some names specially (client, mainsail, full, recover_...): one that begins so is none of them.
APPLICATION = "firmware of {}"
SERVICE = "ratos-flash"
DIALOG_EVENT = "update_manager:update_response"
# Fluidd opens the dialog while the update manager is busy, and at no line of it.
STATUS_EVENT = "update_manager:update_refreshed"
CONSOLE_EVENT = "server:gcode_response"
# Klipper's own kinds of lines. Front ends take any other line as the answer to a G-code command.
CONSOLE_PREFIXES = ("// ", "!! ", "echo: ")
# An agent that lost its connection reconnects within seconds. The dialog has no Close button until it is complete.
GRACE = 10.
# A page that was just loaded is not ready in the moment in which it identifies itself. Fluidd then asks for the status, and would
# take the answer for the end of a flash.
LOADED = 2.
PROMPT = "// action:prompt_"
# Mainsail rebuilds its page when Klipper becomes ready, and then shows the dialog from its top, without the result of the flash.
# It scrolls to every later line, so the last line is sent later.
SETTLE = 3.
MACRO_VARIABLES = ("alive", "asked")
# After an update of this program the agent starts within seconds, on a busy Raspberry Pi too.
STARTING = 30.
UPDATED = 600.   # how long after an update a start of Moonraker looks for the agent
MAX_LINES = 100
MAX_HOLDING = 100
MAX_LINE = 1000
MAX_NAME = 100
# KlipperScreen cuts longer lines off, and the remedy is at their end. Browsers show a line break as a space.
WRAP = 64

TAG = re.compile(r"<([^<>]*)>")
ENTITY = re.compile(r"&(?=[#a-zA-Z])")

# The installer links only this file into Moonraker. The page lies beside the real one.
PAGE = pathlib.Path(__file__).resolve().parent / "page"
HTML = "text/html; charset=UTF-8"
CONTENT_TYPES = {"css": "text/css; charset=UTF-8", "js": "text/javascript; charset=UTF-8", "svg": "image/svg+xml"}
PAGE_FILE = re.compile(r"page\.html|[a-z0-9_.-]+\.(css|js|svg)")
# The program's folder. An update deletes it before it unpacks the new zip, so a broken zip leaves it empty.
FOLDER = PAGE.parent.parent
RELEASE = "release_info.json"
# A processor as the kernel and as an ELF file (elf.h, e_machine) name it.
PROCESSORS = {"x86_64": 62, "aarch64": 183}
# The files stay in Moonraker's memory.
MAX_PAGE_FILES = 40
MAX_PAGE = 1_000_000
# As browsers write an origin: lower case, no path.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
INCOMPLETE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>RatOS.Flash</title>
</head>
<body>
<h1>RatOS.Flash: the installation is incomplete</h1>
<p>The files of this page are missing or cannot be read. moonraker.log names the reason.</p>
<p>On the printer run <code>~/ratos-flash/install.sh</code>, then restart Moonraker.</p>
</body>
</html>
"""


class RatosFlash:
    def __init__(self, config: ConfigHelper) -> None:
        self.server = config.get_server()
        self.event_loop = self.server.get_event_loop()
        self.dialog = False
        self.announcements: Optional[Announcements] = None
        self.announcing = asyncio.Lock()
        # Front ends have one dialog, so at most one is open: its job, the client that showed it last, and the timer that gives it up.
        self.open_job: Optional[str] = None
        self.shown_by: Optional[BaseRemoteConnection] = None
        self.giving_up: Optional[asyncio.TimerHandle] = None
        self.settling: Optional[asyncio.TimerHandle] = None
        self.kept: Optional[Tuple[str, str]] = None
        self.title = "boards"
        prefix = config.getsection("server").get("route_prefix", "").strip("/")
        self.address = f"/{prefix}/server/ratos_flash/page" if prefix else "/server/ratos_flash/page"
        # The lines of the prompt that is shown, for pages that are loaded while Klipper is in error: they do not read the console's past.
        self.prompt: List[str] = []
        self.stored = True   # the console's past has it
        self.loading: Optional[asyncio.TimerHandle] = None
        # Displays that have shown a dialog. Until its user presses Finish, which no client hears of, KlipperScreen closes no prompt: one
        # that is shown above the dialog would stay there until KlipperScreen restarts.
        self.covered: Set[int] = set()
        self.server.register_endpoint("/server/ratos_flash/info", RequestType.GET, self._info)
        self.server.register_endpoint("/server/ratos_flash/show", RequestType.POST, self._show)
        self.server.register_endpoint("/server/ratos_flash/hold", RequestType.POST, self._hold)
        self.server.register_endpoint("/server/ratos_flash/announce", RequestType.POST, self._announce)
        self.server.register_endpoint("/server/ratos_flash/macro", RequestType.POST, self._macro)
        # Jobs that no update may begin beside, with the client that runs them. The update manager's lock is taken while there is one.
        self.holding: Dict[str, BaseRemoteConnection] = {}
        self.locking = self.locked = False
        self.is_release = (FOLDER / RELEASE).is_file()
        self.starting: Optional[asyncio.TimerHandle] = None
        self.broken = False
        self._register_page(config)
        self.server.register_event_handler("websockets:client_removed", self._client_removed)
        self.server.register_event_handler("websockets:client_identified", self._client_identified)
        self.server.register_event_handler("server:klippy_ready", self._klippy_ready)
        self.server.register_event_handler(CONSOLE_EVENT, self._console_line)
        self.server.register_event_handler(DIALOG_EVENT, self._dialog_line)
        self.server.register_event_handler(STATUS_EVENT, self._status)

    def component_init(self) -> None:
        self.announcements = self.server.lookup_component("announcements", None)
        if self.server.lookup_component("update_manager", None) is None:
            # With update_manager loaded this would send every line of the dialog twice.
            self.server.register_notification(DIALOG_EVENT)
            self.server.register_notification(STATUS_EVENT)
            logging.info("ratos_flash: no [update_manager]; the component registers the dialog's notification itself")
        self.dialog = True
        self._offer_firmware_folder()
        self._look_later()   # the update of before may have restarted Moonraker too

    def on_exit(self) -> None:
        if self.starting is not None:
            self.starting.cancel()
        # Moonraker disconnects its clients a moment after this, so the line still reaches them.
        self._close_dialog("Moonraker is stopping. A running flash continues, and is shown again when Moonraker is back.")

    async def _info(self, web_request: WebRequest) -> Dict[str, Any]:
        return {
            "api": API,
            "dialog": self.dialog,
            "announcements": self.announcements is not None,
            "page": self.page,
            "frame_origins": self.frame_origins,
        }

    async def _show(self, web_request: WebRequest) -> Dict[str, Any]:
        args = web_request.get_args()
        job = self._text(args, "job", MAX_NAME)
        dialog = self._lines(args, "dialog")
        console = self._lines(args, "console")
        complete = self._flag(args, "complete")
        title = self._text(args, "title", MAX_NAME) if "title" in args else None
        # The whole call is checked before any of it is shown.
        for line in console:
            if not line.startswith(CONSOLE_PREFIXES):
                raise self.server.error(f"a line of 'console' must begin with '// ', '!! ' or 'echo: ', unlike {line[:40]!r}")

        if dialog or job == self.open_job:
            self._stop_giving_up()
            self.shown_by = web_request.get_client_connection()
        if complete and not dialog and self.open_job == job:
            dialog = [""]
        if dialog:
            self._show_kept()
            self.title = title or self.title
        for index, line in enumerate(dialog):
            last = complete and index == len(dialog) - 1
            if last and self.settling is not None:
                self.kept = (job, line)
            else:
                self._show_dialog(job, line, last)
        for line in console:
            await self._show_console(line)
        if complete:
            self._show_popups(console)
        return {"shown": True}

    async def _announce(self, web_request: WebRequest) -> Dict[str, Any]:
        args = web_request.get_args()
        if self._flag(args, "dismiss"):
            return {"shown": await self._set_announcement(None)}
        return {"shown": await self._set_announcement(
            self._text(args, "description", MAX_LINE), self._text(args, "title", MAX_NAME))}

    async def _set_announcement(self, description: Optional[str], title: str = "RatOS.Flash") -> bool:
        dismiss = description is None
        # Mainsail renders the description as HTML, the title as text.
        description = _escape(description or "")
        # Mainsail links the title. Fluidd takes an address without a host for one of its own pages, so the link is in the text too.
        description += f' <a href="{self.address}" target="_blank">Open RatOS.Flash</a>'
        if self.announcements is None:
            return False
        async with self.announcing:  # two calls at once would remove the same entry twice
            same = False
            for entry in await self.announcements.get_announcements(True):
                if entry.get("feed") != AGENT:
                    continue
                if not dismiss and (entry["title"], entry["description"]) == (title, description):
                    # Announced already, perhaps before Moonraker's last start. If you dismissed it, it does not return.
                    same = True
                else:
                    await self.announcements.remove_announcement(entry["entry_id"])
            if not dismiss and not same:
                self.announcements.add_internal_announcement(title, description, self.address, "normal", AGENT)
        return not dismiss

    async def _hold(self, web_request: WebRequest) -> Dict[str, Any]:
        """An update would start Klipper in the midst of a flash. One that is asked for meanwhile begins when the flash is over."""
        args = web_request.get_args()
        job = self._text(args, "job", MAX_NAME)
        if not self._flag(args, "hold"):
            self.holding.pop(job, None)
            self._unlock()
        elif len(self.holding) >= MAX_HOLDING:
            raise self.server.error(f"{MAX_HOLDING} jobs hold updates already")
        else:
            self.holding[job] = web_request.get_client_connection()
            await self._lock()
        return {"held": self.locked}

    async def _lock(self) -> None:
        lock = self._update_lock()
        if lock is None or self.locking or self.locked:
            return
        if lock.locked():   # an update is under way, and may take minutes
            self.locking = True
            self.event_loop.register_callback(self._lock_later)
        else:
            await lock.acquire()
            self.locked = True

    async def _lock_later(self) -> None:
        await self._update_lock().acquire()
        self.locking, self.locked = False, True
        self._unlock()

    def _unlock(self) -> None:
        if self.locked and not self.holding:
            self.locked = False
            self._update_lock().release()

    def _update_lock(self) -> Optional[asyncio.Lock]:
        lock = getattr(self.server.lookup_component("update_manager", None), "cmd_request_lock", None)
        return lock if isinstance(lock, asyncio.Lock) else None

    async def _macro(self, web_request: WebRequest) -> Dict[str, Any]:
        """Sets a variable of the macros. A script that the agent sends itself stays in the console's past, as if its user had typed it."""
        args = web_request.get_args()
        variable = self._text(args, "variable", MAX_NAME)
        if variable not in MACRO_VARIABLES:
            raise self.server.error(f"'variable' must be one of: {', '.join(MACRO_VARIABLES)}")
        script = f"SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE={variable} VALUE={int(self._flag(args, 'value'))}"
        klippy = self.server.lookup_component("klippy_connection")
        # request() keeps the script for the console, then does this. A Moonraker without it shows the command, and works.
        send = getattr(klippy, "_request_standard", klippy.request)
        await send(WebRequest("gcode/script", {"script": script}))
        return {"set": True}

    def _register_page(self, config: ConfigHelper) -> None:
        self.frame_origins = self._read_origins(config)
        files = _read_page()
        self.page = bool(files)
        # Moonraker lets no component set a header, so the page itself refuses foreign frames.
        meta = f'<head>\n<meta name="frame-origins" content="{html.escape(" ".join(self.frame_origins))}">'
        page = files.pop("page.html", INCOMPLETE.encode())
        self._serve("", page.replace(b"<head>", meta.encode(), 1), HTML)
        for name, content in files.items():
            self._serve(f"/{name}", content, CONTENT_TYPES[name.rpartition(".")[2]])

    def _serve(self, path: str, content: bytes, content_type: str) -> None:
        async def serve(web_request: WebRequest) -> bytes:
            return content

        # Every client may read these files: they hold no data, and the page must load before its user logs in.
        self.server.register_endpoint(
            f"/server/ratos_flash/page{path}", RequestType.GET, serve,
            transports=TransportType.HTTP, wrap_result=False, content_type=content_type, auth_required=False)

    def _read_origins(self, config: ConfigHelper) -> List[str]:
        origins = []
        for origin in config.get("frame_origins", "").lower().replace(",", " ").split():
            if ORIGIN.fullmatch(origin):
                origins.append(origin)
            else:
                self.server.add_warning(
                    f"[ratos_flash]: 'frame_origins' has {origin!r}. An origin is scheme://host or scheme://host:port, without a path.")
        return origins

    def _offer_firmware_folder(self) -> None:
        # The agent flashes no file from this folder before its user has confirmed it.
        file_manager: Optional[FileManager] = self.server.lookup_component("file_manager", None)
        if file_manager is None:
            logging.info("ratos_flash: no file manager; firmware cannot be uploaded")
            return
        folder = pathlib.Path(self.server.get_app_args()["data_path"], "ratos-flash", "firmware")
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            logging.info(f"ratos_flash: firmware cannot be uploaded: {error}")
            return
        file_manager.register_directory(AGENT, str(folder), full_access=True)

    def _show_dialog(self, job: str, line: str, complete: bool) -> None:
        if self.open_job is None and not complete:
            self.event_loop.register_callback(self._open_dialog)
        self.open_job = None if complete else job
        # Mainsail shows a line break as a space. Fluidd drops the text of the line that completes the dialog, so that line has none.
        messages = [(part, False) for part in line.split("\n")] if line else []
        for message, last in messages + [("", True)] if complete else messages:
            self.server.send_event(DIALOG_EVENT, {
                "message": _escape(textwrap.fill(message, WRAP)),
                "application": APPLICATION.format(self.title),
                "proc_id": zlib.crc32(job.encode()),
                "complete": last,
            })

    async def _open_dialog(self) -> None:
        status: Dict[str, Any] = {"version_info": {}}   # which Mainsail reads
        if self.server.lookup_component("update_manager", None) is not None:
            status = await self.server.lookup_component("internal_transport").call_method("machine.update.status")
        if self.open_job is not None:
            self.server.send_event(STATUS_EVENT, {**status, "busy": True})

    def _status(self, status: Dict[str, Any]) -> None:
        """The update manager sends its status after each refresh, and Fluidd would take it for the end of a flash."""
        if self.open_job is not None and not status.get("busy"):
            self.event_loop.register_callback(self._open_dialog)

    def _look_later(self) -> None:
        if self.is_release:
            if self.starting is not None:
                self.starting.cancel()
            self.starting = self.event_loop.delay_callback(STARTING, self._look_at_program)

    async def _look_at_program(self) -> None:
        """An agent that does not run cannot tell why: after an update by a broken zip, or by that of another processor."""
        self.starting = None
        problem = self._problem()
        if problem is None and self._was_updated() and AGENT not in self.server.lookup_component("extensions").agents:
            problem = f"RatOS.Flash was updated, and its agent does not run. On the printer run: systemctl status {SERVICE}"
        if problem is None:
            return
        self.broken = True
        text = f"{problem} {self._way_back()}"
        logging.info(f"ratos_flash: {text}")
        await self._show_console(f"!! {text}")
        await self._set_announcement(text)

    def _problem(self) -> Optional[str]:
        program = FOLDER / SERVICE
        try:
            with program.open("rb") as file:
                head = file.read(20).ljust(20, b"\0")
        except OSError:
            return f"The update of RatOS.Flash failed: {program} is missing."
        processor = platform.machine()
        if head[:4] != b"\x7fELF" or PROCESSORS.get(processor, head[18]) == head[18]:
            return None
        return f"The update of RatOS.Flash failed: {program} is for another processor than {processor}."

    @staticmethod
    def _was_updated() -> bool:
        try:
            return abs(time.time() - (FOLDER / RELEASE).stat().st_ctime) < UPDATED
        except OSError:
            return True

    def _way_back(self) -> str:
        kept = pathlib.Path(self.server.get_app_args()["data_path"], "ratos-flash", "last-version")
        if (kept / SERVICE).is_file():
            return f"To go back to the last version: cp -a {kept}/. {FOLDER}/ && {FOLDER}/install.sh"
        return f"Unpack the zip for this computer in {FOLDER}, and run its install.sh."

    def _dialog_line(self, line: Dict[str, Any]) -> None:
        # Also where the update failed. An update of all programs has the name "full".
        application = line.get("application", "")
        if line.get("complete") and (application.startswith(SERVICE) or application == "full"):
            self._look_later()
        self.covered.update(client.uid for client in self.server.lookup_component("websockets").get_clients_by_type("display"))

    async def _show_console(self, line: str) -> None:
        if not line.startswith(PROMPT) or line.startswith(f"{PROMPT}end") or not self.covered:
            await self.server.send_event(CONSOLE_EVENT, line)   # or the next one, which is sent directly, overtakes it
            return
        self.server.lookup_component("websockets").notify_clients("gcode_response", [line], list(self.covered))
        self._console_line(line)
        self.stored = False

    def _show_popups(self, console: List[str]) -> None:
        """
        KlipperScreen shows its dialog for one job. It shows errors as popups, and other results only behind a prefix that browsers would
        show too.
        """
        text = "\n".join(line[3:] for line in console if line.startswith("// ") and not line.startswith("// action:"))
        for client in self.server.lookup_component("websockets").get_clients_by_type("display") if text else ():
            client.queue_message({"jsonrpc": "2.0", "method": "notify_gcode_response", "params": [f"echo: {text}"]})

    def _client_identified(self, client: BaseRemoteConnection) -> None:
        if self.broken and client.client_data.get("name") == AGENT:
            self.broken = False
            self.event_loop.register_callback(self._set_announcement, None)
        if client.client_data.get("type") == "web" and self.loading is None:
            self.loading = self.event_loop.delay_callback(LOADED, self._show_again)

    async def _show_again(self) -> None:
        self.loading = None
        if self.open_job is not None:
            await self._open_dialog()
        if self.stored and self.server.lookup_component("klippy_connection").is_ready():
            return
        for line in list(self.prompt):
            await self._show_console(line)

    def _console_line(self, line: str) -> None:
        """Follows the prompt on the console: a user can close it in any front end, and a macro can open another."""
        if not line.startswith(PROMPT):
            return
        action = line[len(PROMPT):].split(" ")[0]
        if action in ("begin", "end"):
            self.prompt, self.stored = [], True
        if action != "end" and len(self.prompt) < MAX_LINES:
            self.prompt.append(line)

    def _klippy_ready(self) -> None:
        if self.settling is not None:
            self.settling.cancel()
        self.settling = self.event_loop.delay_callback(SETTLE, self._settled)

    def _settled(self) -> None:
        self.settling = None
        self._show_kept()

    def _show_kept(self) -> None:
        if self.kept is not None:
            (job, line), self.kept = self.kept, None
            self._show_dialog(job, line, True)

    def _client_removed(self, client: BaseRemoteConnection) -> None:
        self.covered.discard(client.uid)
        self.holding = {job: holder for job, holder in self.holding.items() if holder is not client}
        self._unlock()
        if self.open_job is None:
            return
        if client is self.shown_by or client.client_data.get("name") == AGENT:
            self._stop_giving_up()
            self.giving_up = self.event_loop.delay_callback(GRACE, self._give_up)

    def _give_up(self) -> None:
        self.giving_up = None
        here = AGENT in self.server.lookup_component("extensions").agents
        state = "lost its connection and reports no more about this job" if here else "is not running"
        self._close_dialog(f"RatOS.Flash {state}. The result of the job is not known here. On the printer run: systemctl status {SERVICE}")

    def _stop_giving_up(self) -> None:
        if self.giving_up is not None:
            self.giving_up.cancel()
            self.giving_up = None

    def _close_dialog(self, line: str) -> None:
        self._stop_giving_up()
        self._show_kept()
        if self.open_job is not None:
            self._show_dialog(self.open_job, line, True)

    def _text(self, args: Dict[str, Any], name: str, limit: int) -> str:
        value = args.get(name)
        text = _clean(value, limit) if isinstance(value, str) else ""
        if not text:
            raise self.server.error(f"'{name}' must be a non-empty text")
        return text

    def _lines(self, args: Dict[str, Any], name: str) -> List[str]:
        value = args.get(name, [])
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise self.server.error(f"'{name}' must be a list of texts")
        if len(value) > MAX_LINES:
            raise self.server.error(f"'{name}' has {len(value)} lines; at most {MAX_LINES} are accepted")
        # A console message of several lines is one entry there, so that a result is read from its top.
        return ["\n".join(_clean(part, MAX_LINE) for part in line.split("\n", MAX_LINES)) for line in value]

    def _flag(self, args: Dict[str, Any], name: str) -> bool:
        value = args.get(name, False)
        if not isinstance(value, bool):
            raise self.server.error(f"'{name}' must be true or false")
        return value


def _read_page() -> Dict[str, bytes]:
    """The files of the page by name; none if one of them cannot be served, since a page without its script explains nothing."""
    files: Dict[str, bytes] = {}
    left = MAX_PAGE
    try:
        for path in sorted(PAGE.iterdir()):
            if not PAGE_FILE.fullmatch(path.name):
                logging.info(f"ratos_flash: {path} is no file of the page")
                continue
            if not path.is_file():
                raise ValueError(f"{path} is no file")
            with path.open("rb") as file:
                content = file.read(left + 1)
            files[path.name] = content
            left -= len(content)
            if left < 0 or len(files) > MAX_PAGE_FILES:
                raise ValueError(f"{PAGE} has more than {MAX_PAGE_FILES} files or {MAX_PAGE} bytes")
        if "page.html" not in files:
            raise ValueError(f"{PAGE} has no page.html")
    except (OSError, ValueError) as error:
        logging.info(f"ratos_flash: no page: {error}")
        return {}
    return files


def _clean(text: str, limit: int) -> str:
    """One printable line: no control characters, no lone surrogates (they cannot be sent), no change of writing direction."""
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= limit else text[:limit - 1] + "…"


def _escape(line: str) -> str:
    """Text that Mainsail, which reads it as HTML, and the others, which do not, show alike: no tags and no entities."""
    return ENTITY.sub("&amp;", TAG.sub(r"‹\1›", line).replace("<", "‹"))


def load_component(config: ConfigHelper) -> RatosFlash:
    return RatosFlash(config)

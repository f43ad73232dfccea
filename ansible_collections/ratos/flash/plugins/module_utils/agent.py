# Copyright: RatOS.Flash contributors
# GNU General Public License v3.0 or later (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""Requests to a printer's agent: through Moonraker's HTTP, or through the agent's own socket on the printer's computer.

Both take the same methods and arguments: https://github.com/Rat-OS/RatOS.Flash/blob/main/docs/agent-api.md
"""

import base64
import hashlib
import http.client
import json
import os
import socket
import time
import urllib.parse
import uuid

ARGUMENTS = dict(
    moonraker=dict(type='str'),
    api_key=dict(type='str', no_log=True),
    data=dict(type='path', default='~/printer_data'),
)

PAUSE = 2             # seconds from one request to the next
TIMEOUT = 60          # seconds for an answer; a plan looks at each board and at Klipper's sources
LONG_POLL = 50        # seconds that the agent may hold back the answer about a job
LONGEST_FLASH = 3600  # seconds that a job may take beside the wait for an idle printer
PATIENCE = 180        # seconds that a printer may be away in mid-job: its computer may restart
LARGEST = 64 << 20    # bytes of an answer or a bundle
LARGEST_FIRMWARE = 8 << 20


class AgentError(Exception):
    """A request that failed: why, and what to do."""

    def __init__(self, cause, remedy='', code='', is_lost=False, is_away=False):
        super().__init__((cause + ' ' + remedy).strip())
        self.cause, self.remedy, self.code = cause, remedy, code
        self.is_lost = is_lost   # the same request may succeed later
        self.is_away = is_away   # the printer cannot be reached at all


def agent_of(parameters):
    """The agent that a module's options name."""
    if parameters['moonraker'] is not None:
        return Moonraker(parameters['moonraker'], parameters['api_key'])
    return OwnSocket(parameters['data'])


class Agent:
    _last = None

    def ask(self, method, arguments=None, wait=0):
        """The answer, an object. wait: seconds that the agent may hold it back."""
        self._pause()
        answer = self._send(method, arguments or {}, TIMEOUT + wait)
        if not isinstance(answer, dict):
            raise AgentError('%s answered with something else than an object.' % self, is_lost=True)
        if answer.get('ok') is True:
            return answer
        error = answer.get('error') or {}
        code = error.get('code', '')
        raise AgentError(error.get('cause', 'The agent refused %s.' % method), error.get('remedy', ''), code, code == 'agent-busy')

    def finish(self, job, limit):
        """Waits until a job is done, at most for limit seconds, and returns it. A printer that is away for a while is waited for."""
        begin = seen = time.monotonic()
        again = 'Run this again: it joins the job, or sees what it did.'
        while True:
            try:
                view = self.ask('job', {'job': job, 'wait': LONG_POLL}, LONG_POLL)['jobs'][0]
                seen = time.monotonic()
                if view['state'] == 'done':
                    return view
            except AgentError as error:
                if not error.is_lost:
                    raise
                if time.monotonic() - seen > PATIENCE:
                    raise AgentError(
                        'The printer vanished during job %s. %s The job may have gone on.' % (job, error.cause), again, 'vanished')
            if time.monotonic() - begin > limit:
                raise AgentError('Job %s was not done after %d s.' % (job, limit), again, 'not-done')

    def _pause(self):
        if self._last is not None:
            time.sleep(max(0, self._last + PAUSE - time.monotonic()))
        self._last = time.monotonic()


class Moonraker(Agent):
    def __init__(self, url, key):
        try:
            parts = urllib.parse.urlsplit(url if '://' in url else 'http://' + url)
            self._port = parts.port
        except ValueError:
            parts = None
        if not parts or parts.scheme not in ('http', 'https') or not parts.hostname or self._port == 0:
            raise AgentError('%s is no address of a Moonraker.' % url, 'Name it like this: http://printer:7125', 'bad-address')
        self._parts, self._key = parts, key

    def __str__(self):
        return self._parts.geturl()

    def file(self, path, sha256):
        """The arguments that name a firmware file: Moonraker takes no firmware in them."""
        return {'firmware': os.path.basename(path), 'firmware_sha256': sha256}

    def upload(self, path):
        """Puts a file into the firmware folder, under its own name."""
        name, border = os.path.basename(path), uuid.uuid4().hex
        if any(character in name for character in '"\\\r\n'):
            raise AgentError('%r is no name for a file in the firmware folder.' % name, 'Rename the file.', 'bad-name')
        parts = []
        for field, text in (('root', b'ratos_flash'), ('file"; filename="' + name, read(path))):
            parts += [b'--', border.encode(), b'\r\nContent-Disposition: form-data; name="', field.encode(), b'"\r\n\r\n', text, b'\r\n']
        self._pause()
        status, body = self._http(
            'POST', '/server/files/upload', b''.join(parts) + b'--' + border.encode() + b'--\r\n',
            'multipart/form-data; boundary=' + border)
        if status != 201:
            raise self._refusal(
                status, body, 'It does not take %s into the firmware folder.' % name,
                'The component of RatOS.Flash offers that folder: run install.sh on the printer again.')

    def take(self, path):
        """The content of a bundle that the agent has written."""
        self._pause()
        status, body = self._http('GET', '/server/files/logs/' + urllib.parse.quote(os.path.basename(path)))
        if status != 200:
            raise self._refusal(status, body, 'It does not offer %s.' % path, 'Copy the file from the printer.')
        return body

    def _send(self, method, arguments, timeout):
        request = json.dumps({'agent': 'ratos_flash', 'method': method, 'arguments': arguments})
        status, body = self._http('POST', '/server/extensions/request', request.encode(), 'application/json', timeout)
        if status == 200:
            return parsed(body, self).get('result')
        if status == 424:
            raise too_old(method)
        raise self._refusal(
            status, body, 'No agent of RatOS.Flash answers there.',
            'On the printer: sudo systemctl restart ratos-flash. Install it if there is no such service.')

    def _refusal(self, status, body, cause, remedy):
        if status in (401, 403):
            return AgentError(
                '%s refuses the API key (HTTP %d).' % (self, status) if self._key else '%s needs an API key (HTTP %d).' % (self, status),
                'Set api_key to the key that Moonraker shows at /access/api_key.', 'unauthorized')
        try:
            said = json.loads(body.decode())['error']['message']
        except (ValueError, KeyError, TypeError):
            said = 'no reason'
        return AgentError(
            '%s answered with HTTP %d: %s. %s' % (self, status, str(said)[:200], cause), remedy, 'http-%d' % status,
            status == 400 or status >= 500)

    def _http(self, verb, path, body=None, kind=None, timeout=TIMEOUT):
        headers = {'Connection': 'close'}
        if kind:
            headers['Content-Type'] = kind
        if self._key:
            headers['X-Api-Key'] = self._key
        use = http.client.HTTPSConnection if self._parts.scheme == 'https' else http.client.HTTPConnection
        connection = use(self._parts.hostname, self._port, timeout=timeout)
        try:
            connection.request(verb, self._parts.path.rstrip('/') + path, body, headers)
            response = connection.getresponse()
            return response.status, bounded(response.read1, timeout, lambda data: False)
        except (OSError, http.client.HTTPException) as error:
            raise AgentError(
                '%s does not answer: %s.' % (self, error or type(error).__name__),
                'Check its power, its network and the address.', 'unreachable', True, True)
        finally:
            connection.close()


class OwnSocket(Agent):
    def __init__(self, data):
        self._path = os.path.join(os.path.expanduser(data), 'comms', 'ratos-flash.sock')

    def __str__(self):
        return self._path

    def file(self, path, sha256):
        """The arguments that name a firmware file, with its content."""
        return {'firmware': os.path.basename(path), 'firmware_sha256': sha256, 'bytes': base64.b64encode(read(path)).decode()}

    def take(self, path):
        """The content of a bundle that the agent has written."""
        return read(path, LARGEST)

    def _send(self, method, arguments, timeout):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(timeout)
        try:
            line.connect(self._path)
            line.sendall(json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': arguments}).encode() + b'\x03')
            body = bounded(line.recv, timeout, lambda data: data.endswith(b'\x03'))
        except PermissionError:
            raise AgentError('This user may not open %s.' % self, 'Set become_user to the user that runs Klipper.', 'no-permission')
        except OSError as error:
            raise AgentError(
                'The agent does not answer at %s: %s.' % (self, error),
                'Start it with: sudo systemctl restart ratos-flash. Name another data folder with the option data.', 'no-agent', True)
        finally:
            line.close()
        answer = parsed(body.rstrip(b'\x03'), self)
        if (answer.get('error') or {}).get('code') == -32601:
            raise too_old(method)
        return answer.get('result')


def too_old(unknown):
    return AgentError(
        'The agent on this printer does not know %s: it is older than this collection.' % unknown, 'Update RatOS.Flash on the printer.',
        'agent-too-old')


def bounded(receive, timeout, is_complete):
    """Everything up to the end, within a time and a size."""
    data, end = bytearray(), time.monotonic() + timeout
    while not is_complete(data):
        piece = receive(65536)
        if not piece:
            break
        data += piece
        if len(data) > LARGEST:
            raise OSError('the answer has more than %d MiB' % (LARGEST >> 20))
        if time.monotonic() > end:
            raise OSError('the answer took more than %d s' % timeout)
    return bytes(data)


def parsed(body, source):
    try:
        answer = json.loads(body.decode())
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise AgentError('%s answered with something else than JSON.' % source, is_lost=True)
    return answer


def read(path, largest=LARGEST_FIRMWARE):
    """A file of at most that many bytes."""
    try:
        with open(path, 'rb') as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise AgentError('%s cannot be read: %s.' % (path, error.strerror), 'Name a file where the module runs.', 'unreadable')
    if len(content) > largest:
        raise AgentError('%s has more than %d bytes.' % (path, largest), 'Name another file.', 'too-large')
    return content


def sha256_of(path):
    return hashlib.sha256(read(path)).hexdigest()

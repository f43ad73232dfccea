#!/usr/bin/env python3
"""The modules of the collection against agents that are scripted here: in order, slow, wrong, gone.

The last line is "N passed, N failed, N skipped".
"""

import base64
import contextlib
import hashlib
import json
import os
import socket
import socketserver
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

from ansible_collections.ratos.flash.plugins.module_utils import agent as transport  # noqa: E402
from ansible_collections.ratos.flash.plugins.modules import board as module  # noqa: E402

KEY = 'a-secret-key'
NEEDED = {'event': 'plan', 'board': 'octopus', 'running': 'v1', 'version': 'v2', 'blocked': False, 'findings': [], 'changed': True}
SETTLED = {'event': 'plan', 'board': 'octopus', 'running': 'v2', 'version': 'v2', 'blocked': False, 'findings': [], 'changed': False,
           'leftOut': 'It runs v2.'}
BLOCKED = {'event': 'plan', 'board': 'octopus', 'running': 'v1', 'version': 'v2', 'blocked': True, 'changed': False, 'findings': [
    {'severity': 'blocker', 'code': 'chip-differs', 'text': 'The firmware is for another chip.', 'remedy': 'Take another.'}]}
FLASHED = {'board': 'octopus', 'ok': True, 'changed': True, 'condition': 'flashed', 'oldVersion': 'v1', 'newVersion': 'v2'}
LOST = {'board': 'octopus', 'ok': False, 'changed': True, 'condition': 'in-bootloader-without-firmware', 'oldVersion': 'v1',
        'newVersion': 'v2', 'fault': {'code': 'write-failed', 'cause': 'The write stopped.', 'remedy': 'Flash again.'}}


def plan(*boards, findings=()):
    return {'ok': True, 'plan': list(boards), 'findings': list(findings)}


def refused(code, cause='It is refused.', remedy='Do something else.'):
    return {'ok': False, 'error': {'code': code, 'cause': cause, 'remedy': remedy}}


def job(report=None, state='done', **members):
    boards = [{'board': 'octopus', 'phase': 'done', 'ok': report['ok'], 'report': report}] if report else []
    return {'ok': True, 'jobs': [dict({'job': '0a89', 'state': state, 'boards': boards, 'ok': bool(report and report['ok'])}, **members)]}


STARTED, JOINED = {'ok': True, 'job': '0a89', 'joined': False}, {'ok': True, 'job': '0a89', 'joined': True}


class Printer:
    """A scripted agent behind a Moonraker and behind its own socket. Answers are taken in their order, a number as an HTTP status."""

    def __init__(self, test, *answers):
        self.answers, self.requests, self.times, self.uploads, self.raw = list(answers), [], [], {}, None
        self._away = 0
        printer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                if printer.away():
                    self.close_connection = True
                    self.connection.close()
                elif self.path == '/server/files/upload':
                    printer.times.append(time.monotonic())
                    head, content = body.split(b'filename="', 1)[1].split(b'\r\n\r\n', 1)
                    printer.uploads[head[:-1].decode()] = content.rsplit(b'\r\n--', 1)[0]
                    self.answer(201, b'{}')
                elif printer.raw:
                    with contextlib.suppress(OSError):
                        printer.raw(self.wfile.write)
                elif self.headers.get('X-Api-Key', KEY) != KEY:
                    self.answer(401, b'{"error": {"code": 401, "message": "Unauthorized"}}')
                else:
                    request = json.loads(body.decode())
                    test.assertEqual(request['agent'], 'ratos_flash')
                    answer = printer.next(request['method'], request['arguments'])
                    if isinstance(answer, int):
                        self.answer(answer, b'{"error": {"code": 0, "message": "Agent ratos_flash not connected"}}')
                    else:
                        self.answer(200, json.dumps({'result': answer}).encode())

            def answer(self, status, body):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

        class Line(socketserver.StreamRequestHandler):
            def handle(self):
                data = b''
                while not data.endswith(b'\x03'):
                    data += self.request.recv(65536)
                if printer.away():
                    return
                if printer.raw:
                    with contextlib.suppress(OSError):
                        printer.raw(self.wfile.write)
                    return
                request = json.loads(data[:-1].decode())
                answer = printer.next(request['method'], request['params'])
                self.wfile.write(json.dumps({'jsonrpc': '2.0', 'id': request['id'], 'result': answer}).encode() + b'\x03')

        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        os.mkdir(os.path.join(folder.name, 'comms'))
        self.data = folder.name
        ThreadingHTTPServer.daemon_threads = socketserver.ThreadingUnixStreamServer.daemon_threads = True
        servers = ThreadingHTTPServer(('127.0.0.1', 0), Handler), socketserver.ThreadingUnixStreamServer(
            os.path.join(self.data, 'comms', 'ratos-flash.sock'), Line)
        for server in servers:
            server.handle_error = lambda *_: None
            threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()
            test.addCleanup(server.server_close)
            test.addCleanup(server.shutdown)
        self.url = 'http://127.0.0.1:%d' % servers[0].server_port

    def away(self):
        self._away -= 1
        return self._away >= 0

    def next(self, method, arguments):
        self.requests.append((method, arguments))
        self.times.append(time.monotonic())
        answer = self.answers.pop(0) if self.answers else refused('out-of-script')
        if isinstance(answer, tuple):
            # The answer after which the printer leaves some requests unanswered.
            answer, self._away = answer
        return answer

    @property
    def methods(self):
        return [method for method, _ in self.requests]


class BoardTests(unittest.TestCase):
    def setUp(self):
        self._before = {name: getattr(transport, name) for name in ('PAUSE', 'PATIENCE', 'TIMEOUT', 'LARGEST')}
        transport.PAUSE, transport.PATIENCE = 0.05, 1
        self.addCleanup(lambda: [setattr(transport, name, value) for name, value in self._before.items()])

    ways = ('moonraker', 'socket')

    def flash(self, printer, way='moonraker', is_check=False, **options):
        """What the module reports: its result, and the fault that ended it."""
        parameters = dict(
            moonraker=printer.url if way == 'moonraker' else None, api_key=None, data=printer.data, board=['all'], state='current',
            firmware=None, sha256=None, when_idle=True, timeout=60, consent=False, force=False, hot=False)
        parameters.update(options)
        flash = module.Flash(parameters, is_check)
        try:
            flash.run()
        except transport.AgentError as error:
            flash.fail_with(error)
        flash.is_unreachable = flash.result.get('unreachable', False)
        return flash

    def firmware(self, content=b'firmware'):
        file = tempfile.NamedTemporaryFile(suffix='.bin')
        self.addCleanup(file.close)
        file.write(content)
        file.flush()
        return dict(state='firmware', firmware=file.name, sha256=hashlib.sha256(content).hexdigest())

    def test_a_printer_with_nothing_to_do_gets_one_request(self):
        for way in self.ways:
            with self.subTest(way):
                printer = Printer(self, plan(SETTLED))
                flash = self.flash(printer, way)
                self.assertEqual((flash.result['changed'], flash.has_failed, printer.methods), (False, False, ['plan']))
                self.assertEqual(flash.result['boards'], [
                    {'board': 'octopus', 'ok': True, 'changed': False, 'old_version': 'v2', 'new_version': 'v2', 'reason': 'It runs v2.'}])

    def test_a_board_that_needs_it_is_flashed_and_the_job_is_awaited(self):
        for way in self.ways:
            with self.subTest(way):
                printer = Printer(self, plan(NEEDED), STARTED, job(state='waiting'), job(state='running'), job(FLASHED))
                result = self.flash(printer, way).result
                self.assertEqual(printer.methods, ['plan', 'flash', 'job', 'job', 'job'])
                self.assertEqual(printer.requests[1][1], {'board': ['all'], 'if_needed': True, 'when_idle': True, 'timeout': 60})
                self.assertEqual(printer.requests[2][1], {'job': '0a89', 'wait': 50})
                self.assertEqual((result['changed'], result['job']), (True, '0a89'))
                self.assertEqual(result['diff'], {'before': 'octopus v1\n', 'after': 'octopus v2\n'})
                self.assertEqual(result['msg'], 'octopus: v1 -> v2.')

    def test_between_two_requests_is_the_pause(self):
        transport.PAUSE = 0.4
        printer = Printer(self, plan(NEEDED), STARTED, job(state='running'), job(FLASHED))
        self.flash(printer)
        self.assertEqual(len(printer.times), 4)
        for earlier, later in zip(printer.times, printer.times[1:]):
            self.assertGreater(later - earlier, 0.35)

    def test_check_mode_only_plans(self):
        printer = Printer(self, plan(NEEDED, dict(SETTLED, board='ebb42')))
        result = self.flash(printer, is_check=True).result
        self.assertEqual((result['changed'], printer.methods), (True, ['plan']))
        self.assertEqual(result['diff'], {'before': 'octopus v1\n', 'after': 'octopus v2\n'})

    def test_check_mode_fails_for_a_board_that_would_be_refused(self):
        flash = self.flash(Printer(self, plan(BLOCKED)), is_check=True)
        self.assertTrue(flash.has_failed)
        self.assertIn('octopus: The firmware is for another chip. Take another.', flash.result['msg'])

    def test_the_same_version_with_other_options_is_a_difference(self):
        result = self.flash(Printer(self, plan(dict(NEEDED, running='v2'))), is_check=True).result
        self.assertEqual(result['diff'], {'before': 'octopus v2\n', 'after': 'octopus v2 (new build)\n'})

    def test_an_older_agent_is_refused_before_it_can_misread_the_request(self):
        old = {name: value for name, value in NEEDED.items() if name != 'changed'}
        printer = Printer(self, plan(old))
        flash = self.flash(printer)
        self.assertEqual((flash.result['code'], flash.is_unreachable, printer.methods), ('agent-too-old', False, ['plan']))

    def test_a_method_that_the_agent_does_not_have_names_its_age(self):
        self.assertEqual(self.flash(Printer(self, 424)).result['code'], 'agent-too-old')

    def test_an_open_job_is_joined_and_what_is_still_missing_is_flashed_after_it(self):
        printer = Printer(self, plan(NEEDED), JOINED, job(FLASHED), plan(NEEDED), STARTED, job(FLASHED))
        result = self.flash(printer).result
        self.assertEqual(printer.methods, ['plan', 'flash', 'job', 'plan', 'flash', 'job'])
        self.assertTrue(result['changed'])

    def test_after_a_joined_job_nothing_more_is_flashed_than_needed(self):
        printer = Printer(self, plan(NEEDED), JOINED, job(FLASHED), plan(SETTLED))
        flash = self.flash(printer)
        self.assertEqual((printer.methods, flash.has_failed), (['plan', 'flash', 'job', 'plan'], False))
        self.assertEqual((flash.result['changed'], flash.result['msg']), (True, 'octopus: v1 -> v2.'))

    def test_what_a_joined_job_changed_stays_changed(self):
        printer = Printer(self, plan(NEEDED), JOINED, job(FLASHED), plan(NEEDED), STARTED, job(dict(LOST, changed=False)))
        flash = self.flash(printer)
        self.assertEqual((flash.has_failed, flash.result['changed']), (True, True))

    def test_a_job_that_fails_without_a_failed_board_has_failed(self):
        answer = job(FLASHED)
        answer['jobs'][0]['ok'] = False
        self.assertTrue(self.flash(Printer(self, plan(NEEDED), STARTED, answer)).has_failed)

    def test_a_busy_printer_whose_boards_seem_up_to_date_is_still_asked(self):
        busy = {'severity': 'blocker', 'code': 'klipper-stopped', 'text': 'A flash is running.', 'remedy': 'Wait.'}
        printer = Printer(self, plan(SETTLED, findings=[busy]), JOINED, job(FLASHED), plan(SETTLED))
        self.assertEqual(self.flash(printer).result['job'], '0a89')

    def test_a_failed_board_says_its_condition_and_its_next_step(self):
        flash = self.flash(Printer(self, plan(NEEDED), STARTED, job(LOST)))
        self.assertTrue(flash.has_failed and flash.result['changed'])
        self.assertEqual(flash.result['msg'], 'octopus: The write stopped. Flash again.')
        self.assertEqual(flash.result['boards'][0]['condition'], 'in-bootloader-without-firmware')
        self.assertEqual(flash.result['diff']['after'], 'octopus in-bootloader-without-firmware\n')

    def test_a_flash_after_which_Klipper_does_not_start_has_failed(self):
        klippy = {'code': 'klipper-not-ready', 'cause': 'mcu: unable to connect.', 'remedy': 'Look into klippy.log.'}
        result = self.flash(Printer(self, plan(NEEDED), STARTED, job(FLASHED, klippy=klippy))).result
        self.assertEqual((result['changed'], result['code'], result['cause']), (
            True, 'klipper-not-ready', 'Klipper did not start: mcu: unable to connect.'))

    def test_a_printer_that_is_off_is_unreachable_and_not_failed(self):
        printer = Printer(self)
        printer.url = 'http://127.0.0.1:1'
        flash = self.flash(printer)
        self.assertEqual((flash.is_unreachable, flash.result['code']), (True, 'unreachable'))

    def test_a_printer_that_vanishes_in_mid_job_has_failed_and_names_the_job(self):
        for way in self.ways:
            with self.subTest(way):
                printer = Printer(self, plan(NEEDED), (STARTED, 10 ** 6))
                flash = self.flash(printer, way)
                self.assertEqual((flash.is_unreachable, flash.result['code'], flash.result['job']), (False, 'vanished', '0a89'))
                self.assertIn('joins the job', flash.result['remedy'])

    def test_a_printer_that_vanishes_at_the_request_has_failed(self):
        printer = Printer(self, (plan(NEEDED), 1))
        flash = self.flash(printer)
        self.assertEqual((flash.is_unreachable, flash.result['code']), (False, 'unreachable'))

    def test_a_printer_that_comes_back_ends_in_its_own_state(self):
        printer = Printer(self, plan(NEEDED), (STARTED, 3), job(FLASHED))
        flash = self.flash(printer)
        self.assertEqual((flash.result['changed'], flash.has_failed, printer.methods), (True, False, ['plan', 'flash', 'job']))

    def test_an_agent_that_restarts_in_mid_job_is_waited_for(self):
        printer = Printer(self, plan(NEEDED), STARTED, 400, 502, job(FLASHED))
        self.assertTrue(self.flash(printer).result['changed'])

    def test_a_job_that_is_unknown_afterwards_has_failed(self):
        flash = self.flash(Printer(self, plan(NEEDED), STARTED, refused('unknown-job')))
        self.assertEqual((flash.has_failed, flash.is_unreachable, flash.result['code']), (True, False, 'unknown-job'))

    def test_a_busy_agent_is_asked_again(self):
        printer = Printer(self, plan(NEEDED), STARTED, refused('agent-busy'), job(FLASHED))
        self.assertTrue(self.flash(printer).result['changed'])

    def test_a_wrong_key_is_named_and_not_shown(self):
        flash = self.flash(Printer(self), api_key='wrong-key')
        self.assertEqual((flash.result['code'], flash.is_unreachable), ('unauthorized', False))
        self.assertNotIn('wrong-key', json.dumps(flash.result))

    def test_the_right_key_is_sent(self):
        self.assertEqual(self.flash(Printer(self, plan(SETTLED)), api_key=KEY).result['changed'], False)

    def test_a_Moonraker_without_the_agent_says_how_to_start_it(self):
        result = self.flash(Printer(self, 400)).result
        self.assertIn('Agent ratos_flash not connected', result['msg'])
        self.assertIn('systemctl restart ratos-flash', result['remedy'])

    def test_a_request_that_is_refused_gives_the_agents_own_words(self):
        result = self.flash(Printer(self, refused('unknown-board', 'There is no board x.', 'Choose y.')), board=['x']).result
        self.assertEqual((result['code'], result['msg']), ('unknown-board', 'There is no board x. Choose y.'))

    def test_answers_that_are_no_answers_end_with_a_reason(self):
        head = b'HTTP/1.0 200 OK\r\n\r\n'
        for way in self.ways:
            for body in (b'', b'nonsense', b'[]', b'{"result": 7}', b'{"result": {"ok": "yes"}}', b'\xff\xfe'):
                with self.subTest(way=way, body=body):
                    printer = Printer(self)
                    printer.raw = lambda write: write(head + body if way == 'moonraker' else body + b'\x03')
                    result = self.flash(printer, way).result
                    self.assertTrue(result['cause'] and not result['changed'])

    def test_an_endless_answer_ends(self):
        def endless(write):
            write(b'HTTP/1.0 200 OK\r\n\r\n')
            while True:
                write(b' ' * 65536)

        transport.LARGEST = 1 << 20
        for way in self.ways:
            with self.subTest(way):
                printer = Printer(self)
                printer.raw = endless
                self.assertIn('more than 1 MiB', self.flash(printer, way).result['msg'])

    def test_an_answer_that_drips_ends_in_time(self):
        def drip(write):
            write(b'HTTP/1.0 200 OK\r\n\r\n')
            while True:
                write(b' ')
                time.sleep(0.1)

        transport.TIMEOUT = 0.5
        for way in self.ways:
            with self.subTest(way):
                printer = Printer(self)
                printer.raw = drip
                begin = time.monotonic()
                self.assertIn('took more than', self.flash(printer, way).result['msg'])
                self.assertLess(time.monotonic() - begin, 5)

    def test_a_job_that_never_ends_is_left_to_itself(self):
        module.LONGEST_FLASH, before = 0.2, module.LONGEST_FLASH
        self.addCleanup(setattr, module, 'LONGEST_FLASH', before)
        printer = Printer(self, plan(NEEDED), STARTED, *[job(state='running')] * 1000)
        self.assertEqual(self.flash(printer, timeout=0.2).result['code'], 'not-done')

    def test_a_file_is_uploaded_only_if_it_is_not_there(self):
        file = self.firmware()
        name = os.path.basename(file['firmware'])
        printer = Printer(self, refused('firmware-unreadable'), plan(NEEDED), STARTED, job(FLASHED))
        self.assertTrue(self.flash(printer, **file).result['changed'])
        self.assertEqual(printer.uploads, {name: b'firmware'})
        self.assertEqual(
            {key: printer.requests[1][1][key] for key in ('firmware', 'firmware_sha256')},
            {'firmware': name, 'firmware_sha256': file['sha256']})

        printer = Printer(self, plan(SETTLED))
        self.assertFalse(self.flash(printer, **file).result['changed'])
        self.assertEqual((printer.uploads, printer.methods), ({}, ['plan']))

    def test_a_name_that_would_end_its_header_is_refused(self):
        file = self.firmware()
        odd = file['firmware'][:-4] + '";.bin'
        os.link(file['firmware'], odd)
        self.addCleanup(os.unlink, odd)
        printer = Printer(self, refused('firmware-unreadable'))
        flash = self.flash(printer, firmware=odd, sha256=file['sha256'], state='firmware')
        self.assertEqual((flash.result['code'], printer.uploads, printer.methods), ('bad-name', {}, ['plan']))

    def test_check_mode_uploads_nothing(self):
        file = self.firmware()
        printer = Printer(self, refused('firmware-differs'))
        result = self.flash(printer, is_check=True, **file).result
        self.assertEqual((result['changed'], printer.uploads, printer.methods), (True, {}, ['plan']))
        self.assertIn(file['sha256'], result['diff']['after'])

    def test_by_the_own_socket_the_file_goes_with_the_request(self):
        printer = Printer(self, plan(NEEDED), STARTED, job(FLASHED))
        self.flash(printer, 'socket', **self.firmware())
        self.assertEqual(base64.b64decode(printer.requests[1][1]['bytes']), b'firmware')

    def test_a_file_of_another_sha256_never_reaches_the_printer(self):
        for way in self.ways:
            with self.subTest(way):
                printer = Printer(self, plan(NEEDED), STARTED, job(FLASHED))
                result = self.flash(printer, way, **dict(self.firmware(), sha256='0' * 64)).result
                self.assertEqual((result['code'], printer.requests, printer.uploads), ('firmware-differs', [], {}))

    def test_firmware_for_another_board_is_refused_by_its_plan(self):
        flash = self.flash(Printer(self, plan(BLOCKED), STARTED, job(dict(
            LOST, changed=False, refused=True, condition='unchanged',
            fault={'code': 'chip-differs', 'cause': 'It is for another chip.', 'remedy': 'Take another.'}))), **self.firmware())
        self.assertEqual((flash.result['changed'], flash.result['boards'][0]['condition']), (False, 'unchanged'))
        self.assertTrue(flash.has_failed)

    def test_warnings_are_shown_with_their_board(self):
        warning = {'severity': 'warning', 'code': 'weak', 'text': 'The crystal is a guess.', 'remedy': 'Tell it.'}
        printer = Printer(self, plan(dict(NEEDED, findings=[warning]), dict(SETTLED, findings=[warning])), refused('consent-missing'))
        flash = self.flash(printer)
        self.assertEqual(flash.warnings, ['octopus: The crystal is a guess. Tell it.'])
        self.assertTrue(flash.has_failed)

    def test_a_rollback_is_asked_for_as_such(self):
        printer = Printer(self, plan(NEEDED), STARTED, job(FLASHED))
        self.flash(printer, state='rolled_back', when_idle=False)
        self.assertEqual(printer.requests[1][1], {'board': ['all'], 'rollback': True})

    def test_force_flashes_what_is_up_to_date(self):
        printer = Printer(self, plan(NEEDED), STARTED, job(FLASHED))
        self.flash(printer, force=True, consent=True, hot=True, when_idle=False)
        self.assertEqual(printer.requests[1][1], {'board': ['all'], 'consent': True, 'force': True, 'hot': True})

    def test_an_address_that_is_none_is_refused(self):
        for url in ('ftp://printer', 'http://', 'http://printer:seven', 'http://printer:0'):
            with self.subTest(url):
                printer = Printer(self)
                printer.url = url
                self.assertEqual(self.flash(printer).result['code'], 'bad-address')

    def test_a_missing_socket_says_how_to_start_the_agent(self):
        printer = Printer(self)
        printer.data += '-none'
        flash = self.flash(printer, 'socket')
        self.assertEqual((flash.result['code'], flash.is_unreachable), ('no-agent', False))


if __name__ == '__main__':
    outcome = unittest.main(exit=False, verbosity=1).result
    bad = len(outcome.failures) + len(outcome.errors)
    print('%d passed, %d failed, %d skipped' % (outcome.testsRun - bad - len(outcome.skipped), bad, len(outcome.skipped)))
    sys.exit(bad > 0)

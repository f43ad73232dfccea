#!/usr/bin/python
# Copyright: RatOS.Flash contributors
# GNU General Public License v3.0 or later (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: board
short_description: Brings the firmware of a printer's boards to a state
version_added: 0.1.0
description:
  - Flashes boards through the printer's RatOS.Flash, and reports success only when each board has confirmed its firmware and
    Klipper is ready again.
  - Boards that already have that firmware are left alone, and Klipper keeps running.
  - If a job for these boards is open, for example of a run whose controller died, the module joins it.
  - A printer that does not answer before anything was asked of it is reported as unreachable.
options:
  board:
    description: Names of boards as C(ratos-flash boards) lists them, or V(all).
    type: list
    elements: str
    default: [all]
  state:
    description:
      - C(current) flashes boards that need new firmware, and builds it on the printer unless a file for them is in its firmware
        folder.
      - C(firmware) flashes one given file.
      - C(rolled_back) writes the firmware that each board ran before. Every run writes, so it is not idempotent.
    type: str
    choices: [current, firmware, rolled_back]
    default: current
  firmware:
    description:
      - With I(state=firmware), the name of a file in the printer's firmware folder, or a path.
      - A path is read where the module runs. By I(moonraker) the file is uploaded into the firmware folder if it is not there.
    type: str
  sha256:
    description: With I(state=firmware), the SHA-256 of that file. Another file is refused.
    type: str
  when_idle:
    description: Wait until the printer is idle. Otherwise a printer that prints is an error.
    type: bool
    default: true
  timeout:
    description: The longest wait for an idle printer, in seconds. After it the module fails, and nothing was touched.
    type: int
    default: 3600
  consent:
    description: Flash despite warnings in the plan. Overrides no refusal.
    type: bool
    default: false
  force:
    description: Flash despite warnings, and also boards that are up to date. Overrides no refusal.
    type: bool
    default: false
  hot:
    description: Allow hot heaters.
    type: bool
    default: false
extends_documentation_fragment:
  - ratos.flash.agent
seealso:
  - name: The agent's requests
    description: What the module sends.
    link: https://github.com/Rat-OS/RatOS.Flash/blob/main/docs/agent-api.md
"""

EXAMPLES = r"""
- name: Flash every board that needs it when the printer is idle
  ratos.flash.board:
    moonraker: http://voron-12:7125
    timeout: 14400
  delegate_to: localhost

- name: The same on the printer's computer, by ssh
  ratos.flash.board:
  become: true
  become_user: pi

- name: Give the tool board a firmware that was built once
  ratos.flash.board:
    moonraker: "{{ ratos_flash_moonraker }}"
    board: ebb42
    state: firmware
    firmware: /srv/firmware/ebb42-v0.13.0.bin
    sha256: f028eb4428a7e3d64dd16c82b6dd62e9d84673cd753a56d87d7fb9ca735c20ff
  delegate_to: localhost

- name: Undo a flash
  ratos.flash.board:
    moonraker: "{{ ratos_flash_moonraker }}"
    board: [ebb42]
    state: rolled_back
  delegate_to: localhost
"""

RETURN = r"""
boards:
  description: One entry for each board. Members without a value are left out.
  returned: when the printer answers
  type: list
  elements: dict
  contains:
    board:
      description: Its name.
      type: str
      returned: always
    ok:
      description: It succeeded, or nothing had to be done. In check mode, a flash would not be refused.
      type: bool
      returned: always
    changed:
      description: Its firmware was written. In check mode, it would be.
      type: bool
      returned: always
    old_version:
      description: The firmware that it ran before.
      type: str
      returned: when known
    new_version:
      description: The firmware of the image.
      type: str
      returned: when known
    condition:
      description: Its condition after a flash, a value of docs/json.md.
      type: str
      returned: after a flash
    reason:
      description: Why it was skipped, refused or failed.
      type: str
      returned: when it was
    remedy:
      description: What to do.
      type: str
      returned: when it was refused or failed
    code:
      description: The code of the fault, see docs/faults.md.
      type: str
      returned: when it was refused or failed
  sample:
    - board: ebb42
      ok: true
      changed: true
      old_version: v0.12.0-10-g1f2a9e1c
      new_version: v0.13.0-730-g84104bbbd
      condition: flashed
job:
  description: Id of the job, for M(ratos.flash.bundle) and C(ratos-flash history).
  returned: when a flash was asked for
  type: str
code:
  description: The code of the fault of the whole request.
  returned: when it failed
  type: str
cause:
  description: Why the whole request failed.
  returned: when it failed
  type: str
remedy:
  description: What to do.
  returned: when it failed
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ratos.flash.plugins.module_utils.agent import (
    ARGUMENTS,
    LONGEST_FLASH,
    AgentError,
    agent_of,
    sha256_of,
    too_old,
)

MOST_JOINS = 3   # jobs of others that are awaited, one after the other


def without_none(**members):
    return {name: value for name, value in members.items() if value is not None}


def of_plan(plan):
    if 'changed' not in plan:
        raise too_old('the members of a plan')
    skipped = plan.get('leftOut')
    blocker = next((finding for finding in plan.get('findings', []) if finding['severity'] == 'blocker'), {})
    return without_none(
        board=plan['board'], ok=bool(skipped) or not plan.get('blocked'), changed=plan['changed'], old_version=plan.get('running'),
        new_version=plan.get('running') if skipped else plan.get('version'), reason=skipped or blocker.get('text'),
        remedy=blocker.get('remedy'), code=blocker.get('code'))


def of_job(board):
    report = board.get('report') or board
    fault = report.get('fault') or {}
    return without_none(
        board=report['board'], ok=bool(report.get('ok')), changed=bool(report.get('changed')), old_version=report.get('oldVersion'),
        new_version=report.get('oldVersion') if report.get('leftOut') else report.get('newVersion'), condition=report.get('condition'),
        reason=report.get('leftOut') or fault.get('cause'), remedy=fault.get('remedy'), code=fault.get('code'))


def warnings_of(answer):
    """What a user has to consent to is among these."""
    return ['%s%s %s' % (prefix, finding['text'], finding.get('remedy', ''))
            for prefix, findings in [('', answer.get('findings', []))] + [
                ('%s: ' % plan['board'], plan.get('findings', [])) for plan in answer.get('plan', []) if not plan.get('leftOut')]
            for finding in findings if finding['severity'] == 'warning']


def diff_of(boards):
    """Old and new version of each board that changes."""
    def line(board, version, other=''):
        return '%s %s%s\n' % (board['board'], version or 'unknown', ' (new build)' if version == other else '')

    changed = [board for board in boards if board['changed']]
    return dict(
        before=''.join(line(board, board.get('old_version')) for board in changed),
        after=''.join(
            line(board, board.get('new_version'), board.get('old_version')) if board['ok'] else line(board, board.get('condition'))
            for board in changed))


def words_of(board):
    if not board['ok']:
        return '%s: %s %s' % (board['board'], board.get('reason', 'failed, without a reason.'), board.get('remedy', ''))
    if board['changed']:
        return '%s: %s -> %s.' % (board['board'], board.get('old_version', 'unknown'), board.get('new_version', 'a new build'))
    return '%s: %s' % (board['board'], board.get('reason', 'nothing to do.'))


class Flash:
    """One task: plans, flashes what needs it, and keeps what is to be reported, also when it fails."""

    def __init__(self, parameters, is_check):
        self._options, self._is_check = parameters, is_check
        self._asked = False
        self.warnings = []
        self.result = dict(changed=False, boards=[])

    def run(self):
        self._agent = agent_of(self._options)
        self._arguments = self._request()
        for _attempt in range(MOST_JOINS):
            if not self._plan() or not self._flash():
                return

    def _request(self):
        """The arguments of plan and flash."""
        options = self._options
        given = dict(
            board=options['board'], if_needed=not options['force'] and options['state'] != 'rolled_back', when_idle=options['when_idle'],
            consent=options['consent'], force=options['force'], hot=options['hot'], rollback=options['state'] == 'rolled_back')
        arguments = {name: value for name, value in given.items() if value}
        if options['when_idle']:
            arguments['timeout'] = options['timeout']
        if options['state'] == 'firmware':
            name, sha256 = options['firmware'], options['sha256'].lower()
            arguments.update(firmware=name, firmware_sha256=sha256)
            if '/' in name:
                found = sha256_of(name)
                if found != sha256:
                    raise AgentError(
                        '%s is another file than expected: its SHA-256 is %s, not %s.' % (name, found, sha256),
                        'Copy the file again, or correct sha256.', 'firmware-differs')
                arguments.update(self._agent.file(name, sha256))
        return arguments

    def _plan(self):
        """Reports the plan. True if a flash is to follow."""
        try:
            answer = self._agent.ask('plan', self._arguments)
        except AgentError as error:
            # A file that this task brings is not there yet, or an older one of that name is.
            if '/' not in (self._options['firmware'] or '') or error.code not in ('firmware-unreadable', 'firmware-differs') \
                    or not hasattr(self._agent, 'upload'):
                raise
            if self._is_check:
                file = '%(firmware)s %(firmware_sha256)s' % self._arguments
                self.result.update(changed=True, diff=dict(before='', after=file + '\n'), msg=(
                    '%s is not in the printer\'s firmware folder. A run uploads it, and then plans.' % self._arguments['firmware']))
                return False
            self._agent.upload(self._options['firmware'])
            answer = self._agent.ask('plan', self._arguments)
        boards = [of_plan(plan) for plan in answer.get('plan', [])]
        self.warnings = warnings_of(answer)
        busy = [finding for finding in answer.get('findings', []) if finding['severity'] == 'blocker']
        is_settled = not busy and all(board['ok'] and not board['changed'] for board in boards)
        # After another client's job, what that did is the report.
        if self._is_check or is_settled and not self._asked:
            self._report(boards)
        return not self._is_check and not is_settled

    def _flash(self):
        """Flashes, and reports that. True if the job was another client's: what this task asks for may still be missing."""
        self._asked = True
        answer = self._agent.ask('flash', self._arguments)
        self.result['job'] = answer['job']
        job = self._agent.finish(answer['job'], LONGEST_FLASH + (self._options['timeout'] if self._options['when_idle'] else 0))
        self._report([of_job(board) for board in job['boards']])
        klippy = job.get('klippy')
        if klippy:
            raise AgentError('Klipper did not start: %s' % klippy['cause'], klippy.get('remedy', ''), klippy.get('code', ''))
        if self.has_failed:
            return False
        if not job.get('ok'):
            raise AgentError('Job %s failed.' % answer['job'], 'See ratos-flash history on the printer.', 'failed')
        return bool(answer.get('joined'))

    def _report(self, boards):
        changed = self.result['changed'] or any(board['changed'] for board in boards)
        self.result.update(
            boards=boards, changed=changed, diff=diff_of(boards), msg=' '.join(words_of(board).strip() for board in boards))

    def fail_with(self, error):
        self.result.update(msg=str(error), cause=error.cause, remedy=error.remedy, code=error.code)
        if error.is_away and not self._asked:
            # Nothing was asked of a printer that is off: that is no failure of its boards.
            self.result['unreachable'] = True

    @property
    def has_failed(self):
        if 'cause' in self.result:
            return 'unreachable' not in self.result
        return any(not board['ok'] for board in self.result['boards'])


def main():
    module = AnsibleModule(
        argument_spec=dict(
            ARGUMENTS,
            board=dict(type='list', elements='str', default=['all']),
            state=dict(type='str', choices=['current', 'firmware', 'rolled_back'], default='current'),
            firmware=dict(type='str'),
            sha256=dict(type='str'),
            when_idle=dict(type='bool', default=True),
            timeout=dict(type='int', default=3600),
            consent=dict(type='bool', default=False),
            force=dict(type='bool', default=False),
            hot=dict(type='bool', default=False)),
        required_if=[('state', 'firmware', ('firmware', 'sha256'))],
        supports_check_mode=True)
    if module.params['firmware'] and '/' in module.params['firmware']:
        module.params['firmware'] = os.path.expanduser(module.params['firmware'])
    flash = Flash(module.params, module.check_mode)
    try:
        flash.run()
    except AgentError as error:
        flash.fail_with(error)
    for warning in flash.warnings:
        module.warn(warning)
    if flash.has_failed:
        module.fail_json(**flash.result)
    module.exit_json(**flash.result)


if __name__ == '__main__':
    main()

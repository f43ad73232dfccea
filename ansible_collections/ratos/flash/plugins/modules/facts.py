#!/usr/bin/python
# Copyright: RatOS.Flash contributors
# GNU General Public License v3.0 or later (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: facts
short_description: Reads a printer's boards, their versions and needs
version_added: 0.1.0
description:
  - Reads what RatOS.Flash knows about a printer. Nothing is touched.
  - A printer that does not answer is reported as unreachable.
extends_documentation_fragment:
  - ratos.flash.agent
"""

EXAMPLES = r"""
- name: Read the boards
  ratos.flash.facts:
    moonraker: http://voron-12:7125
  delegate_to: localhost

- name: Show which boards need new firmware
  ansible.builtin.debug:
    msg: "{{ ratos_flash.boards | rejectattr('need', 'equalto', 'needless') | map(attribute='board') | join(', ') }}"
"""

RETURN = r"""
ansible_facts:
  description: What is known about the printer.
  returned: always
  type: dict
  contains:
    ratos_flash:
      description: All of it.
      returned: always
      type: dict
      contains:
        version:
          description: Version of the agent.
          type: str
          returned: always
        klippy:
          description: State of Klipper, a value of docs/json.md.
          type: str
          returned: always
        message:
          description: Klipper's message, or why a flash would be refused now.
          type: str
          returned: always
        jobs:
          description: Open jobs.
          type: list
          elements: dict
          returned: always
        boards:
          description: The printer's boards, each as in docs/json.md, with C(board), C(running), C(host) and C(need).
          type: list
          elements: dict
          returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ratos.flash.plugins.module_utils.agent import ARGUMENTS, AgentError, agent_of


def main():
    module = AnsibleModule(argument_spec=dict(ARGUMENTS), supports_check_mode=True)
    try:
        agent = agent_of(module.params)
        status, boards = agent.ask('status'), agent.ask('boards')['boards']
    except AgentError as error:
        result = dict(msg=str(error), cause=error.cause, remedy=error.remedy, code=error.code)
        if error.is_away:
            module.exit_json(unreachable=True, **result)
        module.fail_json(**result)
    facts = {name: status.get(name) for name in ('version', 'klippy', 'message', 'jobs')}
    # Other devices on its buses have no name.
    facts['boards'] = [board for board in boards if 'board' in board]
    module.exit_json(ansible_facts=dict(ratos_flash=facts))


if __name__ == '__main__':
    main()

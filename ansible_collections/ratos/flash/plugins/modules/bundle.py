#!/usr/bin/python
# Copyright: RatOS.Flash contributors
# GNU General Public License v3.0 or later (see https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: bundle
short_description: Fetches the zip for a bug report after a flash
version_added: 0.1.0
description:
  - Lets the agent pack everything about a flash into one zip, and writes that where the module runs.
options:
  dest:
    description: The file to write, or a folder, in which the zip keeps its name.
    type: path
    required: true
  job:
    description: Id of the job. By default the last one.
    type: str
extends_documentation_fragment:
  - ratos.flash.agent
"""

EXAMPLES = r"""
- name: Fetch the bundle of a failed flash to the controller
  ratos.flash.bundle:
    moonraker: http://voron-12:7125
    job: "{{ ratos_flash_result.job }}"
    dest: /srv/bundles/
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file that was written.
  returned: success
  type: str
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ratos.flash.plugins.module_utils.agent import ARGUMENTS, AgentError, agent_of


def main():
    module = AnsibleModule(
        argument_spec=dict(ARGUMENTS, dest=dict(type='path', required=True), job=dict(type='str')), supports_check_mode=True)
    dest, job = module.params['dest'], module.params['job']
    if module.check_mode:
        module.exit_json(changed=True, path=dest)
    try:
        agent = agent_of(module.params)
        file = agent.ask('bundle', {'job': job} if job else {})['file']
        content = agent.take(file)
    except AgentError as error:
        module.fail_json(msg=str(error), cause=error.cause, remedy=error.remedy, code=error.code)
    os.makedirs(os.path.dirname(dest) or '.', exist_ok=True)
    if os.path.isdir(dest) or dest.endswith('/'):
        dest = os.path.join(dest, os.path.basename(file))
    try:
        handle, whole = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(handle, 'wb') as output:
            output.write(content)
    except OSError as error:
        module.fail_json(msg='The bundle cannot be written: %s' % error)
    module.atomic_move(whole, dest)
    module.exit_json(changed=True, path=dest)


if __name__ == '__main__':
    main()

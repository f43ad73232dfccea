# Copyright: RatOS.Flash contributors
# GNU General Public License v3.0 or later (see https://www.gnu.org/licenses/gpl-3.0.txt)

"""The options that all modules share."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  moonraker:
    description:
      - Address of the printer's Moonraker, for example C(http://printer:7125). The module then needs nothing but HTTP,
        and also works from the controller with C(connection=local).
      - Without it, the module runs on the printer's computer and uses the agent's own socket, as the command line does.
        Only the user that runs Klipper may open that socket.
    type: str
  api_key:
    description: Moonraker's API key, for a Moonraker that does not trust this computer.
    type: str
  data:
    description: Data folder of the printer, on the printer's computer. Used without I(moonraker).
    type: path
    default: ~/printer_data
requirements:
  - Python 3.7 or later where the module runs
  - the agent of RatOS.Flash on the printer
author:
  - RatOS.Flash contributors (@Rat-OS)
"""

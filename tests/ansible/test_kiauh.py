#!/usr/bin/env python3
"""The extension for KIAUH: with stand-ins for KIAUH's two classes, and in KIAUH's own loader where KIAUH names a checkout of it.

The last line is "N passed, N failed, N skipped".
"""

import hashlib
import importlib
import io
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import types
import unittest
import zipfile

EXTENSION = pathlib.Path(__file__).resolve().parents[2] / 'packaging' / 'kiauh' / 'ratos_flash'
KIAUH = os.environ.get('KIAUH')
INSTALLER = '#!/bin/sh\necho "%s $*" >>../calls\nexit ${STATUS:-0}\n'


def load():
    """The module, in a world of stand-ins."""
    lines = []
    logger = type('Logger', (), {'print_' + kind: staticmethod(lambda text, kind=kind: lines.append((kind, text)))
                                 for kind in ('status', 'info', 'ok', 'error')})
    base = type('BaseExtension', (), {'__init__': lambda self, metadata: setattr(self, 'metadata', metadata)})
    for name, members in {'core': {}, 'core.logger': {'Logger': logger}, 'extensions': {},
                          'extensions.base_extension': {'BaseExtension': base}}.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    sys.path.insert(0, str(EXTENSION))
    module = importlib.import_module('ratos_flash_extension')
    return module, lines


MODULE, LINES = load()


def packed(name='first'):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        for file, mode, text in (('install.sh', 0o755, INSTALLER % name), ('ratos-flash', 0o755, 'a program'),
                                 ('docs/usage.md', 0o644, 'a page'), (name, 0o644, '')):
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, text)
    return content.getvalue()


class ExtensionTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        MODULE.FOLDER = self.home / 'ratos-flash'
        LINES.clear()
        self.extension = MODULE.RatosFlashExtension(json.loads((EXTENSION / 'metadata.json').read_text())['metadata'])
        machine = MODULE.platform.machine
        self.addCleanup(setattr, MODULE.platform, 'machine', machine)
        MODULE.platform.machine = lambda: 'aarch64'
        self.addCleanup(setattr, MODULE, 'RELEASE', MODULE.RELEASE)
        self.addCleanup(os.environ.pop, 'STATUS', None)

    def release(self, content, sums=None):
        folder = self.home / 'release'
        folder.mkdir(exist_ok=True)
        (folder / 'ratos-flash-linux-arm64.zip').write_bytes(content)
        (folder / 'sha256sums.txt').write_text(sums or '%s  ratos-flash-linux-x64.zip\n%s  ratos-flash-linux-arm64.zip\n' % (
            '0' * 64, hashlib.sha256(content).hexdigest()))
        MODULE.RELEASE = folder.as_uri()

    @property
    def calls(self):
        file = self.home / 'calls'
        return file.read_text().splitlines() if file.exists() else []

    def test_install_unpacks_the_release_and_runs_its_installer(self):
        self.release(packed())
        self.extension.install_extension()
        self.assertEqual((self.calls, LINES[-1][0]), (['first '], 'ok'))
        self.assertEqual((MODULE.FOLDER / 'ratos-flash').stat().st_mode & 0o777, 0o755)
        self.assertEqual((MODULE.FOLDER / 'docs/usage.md').stat().st_mode & 0o777, 0o644)

    def test_update_replaces_the_whole_folder(self):
        self.release(packed())
        self.extension.install_extension()
        self.release(packed('second'))
        self.extension.update_extension()
        self.assertEqual(self.calls, ['first ', 'second '])
        self.assertEqual(sorted(os.listdir(MODULE.FOLDER)), ['docs', 'install.sh', 'ratos-flash', 'second'])
        self.assertEqual(sorted(os.listdir(self.home)), ['calls', 'ratos-flash', 'release'])

    def test_a_zip_that_is_not_in_the_sums_is_refused_and_the_old_one_stays(self):
        self.release(packed())
        self.extension.install_extension()
        for sums in ('%s  ratos-flash-linux-arm64.zip\n' % ('0' * 64), 'nonsense\n', '%s  other.zip\n' % hashlib.sha256(packed()).hexdigest()):
            with self.subTest(sums):
                self.release(packed('second'), sums)
                self.extension.update_extension()
                self.assertEqual((self.calls, LINES[-1][0]), (['first '], 'error'))
                self.assertTrue((MODULE.FOLDER / 'first').exists())

    def test_the_release_has_sums_and_zips_of_these_names(self):
        script = (EXTENSION.parents[2] / 'release.sh').read_text()
        self.assertIn(MODULE.SUMS, script)
        self.assertIn('ratos-flash-$rid.zip', script)
        repo = (EXTENSION.parents[2] / 'config' / 'ratos-flash-moonraker.conf').read_text().split('repo: ')[1].split()[0]
        self.assertTrue(MODULE.RELEASE.startswith('https://github.com/%s/releases/' % repo))

    def test_without_a_release_nothing_is_changed(self):
        MODULE.RELEASE = (self.home / 'none').as_uri()
        self.extension.install_extension()
        self.assertEqual((LINES[-1][0], os.listdir(self.home)), ('error', []))

    def test_a_processor_without_a_release_is_named(self):
        MODULE.platform.machine = lambda: 'armv7l'
        self.extension.install_extension()
        self.assertIn('armv7l', LINES[-1][1])

    def test_a_checkout_is_never_replaced(self):
        (MODULE.FOLDER / '.git').mkdir(parents=True)
        self.release(packed())
        self.extension.install_extension()
        self.assertEqual((LINES[-1][0], os.listdir(MODULE.FOLDER)), ('error', ['.git']))

    def test_an_installer_that_fails_is_reported(self):
        os.environ['STATUS'] = '3'
        self.release(packed())
        self.extension.install_extension()
        self.assertIn('install.sh ended with 3', LINES[-1][1])

    def test_remove_uninstalls_and_deletes_the_folder(self):
        self.release(packed())
        self.extension.install_extension()
        self.extension.remove_extension()
        self.assertEqual((self.calls, MODULE.FOLDER.exists()), (['first ', 'first --uninstall'], False))
        self.extension.remove_extension()
        self.assertEqual(LINES[-1][0], 'info')

    def test_remove_leaves_a_checkout(self):
        self.release(packed())
        self.extension.install_extension()
        (MODULE.FOLDER / '.git').mkdir()
        self.extension.remove_extension()
        self.assertEqual((self.calls[-1], MODULE.FOLDER.exists()), ('first --uninstall', True))

    def test_a_download_without_an_end_ends(self):
        self.addCleanup(setattr, MODULE, 'LARGEST', MODULE.LARGEST)
        MODULE.LARGEST = 100
        self.release(packed())
        self.extension.install_extension()
        self.assertIn('more than 100 bytes', LINES[-1][1])

    def test_an_uninstallation_that_fails_leaves_the_folder(self):
        self.release(packed())
        self.extension.install_extension()
        os.environ['STATUS'] = '1'
        self.extension.remove_extension()
        self.assertEqual((LINES[-1][0], MODULE.FOLDER.exists()), ('error', True))

    @unittest.skipUnless(KIAUH, 'KIAUH names no checkout of KIAUH')
    def test_the_loader_of_KIAUH_finds_it(self):
        copy = self.home / 'kiauh'
        shutil.copytree(KIAUH, copy, ignore=shutil.ignore_patterns('.git'))
        shutil.copytree(EXTENSION, copy / 'kiauh' / 'extensions' / 'ratos_flash', ignore=shutil.ignore_patterns('__pycache__'))
        said = subprocess.run([sys.executable, '-c', '''
from extensions.extensions_menu import ExtensionsMenu, ExtensionSubmenu
from extensions.base_extension import BaseExtension
found = [one for one in ExtensionsMenu().extensions.values() if one.metadata["module"] == "ratos_flash_extension"]
assert len(found) == 1 and isinstance(found[0], BaseExtension), "not loaded"
menu = ExtensionSubmenu(found[0])
menu.set_options()
assert [menu.options[key].method.__name__ for key in "123"] == ["install_extension", "update_extension", "remove_extension"]
menu.print_menu()
'''], env=dict(os.environ, PYTHONPATH='%s:%s' % (copy, copy / 'kiauh'), HOME=str(self.home)), cwd=copy, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertNotIn('Failed loading extension', said.stdout)


if __name__ == '__main__':
    outcome = unittest.main(exit=False).result
    bad = len(outcome.failures) + len(outcome.errors)
    print('%d passed, %d failed, %d skipped' % (outcome.testsRun - bad - len(outcome.skipped), bad, len(outcome.skipped)))
    sys.exit(bad > 0)

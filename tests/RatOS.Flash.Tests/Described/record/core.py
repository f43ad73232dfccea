"""An emulated Cortex-M core that runs a firmware from its reset vector to its task loop, with registers that hold what is written."""
import struct

import unicorn
from unicorn import arm_const as arm

PERIPHERALS = [(0x40000000, 0x61000000), (0xD0000000, 0xD0001000), (0xE0000000, 0xE0100000), (0x18000000, 0x18001000)]
CYCLE_COUNTERS = (0xE0001004, 0x40054028, 0x400B0028)
VTOR = 0xE000ED08
PAGE = 0x10000
BX_LR = bytes.fromhex("7047")


class Elf:
    """The loaded segments of a 32-bit little-endian ELF file."""

    def __init__(self, data):
        phoff, = struct.unpack_from("<I", data, 28)
        phsize, phnum = struct.unpack_from("<HH", data, 42)
        self.segments, self.run_at = [], []
        for i in range(phnum):
            kind, offset, run, load, size = struct.unpack_from("<IIIII", data, phoff + i * phsize)
            if kind == 1 and size:
                self.segments.append((load, data[offset:offset + size]))
                self.run_at.append(run)

    def sleeps(self):
        """Where the task loop waits for an interrupt: cpsie, then wfi (nop on Cortex-M7), then cpsid."""
        found = []
        for run, (_, data) in zip(self.run_at, self.segments):
            for wait in ("62b630bf72b6", "62b600bf72b6"):
                at = data.find(bytes.fromhex(wait))
                while at >= 0:
                    found.append(run + at)
                    at = data.find(bytes.fromhex(wait), at + 2)
        return found

    def at(self, address, size):
        """Bytes of the image at a flash address, or None outside of it."""
        for load, data in self.segments:
            if load <= address and address + size <= load + len(data):
                return data[address - load:address - load + size]
        return None


class Core:
    """
    Memory is plain. A register reads back what was written, except those in `ready`: {address: function(core) -> word}, the status bits
    that the clock code waits for. A register that is polled in vain and is not listed reads all ones, then 0, then all ones (see polled).
    """

    def __init__(self, model, ready, atomic_aliases=False):
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(model)
        self.ready, self.aliases = ready, atomic_aliases
        self.mapped, self.polled, self.written = set(), set(), set()
        self.last, self.repeats, self.cycles, self.undo = None, 0, 0, None
        for begin, end in PERIPHERALS:
            self.uc.hook_add(unicorn.UC_HOOK_MEM_READ, self._read, begin=begin, end=end - 1)
            self.uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._write, begin=begin, end=end - 1)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._unmapped)

    def lay(self, address, data):
        for page in range(address // PAGE * PAGE, address + len(data), PAGE):
            if page not in self.mapped:
                self.uc.mem_map(page, PAGE)
                self.mapped.add(page)
        self.uc.mem_write(address, bytes(data))

    def set(self, address, word):
        self.lay(address, struct.pack("<I", word & 0xFFFFFFFF))

    def word(self, address):
        if address // PAGE * PAGE not in self.mapped:
            self.lay(address // PAGE * PAGE, bytes(PAGE))
        if address in self.ready:
            return self.ready[address](self) & 0xFFFFFFFF
        return struct.unpack("<I", self.uc.mem_read(address, 4))[0]

    def run(self, table, stops, limit=60_000_000):
        """From the vector table at an address until the program counter is at one of the stops."""
        for stop in stops:
            self.uc.hook_add(unicorn.UC_HOOK_CODE, lambda uc, *_: uc.emu_stop(), begin=stop, end=stop)
        self.uc.reg_write(arm.UC_ARM_REG_SP, self.word(table))
        self.uc.emu_start(self.word(table + 4) | 1, 0xFFFFFFFE, count=limit)
        at = self.uc.reg_read(arm.UC_ARM_REG_PC)
        if at not in stops:
            raise RuntimeError(f"stopped at {at:08x}, last register {self.last or 0:08x}")

    def _unmapped(self, uc, access, address, size, value, _):
        if any(begin <= address < end for begin, end in PERIPHERALS):
            self.lay(address // PAGE * PAGE, bytes(PAGE))
            return True
        print(f"    fault: access {access} at {address:08x} from {uc.reg_read(arm.UC_ARM_REG_PC):08x}")
        return False

    def _read(self, uc, access, address, size, value, _):
        at = address & ~3
        if self.undo:
            uc.mem_write(*self.undo)
            self.undo = None
        if at in CYCLE_COUNTERS:
            self.cycles += 1000
            self.set(at, self.cycles)
        elif at in self.ready:
            self.set(at, self.ready[at](self))
        else:
            self.repeats = self.repeats + 1 if self.last == at else 0
            if self.repeats > 100:
                self.polled.add(at)
                self.undo = (at, bytes(uc.mem_read(at, 4)))
                self.set(at, (0xFFFFFFFF, 0, self.repeats * 64)[self.repeats % 3])
        self.last = at

    def _write(self, uc, access, address, size, value, _):
        if self.undo:
            uc.mem_write(*self.undo)
            self.undo = None
        self.last = None
        self.written.add(address & ~3)
        # The atomic aliases of the RP2 chips: 1000 toggles, 2000 sets, 3000 clears the bits of the register.
        if self.aliases and 0x40000000 <= address < 0x50400000 and address & 0x3000:
            at = address & ~0x3003
            old, value = self.word(at), value & 0xFFFFFFFF
            self.set(at, {1: old ^ value, 2: old | value, 3: old & ~value}[address >> 12 & 3])
            self.written.add(at)

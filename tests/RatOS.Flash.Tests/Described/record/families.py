"""
What a firmware meets on each family: reset values, status bits that follow a control bit, and the words read at the end.

Sources: ST RM0008 (F1), RM0091 and RM0360 (F0), RM0033 (F2), RM0090, RM0368 and RM0390 (F4), RM0410 (F7), RM0444 (G0), RM0440 (G4),
RM0394 (L4), RM0433 and RM0468 (H7), the RP2040 and RP2350 datasheets, the SAM C21 data sheet.
"""
from unicorn import arm_const as arm

M0, M3, M4, M7, M33 = (getattr(arm, f"UC_CPU_ARM_CORTEX_{n}") for n in ("M0", "M3", "M4", "M7", "M33"))


def follow(register, *pairs):
    """The register with the bits of each pair (control, status) tied: status = control."""
    def read(core):
        word = int.from_bytes(core.uc.mem_read(register, 4), "little")
        for control, status in pairs:
            word = word & ~(1 << status) | (word >> control & 1) << status
        return word
    return register, read


def of(register, other, *pairs):
    """Bits of a register that follow bits of another."""
    def read(core):
        return sum((core.word(other) >> control & 1) << status for control, status in pairs)
    return register, read


def copy_field(register, width, shift, to):
    """The selected clock (SW) shown as the used one (SWS)."""
    def read(core):
        word, mask = int.from_bytes(core.uc.mem_read(register, 4), "little"), (1 << width) - 1
        return word & ~(mask << to) | (word >> shift & mask) << to
    return register, read


F_CR = ((0, 1), (16, 17), (24, 25), (26, 27), (28, 29))
G_CR = ((0, 1), (8, 10), (16, 17), (24, 25))
BXCAN = {0x40006400: 0x00010002, 0x40006404: 0x00000C02, 0x4000641C: 0x01230000,
         0x40006800: 0x00010002, 0x40006804: 0x00000C02, 0x4000681C: 0x01230000}
BXCAN_READY = [of(0x40006404, 0x40006400, (0, 0), (1, 1)), of(0x40006804, 0x40006800, (0, 0), (1, 1))]
FDCAN = {0x40006418: 1, 0x4000641C: 0x06000A03, 0x40006818: 1, 0x4000681C: 0x06000A03}


def family(model, ram, reset=None, ready=(), flash_size=None, uid=None, dbgmcu=None, read=()):
    return {"model": model, "ram": ram, "reset": reset or {}, "ready": dict(ready), "flash_size": flash_size, "uid": uid,
            "dbgmcu": dbgmcu, "read": read}


def rp(clocks, resets, xosc, plls, **more):
    return family(ram=[(0x20000000, 0x82000), (0, 0x1000)], ready=[
        (clocks + 0x38, lambda core: 1 << (core.word(clocks + 0x30) & 3)),
        (clocks + 0x44, lambda core: 1 << (core.word(clocks + 0x3C) & 1)),
        (resets + 8, lambda core: ~core.word(resets)),
        (xosc + 4, lambda core: 1 << 31),
        *((pll, lambda core, pll=pll: int.from_bytes(core.uc.mem_read(pll, 4), "little") | 1 << 31) for pll in plls),
        # The flash behind the SSI: room and data at all times, not busy, its four lines enabled.
        (0x18000028, lambda core: 0b1110), (0x18000060, lambda core: 2),
    ], **more)


FAMILIES = {
    "STM32F0": family(
        M0, [(0x20000000, 0x4000)], {0x40021000: 0x83, **BXCAN},
        [follow(0x40021000, *F_CR), copy_field(0x40021004, 2, 0, 2), follow(0x40021034, (0, 1), (16, 17)), *BXCAN_READY],
        0x1FFFF7CC, 0x1FFFF7AC, None,
        [0x40010000, 0x40021000, 0x40021004, 0x4002102C, 0x40021030, 0x40021034, 0x20000000, 0x20000004, 0x4000641C]),
    "STM32F1": family(
        M3, [(0x20000000, 0x10000)], {0x40021000: 0x83, **BXCAN},
        [follow(0x40021000, *F_CR), copy_field(0x40021004, 2, 0, 2), *BXCAN_READY],
        0x1FFFF7E0, 0x1FFFF7E8, (0xE0042000, 0x20036410),
        [0x40021000, 0x40021004, 0x4000641C]),
    "STM32F2": family(
        M3, [(0x20000000, 0x20000)], {0x40023800: 0x83, 0x40023804: 0x24003010, **BXCAN},
        [follow(0x40023800, *F_CR), copy_field(0x40023808, 2, 0, 2), *BXCAN_READY],
        0x1FFF7A22, 0x1FFF7A10, (0xE0042000, 0x20036411), [0x40023800, 0x40023804, 0x40023808]),
    "STM32F4": family(
        M4, [(0x20000000, 0x20000)], {0x40023800: 0x83, 0x40023804: 0x24003010, **BXCAN},
        [follow(0x40023800, *F_CR), copy_field(0x40023808, 2, 0, 2), of(0x40007004, 0x40007000, (16, 16), (17, 17)), *BXCAN_READY],
        0x1FFF7A22, 0x1FFF7A10, (0xE0042000, 0x10006421),
        [0x40023800, 0x40023804, 0x40023808, 0x4000641C, 0x4000681C]),
    "STM32F7": family(
        M7, [(0x20000000, 0x80000)], {0x40023800: 0x83, 0x40023804: 0x24003010},
        [follow(0x40023800, *F_CR), copy_field(0x40023808, 2, 0, 2), of(0x40007004, 0x40007000, (16, 16), (17, 17))],
        0x1FF0F442, 0x1FF0F420, (0xE0042000, 0x20006451), [0x40023800, 0x40023804, 0x40023808]),
    "STM32G0": family(
        M0, [(0x20000000, 0x24000)], {0x40021000: 0x500, 0x4002100C: 0x1000, **FDCAN},
        [follow(0x40021000, *G_CR), copy_field(0x40021008, 3, 0, 3)],
        0x1FFF75E0, 0x1FFF7590, None, [0x40021000, 0x40021008, 0x4002100C, 0x4000641C, 0x4000681C]),
    "STM32G4": family(
        M4, [(0x20000000, 0x20000)], {0x40021000: 0x63, 0x4002100C: 0x1000, **FDCAN},
        [follow(0x40021000, *G_CR), copy_field(0x40021008, 2, 0, 2), follow(0x40021098, (0, 1))],
        0x1FFF75E0, 0x1FFF7590, (0xE0042000, 0x20036468), [0x40021000, 0x40021008, 0x4002100C, 0x4000641C, 0x4000681C]),
    "STM32L4": family(
        M4, [(0x20000000, 0xA000)], {0x40021000: 0x63, 0x4002100C: 0x1000},
        [follow(0x40021000, *G_CR), copy_field(0x40021008, 2, 0, 2), follow(0x40021098, (0, 1))],
        0x1FFF75E0, 0x1FFF7590, (0xE0042000, 0x10006464), [0x40021000, 0x40021008, 0x4002100C]),
    "STM32H7": family(
        M7, [(0x20000000, 0x20000), (0x24000000, 0x50000)],
        {0x58024400: 0x83, 0x58024428: 0x02020200, 0x5802442C: 0x01FF0000, 0x58024430: 0x01010280,
         0x4000A018: 1, 0x4000A01C: 0x06000A03, 0x4000A418: 1, 0x4000A41C: 0x06000A03},
        [follow(0x58024400, (0, 2), (12, 13), (16, 17), (24, 25)), copy_field(0x58024410, 3, 0, 3),
         follow(0x58024804, (13, 13)), (0x58024804, lambda core: 1 << 13), (0x58024818, lambda core: 1 << 13)],
        0x1FF1E880, 0x1FF1E800, (0x5C001000, 0x20036450),
        [0x58024400, 0x58024410, 0x58024428, 0x5802442C, 0x58024430, 0x4000A01C, 0x4000A41C]),
    "RP2040": rp(
        0x40008000, 0x4000C000, 0x40024000, (0x40028000, 0x4002C000), model=M0,
        reset={0x4000C000: 0x01FFFFFF, **{0x40014004 + 8 * i: 0x1F for i in range(30)}}, read=[0x40014004 + 8 * i for i in range(30)]),
    "RP2350": rp(
        0x40010000, 0x40020000, 0x40048000, (0x40050000, 0x40058000), model=M33,
        reset={0x40020000: 0x1FFFFFFF, **{0x40028004 + 8 * i: 0x1F for i in range(48)}}, read=[0x40028004 + 8 * i for i in range(30)]),
    "LPC176x": family(
        M3, [(0x10000000, 0x8000), (0x1FFF1000, 0x1000), (0x2007C000, 0x28000)],
        ready=[of(0x5000CFF8, 0x5000CFF4, *((i, i) for i in range(32)))], read=[0x40044014, 0x40048014]),
    "HC32F460": family(M4, [(0x1FFF8000, 0x2F000)]),
    "SAMD21": family(M0, [(0x20000000, 0x8000), (0x00800000, 0x10000)]),
    "SAMC21": family(M0, [(0x20000000, 0x8000), (0x00800000, 0x10000)], read=[0x40001020, 0x40001024]),
    "SAMX5": family(M4, [(0x20000000, 0x40000), (0x00800000, 0x20000)], read=[0x4200001C, 0x4200041C]),
    "SAM3X": family(M3, [(0x20000000, 0x80000)]),
    "SAM4": family(M4, [(0x20000000, 0x20000)]),
    # EEFC_FRR: the GPNVM bits that give it the tightly coupled memory that Klipper wants are set.
    "SAME70": family(M7, [(0x20000000, 0x20000), (0x20400000, 0x60000), (0, 0x20000)], ready=[(0x400E0C0C, lambda core: 0x180)],
                     read=[0x4003001C, 0x4003401C]),
}


def family_of(mcu):
    """Of the dictionary's constant MCU."""
    if mcu.startswith("stm32"):
        return mcu[:7].upper()
    if mcu.startswith("rp"):
        return mcu.upper()
    for start, name in (("lpc", "LPC176x"), ("HC32", "HC32F460"), ("samd21", "SAMD21"), ("samc21", "SAMC21"), ("samd5", "SAMX5"),
                        ("same5", "SAMX5"), ("sam3", "SAM3X"), ("sam4", "SAM4"), ("same70", "SAME70")):
        if mcu.startswith(start):
            return name
    return None

using System.Collections.Immutable;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A microcontroller as its data sheet describes it. It is independent of the engine's own table on purpose: a wrong number in one of
/// them fails a test. Times are the data sheets' typical values at 2.7-3.6 V: F446 DS10693 table 41, F407 DS8626 table 40, H723 DS13313,
/// G0B1 DS13560, F072 DS9826, W25Q16 for RP2040.
/// </summary>
public sealed record VirtualChip
{
    /// <summary>Klipper's and Katapult's name of the chip.</summary>
    public required string Name { get; init; }

    public uint FlashBase { get; init; } = 0x0800_0000;

    /// <summary>The flash sectors in ascending order, all of them.</summary>
    public required ImmutableArray<VirtualSector> Sectors { get; init; }

    /// <summary>Bytes that are programmed at once, and the time for them.</summary>
    public required int ProgramUnit { get; init; }

    /// <inheritdoc cref="ProgramUnit"/>
    public required TimeSpan ProgramTime { get; init; }

    /// <summary>
    /// Further bits of a programmed unit can be cleared (F0, F4). G0 and H7 have ECC: a unit is written once after an erase.
    /// </summary>
    public required bool ClearsFurtherBits { get; init; }

    /// <summary>Initial stack pointer of firmware for this chip: another one crashes.</summary>
    public required uint RamEnd { get; init; }

    /// <summary>Address of the unique id; 0 where there is none.</summary>
    public uint UidAddress { get; init; }

    public uint FlashSizeAddress { get; init; }

    public uint IdCodeAddress { get; init; }

    /// <summary>The value at <see cref="IdCodeAddress"/> while firmware runs; 0 on F0 and G0, whose DBGMCU clock is off.</summary>
    public uint IdCode { get; init; }

    /// <summary>The ROM's USB DFU; null on chips without.</summary>
    public VirtualRom? Rom { get; init; }

    /// <summary>The ROM's USB boot mode; null on chips without.</summary>
    public VirtualBootsel? Bootsel { get; init; }

    /// <summary>Starts the ROM at power-on when the first flash word is erased (AN2606, empty check).</summary>
    public bool EmptyCheck { get; init; }

    /// <summary>Katapult's USB driver holds its first answer until a second one is queued (double-buffered endpoints).</summary>
    public bool HoldsFirstPacket { get; init; }

    /// <summary>
    /// Klipper's Kconfig symbol without MACH_: parts with less RAM and some clones share their <see cref="Name"/> with others.
    /// </summary>
    public string Machine
    {
        get => field ?? (IsStm32 ? Name[..9].ToUpperInvariant() : Name.ToUpperInvariant());
        init;
    }

    /// <summary>The clock reference of most boards with this chip.</summary>
    public ClockSource UsualClock { get; init; }

    /// <summary>Address of the RAM that holds data and stack.</summary>
    public uint RamBase { get; init; } = 0x2000_0000;

    /// <summary>
    /// Its firmware's request starts the ROM's USB DFU (Klipper src/stm32/Kconfig, STM32_DFU_ROM_ADDRESS; a jump to the ROM fails on F042
    /// and F429).
    /// </summary>
    public bool EntersRom { get; init; }

    /// <summary>
    /// From a fault until the watchdog that Klipper set resets the chip; null for HC32F460, where Klipper sets none. IWDG with 4096 x 4
    /// cycles of 32 kHz, and the timers of each family's watchdog.c.
    /// </summary>
    public TimeSpan? Watchdog => Family switch
    {
        VirtualFamily.Hc32f460 => null,
        VirtualFamily.F1 => TimeSpan.FromMilliseconds(410),
        VirtualFamily.Rp2040 => TimeSpan.FromMilliseconds(350),
        VirtualFamily.Rp2350 => TimeSpan.FromMilliseconds(699),
        _ when IsStm32 => TimeSpan.FromMilliseconds(512),
        _ => TimeSpan.FromMilliseconds(500),
    };

    public VirtualFamily Family => Name switch
    {
        "rp2040" => VirtualFamily.Rp2040,
        "rp2350" => VirtualFamily.Rp2350,
        "HC32F460" => VirtualFamily.Hc32f460,
        "linux" => VirtualFamily.Linux,
        _ when IsStm32 => Enum.Parse<VirtualFamily>(Name.AsSpan(5, 2), ignoreCase: true),
        _ when Is("lpc") => VirtualFamily.Lpc176x,
        _ when Is("samd21") => VirtualFamily.Samd21,
        _ when Is("samc21") => VirtualFamily.Samc21,
        _ when Is("samd51") || Is("same5") => VirtualFamily.Samd51,
        _ when Is("sam3") => VirtualFamily.Sam3,
        _ when Is("sam4") => VirtualFamily.Sam4,
        _ when Is("same70") => VirtualFamily.Same70,
        _ => VirtualFamily.Avr,
    };

    internal bool IsStm32 => Is("stm32");

    internal bool IsRp => Is("rp2");

    internal bool IsF4 => Is("stm32f4");

    /// <summary>Its core faults at words and half words that are not aligned (Cortex-M0 and M0+).</summary>
    internal bool NeedsAlignment => Family is VirtualFamily.F0 or VirtualFamily.G0 or VirtualFamily.Rp2040 or VirtualFamily.Samd21
        or VirtualFamily.Samc21;

    /// <summary>CLOCK_FREQ of a build with its usual speed, in Hz (each family's Kconfig).</summary>
    internal long FrequencyAt(ClockSource clock) => Machine switch
    {
        "STM32F207" or "SAM4S8C" or "SAM4E8E" or "LPC1769" => 120_000_000,
        "STM32F401" or "SAM3X8E" or "SAM3X8C" => 84_000_000,
        "STM32F405" or "STM32F407" or "STM32F429" or "HC32F460" => 168_000_000,
        "STM32F446" => 180_000_000,
        "STM32F765" => 216_000_000,
        "STM32G431" or "STM32G474" => 170_000_000,
        "STM32H723" => 520_000_000,
        "STM32H743" => 400_000_000,
        "STM32H750" => 480_000_000,
        "STM32L412" => 80_000_000,
        "N32G452" or "N32G455" => clock.IsInternal ? 64_000_000 : 128_000_000,
        "RP2040" => 12_000_000,
        "RP2350" => 150_000_000,
        "LPC1768" => 100_000_000,
        "SAME70Q20B" => 300_000_000,
        "LINUX" => 50_000_000,
        _ => Family switch
        {
            VirtualFamily.F1 => clock.IsInternal ? 64_000_000 : 72_000_000,
            VirtualFamily.G0 => 64_000_000,
            VirtualFamily.Samd51 => 120_000_000,
            VirtualFamily.Avr => clock.IsInternal ? 16_000_000 : clock.Hertz,
            _ => 48_000_000,
        },
    };

    private bool Is(string prefix) => Name.StartsWith(prefix, StringComparison.Ordinal);

    public int FlashSize => Sectors.Sum(sector => sector.Size);

    public uint FlashEnd => FlashBase + (uint)FlashSize;

    private const int K = 1024;

    private static ImmutableArray<VirtualSector> F4Sectors(int large) =>
        [.. Repeat(4, 16 * K, 250), .. Repeat(1, 64 * K, 550), .. Repeat(large, 128 * K, 1000)];

    private static IEnumerable<VirtualSector> Repeat(int count, int size, double milliseconds) =>
        Enumerable.Repeat(new VirtualSector(size, TimeSpan.FromMilliseconds(milliseconds)), count);

    private static VirtualRom F4Rom(ushort id, string layout, params string[] others) => new()
    {
        UartId = id,
        Product = "STM32  BOOTLOADER",
        Release = 0x2200,
        TransferSize = 2048,
        AlternateNames = [layout, .. others],
        ErasePoll = TimeSpan.FromMilliseconds(100),
        CommandPoll = TimeSpan.FromMilliseconds(104),
        HoldsStatusWhileBusy = true,
    };

    private static VirtualRom LaterRom(ushort id, params string[] names) => new()
    {
        UartId = id,
        Product = "DFU in FS Mode",
        Release = 0x0200,
        TransferSize = 1024,
        AlternateNames = [.. names],
        ErasePoll = TimeSpan.FromMilliseconds(50),
        CommandPoll = TimeSpan.FromMilliseconds(20),
        HoldsStatusWhileBusy = false,
    };

    private static VirtualChip F4(string name, ImmutableArray<VirtualSector> sectors, uint idCode, string layout, string option) => new()
    {
        Name = name,
        Sectors = sectors,
        ProgramUnit = 4,
        ProgramTime = TimeSpan.FromMicroseconds(16),
        ClearsFurtherBits = true,
        RamEnd = 0x2002_0000,
        UidAddress = 0x1FFF_7A10,
        FlashSizeAddress = 0x1FFF_7A22,
        IdCodeAddress = 0xE004_2000,
        IdCode = idCode,
        UsualClock = ClockSource.Crystal(8),
        EntersRom = name != "stm32f429xx",
        Rom = F4Rom(
            (ushort)(idCode & 0xFFF), layout, option, "@OTP Memory /0x1FFF7800/01*512 e,01*016 e", "@Device Feature/0xFFFF0000/01*004 e"),
    };

    public static readonly VirtualChip F446 = F4(
        "stm32f446xx", F4Sectors(3), 0x1000_0421,
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg", "@Option Bytes  /0x1FFFC000/01*016 e") with
    {
        UsualClock = ClockSource.Crystal(12),
    };

    public static readonly VirtualChip F407 = F4(
        "stm32f407xx", F4Sectors(7), 0x1007_6413,
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", "@Option Bytes  /0x1FFFC000/01*016 e");

    public static readonly VirtualChip F429 = F4(
        "stm32f429xx", [.. F4Sectors(7), .. F4Sectors(7)], 0x1007_6419,
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg",
        "@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e");

    public static readonly VirtualChip H723 = new()
    {
        Name = "stm32h723xx",
        Sectors = [.. Repeat(8, 128 * K, 1000)],
        ProgramUnit = 32,
        ProgramTime = TimeSpan.FromMicroseconds(100),
        ClearsFurtherBits = false,
        RamEnd = 0x2002_0000,
        UidAddress = 0x1FF1_E800,
        FlashSizeAddress = 0x1FF1_E880,
        IdCodeAddress = 0x5C00_1000,
        IdCode = 0x1001_6483,
        UsualClock = ClockSource.Crystal(25),
        EntersRom = true,
        Rom = LaterRom(0x483, "@Internal Flash   /0x08000000/8*128Kg", "@Option Bytes   /0x5200201C/01*88 e") with { SaysBusy = true },
    };

    public static readonly VirtualChip G0B1 = new()
    {
        Name = "stm32g0b1xx",
        Sectors = [.. Repeat(64, 2 * K, 22)],
        ProgramUnit = 8,
        ProgramTime = TimeSpan.FromMicroseconds(85),
        ClearsFurtherBits = false,
        RamEnd = 0x2002_4000,
        UidAddress = 0x1FFF_7590,
        FlashSizeAddress = 0x1FFF_75E0,
        IdCodeAddress = 0x4001_5800,
        IdCode = 0,
        UsualClock = ClockSource.Crystal(8),
        EntersRom = true,
        // The same string on three alternates, as EBB boards show it.
        Rom = LaterRom(
            0x467, "@Internal Flash   /0x08000000/64*02Kg", "@Internal Flash   /0x08000000/64*02Kg",
            "@Internal Flash   /0x08000000/64*02Kg"),
        EmptyCheck = true,
        HoldsFirstPacket = true,
    };

    public static readonly VirtualChip F072 = new()
    {
        Name = "stm32f072xb",
        Sectors = [.. Repeat(64, 2 * K, 30)],
        ProgramUnit = 2,
        ProgramTime = TimeSpan.FromMicroseconds(53),
        ClearsFurtherBits = true,
        RamEnd = 0x2000_4000,
        UidAddress = 0x1FFF_F7AC,
        FlashSizeAddress = 0x1FFF_F7CC,
        IdCodeAddress = 0x4001_5800,
        IdCode = 0,
        UsualClock = ClockSource.Crystal(8),
        EntersRom = true,
        Rom = F4Rom(0x448, "@Internal Flash  /0x08000000/064*0002Kg", "@Option Bytes  /0x1FFFF800/01*016 e") with
        {
            HoldsStatusWhileBusy = false,
        },
        HoldsFirstPacket = true,
    };

    /// <summary>With 2 MiB of W25Q16 flash.</summary>
    public static readonly VirtualChip Rp2040 = new()
    {
        Name = "rp2040",
        FlashBase = 0x1000_0000,
        Sectors = [.. Repeat(512, 4 * K, 45)],
        ProgramUnit = 256,
        ProgramTime = TimeSpan.FromMicroseconds(400),
        ClearsFurtherBits = true,
        RamEnd = 0x2004_2000,
        Bootsel = new(PicobootDriver.Rp2040, "RP2 Boot", "E0C91200A4A1", IsRp2350: false),
    };

    /// <summary>No chip: the program file of Klipper's Linux process.</summary>
    public static readonly VirtualChip Linux = new()
    {
        Name = "linux",
        FlashBase = 0,
        Sectors = [new VirtualSector(128 * K, TimeSpan.Zero)],
        ProgramUnit = 1,
        ProgramTime = TimeSpan.Zero,
        ClearsFurtherBits = false,
        RamEnd = 0,
    };

    public static readonly ImmutableArray<VirtualChip> All = [F446, F407, F429, H723, G0B1, F072, Rp2040];
}

/// <summary>The traits of the USB boot mode of an RP2040's or RP2350's ROM.</summary>
/// <param name="Id">Vendor and product.</param>
/// <param name="Product">Its text.</param>
/// <param name="Serial">iSerial, the same on every board.</param>
/// <param name="IsRp2350">Other commands: REBOOT2 instead of REBOOT, GET_INFO.</param>
public sealed record VirtualBootsel(UsbId Id, string Product, string Serial, bool IsRp2350);

/// <param name="Size">Bytes.</param>
/// <param name="EraseTime">Typical erase time.</param>
public readonly record struct VirtualSector(int Size, TimeSpan EraseTime);

/// <summary>The traits of an STM32's ROM (AN3155, AN3156, AN2606).</summary>
public sealed record VirtualRom
{
    public required string Product { get; init; }

    /// <summary>bcdDevice.</summary>
    public required ushort Release { get; init; }

    /// <summary>wTransferSize; a longer transfer stalls.</summary>
    public required int TransferSize { get; init; }

    /// <summary>It listens to USB: not on F103, F031, G070 and G071 (AN2606).</summary>
    public bool HasUsb { get; init; } = true;

    /// <summary>One DfuSe layout string for each alternate setting.</summary>
    public required ImmutableArray<string> AlternateNames { get; init; }

    /// <summary>Chip id in its UART bootloader (AN2606): the device id of DBGMCU, on every family.</summary>
    public required ushort UartId { get; init; }

    /// <summary>Version of its UART bootloader (AN3155). Before 3.0 its erase command is 43, with page numbers of one byte.</summary>
    public byte UartVersion { get; init; } = 0x31;

    /// <summary>bwPollTimeout for an erase: a constant, not an estimate.</summary>
    public required TimeSpan ErasePoll { get; init; }

    /// <summary>bwPollTimeout for set-address and for data.</summary>
    public required TimeSpan CommandPoll { get; init; }

    /// <summary>
    /// F4: endpoint 0 answers NAK until the work is done, so a status request takes as long. Other ROMs stall an early request.
    /// </summary>
    public required bool HoldsStatusWhileBusy { get; init; }

    /// <summary>
    /// H7: an early status request is answered dfuDNBUSY again. dfu-util depends on it, because a sector takes longer than announced.
    /// </summary>
    public bool SaysBusy { get; init; }
}

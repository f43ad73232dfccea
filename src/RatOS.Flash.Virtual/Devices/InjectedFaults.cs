using System.Collections.Immutable;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The faults of a virtual printer as data: written for a scenario, or drawn from a seed. The same record gives the same trace.
/// </summary>
public sealed record InjectedFaults
{
    public static readonly InjectedFaults None = new();

    /// <summary>
    /// Faults of single transfers. Every control transfer and every frame to a serial line or to CAN counts, from 1 on, over the whole
    /// printer.
    /// </summary>
    public ImmutableArray<TransferFault> Transfers { get; init; } = [];

    /// <summary>The number of requests for the bootloader that Klipper ignores.</summary>
    public int TouchesIgnored { get; init; }

    /// <summary>The number of requests for the bootloader after which Klipper starts again instead.</summary>
    public int TouchesInVain { get; init; }

    /// <summary>The number of leave requests that the ROM ignores.</summary>
    public int LeavesIgnored { get; init; }

    /// <summary>The number of reset commands that Klipper ignores.</summary>
    public int ResetsIgnored { get; init; }

    /// <summary>The ROM jumps without an answer.</summary>
    public bool LeaveIsSilent { get; init; }

    /// <summary>Additional time between leaving the bus and re-enumeration.</summary>
    public TimeSpan ReturnsAfter { get; init; }

    /// <summary>The bootloader never enumerates: its ROM listens to another interface than USB.</summary>
    public bool RomMissesUsb { get; init; }

    /// <summary>The bootloader does not enumerate before a power cycle.</summary>
    public bool RomNeedsPower { get; init; }

    /// <summary>
    /// So long after a board has hung, the operator sets BOOT0, presses reset and takes the jumper off again; null without an operator.
    /// </summary>
    public TimeSpan? OperatorAfter { get; init; }

    /// <summary>The card in this computer changes a bit of what is written to it.</summary>
    public bool CardSpoils { get; init; }

    /// <summary>From this transfer on the ROM's USB answers nothing until the hub resets it; null for never.</summary>
    public int? HangsAt { get; init; }

    /// <summary>How long the computer lists a device after it left.</summary>
    public TimeSpan Lingers { get; init; }

    /// <summary>The port of the board's next re-enumeration; null for its own.</summary>
    public string? ReturnsAt { get; init; }

    /// <summary>The serial of the ROM; null for the one that follows from the unique id.</summary>
    public string? RomSerial { get; init; }

    /// <summary>The poll time that the ROM announces for everything; null for its constants.</summary>
    public TimeSpan? PollTime { get; init; }

    /// <summary>Address of a worn flash cell whose lowest bit stays at zero; null for good flash.</summary>
    public uint? WornAt { get; init; }

    /// <summary>G0: the chip keeps its mark "flash is empty" until a power cycle, so its ROM starts at every reset (AN2606).</summary>
    public bool EmptyMarkSticks { get; init; }

    /// <summary>RDP level 1.</summary>
    public bool IsReadProtected { get; init; }

    /// <summary>The ROM's USB DFU takes a block's address as its number times the length of the request (AN3156 can be read so).</summary>
    public bool CountsInRequests { get; init; }

    /// <summary>An RP2350's flash has a table of so many partitions; null for none.</summary>
    public int? Partitions { get; init; }

    /// <summary>H7 revision V: the ROM stays in dfuDNBUSY until its status was cleared twice.</summary>
    public bool StuckInBusy { get; init; }

    /// <summary>The computer's kernel has no driver for serial ports on USB: they are listed and have no node.</summary>
    public bool HasNoSerialDriver { get; init; }

    /// <summary>A program that has the serial ports open, by its name in messages; null for none.</summary>
    public string? PortsHeldBy { get; init; }

    /// <summary>When it closes them.</summary>
    public TimeSpan PortsHeldUntil { get; init; } = TimeSpan.MaxValue;

    /// <summary>The user is in no group that may open the devices.</summary>
    public bool NoPermission { get; init; }

    /// <summary>No udev rule lets the user open the ROM's USB DFU or BOOTSEL.</summary>
    public bool HasNoRomRule { get; init; }

    /// <summary>For how long udev has not yet set the owner of a device that has appeared.</summary>
    public TimeSpan PermissionDelay { get; init; }

    /// <summary>Bit rate of the CAN interface; null for that of the nodes.</summary>
    public int? CanBitrate { get; init; }

    /// <summary>A bridge's CAN interface does not return with it.</summary>
    public bool CanStaysAway { get; init; }

    /// <summary>A bridge's CAN interface returns and stays down.</summary>
    public bool CanStaysDown { get; init; }

    /// <summary>A new program of the process on this computer ends at its start.</summary>
    public bool NewProcessCrashes { get; init; }

    /// <summary>The unit that replaces that program is not installed.</summary>
    public bool HasNoHostMcuUnit { get; init; }

    /// <summary>Firmware of this version starts and never answers; null for none.</summary>
    public string? MuteVersion { get; init; }

    /// <summary>The firmware that runs at the beginning says this MCU in its dictionary; null for its own.</summary>
    public string? DictionaryMcu { get; init; }

    /// <summary>The registers are those of another chip, by its symbol in Klipper's Kconfig; null for the board's own.</summary>
    public string? RegistersOf { get; init; }

    /// <summary>Content of the vector table register; null for what the firmware left there.</summary>
    public uint? VectorTable { get; init; }

    /// <summary>Every read of memory shuts the firmware down.</summary>
    public bool ReadsShutDown { get; init; }

    /// <summary>At this read of memory, counted from 1 over all boards, the bus faults once; null for never.</summary>
    public int? HangsAtRead { get; init; }

    /// <summary>So long after its first read of memory, a board is swapped for one with another unique id; null for never.</summary>
    public TimeSpan? SwappedAfter { get; init; }

    /// <summary>All faults on one line.</summary>
    public override string ToString()
    {
        var text = new List<string>();
        Add(nameof(TouchesIgnored), TouchesIgnored, 0);
        Add(nameof(TouchesInVain), TouchesInVain, 0);
        Add(nameof(LeavesIgnored), LeavesIgnored, 0);
        Add(nameof(ResetsIgnored), ResetsIgnored, 0);
        Add(nameof(LeaveIsSilent), LeaveIsSilent, false);
        Add(nameof(ReturnsAfter), ReturnsAfter, TimeSpan.Zero);
        Add(nameof(RomMissesUsb), RomMissesUsb, false);
        Add(nameof(RomNeedsPower), RomNeedsPower, false);
        Add(nameof(OperatorAfter), OperatorAfter, null);
        Add(nameof(HangsAt), HangsAt, null);
        Add(nameof(Lingers), Lingers, TimeSpan.Zero);
        Add(nameof(ReturnsAt), ReturnsAt, null);
        Add(nameof(RomSerial), RomSerial, null);
        Add(nameof(PollTime), PollTime, null);
        Add(nameof(WornAt), WornAt, null);
        Add(nameof(EmptyMarkSticks), EmptyMarkSticks, false);
        Add(nameof(IsReadProtected), IsReadProtected, false);
        Add(nameof(CountsInRequests), CountsInRequests, false);
        Add(nameof(StuckInBusy), StuckInBusy, false);
        Add(nameof(Partitions), Partitions, null);
        Add(nameof(PortsHeldBy), PortsHeldBy, null);
        Add(nameof(NoPermission), NoPermission, false);
        Add(nameof(HasNoRomRule), HasNoRomRule, false);
        Add(nameof(PermissionDelay), PermissionDelay, TimeSpan.Zero);
        Add(nameof(CanBitrate), CanBitrate, null);
        Add(nameof(CanStaysAway), CanStaysAway, false);
        Add(nameof(CanStaysDown), CanStaysDown, false);
        Add(nameof(NewProcessCrashes), NewProcessCrashes, false);
        Add(nameof(HasNoHostMcuUnit), HasNoHostMcuUnit, false);
        Add(nameof(MuteVersion), MuteVersion, null);
        Add(nameof(DictionaryMcu), DictionaryMcu, null);
        Add(nameof(RegistersOf), RegistersOf, null);
        Add(nameof(VectorTable), VectorTable, null);
        Add(nameof(ReadsShutDown), ReadsShutDown, false);
        Add(nameof(HangsAtRead), HangsAtRead, null);
        Add(nameof(SwappedAfter), SwappedAfter, null);
        text.AddRange(Transfers.Select(fault => fault.ToString()));
        return text.Count == 0 ? "no faults" : string.Join(", ", text);

        void Add<T>(string name, T value, T usual)
        {
            if (!EqualityComparer<T>.Default.Equals(value, usual))
                text.Add($"{name} = {value}");
        }
    }

    /// <summary>Draws one to three faults, most of them during the write.</summary>
    /// <param name="seed">Any number; the same one gives the same faults on every computer.</param>
    public static InjectedFaults FromSeed(int seed)
    {
        var dice = new Random(seed);
        var faults = None;
        for (var left = dice.Next(1, 4); left > 0; left--)
        {
            faults = dice.Next(16) switch
            {
                0 => faults with { TouchesIgnored = dice.Next(1, 5) },
                1 => faults with { TouchesInVain = dice.Next(1, 5) },
                2 => faults with { LeavesIgnored = dice.Next(1, 5) },
                3 => faults with { LeaveIsSilent = true },
                4 => faults with { ReturnsAfter = TimeSpan.FromMilliseconds(dice.Next(50, 40_000)) },
                5 => faults with { Lingers = TimeSpan.FromMilliseconds(dice.Next(1, 12_000)) },
                6 => faults with { RomSerial = dice.Next(2) == 0 ? "STM32FxSTM32" : "FFFFFFFEFFFF" },
                7 => faults with { PollTime = TimeSpan.FromMilliseconds(DrawPollTime(dice)) },
                8 => faults with { EmptyMarkSticks = true },
                _ => faults with { Transfers = faults.Transfers.Add(TransferFault.Draw(dice)) },
            };
        }
        return faults;
    }

    private static int DrawPollTime(Random dice) => dice.Next(3) switch { 0 => 0, 1 => 1, _ => dice.Next(10_000) };
}

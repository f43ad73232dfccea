using System.Collections.Immutable;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>What goes wrong, as data: made by hand for a story, or drawn from a seed. The same record gives the same trace.</summary>
public sealed record Faultiness
{
    public static readonly Faultiness None = new();

    /// <summary>
    /// What happens at which transfer. Every control transfer and every frame to a serial line counts, from 1 on, over the whole printer.
    /// </summary>
    public ImmutableArray<TransferFault> Transfers { get; init; } = [];

    /// <summary>Requests for the bootloader that Klipper does not heed.</summary>
    public int TouchesIgnored { get; init; }

    /// <summary>Requests for the bootloader after which Klipper comes back instead.</summary>
    public int TouchesInVain { get; init; }

    /// <summary>Times the ROM is told to leave and stays.</summary>
    public int LeavesIgnored { get; init; }

    /// <summary>Commands to reset that Klipper does not heed.</summary>
    public int ResetsIgnored { get; init; }

    /// <summary>The ROM jumps without an answer.</summary>
    public bool LeaveIsSilent { get; init; }

    /// <summary>Between leaving the bus and being listed again, on top of what the board needs (H2: slow enumeration).</summary>
    public TimeSpan ReturnsAfter { get; init; }

    /// <summary>The bootloader never shows up on USB: its ROM listens to another interface (H2).</summary>
    public bool RomMissesUsb { get; init; }

    /// <summary>... until the board was without power once (S9: it works after a power cycle).</summary>
    public bool RomNeedsPower { get; init; }

    /// <summary>
    /// So long after a board has hung a person sets BOOT0, presses reset, and takes the jumper off again; null for nobody there.
    /// </summary>
    public TimeSpan? PersonAfter { get; init; }

    /// <summary>From this transfer on the ROM's USB answers nothing until the hub resets it; null for never.</summary>
    public int? HangsAt { get; init; }

    /// <summary>How long the computer goes on listing what has left (H3).</summary>
    public TimeSpan Lingers { get; init; }

    /// <summary>Where the board appears when it next returns; null for its own port.</summary>
    public string? ReturnsAt { get; init; }

    /// <summary>Serial that the ROM shows; null for the one that follows from the unique id.</summary>
    public string? RomSerial { get; init; }

    /// <summary>Poll time that the ROM announces for everything; null for its constants.</summary>
    public TimeSpan? PollTime { get; init; }

    /// <summary>Address of a flash cell whose lowest bit no longer programs to what it should; null for good flash.</summary>
    public uint? WornAt { get; init; }

    /// <summary>G0: the chip keeps its mark "flash is empty" until power goes off, so its ROM comes at every reset (AN2606).</summary>
    public bool EmptyMarkSticks { get; init; }

    /// <summary>RDP level 1.</summary>
    public bool IsReadProtected { get; init; }

    /// <summary>H7 revision V: sits in dfuDNBUSY until cleared twice.</summary>
    public bool StuckInBusy { get; init; }

    /// <summary>Who holds the serial ports, as a person would name it; null for nobody.</summary>
    public string? PortsHeldBy { get; init; }

    /// <summary>When they let go of them.</summary>
    public TimeSpan PortsHeldUntil { get; init; } = TimeSpan.MaxValue;

    /// <summary>The user is in no group that may open the devices.</summary>
    public bool NoPermission { get; init; }

    /// <summary>Bitrate of the CAN interface; null for the nodes' own.</summary>
    public int? CanBitrate { get; init; }

    /// <summary>A bridge's CAN interface does not come back with it.</summary>
    public bool CanStaysAway { get; init; }

    /// <summary>Nobody brings a bridge's CAN interface up when it has come back.</summary>
    public bool CanStaysDown { get; init; }

    /// <summary>A new program of the process on this computer ends as soon as it starts.</summary>
    public bool NewProcessCrashes { get; init; }

    /// <summary>Nobody installed the unit that replaces it.</summary>
    public bool HasNoHostMcuUnit { get; init; }

    /// <summary>Firmware of this version starts, and then answers nothing: a build gone wrong. Null for none.</summary>
    public string? MuteVersion { get; init; }

    /// <summary>All that is out of order, on one line.</summary>
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
        Add(nameof(PersonAfter), PersonAfter, null);
        Add(nameof(HangsAt), HangsAt, null);
        Add(nameof(Lingers), Lingers, TimeSpan.Zero);
        Add(nameof(ReturnsAt), ReturnsAt, null);
        Add(nameof(RomSerial), RomSerial, null);
        Add(nameof(PollTime), PollTime, null);
        Add(nameof(WornAt), WornAt, null);
        Add(nameof(EmptyMarkSticks), EmptyMarkSticks, false);
        Add(nameof(IsReadProtected), IsReadProtected, false);
        Add(nameof(StuckInBusy), StuckInBusy, false);
        Add(nameof(PortsHeldBy), PortsHeldBy, null);
        Add(nameof(NoPermission), NoPermission, false);
        Add(nameof(CanBitrate), CanBitrate, null);
        Add(nameof(CanStaysAway), CanStaysAway, false);
        Add(nameof(CanStaysDown), CanStaysDown, false);
        Add(nameof(NewProcessCrashes), NewProcessCrashes, false);
        Add(nameof(HasNoHostMcuUnit), HasNoHostMcuUnit, false);
        Add(nameof(MuteVersion), MuteVersion, null);
        text.AddRange(
            Transfers.Select(fault => $"{fault.Kind} at transfer {fault.Index}{(fault.After > TimeSpan.Zero ? $" + {fault.After.TotalSeconds:0.###} s" : "")} for {fault.Time.TotalSeconds:0.###} s"));
        return text.Count == 0 ? "no faults" : string.Join(", ", text);

        void Add<T>(string name, T value, T usual)
        {
            if (!EqualityComparer<T>.Default.Equals(value, usual))
                text.Add($"{name} = {value}");
        }
    }

    /// <summary>Draws one to three faults, most of them in the middle of the work.</summary>
    /// <param name="seed">Any number; the same one gives the same faults everywhere.</param>
    public static Faultiness FromSeed(int seed)
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
                7 => faults with { PollTime = TimeSpan.FromMilliseconds(dice.Next(3) switch { 0 => 0, 1 => 1, _ => dice.Next(10_000) }) },
                8 => faults with { EmptyMarkSticks = true },
                _ => faults with { Transfers = faults.Transfers.Add(TransferFault.Draw(dice)) },
            };
        }
        return faults;
    }
}

using System.Collections.Immutable;
using System.Globalization;

namespace RatOS.Flash.Virtual;

/// <summary>Everything that goes wrong in one story, as data: made by hand or from a number, printable, and the same every time.</summary>
/// <remarks>
/// Transfers are counted from 0 over the whole printer: each control transfer, each write to a serial line and each answer from one.
/// Enumerations are counted from 0 over the whole printer as well, those at the story's beginning not included.
/// </remarks>
public sealed record Faultiness
{
    public static readonly Faultiness None = new();

    /// <summary>What happens at the n-th transfer.</summary>
    public ImmutableArray<TransferFault> Transfers { get; init; } = [];

    /// <summary>What happens when a board comes onto the bus for the n-th time.</summary>
    public ImmutableArray<EnumerationFault> Enumerations { get; init; } = [];

    /// <summary>The printer's mains fail at an instant.</summary>
    public ImmutableArray<PowerCut> PowerCuts { get; init; } = [];

    /// <summary>Bits of flash that no longer change, on the first board that has the address.</summary>
    public ImmutableArray<WornCell> Worn { get; init; } = [];

    /// <summary>From the connection to the listing.</summary>
    public TimeSpan EnumerationTime { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>How long a device that has left is still listed (H3).</summary>
    public TimeSpan Lingers { get; init; }

    /// <summary>Requests for a bootloader (touch or serial request) that nothing comes of, the first ones.</summary>
    public int TouchesIgnored { get; init; }

    /// <summary>Orders to leave DFU that nothing comes of, the first ones.</summary>
    public int LeavesIgnored { get; init; }

    public LeaveManner Leave { get; init; }

    /// <summary>The ROM begins with errFIRMWARE when it was entered by software.</summary>
    public bool ErrFirmware { get; init; } = true;

    public PollTimes PollTimes { get; init; }

    /// <summary>Early status requests stall, also where the family would wait.</summary>
    public bool StallsEarlyStatus { get; init; }

    /// <summary>The ROM entered by software takes another interface than USB, this many times (H2).</summary>
    public int RomsDeaf { get; init; }

    /// <summary>A USB line damages bytes too. USB has checksums of its own, so this is off.</summary>
    public bool DamagesUsb { get; init; }

    /// <summary>No permission to open anything.</summary>
    public bool NoPermission { get; init; }

    /// <summary>Another program that has all serial ports open; null for none.</summary>
    public string? PortsHeldBy { get; init; }

    /// <summary>What Klipper is busy with; null for idle.</summary>
    public string? KlippyBusy { get; init; }

    public bool KlippyWillNotStop { get; init; }

    public bool KlippyWillNotStart { get; init; }

    /// <summary>Faults for a number: the same for the same number, about two at a time.</summary>
    public static Faultiness FromSeed(int seed)
    {
        var dice = new Random(seed);
        var transfers = ImmutableArray.CreateBuilder<TransferFault>();
        for (var left = dice.Next(0, 4); left > 0; left--)
        {
            var kind = (TransferFaultKind)dice.Next(0, (int)TransferFaultKind.KlipperStarts + 1);
            // Most stories are short: small numbers are the likelier ones.
            var at = (int)(1200 * Math.Pow(dice.NextDouble(), 2));
            transfers.Add(new TransferFault(at, kind)
            {
                After = dice.Next(3) == 0 ? TimeSpan.FromMilliseconds(dice.Next(1, 2500)) : TimeSpan.Zero,
                Return = kind is TransferFaultKind.CablePulled or TransferFaultKind.PowerFails
                    ? Pause(dice) : null,
                OtherPort = kind == TransferFaultKind.CablePulled && dice.Next(4) == 0 ? "1-1.9" : null,
            });
        }
        var enumerations = ImmutableArray.CreateBuilder<EnumerationFault>();
        if (dice.Next(5) == 0)
            enumerations.Add(new EnumerationFault(dice.Next(0, 4), (EnumerationFaultKind)dice.Next(0, (int)EnumerationFaultKind.Never + 1)));
        return new Faultiness
        {
            Transfers = transfers.ToImmutable(),
            Enumerations = enumerations.ToImmutable(),
            PowerCuts = dice.Next(12) == 0
                ? [new PowerCut(TimeSpan.FromMilliseconds(dice.Next(100, 15_000)), TimeSpan.FromMilliseconds(dice.Next(100, 5000)))] : [],
            Worn = dice.Next(12) == 0
                ? [new WornCell(0x0800_8000u + (uint)dice.Next(0, 44_000), dice.Next(8), dice.Next(2) == 0)] : [],
            Lingers = dice.Next(5) == 0 ? TimeSpan.FromMilliseconds(dice.Next(10, 2000)) : TimeSpan.Zero,
            TouchesIgnored = dice.Next(10) == 0 ? dice.Next(1, 3) : 0,
            LeavesIgnored = dice.Next(10) == 0 ? dice.Next(1, 4) : 0,
            Leave = (LeaveManner)dice.Next(2),
            ErrFirmware = dice.Next(4) != 0,
            PollTimes = dice.Next(4) == 0 ? (PollTimes)dice.Next(1, 3) : PollTimes.AsBuilt,
            StallsEarlyStatus = dice.Next(4) == 0,
            RomsDeaf = dice.Next(16) == 0 ? dice.Next(1, 3) : 0,
        };
    }

    private static TimeSpan? Pause(Random dice) => dice.Next(8) switch
    {
        0 or 1 => TimeSpan.FromMilliseconds(dice.Next(1, 300)),
        2 => TimeSpan.FromSeconds(8),
        3 => null,
        _ => TimeSpan.FromMilliseconds(dice.Next(300, 4000)),
    };

    /// <summary>Tells everything that is not as it should be.</summary>
    public override string ToString()
    {
        List<string> all =
        [
            .. Transfers.Select(fault => fault.ToString()),
            .. Enumerations.Select(fault => $"enumeration {fault.At}: {fault.Kind}"),
            .. PowerCuts.Select(cut => $"power cut at {Seconds(cut.At)}{Back(cut.Return)}"),
            .. Worn.Select(cell => $"bit {cell.Bit} of {cell.Address:x8} stuck at {(cell.StuckAtOne ? 1 : 0)}"),
        ];
        Say(EnumerationTime != None.EnumerationTime, $"enumeration takes {Seconds(EnumerationTime)}");
        Say(Lingers > TimeSpan.Zero, $"leaves linger {Seconds(Lingers)}");
        Say(TouchesIgnored > 0, $"{TouchesIgnored} touches ignored");
        Say(LeavesIgnored > 0, $"{LeavesIgnored} leaves ignored");
        Say(Leave != LeaveManner.AnswersFirst, "leaves silently");
        Say(!ErrFirmware, "no errFIRMWARE at entry");
        Say(PollTimes != PollTimes.AsBuilt, $"poll times {PollTimes}");
        Say(StallsEarlyStatus, "early status stalls");
        Say(RomsDeaf > 0, $"ROM deaf {RomsDeaf} times");
        Say(DamagesUsb, "USB damages bytes");
        Say(NoPermission, "no permission");
        Say(PortsHeldBy is not null, $"ports held by {PortsHeldBy}");
        Say(KlippyBusy is not null, $"Klipper busy: {KlippyBusy}");
        Say(KlippyWillNotStop, "Klipper will not stop");
        Say(KlippyWillNotStart, "Klipper will not start");
        return all.Count == 0 ? "no faults" : string.Join("; ", all);

        void Say(bool isSo, string what)
        {
            if (isSo)
                all.Add(what);
        }
    }

    internal static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.###} s");

    internal static string Back(TimeSpan? time) => time is { } after ? $", back after {Seconds(after)}" : ", for good";
}

public enum TransferFaultKind
{
    /// <summary>It never arrives: a control transfer times out.</summary>
    Lost,

    /// <summary>It arrives; what is answered does not.</summary>
    AnswerLost,

    /// <summary>Serial only: it arrives twice.</summary>
    Doubled,

    /// <summary>It arrives <see cref="TransferFault.After"/> later (1.5 s if zero).</summary>
    Late,

    /// <summary>UART only: a bit is wrong.</summary>
    Damaged,

    /// <summary>Control only (a serial line loses it): the device refuses.</summary>
    Stalled,

    /// <summary>Control only (a serial line loses it): the bus fails.</summary>
    BusError,

    /// <summary>Control only: of what is read a bit is wrong.</summary>
    ReadWrong,

    /// <summary>The board's USB cable is pulled, <see cref="TransferFault.After"/> later.</summary>
    CablePulled,

    /// <summary>The printer's mains fail, <see cref="TransferFault.After"/> later.</summary>
    PowerFails,

    /// <summary>Somebody else starts Klipper (H4).</summary>
    KlipperStarts,
}

/// <param name="At">Index of the transfer.</param>
/// <param name="Kind">What happens.</param>
public sealed record TransferFault(int At, TransferFaultKind Kind)
{
    /// <summary>How much later it happens.</summary>
    public TimeSpan After { get; init; }

    internal TimeSpan Delay => After > TimeSpan.Zero ? After : TimeSpan.FromSeconds(1.5);

    /// <summary>When cable or power are back, from then on; null for never.</summary>
    public TimeSpan? Return { get; init; }

    /// <summary>The cable goes into this port then.</summary>
    public string? OtherPort { get; init; }

    public override string ToString() => $"transfer {At}: {Kind}"
        + (After > TimeSpan.Zero ? $" after {Faultiness.Seconds(After)}" : "")
        + (Kind is TransferFaultKind.CablePulled or TransferFaultKind.PowerFails ? Faultiness.Back(Return) : "")
        + (OtherPort is null ? "" : $" at {OtherPort}");
}

public enum EnumerationFaultKind
{
    /// <summary>It takes 8 seconds.</summary>
    Slow,

    /// <summary>It comes up as another port (<c>1-1.9</c>), and stays there.</summary>
    OtherPort,

    /// <summary>It shows another serial.</summary>
    OtherSerial,

    /// <summary>It does not come up; the next one does.</summary>
    Never,
}

/// <param name="At">Index of the enumeration.</param>
/// <param name="Kind">What happens.</param>
public sealed record EnumerationFault(int At, EnumerationFaultKind Kind);

/// <param name="At">Time since the story began.</param>
/// <param name="Return">When power is back, from then on; null for never.</param>
public sealed record PowerCut(TimeSpan At, TimeSpan? Return);

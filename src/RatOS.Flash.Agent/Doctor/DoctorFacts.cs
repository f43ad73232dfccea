using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>What was found out about a printer's computer. Null, or empty, is what could not be found out, and nothing follows from it.</summary>
internal sealed record DoctorFacts
{
    public required string User { get; init; }

    /// <summary>The user and the groups of this very process.</summary>
    public uint UserId { get; init; }

    /// <inheritdoc cref="UserId"/>
    public ImmutableHashSet<uint> GroupIds { get; init; } = [];

    /// <summary>The system's groups by their name.</summary>
    public ImmutableDictionary<string, uint> Groups { get; init; } = ImmutableDictionary<string, uint>.Empty;

    /// <summary>Nodes of boards, and what each is.</summary>
    public ImmutableArray<NodeFact> Nodes { get; init; } = [];

    /// <summary>CAN interfaces that are down.</summary>
    public ImmutableArray<string> CanDown { get; init; } = [];

    public bool HasLibUsb { get; init; } = true;

    /// <summary>The udev rules as they are installed, and those that came with this program.</summary>
    public string? Rules { get; init; }

    /// <inheritdoc cref="Rules"/>
    public string? OwnRules { get; init; }

    /// <summary>Where this program is, when <c>install.sh</c> lies beside it.</summary>
    public string? Folder { get; init; }

    /// <summary>What building for the printer's chips lacks, each chip's tools once.</summary>
    public ImmutableArray<FaultReport> Tools { get; init; } = [];

    /// <summary>What Python says to what Klipper's build and menu import; empty when nothing, null where there is none.</summary>
    public string? Python { get; init; } = "";

    /// <summary>What is wrong with Klipper's sources.</summary>
    public FaultReport? Sources { get; init; }

    /// <summary>What could not be looked at, with the reason: settings with a mistake, a bus that nobody may hear.</summary>
    public ImmutableArray<FaultReport> Troubles { get; init; } = [];

    /// <summary>The printer's folder; null for a computer without a printer.</summary>
    public DataFacts? Data { get; init; }

    public MoonrakerFacts? Moonraker { get; init; }

    /// <summary>Programs that run and are known to open every serial port.</summary>
    public ImmutableArray<string> Grabbers { get; init; } = [];

    public IReadOnlyList<string>? KernelLog { get; init; }

    public uint? Throttled { get; init; }

    public DateTimeOffset Now { get; init; }

    /// <summary>Where RatOS's hook of Klipper's repository leads; empty for a broken one, null where there is none.</summary>
    public string? RatOsHook { get; init; }

    /// <summary>The process that is an MCU is a service here, and whether a unit may replace its program.</summary>
    public (bool IsService, bool HasUnit) HostMcu { get; init; }
}

/// <param name="Path">Such as <c>/dev/ttyACM0</c>.</param>
/// <param name="What">The device, for people.</param>
internal sealed record NodeFact(string Path, string What, NodeOwner Owner);

/// <param name="Root">The printer's folder.</param>
/// <param name="Unit">The agent's service for this folder.</param>
internal sealed record DataFacts(string Root, string Unit)
{
    /// <summary>Bytes that are free; null where that is not told.</summary>
    public long? Free { get; init; }

    public bool IsReadOnly { get; init; }

    /// <summary>Services of ours whose names are missing in <c>moonraker.asvc</c>; empty without such a file.</summary>
    public ImmutableArray<string> NotAllowed { get; init; } = [];

    /// <summary>The macros and Moonraker's component: where they should be, and whether that is ours and current.</summary>
    public LinkFact? Macros { get; init; }

    /// <inheritdoc cref="Macros"/>
    public LinkFact? Component { get; init; }

    /// <summary>What the running agent calls itself; null for none.</summary>
    public string? Agent { get; init; }
}

/// <param name="Path">Where it should be.</param>
/// <param name="Target">What came with this program.</param>
/// <param name="Is">Null where nothing is, or a link that leads nowhere; true when it says what ours says.</param>
/// <param name="IsFile">A file of its own stands there, which no repair replaces.</param>
internal sealed record LinkFact(string Path, string Target, bool? Is, bool IsFile = false);

/// <summary>What Moonraker says.</summary>
/// <param name="Fault">Why it says nothing.</param>
internal sealed record MoonrakerFacts(FaultReport? Fault = null)
{
    public bool HasComponent { get; init; } = true;

    public bool ComponentFailed { get; init; }

    /// <summary>Null while Klipper is not ready.</summary>
    public bool? HasMacros { get; init; }

    public ImmutableArray<string> Warnings { get; init; } = [];
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>What was read of a printer's computer. Null or empty stands for what could not be read: no check follows from it.</summary>
internal sealed record DoctorFacts
{
    public required string User { get; init; }

    /// <summary>The user and the groups of this process.</summary>
    public uint UserId { get; init; }

    /// <inheritdoc cref="UserId"/>
    public ImmutableHashSet<uint> GroupIds { get; init; } = [];

    /// <summary>The system's groups by their name.</summary>
    public ImmutableDictionary<string, uint> Groups { get; init; } = ImmutableDictionary<string, uint>.Empty;

    /// <summary>Device nodes of boards.</summary>
    public ImmutableArray<NodeFact> Nodes { get; init; } = [];

    /// <summary>Devices whose serial port has no driver, in words.</summary>
    public ImmutableArray<string> WithoutDriver { get; init; } = [];

    /// <summary>The modules of the running kernel are there. An update of the kernel may remove them before the restart.</summary>
    public bool HasModules { get; init; } = true;

    /// <summary>CAN interfaces that are down.</summary>
    public ImmutableArray<string> CanDown { get; init; } = [];

    /// <summary>The installed udev rules, and those of this version.</summary>
    public string? Rules { get; init; }

    /// <inheritdoc cref="Rules"/>
    public string? OwnRules { get; init; }

    /// <summary>Their file, which lies beside the program in a release and in a build.</summary>
    public string RulesFile { get; init; } = "99-ratos-flash.rules";

    /// <summary>The program's folder, if it has an <c>install.sh</c>.</summary>
    public string? Folder { get; init; }

    /// <summary>Files that <c>install.sh</c> wrote outside of that folder, and that are not of this version.</summary>
    public ImmutableArray<string> OldFiles { get; init; } = [];

    /// <summary>systemd has 32 bits, which this program never has.</summary>
    public bool HasOldSystemd { get; init; }

    /// <summary>Tools that are missing for the printer's chips.</summary>
    public ImmutableArray<FaultReport> Tools { get; init; } = [];

    /// <summary>The error when Python imports what Klipper's build and menu use; empty without an error, null without Python.</summary>
    public string? Python { get; init; } = "";

    /// <summary>A problem of the Klipper checkout.</summary>
    public FaultReport? Sources { get; init; }

    /// <summary>What could not be read, with the reason: bad settings, a bus that this user may not watch.</summary>
    public ImmutableArray<FaultReport> Troubles { get; init; } = [];

    /// <summary>The printer's folder; null for a computer without a printer.</summary>
    public DataFacts? Data { get; init; }

    public MoonrakerFacts? Moonraker { get; init; }

    /// <summary>Running programs that open every serial port.</summary>
    public ImmutableArray<string> Grabbers { get; init; } = [];

    public IReadOnlyList<string>? KernelLog { get; init; }

    public uint? Throttled { get; init; }

    public DateTimeOffset Now { get; init; }

    /// <summary>Where RatOS's hook in Klipper's repository leads; empty for a broken link, null without a hook.</summary>
    public string? RatOsHook { get; init; }

    /// <summary>Definitions of an installed RatOS that are not used.</summary>
    public ImmutableArray<SkippedDefinition> Skipped { get; init; } = [];

    /// <summary>Boards that RatOS's own flash would write at another start.</summary>
    public ImmutableArray<Finding> OtherStarts { get; init; } = [];

    /// <summary>Settings that do not count, because they were not confirmed.</summary>
    public ImmutableArray<string> Unconfirmed { get; init; } = [];

    /// <summary>Whether Klipper's process on this computer is a service, and whether the unit that replaces it is installed.</summary>
    public (bool IsService, bool HasUnit, bool IsOld) HostMcu { get; init; }
}

/// <param name="Path">Such as <c>/dev/ttyACM0</c>.</param>
/// <param name="Device">The device, in words.</param>
/// <param name="Owner">Its owner, group and mode.</param>
internal sealed record NodeFact(string Path, string Device, NodeOwner Owner);

/// <param name="Root">The printer's folder.</param>
/// <param name="Unit">The agent's service for this folder.</param>
internal sealed record DataFacts(string Root, string Unit)
{
    /// <summary>Free bytes; null where unknown.</summary>
    public long? Free { get; init; }

    public bool IsReadOnly { get; init; }

    /// <summary>Our services that <c>moonraker.asvc</c> does not list; empty without such a file.</summary>
    public ImmutableArray<string> NotAllowed { get; init; } = [];

    /// <summary>The macros and Moonraker's component; null where they do not belong.</summary>
    public LinkFact? Macros { get; init; }

    /// <inheritdoc cref="Macros"/>
    public LinkFact? Component { get; init; }

    /// <summary>printer.cfg, if it does not include the macros that belong there; null otherwise.</summary>
    public string? WithoutMacros { get; init; }

    /// <summary>moonraker.conf, if it does not include our file, which is there; null otherwise.</summary>
    public string? WithoutSettings { get; init; }

    /// <summary>The list of files that git ignores in Moonraker's folder, if it lacks the component; null otherwise.</summary>
    public string? WithoutExclude { get; init; }

    /// <summary>The running agent's version; null without an agent.</summary>
    public string? Agent { get; init; }
}

/// <summary>A file of ours that is linked into another program's folder.</summary>
/// <param name="Path">The link.</param>
/// <param name="Target">Our file.</param>
/// <param name="Is">True if the content is ours, false if it differs, null if there is none.</param>
/// <param name="IsFile">There is a file and no link: no repair replaces it.</param>
internal sealed record LinkFact(string Path, string Target, bool? Is, bool IsFile = false);

/// <summary>Moonraker's answers.</summary>
/// <param name="Fault">Why there are none.</param>
internal sealed record MoonrakerFacts(FaultReport? Fault = null)
{
    public bool HasComponent { get; init; } = true;

    public bool ComponentFailed { get; init; }

    /// <summary>Null while Klipper is not ready.</summary>
    public bool? HasMacros { get; init; }

    public ImmutableArray<string> Warnings { get; init; } = [];
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>What printer.cfg and Klipper say of the printer's MCUs.</summary>
/// <param name="Sections">All <c>[mcu*]</c> sections; empty until Klipper has answered.</param>
/// <param name="Evidence">What Klipper says of the boards.</param>
internal sealed record McuFacts(ImmutableArray<McuSection> Sections, KlippyEvidence Evidence)
{
    public static readonly McuFacts None = new([], KlippyEvidence.None);

    /// <summary>Klipper's state and state message.</summary>
    public string? State { get; init; }

    /// <inheritdoc cref="State"/>
    public string? Message { get; init; }

    /// <summary>The last port of a board, by its section.</summary>
    public ImmutableDictionary<string, (string Port, string? Controller)> Ports { get; init; } =
        ImmutableDictionary<string, (string Port, string? Controller)>.Empty;

    /// <summary>By section, in any case: the pins that the configuration gives to its MCU.</summary>
    public ImmutableDictionary<string, PinSet> Pins { get; init; } = PrinterPins.None.Sets;

    /// <summary>What boards told of themselves, the last first.</summary>
    public ImmutableArray<BoardIdentity> Identities { get; init; } = [];

    /// <summary>The user's answers, by board and fact, as in ratos-flash.conf.</summary>
    public ImmutableDictionary<string, ImmutableDictionary<string, string>> Answers { get; init; } =
        ImmutableDictionary<string, ImmutableDictionary<string, string>>.Empty;

    /// <summary>Moonraker's power devices at this moment; not kept.</summary>
    public ImmutableArray<PowerDevice> Power { get; init; } = [];
}

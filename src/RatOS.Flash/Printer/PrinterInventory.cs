using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>Whose firmware an MCU runs.</summary>
public enum McuOwner
{
    /// <summary>Klipper's, to be built and flashed here.</summary>
    [ContractName("ours")] Ours,

    /// <summary>Its maker's, who brings an updater: listed and left alone.</summary>
    [ContractName("own-updater")] OwnUpdater,

    /// <summary>It is on the bus, and this printer's configuration does not name it.</summary>
    [ContractName("stranger")] Stranger,
}

/// <summary>One MCU of the printer, or of its buses.</summary>
public sealed record PrinterMcu
{
    /// <summary>What it is called, unique on this printer: <c>toolboard_t0</c>, <c>octopus</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Its section, <c>mcu</c> or <c>mcu NAME</c>; null for one that the configuration does not name.</summary>
    public string? Section { get; init; }

    /// <summary>Other names that people use for it; another board may have the same.</summary>
    public ImmutableArray<string> Aliases { get; init; } = [];

    public required McuOwner Owner { get; init; }

    /// <summary>Why, in a sentence without its full stop.</summary>
    public required string Reason { get; init; }

    /// <summary>What a plan takes; null where nothing is to be flashed.</summary>
    public PrinterBoard? Board { get; init; }

    /// <summary>Its kind; null where nobody knows.</summary>
    public Board? Kind { get; init; }

    /// <summary>In Klipper's words; null where nobody told.</summary>
    public string? Chip { get; init; }

    /// <summary>Where it is on the bus, in Klipper or in a bootloader; null for one that is not there, and for a process.</summary>
    public Device? Device { get; init; }

    /// <summary>Where it is or should be, for people: a USB port path, a serial port, <c>can0 a19f7f1b35c1</c>, or the path in the configuration.</summary>
    public string? Port { get; init; }

    /// <summary>The version that it runs, and Klipper's own; null where nobody told.</summary>
    public string? Running { get; init; }

    /// <inheritdoc cref="Running"/>
    public string? Host { get; init; }

    public ImmutableArray<Finding> Findings { get; init; } = [];

    /// <summary>What a plan takes, for somebody who asked for this very one.</summary>
    /// <exception cref="FlashException">Its maker updates it, or nobody knows what it is.</exception>
    public PrinterBoard BoardToFlash() => Board ?? throw (Owner == McuOwner.OwnUpdater ? FirmwareFaults.NotOurs(Name, Reason) : BoardFaults.KindUnknown(Name, Chip, []));
}

/// <summary>Every MCU of a printer, from what its configuration names, what the buses show, what Klipper tells and what somebody described.</summary>
public sealed partial record PrinterInventory(ImmutableArray<PrinterMcu> Mcus)
{
    /// <summary>The boards that <c>all</c> stands for: those of <c>[mcu]</c> sections whose firmware is built here, and never a stranger.</summary>
    public IEnumerable<PrinterMcu> All => Mcus.Where(mcu => mcu is { Owner: McuOwner.Ours, Section: not null, Board: not null });

    /// <summary>What was found out about all of them.</summary>
    public IEnumerable<Finding> Findings => Mcus.SelectMany(mcu => mcu.Findings).Distinct();

    /// <summary>Finds by name, then by what else people call it, in any case. A board of the configuration goes before others of the same name.</summary>
    /// <param name="name">As somebody typed it.</param>
    /// <exception cref="FlashException">Nothing is called so, with what may have been meant; or more than one is.</exception>
    public PrinterMcu Find(string name)
    {
        var typed = Firmware.DataDictionary.Clean(name.Trim());
        foreach (var isConfigured in (bool[])[true, false])
        {
            var among = Mcus.Where(mcu => mcu.Section is not null == isConfigured).ToList();
            if (among.Find(mcu => mcu.Owner != McuOwner.Stranger && Is(mcu.Name)) is { } named)
                return named;
            // Strangers are called after their kind: of two that are alike the first is not meant more than the second.
            if (among.FindAll(mcu => mcu.Owner == McuOwner.Stranger && mcu.Aliases.Append(mcu.Name).Any(Is)) is { Count: > 1 } alike)
                throw BoardFaults.BoardsAlike(typed, alike.Select(mcu => mcu.Port ?? mcu.Name));
            switch (among.FindAll(mcu => mcu.Aliases.Append(mcu.Name).Any(Is)))
            {
                case [var one]:
                    return one;
                case { Count: > 1 } several:
                    throw BoardFaults.AmbiguousBoard(typed, several.Select(mcu => mcu.Name));
            }
        }
        var near = Mcus.Where(mcu => mcu.Aliases.Append(mcu.Name).Any(candidate => Nearness.IsNear(typed, candidate))).Select(mcu => mcu.Name).ToList();
        throw BoardFaults.UnknownBoard(typed, near, [.. Mcus.Where(mcu => mcu.Owner != McuOwner.Stranger).Select(mcu => mcu.Name)]);

        bool Is(string candidate) => string.Equals(candidate, typed, StringComparison.OrdinalIgnoreCase);
    }
}

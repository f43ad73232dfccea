using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>Every MCU of a printer: those of its configuration, those that the user described, and what else is on its buses.</summary>
public sealed record PrinterInventory(ImmutableArray<PrinterMcu> Mcus)
{
    /// <summary>
    /// The boards that <c>all</c> stands for: those of <c>[mcu]</c> sections whose firmware is built here, and never a stranger. One that
    /// may be absent, and is, is left out; a note says so.
    /// </summary>
    public IEnumerable<PrinterMcu> All => Mcus.Where(mcu =>
        mcu is { Owner: McuOwner.Ours, Section: not null, Board: not null, IsAway: false });

    /// <summary>The findings about all of them.</summary>
    public IEnumerable<Finding> Findings => Mcus.SelectMany(mcu => mcu.Findings).Distinct();

    /// <param name="sections">All <c>[mcu*]</c> sections; empty where the configuration is not known.</param>
    /// <param name="seen">The buses.</param>
    /// <param name="links">Links to ports, as they are at the same moment.</param>
    /// <param name="catalogue">The kinds.</param>
    /// <param name="described">Boards that the user described: by name, uuid, port, or as the only one of its kind.</param>
    /// <param name="klippy">Klipper's report.</param>
    /// <param name="power">Moonraker's power devices.</param>
    /// <param name="ports">By section: the port where its board was last seen.</param>
    /// <param name="pins">The pins of the configuration.</param>
    /// <param name="identities">What boards told of themselves.</param>
    public static PrinterInventory Create(
        IReadOnlyList<McuSection> sections, DeviceList seen, IReadOnlyList<DeviceLink> links, BoardCatalogue catalogue,
        IReadOnlyList<PrinterBoard> described, KlippyEvidence klippy,
        IReadOnlyList<PowerDevice>? power = null, IReadOnlyDictionary<string, (string Port, string? Controller)>? ports = null,
        PrinterPins? pins = null, IReadOnlyList<BoardIdentity>? identities = null) =>
        new(new InventoryBuilder(new(sections, seen, links, catalogue, described, klippy)
        {
            Power = power ?? [],
            Ports = ports ?? ImmutableDictionary<string, (string Port, string? Controller)>.Empty,
            Pins = pins ?? PrinterPins.None,
            Identities = identities ?? [],
        }).Build());

    /// <summary>Finds by name, then by alias, in any case. A board of the configuration goes before others of the same name.</summary>
    /// <param name="name">As the user typed it.</param>
    /// <exception cref="FlashException">No board has this name, with similar names; or several have it.</exception>
    public PrinterMcu Find(string name)
    {
        var typed = Firmware.DataDictionary.Clean(name.Trim());
        foreach (var isConfigured in (bool[])[true, false])
        {
            var among = Mcus.Where(mcu => mcu.Section is not null == isConfigured).ToList();
            if (among.Find(mcu => mcu.Owner != McuOwner.Foreign && Is(mcu.Name)) is { } named)
                return named;
            // Foreign devices are named after their kind: of two of a kind neither is meant more than the other.
            if (among.FindAll(mcu => mcu.Owner == McuOwner.Foreign && mcu.Aliases.Append(mcu.Name).Any(Is)) is { Count: > 1 } alike)
                throw BoardFaults.BoardsAlike(typed, alike.Select(mcu => mcu.Port ?? mcu.Name));
            switch (among.FindAll(mcu => mcu.Aliases.Append(mcu.Name).Any(Is)))
            {
                case [var one]:
                    return one;
                case { Count: > 1 } several:
                    throw BoardFaults.AmbiguousBoard(typed, several.Select(mcu => mcu.Name));
            }
        }
        var near = Mcus.Where(mcu => mcu.Aliases.Append(mcu.Name).Any(candidate => FuzzyMatch.IsNear(typed, candidate)))
            .Select(mcu => mcu.Name).ToList();
        throw BoardFaults.UnknownBoard(typed, near, [.. Mcus.Where(mcu => mcu.Owner != McuOwner.Foreign).Select(mcu => mcu.Name)]);

        bool Is(string candidate) => string.Equals(candidate, typed, StringComparison.OrdinalIgnoreCase);
    }
}

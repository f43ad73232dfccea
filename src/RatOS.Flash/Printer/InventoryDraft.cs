using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>The MCU of one section, while an inventory is built.</summary>
/// <param name="section">The section.</param>
/// <param name="klippy">Klipper's report about it; null for none.</param>
/// <param name="last">Where it was last seen; the default for an unknown place.</param>
internal sealed class InventoryDraft(McuSection section, McuEvidence? klippy, (string? Port, string? Controller) last)
{
    public McuSection Section { get; } = section;

    public McuEvidence? Klippy { get; } = klippy;

    public string? LastPort => last.Port;

    public bool WasAt(Device device) => last.Port is { } port && device.IsAt(port, last.Controller);

    /// <summary>Its section's name, safe to show.</summary>
    public string SectionText => DataDictionary.Clean(Section.Name);

    public PathEvidence Path { get; set; } = PathEvidence.None;

    public CanUuid? Uuid { get; set; }

    public Device? Device { get; set; }

    /// <summary>What the board told of itself; null where it was never asked, or runs other firmware since.</summary>
    public BoardIdentity? Identity { get; set; }

    /// <summary>It should be on a bus, and is not.</summary>
    public bool IsMissing { get; set; }

    /// <summary>The configuration names the port and not the board.</summary>
    public bool IsByPort { get; set; }

    public PrinterBoard? Described { get; set; }

    public Board? Kind { get; set; }

    /// <summary>Why its firmware is not built here; null where it is.</summary>
    public string? NotOurs { get; set; }

    public string Name { get; set; } = "";

    public List<Finding> Findings { get; } = [];

    /// <summary>The version that it runs. Klipper's report is out of date for a board that waits in a bootloader or is absent.</summary>
    public string? Running => IsMissing || (Device is { } device && InventorySources.IsBootloader(device)) ? null : Klippy?.Version;

    /// <summary>Klipper reported firmware that speaks over a UART; that of a chip without USB always does.</summary>
    public bool IsToldOnUart => Klippy is { } told && (BuildTransport.Of(told.Constants) is { Link: BuildLink.Uart }
        || (told.Chip is { } chip && !BuildTransport.HasUsb(chip)));

    /// <summary>
    /// Statements of its running firmware by Klipper's report, of its USB descriptors, and of the path in the configuration.
    /// </summary>
    public ImmutableArray<BoardFacts> Facts
    {
        get
        {
            var facts = ImmutableArray.CreateBuilder<BoardFacts>();
            if (Identity is not null)
                facts.Add(Identity.Facts);
            if (Klippy is not null)
                facts.Add(BoardFacts.OfFirmware(Klippy.Chip, Klippy.Constants));
            if (Device is { Can: null } device && device.RunsKlipper)
                facts.Add(new(FactSource.Bus, "its USB descriptors")
                {
                    Chip = KnownChip(device.Product),
                    UsbSerial = device.Serial,
                    UsbId = device.Usb,
                });
            facts.Add(new(FactSource.KlipperConfig, "printer.cfg")
            {
                Chip = KnownChip(Path.Product),
                UsbSerial = Path.Serial,
                Link = Uuid is null ? null : new BuildTransport(BuildLink.Can),
                HostPort = Uuid is null ? Section.Serial : null,
                HostBaud = Uuid is null ? Section.LineBaud : null,
            });
            facts.AddRange(Described?.Facts ?? []);
            return facts.ToImmutable();
        }
    }

    public BoardProfile Profile => new(Name, Kind ?? UnknownKind, Facts);

    public string? Chip => Profile.Chip?.Value;

    /// <summary>For a board whose kind is not in the catalogue.</summary>
    public Board UnknownKind => Board.Unknown(Name);

    public string Interface => Section.CanbusInterface is { Length: > 0 } named ? named : "can0";

    private static string? KnownChip(string? product) => product is null ? null : Mcu.Find(product)?.Name;
}

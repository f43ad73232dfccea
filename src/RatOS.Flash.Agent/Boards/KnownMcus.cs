using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>
/// The printer's MCUs as far as they are known: what Klipper tells is kept on disk, because a board is flashed most of all when Klipper is in trouble, and a board in its
/// bootloader is known by the port where it was.
/// </summary>
/// <param name="printer">The buses; a virtual printer's configuration.</param>
/// <param name="described">Boards that somebody described in ratos-flash.conf.</param>
/// <param name="data">The printer's folder; null for a computer without one.</param>
/// <param name="log">The log.</param>
internal sealed class KnownMcus(PrinterAccess printer, ImmutableArray<PrinterBoard> described, DataFolder? data, LogFile log)
{
    private const int LargestFile = 1024 * 1024;
    private const int MostPasses = 3;

    private McuFacts? _facts;
    private string? _kept;   // what stands in the file

    public McuFacts Facts => _facts ??= Read() ?? printer.Facts;

    /// <summary>What an installed RatOS says of kinds of boards, over what is known without it.</summary>
    public RatOsCatalogue Catalogue { get; private set; } = new(BoardCatalogue.BuiltIn, []);

    /// <summary>Asks Klipper anew. What cannot be asked now stays as it was.</summary>
    /// <returns>What it said just now; null when it could not be asked.</returns>
    public async Task<McuFacts?> RefreshAsync(MoonrakerKlippy klippy)
    {
        try
        {
            var facts = await klippy.McusAsync();
            // In error a board that could not be reached is known from before.
            var told = new Dictionary<string, McuTold>(facts.Told.Boards, StringComparer.OrdinalIgnoreCase);
            foreach (var (name, mcu) in Facts.Told.Boards)
            {
                if (facts.State != "ready" && (!told.TryGetValue(name, out var now) || now.Version is null))
                    told[name] = mcu;
            }
            Keep(facts with { Sections = facts.Sections.IsEmpty ? Facts.Sections : facts.Sections, Told = facts.Told with { Boards = told }, Ports = Facts.Ports });
            return facts;
        }
        catch (Exception fault) when (fault is FlashException or MoonrakerException)
        {
            log.Say($"Klipper cannot be asked for its boards ({fault.Message}); they are as they were.");
            return null;
        }
    }

    /// <summary>Who is there at this moment.</summary>
    public PrinterInventory Look()
    {
        if (data is not null)
            Catalogue = RatOsCatalogue.Load(data.RatOsBoards);
        var inventory = Inventory();
        var ports = Facts.Ports.ToBuilder();
        foreach (var mcu in inventory.Mcus.Where(mcu => mcu is { Section: not null, Device: { Usb: not null } device } && device.Usb == Hardware.UsbId.Klipper))
            ports[mcu.Section!] = mcu.Device!.Port;
        Keep(Facts with { Ports = ports.ToImmutable() });
        return inventory;
    }

    /// <summary>These boards run something else now than Klipper last heard.</summary>
    public void Flashed(FlashReport report, PrinterInventory before)
    {
        var told = new Dictionary<string, McuTold>(Facts.Told.Boards, StringComparer.OrdinalIgnoreCase);
        foreach (var board in report.Boards.Where(board => board.Condition != BoardCondition.Unchanged))
        {
            if (before.Mcus.FirstOrDefault(mcu => mcu.Name == board.Board)?.Section is { } section && told.TryGetValue(section, out var old))
                told[section] = old with { Version = board.Condition == BoardCondition.Flashed ? board.NewVersion : null };
        }
        Keep(Facts with { Told = Facts.Told with { Boards = told } });
    }

    private PrinterInventory Inventory()
    {
        // The links are read after the buses: until both tell of the same moment.
        for (var pass = 1; ; pass++)
        {
            var seen = printer.Hardware.Look();
            var links = printer.Links();
            if (pass == MostPasses || printer.Hardware.Look().Generation == seen.Generation)
                return PrinterInventory.Create(Facts.Sections, seen, links, Catalogue.Catalogue, [.. described, .. printer.Described], Facts.Told, Facts.Power, Facts.Ports);
        }
    }

    private void Keep(McuFacts facts)
    {
        _facts = facts;
        if (data is null || Text(facts) is var text && text == _kept)
            return;
        try
        {
            AtomicFile.Write(data.Mcus, Encoding.UTF8.GetBytes(text));
            _kept = text;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"What Klipper tells of its boards cannot be kept: {fault.Message}");
        }
    }

    private static string Text(McuFacts facts)
    {
        var names = facts.Sections.Select(section => section.Name).Concat(facts.Told.Boards.Keys).Distinct(StringComparer.OrdinalIgnoreCase);
        return JsonSerializer.Serialize(
            new JsonMcus(facts.Told.Host, facts.State, facts.Message, [.. names.Select(name =>
            {
                var (section, told) = (facts.Sections.FirstOrDefault(section => section.Name == name), facts.Told.Boards.GetValueOrDefault(name));
                return new JsonMcu(
                    name, section?.Serial, section?.Baud, section?.CanbusUuid, section?.CanbusInterface, section?.RestartMethod, told?.Version, told?.Chip, told?.Constants,
                    facts.Ports.GetValueOrDefault(name));
            })]), JsonContract.Shapes.JsonMcus);
    }

    private McuFacts? Read()
    {
        if (data is null || !File.Exists(data.Mcus))
            return null;
        try
        {
            if (new FileInfo(data.Mcus).Length > LargestFile || JsonSerializer.Deserialize(File.ReadAllText(data.Mcus), JsonContract.Shapes.JsonMcus) is not { Mcus: { } mcus } kept)
                return null;
            var known = mcus.Where(mcu => mcu is { Section: not null }).DistinctBy(mcu => mcu.Section, StringComparer.OrdinalIgnoreCase).ToList();
            return new McuFacts(
                [.. known.Where(mcu => (mcu.Serial ?? mcu.CanbusUuid) is not null).Select(mcu => new McuSection(mcu.Section)
                {
                    Serial = mcu.Serial, Baud = mcu.Baud, CanbusUuid = mcu.CanbusUuid, CanbusInterface = mcu.CanbusInterface, RestartMethod = mcu.RestartMethod,
                })],
                new(kept.Host, known.ToDictionary(mcu => mcu.Section, mcu => new McuTold(mcu.Version, mcu.Chip) { Constants = mcu.Constants ?? ImmutableDictionary<string, string>.Empty }, StringComparer.OrdinalIgnoreCase)))
            {
                State = kept.State,
                Message = kept.Message,
                Ports = known.Where(mcu => mcu.Port is not null).ToImmutableDictionary(mcu => mcu.Section, mcu => mcu.Port!),
            };
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            log.Say($"What Klipper told of its boards cannot be read, and is asked anew: {fault.Message}");
            return null;
        }
    }
}

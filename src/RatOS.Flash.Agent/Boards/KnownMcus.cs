using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>
/// The printer's MCUs as far as they are known. Klipper's answers are kept on disk: boards are flashed most of all while Klipper is down,
/// and a board in its bootloader is recognised by the port where it was.
/// </summary>
/// <param name="printer">The buses; a virtual printer's configuration.</param>
/// <param name="described">The boards of ratos-flash.conf.</param>
/// <param name="data">The printer's folder; null for a computer without one.</param>
/// <param name="log">The log.</param>
internal sealed class KnownMcus(PrinterAccess printer, ImmutableArray<PrinterBoard> described, DataFolder? data, LogFile log)
{
    private const int LargestFile = 1024 * 1024;
    private const int MostPasses = 3;

    private KlipperBoardConfigs? _configs;
    private object? _configsOf;   // the state of the trees that they were read from
    private McuFacts? _facts;
    private string? _kept;   // the file's content

    /// <summary>The Klipper checkout whose configurations name boards by their pins; null for none.</summary>
    public string? KlipperPath { get; init; }

    /// <summary>What Klipper said last.</summary>
    public McuFacts Facts => _facts ??= (Read(), data) switch
    {
        ({ } kept, null) => printer.Facts with { Identities = kept.Identities, Answers = kept.Answers },
        ({ } kept, _) => kept,
        _ => printer.Facts,
    };

    private string? KeptIn => data?.Mcus ?? printer.Learned;

    /// <summary>The catalogue of boards with the definitions of an installed RatOS.</summary>
    public RatOsCatalogue Catalogue { get; private set; } = new(BoardCatalogue.BuiltIn, []);

    /// <summary>Asks Klipper again. Without an answer nothing changes.</summary>
    /// <returns>Its answer; null where there was none.</returns>
    public async Task<McuFacts?> RefreshAsync(MoonrakerKlippy klippy)
    {
        try
        {
            var facts = await klippy.McusAsync();
            // A Klipper in error has not reached every board: those are known from before.
            var evidence = new Dictionary<string, McuEvidence>(facts.Evidence.Boards, StringComparer.Ordinal);
            foreach (var (name, mcu) in Facts.Evidence.Boards)
            {
                if (facts.State != "ready" && (!evidence.TryGetValue(name, out var now) || now.Version is null))
                    evidence[name] = mcu;
            }
            var sections = facts.Sections.IsEmpty ? Facts.Sections : facts.Sections;
            Keep(facts with
            {
                Sections = sections,
                Evidence = facts.Evidence with { Boards = evidence },
                Ports = Facts.Ports,
                Pins = facts.Pins.IsEmpty ? Facts.Pins : facts.Pins,
                Identities = Facts.Identities,
                Answers = Facts.Answers,
            });
            return facts;
        }
        catch (Exception fault) when (fault is FlashException or MoonrakerException)
        {
            log.Say($"Klipper did not list its boards ({fault.Message}). Using its last report.");
            return null;
        }
    }

    /// <summary>The printer's boards and what of them is connected at this moment.</summary>
    public PrinterInventory Look()
    {
        if (data is not null)
            Catalogue = RatOsCatalogue.Load(data.RatOsBoards);
        var inventory = Inventory();
        var ports = Facts.Ports.ToBuilder();
        foreach (var mcu in inventory.Mcus)
        {
            if (mcu is { Section: { } section, Device: { RunsKlipper: true } device })
                ports[section] = (device.Port, device.Controller);
        }
        Keep(Facts with { Ports = ports.ToImmutable() });
        return inventory;
    }

    /// <summary>Corrects the versions of boards that were flashed since Klipper was asked.</summary>
    public void Flashed(FlashReport report, PrinterInventory before)
    {
        var evidence = new Dictionary<string, McuEvidence>(Facts.Evidence.Boards, StringComparer.Ordinal);
        foreach (var board in report.Boards.Where(board => board is { Refused: false, Condition: not BoardCondition.Unchanged }))
        {
            if (before.Mcus.FirstOrDefault(mcu => mcu.Name == board.Board)?.Section is { } section
                && evidence.TryGetValue(section, out var old))
                evidence[section] = old with
                {
                    Version = board.Condition == BoardCondition.Flashed || board.Identity is not null ? board.NewVersion : null,
                    MissingFeatures = [],
                };
        }
        Keep(Facts with { Evidence = Facts.Evidence with { Boards = evidence } });
    }

    /// <summary>Keeps what a running board answered about itself.</summary>
    public void Learn(PrinterBoard board, BoardEvidence evidence)
    {
        var place = printer.Hardware.Look().Devices.FirstOrDefault(device => device.Port == board.Port);
        Keep(Facts with
        {
            Identities = Facts.Identities.With(new(evidence, printer.Time.GetUtcNow())
            {
                Uuid = board.CanUuid,
                Serial = board.CanUuid is null && place is not { IsWired: true } ? place?.Serial ?? board.Serial : null,
                Port = board.CanUuid is null && (place is { IsWired: true } || board.Serial is null) ? board.Port : null,
            }),
        });
    }

    /// <summary>Keeps a fact that the user told about a board.</summary>
    /// <param name="name">One of the printer's boards.</param>
    /// <param name="fact">One of <see cref="BoardFactSettings.Keys"/>.</param>
    /// <param name="value">As in ratos-flash.conf; null forgets it.</param>
    /// <exception cref="FlashException">There is no such board or fact, or the value is invalid.</exception>
    public void Answer(string name, string fact, string? value)
    {
        var mcu = Look().Find(name);
        var board = mcu.Name;
        if (!BoardFactSettings.Keys.Contains(fact))
            throw AgentFaults.BadAnswer($"there is no fact '{Text.Clean(fact)}', only {string.Join(", ", BoardFactSettings.Keys)}");
        if (value is { Length: 0 })
            throw AgentFaults.BadAnswer($"{fact} has no value");
        if (KeptIn is not { } file)
            throw AgentFaults.NoDataFolder(DataFolder.Default.Root);
        var facts = Facts.Answers.GetValueOrDefault(board) ?? ImmutableDictionary<string, string>.Empty;
        facts = value is null ? facts.Remove(fact) : facts.SetItem(fact, value);
        // A start is checked against the chip, whatever source knows it.
        ReadAnswers(mcu.Board?.Profile.Chip?.Value is { } chip && !facts.ContainsKey("chip") ? facts.Add("chip", chip) : facts);
        var answers = facts.IsEmpty ? Facts.Answers.Remove(board) : Facts.Answers.SetItem(board, facts);
        if (Keep(Facts with { Answers = answers }) is { } loss)
            throw AgentFaults.JournalUnwritable(Path.GetDirectoryName(file)!, loss);
    }

    private static BoardFacts? ReadAnswers(IReadOnlyDictionary<string, string> facts) =>
        BoardFactSettings.Read(facts, "your answer", static (fact, why) => AgentFaults.BadAnswer($"{fact}: {why}"));

    private PrinterInventory WithAnswers(PrinterInventory inventory) => Facts.Answers.IsEmpty ? inventory : new(
        [.. inventory.Mcus.Select(mcu => mcu.Board is { } board && Facts.Answers.TryGetValue(mcu.Name, out var facts)
            && ReadAnswers(facts) is { } told ? mcu with
            {
                Board = board with { Facts = [.. board.Facts, told] },
                Findings = [.. mcu.Findings, .. facts.Select(answer => PlanFindings.Answered(mcu.Name, answer.Key, answer.Value))],
            } : mcu)]);

    private PrinterInventory Inventory()
    {
        // Links are read after the buses: again until both are of the same moment.
        for (var pass = 1; ; pass++)
        {
            var seen = printer.Hardware.Look();
            var links = printer.Links();
            if (pass == MostPasses || printer.Hardware.Look().Generation == seen.Generation)
            {
                return WithAnswers(PrinterInventory.Create(
                    Facts.Sections, seen, links, Catalogue.Catalogue, [.. described, .. printer.Described],
                    Facts.Evidence, Facts.Power, Facts.Ports, Pins(), Facts.Identities));
            }
        }
    }

    /// <summary>The pins as Klipper reported them last; before its first report as printer.cfg has them.</summary>
    private PrinterPins Pins()
    {
        var sets = Facts.Pins.IsEmpty && data is not null ? PrinterPins.Of(ConfigFiles.Read(data.PrinterConfig).Sections) : Facts.Pins;
        if (sets.IsEmpty)
            return PrinterPins.None;
        // A file that changes changes its folder: git and editors write another one in its place.
        var now = (KlipperPath is null ? default : Directory.GetLastWriteTimeUtc(Path.Combine(KlipperPath, "config")),
            data is null ? default : Directory.GetLastWriteTimeUtc(data.RatOsBoards), KlipperPath);
        if (_configs is null || !now.Equals(_configsOf))
        {
            (_configs, _configsOf) = (KlipperBoardConfigs.Load(KlipperPath, data is null ? null : Catalogue), now);
            foreach (var finding in _configs.Findings)
                log.Say(finding.Text);
        }
        return new(_configs, sets);
    }

    /// <returns>Why it could not be written; null where it was.</returns>
    private string? Keep(McuFacts facts)
    {
        _facts = facts;
        var isEmpty = data is null && facts.Identities.IsEmpty && facts.Answers.IsEmpty;
        if (KeptIn is not { } file || (isEmpty && !File.Exists(file)) || Written(facts) is var text && text == _kept)
            return null;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            AtomicFile.Write(file, Encoding.UTF8.GetBytes(text));
            _kept = text;
            return null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Cannot save Klipper's report of its boards: {fault.Message}");
            return fault.Message;
        }
    }

    private static string Written(McuFacts facts)
    {
        var names = facts.Sections.Select(section => section.Name).Concat(facts.Evidence.Boards.Keys)
            .Distinct(StringComparer.Ordinal);
        return JsonSerializer.Serialize(
            new JsonMcus(facts.Evidence.Host, facts.State, facts.Message, [.. names.Select(name =>
            {
                var (section, evidence) = (
                    facts.Sections.FirstOrDefault(section => section.Name == name), facts.Evidence.Boards.GetValueOrDefault(name));
                return new JsonMcu(
                    name, section?.Serial, section?.Baud, section?.CanbusUuid, section?.CanbusInterface, section?.RestartMethod,
                    evidence?.Version, evidence?.Chip, evidence?.Constants, facts.Ports.GetValueOrDefault(name).Port,
                    section?.IsNonCritical == true)
                {
                    Controller = facts.Ports.GetValueOrDefault(name).Controller,
                    Pins = facts.Pins.GetValueOrDefault(name) is { } pins ? [.. pins.Features.Select(feature => feature.ToString())] : null,
                    UsesDebugPins = facts.Pins.GetValueOrDefault(name)?.UsesDebugPins == true ? true : null,
                    MissingFeatures = evidence is { MissingFeatures: { Count: > 0 } missing } ? [.. missing] : null,
                };
            })])
            {
                Identities = facts.Identities.IsEmpty ? null : [.. facts.Identities.Select(KeptIdentities.Write)],
                Answers = facts.Answers.IsEmpty ? null
                    : facts.Answers.ToDictionary(board => board.Key, board => board.Value.ToDictionary(StringComparer.Ordinal)),
            }, JsonContract.Shapes.JsonMcus);
    }

    private McuFacts? Read()
    {
        if (KeptIn is not { } file || !File.Exists(file))
            return null;
        try
        {
            var text = Encoding.UTF8.GetBytes(TextFile.Read(file, LargestFile));
            if (JsonSerializer.Deserialize(ForeignJson.Mend(text).Span, JsonContract.Shapes.JsonMcus)
                is not { Mcus: { } mcus } kept)
                return null;
            var known = mcus.Where(mcu => mcu is { Section: not null })
                .DistinctBy(mcu => mcu.Section, StringComparer.Ordinal).ToList();
            return new McuFacts(
                [.. known.Where(mcu => (mcu.Serial ?? mcu.CanbusUuid) is not null).Select(SectionOf)],
                new(kept.Host, known.ToDictionary(mcu => mcu.Section, EvidenceOf, StringComparer.Ordinal)))
            {
                State = kept.State,
                Message = kept.Message,
                Ports = known.Where(mcu => mcu.Port is not null)
                    .ToImmutableDictionary(mcu => mcu.Section, mcu => (mcu.Port!, mcu.Controller)),
                Pins = known.Where(mcu => mcu.Pins is not null).DistinctBy(mcu => mcu.Section, StringComparer.OrdinalIgnoreCase)
                    .ToImmutableDictionary(mcu => mcu.Section, PinsOf, StringComparer.OrdinalIgnoreCase),
                Identities = [.. kept.Identities?.Select(KeptIdentities.Read).OfType<BoardIdentity>() ?? []],
                Answers = KeptAnswers(kept.Answers),
            };
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            log.Say($"Cannot read Klipper's saved report of its boards, so Klipper is asked again: {fault.Message}");
            return null;
        }
    }

    /// <summary>Those that are still valid: the file may be damaged.</summary>
    private static ImmutableDictionary<string, ImmutableDictionary<string, string>> KeptAnswers(
        Dictionary<string, Dictionary<string, string>>? kept)
    {
        var answers = ImmutableDictionary.CreateBuilder<string, ImmutableDictionary<string, string>>();
        foreach (var (board, facts) in kept ?? [])
        {
            try
            {
                if (facts is not null && ReadAnswers(facts) is not null)
                    answers[board] = facts.ToImmutableDictionary();
            }
            catch (FlashException)
            {
                // It is asked again.
            }
        }
        return answers.ToImmutable();
    }

    private static PinSet PinsOf(JsonMcu mcu) => new(
        [.. mcu.Pins!.Where(feature => feature is not null).Select(PinFeature.TryParse).OfType<PinFeature>()])
    {
        UsesDebugPins = mcu.UsesDebugPins == true,
    };

    private static McuSection SectionOf(JsonMcu mcu) => new(mcu.Section)
    {
        Serial = mcu.Serial,
        Baud = mcu.Baud,
        CanbusUuid = mcu.CanbusUuid,
        CanbusInterface = mcu.CanbusInterface,
        RestartMethod = mcu.RestartMethod,
        IsNonCritical = mcu.NonCritical,
    };

    private static McuEvidence EvidenceOf(JsonMcu mcu) =>
        new(mcu.Version, mcu.Chip)
        {
            Constants = mcu.Constants ?? ImmutableDictionary<string, string>.Empty,
            MissingFeatures = [.. mcu.MissingFeatures?.OfType<string>() ?? []],
        };
}

using System.Collections.Immutable;
using RatOS.Flash.Chips;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Boards;

/// <summary>
/// What is known of one board, each fact with its source. Of several sources the strongest counts; those that differ are
/// <see cref="Contradictions"/>.
/// </summary>
public sealed class BoardProfile
{
    private readonly ImmutableArray<BoardFacts> _sources;   // strongest first; of equal ones the first given

    /// <param name="name">The board's name on this printer.</param>
    /// <param name="kind">Its kind; one that is not in the catalogue for an unknown board.</param>
    /// <param name="sources">Sources beside the kind, in any order.</param>
    public BoardProfile(string name, Board kind, params IEnumerable<BoardFacts> sources)
        : this(name, kind, sources.Append(BoardFacts.OfKind(kind)), evidence: null)
    {
    }

    private BoardProfile(string name, Board kind, IEnumerable<BoardFacts> sources, BoardEvidence? evidence) =>
        (Name, Kind, _sources, Evidence) = (name, kind, [.. sources.OrderByDescending(facts => facts.Source)], evidence);

    public string Name { get; }

    /// <summary>Its kind: names, pictures, steps. Facts that a chip or the board can tell are asked from the profile.</summary>
    public Board Kind { get; }

    /// <summary>Answers of the running firmware; null before it was asked.</summary>
    public BoardEvidence? Evidence { get; }

    /// <inheritdoc cref="BoardFacts.Chip"/>
    public Fact<string>? Chip => Strongest(facts => facts.Chip);

    /// <summary>The data of its chip; null for a chip that this product does not know.</summary>
    public Mcu? Mcu => Chip is { } chip ? Mcu.Find(chip.Value) : null;

    /// <summary>Its chip is an AVR, whose firmware begins at 0.</summary>
    public bool IsAvr => Chip is { } chip && Mcu.IsAvr(chip.Value);

    /// <inheritdoc cref="BoardFacts.ApplicationStart"/>
    public Fact<uint>? ApplicationStart => StrongestNumber(facts => facts.ApplicationStart);

    /// <inheritdoc cref="BoardFacts.FlashSize"/>
    public Fact<uint>? FlashSize => StrongestNumber(facts => facts.FlashSize);

    /// <inheritdoc cref="BoardFacts.ClockReference"/>
    public Fact<int>? ClockReference => StrongestNumber(facts => facts.ClockReference);

    /// <inheritdoc cref="BoardFacts.ClockFrequency"/>
    public Fact<int>? ClockFrequency => StrongestNumber(facts => facts.ClockFrequency);

    /// <inheritdoc cref="BoardFacts.StackEnd"/>
    public Fact<uint>? StackEnd => StrongestNumber(facts => facts.StackEnd);

    /// <inheritdoc cref="BoardFacts.FlashChip"/>
    public Fact<string>? FlashChip => Strongest(facts => facts.FlashChip);

    /// <inheritdoc cref="BoardFacts.LeavesOut"/>
    public Fact<IReadOnlyList<string>>? LeavesOut => Strongest(facts => facts.LeavesOut);

    /// <inheritdoc cref="BoardFacts.UsbId"/>
    public Fact<UsbId>? UsbId => StrongestNumber(facts => facts.UsbId);

    /// <summary>What its firmware talks over, by the strongest source; pins and rate also by others that name the same kind.</summary>
    public Fact<BuildTransport>? Link => Strongest(facts => facts.Link) is { } link
        ? link with { Value = link.Value.CompletedBy(_sources.Select(facts => facts.Link).OfType<BuildTransport>()) } : null;

    /// <inheritdoc cref="BoardFacts.HostPort"/>
    public Fact<string>? HostPort => Strongest(facts => facts.HostPort);

    /// <inheritdoc cref="BoardFacts.HostBaud"/>
    public Fact<int>? HostBaud => StrongestNumber(facts => facts.HostBaud);

    /// <summary>Baud of its running firmware on a UART, by its own constants; null where they do not say it.</summary>
    public int? RunningBaud => _sources.FirstOrDefault(facts =>
        facts is { Source: FactSource.Board, Link: { Link: BuildLink.Uart, Rate: not null } })?.Link?.Rate;

    /// <summary>The link that its firmware is built for next, where the user chose one.</summary>
    public BuildTransport? ChosenLink => _sources.FirstOrDefault(facts => facts is { Source: FactSource.User, Link: not null })?.Link;

    /// <inheritdoc cref="BoardFacts.InitialPins"/>
    public Fact<string>? InitialPins => Strongest(facts => facts.InitialPins);

    /// <inheritdoc cref="BoardFacts.UsbSerial"/>
    public Fact<string>? UsbSerial => Strongest(facts => facts.UsbSerial);

    /// <inheritdoc cref="BoardFacts.Bootloader"/>
    public Fact<string>? Bootloader => Strongest(facts => facts.Bootloader);

    /// <inheritdoc cref="BoardFacts.PowerDevice"/>
    public Fact<string>? PowerDevice => Strongest(facts => facts.PowerDevice);

    /// <inheritdoc cref="BoardFacts.KnownAs"/>
    public Fact<string>? KnownAs => Strongest(facts => facts.KnownAs);

    /// <inheritdoc cref="BoardFacts.FlashSdCardBoard"/>
    public Fact<string>? FlashSdCardBoard => Strongest(facts => facts.FlashSdCardBoard);

    /// <inheritdoc cref="BoardFacts.DisablesSwd"/>
    public bool DisablesSwd => _sources.Any(facts => facts.DisablesSwd == true);

    /// <summary>
    /// The first address behind its flash: as its chip said, else of the smallest part of that name. Null for an unknown chip.
    /// </summary>
    public uint? FlashEnd => Mcu is { } mcu ? mcu.FlashBase + (FlashSize?.Value ?? mcu.SmallestFlash) : null;

    /// <summary>
    /// Its firmware can start the chip's ROM DFU: F429, F042 and builds without USB cannot (Klipper src/stm32/Kconfig,
    /// STM32_DFU_ROM_ADDRESS).
    /// </summary>
    public bool EntersDfu => Mcu is { EntersUsbDfu: true } && Link?.Value.Link is BuildLink.Usb or BuildLink.UsbCanBridge;

    /// <summary>
    /// The file that its stock bootloader takes from a card; null where none is known, or it starts firmware elsewhere than at
    /// <see cref="ApplicationStart"/>. Pins are asked only where the catalogue says nothing.
    /// </summary>
    public Fact<CardFile>? SdCard => StockCard is { } card && Fits(card.Value) ? card : null;

    /// <summary>
    /// Files of which one may be the board's, as descriptions of boards with the same pins have them; none where the file is known.
    /// </summary>
    public IEnumerable<CardCandidate> CardCandidates => StockCard is null ? NamedCards.Where(card => Fits(card.FileOn(Mcu)!)) : [];

    /// <summary>No source tells the file for a card, and firmware at its start may have a bootloader below.</summary>
    public bool IsCardUnknown => StockCard is null && Mcu is { } mcu && ApplicationStart is { Value: var start } && start != mcu.BootStart;

    private bool Fits(CardFile card) => ApplicationStart is not { Value: var start }
        || (card.ApplicationStart is { } needed ? start == needed : start != Mcu?.BootStart);

    private Fact<CardFile>? StockCard => Strongest(facts => facts.CardFile) switch
    {
        { Source: FactSource.User } told => told with { Value = AsKnown(told.Value) },
        var byPins => CatalogueCard is { } stock ? new(stock, FactSource.Catalogue, Kind.Origin ?? "the catalogue") : byPins ?? ByChip,
    };

    /// <summary>By the kind; by the chip, unless the pins are those of boards with other files.</summary>
    private CardFile? CatalogueCard => Kind.SoldWith?.File
        ?? (Chip?.Value.StartsWith("lpc17", StringComparison.Ordinal) == true
            && NamedCards.All(card => CardSetting.IsSame(card.File!, SdCardBootloader.Lpc.File)) ? SdCardBootloader.Lpc.File : null);

    /// <summary>The descriptions of boards with this chip agree, though those of others do not.</summary>
    private Fact<CardFile>? ByChip
    {
        get
        {
            var facts = _sources.FirstOrDefault(facts => !facts.CardCandidates.IsEmpty);
            var files = facts?.CardCandidates.Where(card => card.IsFor(Chip?.Value)).Select(card => card.FileOn(Mcu)).Distinct().ToList();
            return files is [{ } only] ? new(only, facts!.Source, facts.Where) : null;
        }
    }

    private IEnumerable<CardCandidate> NamedCards => _sources.SelectMany(facts => facts.CardCandidates)
        .Where(card => card.File is { } file && CardSetting.Parse(CardSetting.Of(file)) is not null && card.IsFor(Chip?.Value));

    /// <summary>A file that the user named, with what other sources say of the same.</summary>
    private CardFile AsKnown(CardFile told)
    {
        CardFile?[] known = [CatalogueCard, .. _sources.Select(facts => facts.Source == FactSource.User ? null : facts.CardFile),
            .. NamedCards.Select(card => card.FileOn(Mcu))];
        var same = known.OfType<CardFile>().Where(file => CardSetting.IsSame(file, told)).Distinct().ToList();
        return told with
        {
            ApplicationStart = same.Select(file => file.ApplicationStart).Distinct().ToList() is [var start] ? start : null,
            RenamedTo = same.Select(file => file.RenamedTo).FirstOrDefault(name => name is not null),
        };
    }

    /// <summary>The SD slot's card can keep the bootloader from appearing.</summary>
    public bool NeedsEmptySlot => Kind.Preconditions.Contains("sd-slot-empty");

    /// <summary>Facts that sources differ about: the counting statement against each other one.</summary>
    public IEnumerable<Contradiction> Contradictions =>
    [
        .. Differing(BoardFact.Chip, facts => facts.Chip?.ToLowerInvariant()),
        .. Differing(BoardFact.ApplicationStart, facts => facts.ApplicationStart is { } start ? $"{start:x8}" : null),
        .. Differing(BoardFact.FlashSize, facts => facts.FlashSize is { } size ? $"{size / 1024} KiB" : null),
        .. Differing(BoardFact.ClockReference, facts => facts.ClockReference is { } clock ? $"{clock} Hz" : null),
        .. Differing(BoardFact.Link, facts => facts.Link?.Link.ToString()),
        .. Differing(BoardFact.InitialPins, facts => facts.InitialPins),
        .. Differing(BoardFact.UsbSerial, facts => facts.UsbSerial?.ToLowerInvariant()),
        .. Differing(BoardFact.Bootloader, facts => facts.Bootloader),
    ];

    /// <summary>The profile of a kind that no board is known of.</summary>
    public static BoardProfile Of(Board kind) => new(kind.Id, kind);

    /// <summary>The same with one more source.</summary>
    public BoardProfile With(BoardFacts facts) => new(Name, Kind, _sources.Prepend(facts), Evidence);

    /// <summary>The same with the answers of its running firmware.</summary>
    public BoardProfile With(BoardEvidence? evidence) =>
        evidence is null ? this : new(Name, Kind, _sources.Prepend(BoardFacts.OfEvidence(evidence)), evidence);

    /// <summary>What is known of it in words, each with its source.</summary>
    public IEnumerable<Fact<string>> Statements => ((BoardFact[])
    [
        BoardFact.Chip, BoardFact.ApplicationStart, BoardFact.ClockReference, BoardFact.Link, BoardFact.InitialPins, BoardFact.Bootloader,
    ]).Select(InWords).OfType<Fact<string>>();

    /// <summary>A fact in words; null where nothing tells it.</summary>
    public Fact<string>? InWords(BoardFact fact) => fact switch
    {
        BoardFact.Chip => Chip,
        BoardFact.ApplicationStart => Said(ApplicationStart, start => $"application at {start:x8}"),
        BoardFact.FlashSize => Said(FlashSize, size => $"{size / 1024} KiB of flash"),
        BoardFact.ClockReference => Said(ClockReference, crystal => crystal switch
        {
            1 => "internal clock",
            32_768 => "32 kHz crystal",
            _ => $"{crystal / 1_000_000} MHz crystal",
        }),
        BoardFact.Link => Said(Link, link => link.ToString()),
        BoardFact.InitialPins => Said(InitialPins, pins => $"initial pins {pins}"),
        BoardFact.UsbSerial => Said(UsbSerial, serial => $"USB serial {serial}"),
        _ => Said(Bootloader, below => $"{below} below it"),
    };

    /// <summary>For people: <c>stm32f446xx, application at 08008000, 12 MHz crystal, USB</c>.</summary>
    public override string ToString() => string.Join(", ", Statements.Select(statement => statement.Value));

    private static Fact<string>? Said<T>(Fact<T>? fact, Func<T, string> words) =>
        fact is null ? null : new(words(fact.Value), fact.Source, fact.Where);

    private Fact<T>? Strongest<T>(Func<BoardFacts, T?> get)
        where T : class
    {
        foreach (var facts in _sources)
        {
            if (get(facts) is { } value)
                return new(value, facts.Source, facts.Where);
        }
        return null;
    }

    private Fact<T>? StrongestNumber<T>(Func<BoardFacts, T?> get)
        where T : struct
    {
        foreach (var facts in _sources)
        {
            if (get(facts) is { } value)
                return new(value, facts.Source, facts.Where);
        }
        return null;
    }

    private IEnumerable<Contradiction> Differing(BoardFact fact, Func<BoardFacts, string?> get) => Strongest(get) is not { } strongest ? []
        : _sources.Where(facts => get(facts) is { } value && value != strongest.Value)
            .Select(facts => new Contradiction(fact, strongest, new(get(facts)!, facts.Source, facts.Where)));
}

/// <summary>The facts that sources can differ about.</summary>
public enum BoardFact
{
    Chip,
    ApplicationStart,
    FlashSize,
    ClockReference,
    Link,
    InitialPins,
    UsbSerial,
    Bootloader,
}

/// <summary>Two sources that differ.</summary>
/// <param name="Fact">What they differ about.</param>
/// <param name="Stronger">The statement that counts, as text.</param>
/// <param name="Weaker">The other one.</param>
public sealed record Contradiction(BoardFact Fact, Fact<string> Stronger, Fact<string> Weaker)
{
    public override string ToString() => $"{Fact}: {Stronger.Value} by {Stronger.Where}, {Weaker.Value} by {Weaker.Where}";
}

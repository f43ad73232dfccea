using System.Collections.Immutable;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Where the firmware of this printer's boards comes from: files, builds, and what boards ran before.</summary>
/// <param name="printer">The printer.</param>
/// <param name="mcus">Its MCUs.</param>
/// <param name="data">The printer's folder; null for a computer without one.</param>
/// <param name="klipperPath">The Klipper checkout; null where nothing is built.</param>
/// <param name="log">The log.</param>
internal sealed class BoardFirmware(PrinterAccess printer, KnownMcus mcus, DataFolder? data, string? klipperPath, LogFile log)
{
    private static readonly string[] Endings = [".bin", ".uf2", ".elf"];

    /// <summary>A form takes a process, and the last one that is saved counts: one at a time.</summary>
    private static readonly SemaphoreSlim OneForm = new(1);

    /// <summary>Firmware that is missing is built.</summary>
    public bool CanBuild => klipperPath is not null && data is not null;

    /// <summary>There is a Klipper checkout.</summary>
    public bool HasCheckout => klipperPath is not null;

    /// <summary>Firmware that boards ran; null for a computer without a printer's folder.</summary>
    public GoodImages? Good { get; } = data is null ? null : new(data.Good, printer.Time, log);

    /// <summary>A file in the firmware folder with the board's name or its id, or a virtual printer's own; null for a build.</summary>
    /// <exception cref="FlashException">The file is no firmware.</exception>
    public FirmwareImage? ImageFor(PrinterBoard board)
    {
        // A virtual printer comes with firmware, unless a checkout is named.
        if (klipperPath is null && printer.Build(board) is { } built)
            return built;
        if (data is null)
            return null;
        // Names come from configuration files. One with a slash would leave the folder.
        string[] names = [.. new[] { board.Name, board.Board.Id }.Where(
            name => name.AsSpan().IndexOfAny('/', '\0') < 0 && name is not (".." or "."))];
        return names.SelectMany(name => Endings, (name, ending) => Path.Combine(data.Firmware, name + ending))
            .FirstOrDefault(File.Exists) is { } file ? FirmwareImage.Open(file) : null;
    }

    /// <summary>It was built here, or the board was proved to run it.</summary>
    public bool IsKnown(PrinterBoard board, FirmwareImage image) =>
        (data is not null && FirmwareBuilder.HasBuilt(data.Builds, image.Sha256)) || printer.Build(board)?.Sha256 == image.Sha256
        || Good?.Of(board.Name).Any(good => good.Image.Sha256 == image.Sha256) == true;

    /// <summary>The firmware that the board ran before.</summary>
    /// <exception cref="FlashException"><c>nothing-to-roll-back</c>.</exception>
    public FirmwareImage Before(PrinterBoard board) =>
        (Good ?? throw FlashFaults.NothingToRollBack(board.Name, null)).Before(board.Name, board.RunningVersion);

    /// <summary>The board with the application start that its kept build options have.</summary>
    public PrinterBoard AsConfigured(PrinterBoard board) => AsConfigured(data, board);

    /// <inheritdoc cref="AsConfigured(PrinterBoard)"/>
    public static PrinterBoard AsConfigured(DataFolder? data, PrinterBoard board)
    {
        try
        {
            return Menuconfig.Described(data?.Configs, board);
        }
        catch (FlashException)
        {
            return board;   // the build reports it
        }
    }

    /// <summary>Builds firmware. Call it only if <see cref="CanBuild"/>.</summary>
    /// <param name="boards">1 or more.</param>
    /// <param name="made">Takes what was built, by the board's name.</param>
    /// <param name="progress">Awaited for each snapshot.</param>
    /// <param name="cancel">Ends the builds.</param>
    /// <returns>Firmware or fault, by the board's name.</returns>
    public async Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
        IReadOnlyList<PrinterBoard> boards, Dictionary<string, BuiltFirmware> made, Func<BuildProgress, ValueTask> progress,
        CancellationToken cancel)
    {
        var built = new Dictionary<string, BuiltOrNot>(StringComparer.Ordinal);
        var wanted = Wanted(boards, built);
        if (wanted.Count > 0)
        {
            var builder = new FirmwareBuilder(KlipperTree.Open(klipperPath!), data!.Builds, printer.Time);
            foreach (var outcome in await builder.BuildAllAsync(wanted, progress, cancel))
            {
                built[outcome.Request.Board] = new(outcome.Firmware, outcome.Fault);
                if (outcome.Firmware is { } firmware)
                    made[outcome.Request.Board] = firmware;
            }
        }
        return built;
    }

    /// <summary>Why nothing is built; for where <see cref="CanBuild"/> is false.</summary>
    public static FlashException NoCheckout() =>
        BuildFaults.NotAKlipperTree("~/klipper", "the folder does not exist, or `klipper_path:` was not confirmed");

    /// <inheritdoc cref="KconfigForm.FillAsync"/>
    public async Task<FilledForm> FillFormAsync(PrinterBoard board, IReadOnlyList<OptionValue> set, bool saves)
    {
        if (!CanBuild)
            throw NoCheckout();
        await OneForm.WaitAsync();
        try
        {
            return await Form().FillAsync(board, () => PresetOf(board), set, saves, CancellationToken.None);
        }
        finally
        {
            OneForm.Release();
        }
    }

    /// <inheritdoc cref="KconfigForm.CompareAsync"/>
    public Task<ConfigComparison> CompareAsync(PrinterBoard board, string text, CancellationToken cancel) =>
        Form().CompareAsync(board, () => PresetOf(board), text, cancel);

    private KconfigForm Form() => new(KlipperTree.Open(klipperPath!), data!.Configs, data.Builds);

    /// <summary>Whether boards need a flash, by their names. Nothing is built.</summary>
    /// <param name="boards">Boards of this printer.</param>
    /// <param name="given">The firmware that the caller named; null for each board's own.</param>
    /// <param name="offer">The Klipper to compare with, before it is installed; null for the installed one.</param>
    /// <param name="cancel">Ends git.</param>
    public async Task<IReadOnlyDictionary<string, FirmwareNeed>> NeedsAsync(
        IReadOnlyList<PrinterMcu> boards, FirmwareImage? given, KlipperOffer? offer = null, CancellationToken cancel = default)
    {
        var images = boards.ToDictionary(mcu => mcu.Name, mcu => given ?? ImageOrNull(mcu.Board!));
        var (tree, source, found) = await FindBuildsAsync(
            [.. boards.Where(mcu => images[mcu.Name] is null).Select(mcu => mcu.Board!)], hasBuilds: offer is null, cancel);
        var changed = new Dictionary<string, IReadOnlyCollection<string>?>(StringComparer.Ordinal);
        var needs = new Dictionary<string, FirmwareNeed>(StringComparer.Ordinal);
        foreach (var mcu in boards)
        {
            var (image, built) = (images[mcu.Name], found.GetValueOrDefault(mcu.Name));
            var running = KlipperVersion.Parse(mcu.Running);
            if (image is null && tree is not null && running.Sha is { } sha && !changed.ContainsKey(sha))
                changed[sha] = await tree.ChangedSinceAsync(sha, cancel, offer?.Commit);
            var good = RunningOf(mcu);
            needs[mcu.Name] = FirmwareNeed.Of(new NeedEvidence
            {
                Section = mcu.Section ?? mcu.Name,
                Running = mcu.Running,
                Host = image?.Version ?? offer?.Version ?? source?.Version ?? mcu.Host,
                State = mcus.Facts.State,
                Message = mcus.Facts.Message,
                RunningDictionary = good?.Image.Dictionary,
                BuiltDictionary = image?.Dictionary ?? built?.Image.Dictionary,
                Last = good is null ? null : new LastFlash(good.Image.Version, good.About.ConfigHash, good.About.SourceId),
                ConfigHash = built?.ConfigHash,
                SourceId = built?.SourceId,
                ChangedPaths = image is null && running.Sha is { } commit ? changed.GetValueOrDefault(commit) : null,
                MissingFeatures = mcus.Facts.Evidence.Boards.GetValueOrDefault(mcu.Section ?? "")?.MissingFeatures ?? [],
            });
        }
        return needs;
    }

    /// <summary>What the board was proved to run last, if it still reports that version.</summary>
    public GoodImage? RunningOf(PrinterMcu mcu) =>
        mcu.Running is null ? null : Good?.Of(mcu.Name).FirstOrDefault(kept => kept.Image.Version == mcu.Running);

    /// <summary>What the builder has for these boards already; nothing where the checkout cannot be read.</summary>
    private async Task<(KlipperTree? Tree, KlipperSource? Source, IReadOnlyDictionary<string, BuiltFirmware?> Found)> FindBuildsAsync(
        IReadOnlyList<PrinterBoard> boards, bool hasBuilds, CancellationToken cancel)
    {
        var (tree, none) = ((KlipperTree?)null, ImmutableDictionary<string, BuiltFirmware?>.Empty);
        if (!CanBuild)
            return (null, null, none);
        try
        {
            tree = KlipperTree.Open(klipperPath!);
            if (!hasBuilds)
                return (tree, null, none);
            var wanted = Wanted(boards, []);
            var builder = new FirmwareBuilder(tree, data!.Builds, printer.Time);
            var (source, built) = await builder.FindAllAsync(wanted, cancel);
            return (tree, source, wanted.Zip(built).ToDictionary(pair => pair.First.Board, pair => pair.Second, StringComparer.Ordinal));
        }
        catch (FlashException fault)
        {
            log.Say($"Cannot determine whether a build would change the firmware: {fault.Message}");
            return (tree, null, none);
        }
    }

    /// <param name="boards">Boards to build for.</param>
    /// <param name="refused">Takes the boards that cannot be built for, with the fault.</param>
    private List<BuildRequest> Wanted(IReadOnlyList<PrinterBoard> boards, Dictionary<string, BuiltOrNot> refused)
    {
        var wanted = new List<BuildRequest>();
        foreach (var board in boards)
        {
            try
            {
                wanted.Add(new BuildRequest(board.Name, ConfigOf(board)));
            }
            catch (FlashException fault)
            {
                refused[board.Name] = new(null, fault);
            }
        }
        return wanted;
    }

    /// <summary>
    /// By the user's own build options, by what the board told of itself, by the pins that Klipper reports, by RatOS's file, or by the
    /// catalogue.
    /// </summary>
    private BuildConfig ConfigOf(PrinterBoard board)
    {
        if (Menuconfig.Kept(data?.Configs, board) is { } chosen)
            return chosen;
        if (board.Profile.ApplicationStart is { Source: FactSource.Board } || board.RunningLink is { Pins: not null })
            return BuildConfig.For(board.Profile, board.Serial);
        var isOnUart = board.Port is { } port && !port.Contains('-', StringComparison.Ordinal);
        var chip = board.Board.McuName ?? "";
        if (chip != "linux" && BuildTransport.HasUsb(chip) && (board.CanUuid is not null || isOnUart))
            throw FirmwareFaults.PinsUnknown(board.Name, board.CanUuid is not null ? "CAN bus" : "UART");
        return board.Board.FirmwareConfig is { } text
            ? BuildConfig.FromText(text, board.Board, board.Serial) : BuildConfig.For(board.Profile, board.Serial);
    }

    /// <summary>What a form begins with: pins that no build may assume can be chosen in it.</summary>
    private BuildConfig PresetOf(PrinterBoard board)
    {
        try
        {
            return ConfigOf(board);
        }
        catch (FlashException fault) when (fault.Kind == FaultKind.PinsUnknown)
        {
            return Menuconfig.Preset(board, board.RunningLink);
        }
    }

    private FirmwareImage? ImageOrNull(PrinterBoard board)
    {
        try
        {
            return ImageFor(board);
        }
        catch (FlashException)
        {
            return null;   // the flash reports it
        }
    }
}

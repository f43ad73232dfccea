using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Turns the options of a flash into one request for each board. No other code maps them.</summary>
/// <param name="printer">The printer.</param>
/// <param name="mcus">Its MCUs.</param>
/// <param name="firmware">The boards' own firmware.</param>
/// <param name="powerDevices">Moonraker's power devices, by the board's name.</param>
internal sealed class BoardSelection(
    PrinterAccess printer, KnownMcus mcus, BoardFirmware firmware, IReadOnlyDictionary<string, string> powerDevices)
{
    /// <inheritdoc cref="LocalBoards.Earlier"/>
    public Func<string, EarlierFlash?>? Earlier { get; init; }

    /// <summary>A probe that is named is updated by its maker's updater.</summary>
    public bool CallsUpdaters { get; init; }

    /// <summary>Its maker's updater can update it.</summary>
    public static bool IsProbe(PrinterMcu mcu) => mcu is { Owner: McuOwner.OwnUpdater, Device: { } device } && ProbeUpdater.IsFor(device);

    /// <summary>The boards and their firmware; an image that is missing is built later.</summary>
    /// <exception cref="FlashException">A board or a port is unknown, or the firmware file is no firmware.</exception>
    public async Task<IReadOnlyList<FlashRequest>> RequestAsync(FlashOptions options)
    {
        if (options.NamesPlace && (options.NamesAll || options.Boards.Length != 1))
            throw AgentFaults.PlaceOfManyBoards();
        if (options.Firmware is { } file)
            FirmwareFile.Check(file, options.FirmwareSha256);
        var given = options.Firmware?.Image;
        var inventory = mcus.Look();
        var requests = options.NamesAll ? await AllAsync(inventory, given, options) : await NamedAsync(inventory, given, options);
        return [.. requests.Select(Continued).Select(request => request with
        {
            Job = options.Job,
            LinkChange = options.LinkChange,
            Findings = [.. request.Findings, .. Unconfirmed(request, options)],
            SkipReason = request.Board.Board.McuName != "linux" ? request.SkipReason : options.Job switch
            {
                FlashJob.Recover => "it is a process of this computer, which its own service restarts.",
                FlashJob.Identify => "it is a process of this computer.",
                _ => request.SkipReason,
            },
            Board = powerDevices.GetValueOrDefault(request.Board.Name) is { } power
                ? request.Board with { Power = power } : request.Board,
        })];
    }

    /// <summary>Firmware from elsewhere waits for the user's consent, unless this user has given the file itself.</summary>
    private IEnumerable<Finding> Unconfirmed(FlashRequest request, FlashOptions options)
    {
        if (request.Image is not { } image || options.RollsBack || options.Firmware is { IsUploaded: false }
            || options.FirmwareSha256 is not null || options.Confirmed.Contains(image.Sha256) || firmware.IsKnown(request.Board, image))
            return [];
        return [Finding.Of(FindingSeverity.Warning, FirmwareFaults.FirmwareUnconfirmed(
            request.Board.Name, Text.Clean(Path.GetFileName(image.Name)), Text.Clean(image.Version),
            BuildTransport.Of(image.Dictionary.Config)?.ToString() ?? "an unknown line", image.Sha256))];
    }

    private async Task<List<FlashRequest>> NamedAsync(PrinterInventory inventory, FirmwareImage? given, FlashOptions options)
    {
        var requests = options.Boards.Select(name => Find(inventory, name, options))
            .DistinctBy(request => request.Board.Name, StringComparer.OrdinalIgnoreCase).ToList();
        var board = requests[0].Board;
        foreach (var probe in requests.Where(request => request.UsesOwnUpdater))
        {
            if (WithoutMeaning(options, isPlaced: false) is { Count: > 0 } none)
                throw FirmwareFaults.NotForUpdater(probe.Board.Name, none);
        }
        if (options.Uuid is { } uuid)
            board = board with { CanUuid = uuid };
        if (options.Port is { } port)
            board = At(port, board, Earlier?.Invoke(board.Name));
        // A place that the caller names overrides doubts about the place.
        // The board at a named place may be another one than Klipper reported last.
        if (options.NamesPlace)
            board = board with { Facts = [.. board.Facts.Select(facts => facts with { Chip = null })] };
        requests[0] = requests[0] with { Board = board, Findings = options.NamesPlace ? [] : requests[0].Findings };
        if (options.Bootloader is { } driver)
            requests = requests.ConvertAll(request => request with { Board = request.Board with { Bootloader = driver } });
        requests = requests.ConvertAll(request =>
            request.UsesOwnUpdater ? request : request with { Image = ImageFor(request.Board, given, options) });
        return options is { OnlyIfNeeded: true, IncludesUpToDate: false, Writes: true, RollsBack: false }
            ? await WithoutUpToDateAsync(inventory, requests, given) : requests;
    }

    private async Task<List<FlashRequest>> WithoutUpToDateAsync(
        PrinterInventory inventory, List<FlashRequest> requests, FirmwareImage? given)
    {
        var named = inventory.All.Where(mcu => requests.Exists(request => request.Board.Name == mcu.Name))
            .Select(mcu => mcu with { Board = firmware.AsConfigured(mcu.Board!) }).ToList();
        var needs = await NeedsAsync(named, given);
        return requests.ConvertAll(request =>
            needs.GetValueOrDefault(request.Board.Name) is { Level: NeedLevel.Needless } need ? request with { SkipReason = need.Reason }
            : request);
    }

    /// <summary>Of a given file equal versions are not enough: the caller may have changed build options.</summary>
    private async Task<IReadOnlyDictionary<string, FirmwareNeed>> NeedsAsync(IReadOnlyList<PrinterMcu> boards, FirmwareImage? given)
    {
        return given is null ? await firmware.NeedsAsync(boards, null) : boards.Where(IsGiven).ToDictionary(
            mcu => mcu.Name, _ => new FirmwareNeed(NeedLevel.Needless, $"It runs this very file (sha256 {given.Sha256[..8]}...)."));

        bool IsGiven(PrinterMcu mcu) => firmware.RunningOf(mcu)?.Image.Sha256 == given.Sha256;
    }

    private PrinterBoard At(string named, PrinterBoard board, EarlierFlash? earlier)
    {
        // Users know their boards by the links below /dev/serial.
        var port = named.StartsWith('/') && File.Exists(named) && File.ResolveLinkTarget(named, returnFinalTarget: true) is { } target
            ? target.FullName : named;
        var seen = printer.Hardware.Look();
        var devices = seen.Devices;
        // The link of a board that runs Klipper is gone while it waits in a bootloader.
        if (earlier?.NamedPort == named && !devices.Any(device => device.Port == port || device.Node == port)
            && earlier.Find(board, seen) is { } waiting)
            return board with { Port = waiting.Port, OnlyByPort = true };
        if (!devices.Any(device => device.Port == port || device.Node == port))
            throw ComputerFaults.NoSuchPort(
                Text.Clean(port), devices.Length == 0 ? "none" : string.Join(", ", devices.Select(device => device.Port)));
        return devices.Any(device => device.Port == port && device.Can is not null)
            ? board with { CanInterface = port } : board with { Port = port, OnlyByPort = true };
    }

    /// <summary>With the earlier flash that left the board as it is. A board that waits since then is found where it was written.</summary>
    private FlashRequest Continued(FlashRequest request)
    {
        if (request.SkipReason is not null || Earlier?.Invoke(request.Board.Name) is not { } earlier)
            return request;
        var seen = printer.Hardware.Look();
        request = request with { Earlier = earlier };
        if (FlashPlan.Create([request], seen, new(KlippyActivity.Stopped)).Boards[0].Device is null
            && earlier.Find(request.Board, seen) is { } waiting)
            request = request with { Board = request.Board with { Port = waiting.Port, OnlyByPort = true } };
        return request;
    }

    /// <summary>The boards of the printer's configuration. Those that are up to date are skipped.</summary>
    private async Task<List<FlashRequest>> AllAsync(PrinterInventory inventory, FirmwareImage? given, FlashOptions options)
    {
        var boards = inventory.All.Select(mcu => mcu with { Board = firmware.AsConfigured(mcu.Board!) }).ToList();
        if (boards.Count == 0)
            throw BoardFaults.NoBoards();
        var needs = options.IncludesUpToDate || options.RollsBack || !options.Writes
            ? ImmutableDictionary<string, FirmwareNeed>.Empty : await NeedsAsync(boards, given);
        var all = boards.ConvertAll(mcu => new FlashRequest(mcu.Board!, ImageFor(mcu.Board!, given, options))
        {
            Findings = mcu.Findings,
            SkipReason = needs.GetValueOrDefault(mcu.Name) is { Level: NeedLevel.Needless } need ? need.Reason : null,
        });
        // A probe is updated only if it is named.
        all.AddRange(inventory.Mcus.Where(mcu => CallsUpdater(mcu, options)).Select(mcu => RequestOf(mcu) with
        {
            SkipReason = "its maker's updater is called only for a probe that is named.",
        }));
        // Where nothing is built, a running board without firmware is skipped, and does not keep the others from theirs. One that does not
        // run is refused.
        var canWait = !firmware.HasCheckout && options.Writes
            && all.Exists(request => request is { Image: not null, SkipReason: null });
        return !canWait ? all : all.ConvertAll(request => request is { Image: null, SkipReason: null, Board.RunningVersion: not null }
            ? request with { SkipReason = "There is no firmware for it here, and no Klipper checkout to build it from." } : request);
    }

    private FirmwareImage? ImageFor(PrinterBoard board, FirmwareImage? given, FlashOptions options) =>
        options.Job == FlashJob.Identify ? null : options.RollsBack ? firmware.Before(board) : given ?? firmware.ImageFor(board);

    /// <summary>Firmware, places and bootloaders are none of the updater's options.</summary>
    private bool CallsUpdater(PrinterMcu mcu, FlashOptions options) => CallsUpdaters && IsProbe(mcu)
        && options is { Job: FlashJob.Write, RollsBack: false, Firmware: null, NamesPlace: false, Bootloader: null, LinkChange: null };

    /// <summary>Options that say nothing to an updater, as nouns.</summary>
    /// <param name="options">The options.</param>
    /// <param name="isPlaced">The probe is in printer.cfg, which names its place.</param>
    private static List<string> WithoutMeaning(FlashOptions options, bool isPlaced) => !options.Writes ? [] :
    [
        .. options.Port is not null && isPlaced ? ["port"] : (string[])[],
        .. options.Uuid is not null ? ["CAN uuid"] : (string[])[],
        .. options.Bootloader is not null ? ["bootloader"] : (string[])[],
        .. options.Job == FlashJob.SdCard ? ["SD card"] : (string[])[],
        .. options.Firmware is not null ? ["firmware file"] : (string[])[],
        .. options.LinkChange is not null ? ["change of link"] : (string[])[],
    ];

    private static FlashRequest RequestOf(PrinterMcu mcu)
    {
        var kind = BoardCatalogue.BuiltIn.Find("beacon")!;
        return new(new PrinterBoard(mcu.Name, kind)
        {
            Serial = mcu.Device!.Serial,
            Port = mcu.Device.Port,
            RunningVersion = mcu.Running ?? ProbeUpdater.VersionOf(mcu.Device),
        }, null);
    }

    private FlashRequest Find(PrinterInventory inventory, string name, FlashOptions options)
    {
        try
        {
            var mcu = inventory.Find(name);
            if (CallsUpdaters && IsProbe(mcu) && WithoutMeaning(options, isPlaced: true) is { Count: > 0 } none)
                throw FirmwareFaults.NotForUpdater(mcu.Name, none);
            return CallsUpdater(mcu, options) ? RequestOf(mcu)
                : new FlashRequest(firmware.AsConfigured(mcu.BoardToFlash()), null) { Findings = mcu.Findings };
        }
        catch (FlashException unknown) when (printer.HasKinds
            && (unknown.Kind == FaultKind.UnknownBoard || (options.NamesPlace && unknown.Kind == FaultKind.BoardsAlike)))
        {
            // A kind of board may be named that is not connected: with a port, or for a plan.
            var catalogue = mcus.Catalogue.Catalogue;
            if (catalogue.Find(name) is { } kind)
                return new FlashRequest(new PrinterBoard(kind.Id, kind), null);
            // Without a place a printer's own boards can be flashed, and those were compared.
            if (!options.NamesPlace && inventory.Mcus.Any(mcu => mcu.Section is not null))
                throw;
            var near = inventory.Mcus.Select(mcu => mcu.Name).Concat(catalogue.Boards.Select(board => board.Id))
                .Where(known => FuzzyMatch.IsNear(name, known));
            throw BoardFaults.UnknownBoard(
                Text.Clean(name), [.. near], [.. inventory.Mcus.Where(mcu => mcu.Owner != McuOwner.Foreign).Select(mcu => mcu.Name)]);
        }
    }
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <content>Builds, and whether a board needs one.</content>
internal sealed partial class LocalBoards
{
    internal async Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
        IReadOnlyList<PrinterBoard> boards, Dictionary<string, BuiltFirmware> made, Func<BuildProgress, ValueTask> tell, CancellationToken cancel)
    {
        var built = new Dictionary<string, BuiltOrNot>(StringComparer.Ordinal);
        var wanted = Wanted(boards, built);
        if (wanted.Count > 0)
        {
            var builder = new FirmwareBuilder(KlipperTree.Open(KlipperPath!), Data!.Builds, printer.Time);
            foreach (var outcome in await builder.BuildAllAsync(wanted, tell, cancel))
            {
                built[outcome.Request.Board] = new(outcome.Firmware, outcome.Fault);
                if (outcome.Firmware is { } firmware)
                    made[outcome.Request.Board] = firmware;
            }
        }
        return built;
    }

    /// <summary>What is to be built; why not, for those that cannot be.</summary>
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

    /// <summary>By the answers that somebody gave, by what the running board says of its wires, by RatOS's own file, or by what is known of its kind.</summary>
    private BuildConfig ConfigOf(PrinterBoard board)
    {
        if (Menuconfig.Kept(Data?.Configs, board) is { } chosen)
            return chosen;
        if (board.Transport is { Link: not BuildLink.Usb } wires)
            return BuildConfig.For(board.Board, board.Serial, wires);
        if (board.Board.McuName != "linux" && (board.CanUuid is not null || (board.Port is { } port && !port.Contains('-', StringComparison.Ordinal))))
            throw FirmwareFaults.PinsUnknown(board.Name, board.CanUuid is not null ? "CAN bus" : "UART");
        return board.Board.FirmwareConfig is { } text ? BuildConfig.FromText(text, board.Board, board.Serial) : BuildConfig.For(board.Board, board.Serial);
    }

    private PrinterBoard AsChosen(PrinterBoard board)
    {
        try
        {
            return Menuconfig.Described(Data?.Configs, board);
        }
        catch (FlashException)
        {
            return board;   // the build says so
        }
    }

    /// <summary>Whether boards need a flash, by name. Nothing is built for it.</summary>
    /// <param name="boards">Ours.</param>
    /// <param name="given">The firmware that somebody named; null for each board's own.</param>
    internal async Task<IReadOnlyDictionary<string, FirmwareNeed>> NeedsAsync(IReadOnlyList<PrinterMcu> boards, FirmwareImage? given)
    {
        var (facts, found) = (mcus.Facts, new Dictionary<string, BuiltFirmware?>(StringComparer.Ordinal));
        var (tree, source) = ((KlipperTree?)null, (KlipperSource?)null);
        var images = boards.ToDictionary(mcu => mcu.Name, mcu => given ?? ImageOrNull(mcu.Board!));
        if (KlipperPath is not null && Data is not null)
        {
            try
            {
                tree = KlipperTree.Open(KlipperPath);
                var wanted = Wanted([.. boards.Where(mcu => images[mcu.Name] is null).Select(mcu => mcu.Board!)], []);
                var (now, built) = await new FirmwareBuilder(tree, Data.Builds, printer.Time).FindAllAsync(wanted, CancellationToken.None);
                source = now;
                foreach (var (request, firmware) in wanted.Zip(built))
                    found[request.Board] = firmware;
            }
            catch (FlashException fault)
            {
                log.Say($"What would be built is not known: {fault.Message}");
            }
        }
        var changed = new Dictionary<string, IReadOnlyCollection<string>?>(StringComparer.Ordinal);
        var needs = new Dictionary<string, FirmwareNeed>(StringComparer.Ordinal);
        foreach (var mcu in boards)
        {
            var (image, built) = (images[mcu.Name], found.GetValueOrDefault(mcu.Name));
            var running = KlipperVersion.Parse(mcu.Running);
            if (image is null && tree is not null && running.Sha is { } sha && !changed.ContainsKey(sha))
                changed[sha] = await tree.ChangedSinceAsync(sha, CancellationToken.None);
            var good = mcu.Running is null ? null : Good?.Of(mcu.Name).FirstOrDefault(kept => kept.Image.Version == mcu.Running);
            needs[mcu.Name] = FirmwareNeed.Of(new NeedEvidence
            {
                Section = mcu.Section ?? mcu.Name,
                Running = mcu.Running,
                Host = image?.Version ?? source?.Version ?? mcu.Host,
                State = facts.State,
                Message = facts.Message,
                RunningDictionary = good?.Image.Dictionary,
                BuiltDictionary = image?.Dictionary ?? built?.Image.Dictionary,
                Last = good is null ? null : new LastFlash(good.Image.Version, good.About.ConfigHash, good.About.SourceId),
                ConfigHash = built?.ConfigHash,
                SourceId = built?.SourceId,
                ChangedPaths = image is null && running.Sha is { } commit ? changed.GetValueOrDefault(commit) : null,
            });
        }
        return needs;
    }

    private FirmwareImage? ImageOrNull(PrinterBoard board)
    {
        try
        {
            return ImageFor(board);
        }
        catch (FlashException)
        {
            return null;   // whoever flashes hears of it
        }
    }
}

using System.Runtime.InteropServices;
using RatOS.Flash.Boards;
using RatOS.Flash.Firmware;
using RatOS.Flash.Virtual;

namespace RatOS.Flash.Agent;

/// <summary>What the command line's verbs do. Each returns the exit code.</summary>
/// <param name="printer">The printer.</param>
/// <param name="output">For people, for pipes, or for programs.</param>
/// <param name="log">The log file.</param>
internal sealed class Verbs(Printer printer, Output output, LogFile log)
{
    // Somebody has to find the jumper; Ctrl-C ends the wait at any time.
    private static readonly TimeSpan PatienceWithPeople = TimeSpan.FromMinutes(30);

    private const int StandardUsbIpPort = 3240;

    public async Task<int> FlashAsync(Asked asked, bool noKlipper, bool yes)
    {
        var requests = Request(asked);
        if (!noKlipper)
            printer.CheckAlone();
        var klippy = noKlipper ? new Klipper.NoKlippy() : printer.Klippy;
        var plan = FlashPlan.Create(requests, printer.Hardware.Look(), await klippy.LookAsync(CancellationToken.None));
        output.Plan(plan, printer.Description);
        if (!yes && !plan.IsBlocked && plan.Boards.Any(NeedsConsent) && !output.Confirm("There are warnings. Flash all the same?"))
            throw Faults.ConsentMissing();

        using var cancel = new CancellationTokenSource();
        var committed = false;
        using var interrupt = OnSignal(PosixSignal.SIGINT);
        using var terminate = OnSignal(PosixSignal.SIGTERM);
        var flasher = new Flasher(printer.Hardware, klippy, printer.Time, TellAsync) { WaitForPerson = output.HasPerson ? PatienceWithPeople : TimeSpan.Zero };
        output.Begin(requests.Count);
        FlashReport report;
        try
        {
            report = await flasher.FlashAsync(requests, cancel.Token);
        }
        finally
        {
            output.End();
            printer.Save();
        }
        var exit = ExitCode.Of(report);
        output.Result(report, exit);
        return exit;

        ValueTask TellAsync(FlashEvent step)
        {
            committed |= step.Kind == FlashEventKind.PointOfNoReturn;
            log.Event(step);
            output.Event(step);
            return ValueTask.CompletedTask;
        }

        PosixSignalRegistration OnSignal(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;   // a half-written board is worse than a late exit
            printer.Post(() =>
            {
                output.Say(committed
                    ? "Finishing the write first: a board that is half written could not start. Then I stop."
                    : "Stopping: nothing was erased. Klipper and the board are brought back to what they were.");
                cancel.Cancel();
            });
        });
    }

    public async Task<int> PlanAsync(Asked asked)
    {
        var requests = Request(asked);
        var plan = FlashPlan.Create(requests, printer.Hardware.Look(), await printer.Klippy.LookAsync(CancellationToken.None));
        output.Plan(plan, printer.Description);
        return plan.IsBlocked ? ExitCode.Refused : ExitCode.Done;
    }

    public Task<int> BoardsAsync()
    {
        var seen = printer.Hardware.Look();
        var rows = new List<BoardRow>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var board in printer.Boards)
        {
            var plan = FlashPlan.Create([new FlashRequest(board, null)], seen, new(Klipper.KlippyActivity.Stopped)).Boards[0];
            if (plan.Device is { } device)
                known.UnionWith([device.Port, device.Can?.UsbPort ?? device.Port]);
            var where = board.CanUuid is { } uuid && plan.Device is not { Usb: not null } ? $"{board.CanInterface} {uuid}" : plan.Device?.Port ?? board.Port;
            rows.Add(new BoardRow(
                board.Name, board.Board.Id, board.Board.DisplayName, board.Board.McuName, where, StateOf(plan),
                board.RunningVersion, printer.HostVersion));
        }
        rows.AddRange(seen.Devices.Where(device => !known.Contains(device.Port)).Select(device => new BoardRow(
            null, null, device.Product ?? device.ToString(), null, device.Port, "none of this printer's boards", null, null)));
        output.Boards(rows, printer.Description);
        return Task.FromResult(ExitCode.Done);
    }

    public Task<int> InspectAsync(string file)
    {
        var image = FirmwareImage.Open(file);
        var mcu = Mcu.Find(image.Mcu);
        var start = mcu is null ? null : image.BuiltFor(mcu);
        var misfit = mcu is not null && start is { } address ? image.Misfit(mcu, address, mcu.FlashEnd) : null;
        output.Firmware(file, image, start, misfit);
        return Task.FromResult(misfit is null ? ExitCode.Done : ExitCode.Refused);
    }

    public Task<int> VirtualAsync(bool reset)
    {
        if (reset)
        {
            printer.Reset();
            output.Say($"{printer.Description} is back at its beginning.");
        }
        else
        {
            output.Scenarios(VirtualPrinter.Scenarios);
        }
        return Task.FromResult(ExitCode.Done);
    }

    /// <summary>Serves the boards by USB/IP until Ctrl-C or SIGTERM.</summary>
    public async Task<int> ServeAsync(int port, bool attach)
    {
        using var over = new CancellationTokenSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT);
        using var terminate = OnSignal(PosixSignal.SIGTERM);
        try
        {
            await printer.ServeAsync(port, attach, Ready, output.Bus, over.Token);
        }
        finally
        {
            printer.Save();
        }
        return ExitCode.Done;

        void Ready(int port)
        {
            var tcp = port == StandardUsbIpPort ? "" : $" --tcp-port {port}";
            output.Say($"Serving {printer.Description} by USB/IP on 127.0.0.1:{port} until Ctrl-C. On the computer that shall have a board: "
                + $"`sudo modprobe vhci-hcd`, `sudo usbip{tcp} attach -r HOST -b {printer.Boards.Select(board => board.Port).FirstOrDefault()}`.");
        }

        PosixSignalRegistration OnSignal(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            printer.Post(over.Cancel);
        });
    }

    /// <summary>Serves the boards' serial lines until somebody ends it.</summary>
    public async Task<int> VirtualPtyAsync(string folder)
    {
        var ended = new TaskCompletionSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        using (var ptys = printer.OpenPtys(folder))
        {
            foreach (var (board, link, terminal) in ptys.Ports)
                output.Say($"{board}: {link} -> {terminal}");
            output.Say($"{printer.Description} is connected until Ctrl-C.");
            await ended.Task;
        }
        printer.Save();
        return ExitCode.Done;

        void End(PosixSignalContext context)
        {
            context.Cancel = true;   // what was flashed is kept first
            printer.Post(() => ended.TrySetResult());
        }
    }

    private IReadOnlyList<FlashRequest> Request(Asked asked)
    {
        if ((asked.Port ?? asked.Uuid?.ToString()) is not null && asked.Boards.Length != 1)
            throw Faults.BadOption("--port and --uuid name one board", "Flash the boards one by one, or leave them out.");
        var boards = asked.Boards.Distinct(StringComparer.OrdinalIgnoreCase).Select(Find).ToList();
        if (asked.Uuid is { } uuid)
            boards[0] = boards[0] with { CanUuid = uuid };
        if (asked.Port is { } named)
        {
            // People know their boards by the links below /dev/serial.
            var port = named.StartsWith('/') && File.Exists(named) && File.ResolveLinkTarget(named, returnFinalTarget: true) is { } target ? target.FullName : named;
            var seen = printer.Hardware.Look();
            if (!seen.Devices.Any(device => device.Port == port || device.Node == port))
                throw Faults.NoSuchPort(port, seen.Devices.Length == 0 ? "none" : string.Join(", ", seen.Devices.Select(device => device.Port)));
            boards[0] = seen.Devices.Any(device => device.Port == port && device.Can is not null)
                ? boards[0] with { CanInterface = port } : boards[0] with { Port = port, OnlyByPort = true };
        }
        if (asked.Bootloader is { } kind)
            boards = boards.ConvertAll(board => board with { Bootloader = kind });
        var given = asked.Firmware is { } file ? FirmwareImage.Open(file) : null;
        return [.. boards.Select(board => new FlashRequest(board, given ?? printer.Build(board)))];
    }

    private PrinterBoard Find(string name)
    {
        var boards = printer.Boards;
        var found = boards.FirstOrDefault(board => string.Equals(board.Name, name, StringComparison.OrdinalIgnoreCase));
        if (found is not null)
            return found;
        // A kind's id is as good as a name, unless two boards are of that kind.
        var kind = boards.Where(board => string.Equals(board.Board.Id, name, StringComparison.OrdinalIgnoreCase)).ToList();
        if (kind.Count == 1)
            return kind[0];
        var others = printer.Kinds.ToList();
        if (kind.Count == 0 && others.Find(board => string.Equals(board.Name, name, StringComparison.OrdinalIgnoreCase)) is { } other)
            return other;
        var nearest = kind.Count > 1
            ? kind.ConvertAll(board => board.Name)
            : [.. boards.Concat(others).Select(board => board.Name).Distinct().Where(candidate => Nearness.Of(name, candidate) <= Math.Max(2, candidate.Length / 3))];
        throw Faults.UnknownBoard(Text.Clean(name), nearest, [.. boards.Select(board => board.Name)]);
    }

    private static bool NeedsConsent(BoardPlan board) => !board.IsBlocked
        && board.Findings.Any(finding => finding.Severity == FindingSeverity.Warning && finding.Code != "needs-bootloader-by-hand");

    private static string StateOf(BoardPlan plan) => plan switch
    {
        { Device: null } => "not connected",
        { Entry: FlashEntry.InBootloader, Bootloader: BootloaderKind.Katapult } => "waits in Katapult",
        { Entry: FlashEntry.InBootloader } => "waits in USB DFU",
        { Device.Can: not null, IsCanBridge: true } => "runs Klipper as USB-CAN bridge",
        { Device.Can: not null } => "on CAN",
        { Device.Usb: null } => "on a wire",
        _ => "runs Klipper",
    };
}

/// <summary>One line of `boards`; strangers have no name.</summary>
internal sealed record BoardRow(
    string? Name, string? Id, string Description, string? Mcu, string? Port, string State, string? Running, string? Host);

internal static class Nearness
{
    /// <summary>Levenshtein's distance, in any case. A name within the other counts as near.</summary>
    public static int Of(string typed, string name)
    {
        var (a, b) = (typed.ToLowerInvariant(), name.ToLowerInvariant());
        if (a.Length > 64)
            return a.Length;
        if (a.Length > 2 && (b.Contains(a, StringComparison.Ordinal) || a.Contains(b, StringComparison.Ordinal)))
            return 1;
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[^1];
    }
}

internal static class Text
{
    /// <summary>Text from outside, fit for a terminal: no control characters, no novels.</summary>
    public static string Clean(string text) =>
        new([.. text.Take(80).Select(c => char.IsControl(c) ? '?' : c)]);

    public static string Size(long bytes) => bytes < 1024 ? $"{bytes} bytes" : $"{bytes / 1024.0:0.0} KiB";

    public static string Condition(BoardCondition condition) => condition switch
    {
        BoardCondition.Unchanged => "untouched: it still has its old firmware.",
        BoardCondition.InBootloaderUnchanged => "it waits in its bootloader; its old firmware was not touched.",
        BoardCondition.InBootloaderWithoutFirmware => "it has no working firmware: it was erased or is half written. Flashing it again is what it needs.",
        BoardCondition.Unconfirmed => "the new firmware was written and read back equal, but the running board did not confirm it.",
        _ => "it runs the new firmware.",
    };
}

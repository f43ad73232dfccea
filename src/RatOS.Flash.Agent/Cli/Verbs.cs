using System.Runtime.InteropServices;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Cli;

/// <summary>What the command line's verbs do. Each returns the exit code.</summary>
/// <param name="printer">The printer.</param>
/// <param name="data">Its folder; null for a virtual printer that no agent works on.</param>
/// <param name="output">For people, for pipes, or for programs.</param>
/// <param name="log">The log file.</param>
internal sealed partial class Verbs(PrinterAccess printer, DataFolder? data, Output output, LogFile log)
{
    private const int StandardUsbIpPort = 3240;

    private static readonly TimeSpan MoonrakerLimit = TimeSpan.FromSeconds(15);

    /// <summary><c>flash</c>, and <c>recover</c>, which asks nothing.</summary>
    private Task<int> FlashAsync(FlashOptions options, bool noKlipper, Action<FlashReport> ended) => WithBoardsAsync(noKlipper, isFlash: true, async boards =>
    {
        options = options with { OperatorPresent = output.HasPerson && printer.HasPerson };
        var plan = await boards.PlanAsync(options);
        if (options.Job != FlashJob.Recover)
            output.Plan(plan, boards.Description);
        if (!options.AcceptsWarnings && options.Job != FlashJob.Recover && !plan.IsBlocked && plan.Boards.Any(board => board.NeedsConsent))
            options = output.Confirm("There are warnings. Flash all the same?") ? options with { AcceptsWarnings = true } : throw FlashFaults.ConsentMissing();

        using var cancel = new CancellationTokenSource();
        var (committed, awaits) = (false, false);
        using var interrupt = OnSignal(PosixSignal.SIGINT, Stop);
        using var terminate = OnSignal(PosixSignal.SIGTERM, Stop);
        output.Begin(plan.Boards.Length);
        FlashReport report;
        try
        {
            report = await boards.FlashAsync(options, step =>
            {
                committed |= step.Kind == FlashEventKind.PointOfNoReturn;
                awaits = step is { Phase: FlashPhase.Person, Kind: not FlashEventKind.End };
                if (boards is LocalBoards)
                    log.Event(step);
                output.Event(step);
            }, cancel.Token);
        }
        finally
        {
            output.End();
        }
        output.Result(report);
        ended(report);
        return ExitCode.Of(report);

        void Stop()
        {
            output.Say(awaits ? "Giving up the wait. The board stays as it is." : committed
                ? "Finishing the write first: a board that is half written could not start. Then I stop."
                : "Stopping: nothing was erased. Klipper and the board are brought back to what they were.");
            cancel.Cancel();
        }
    });

    public Task<int> PlanAsync(FlashOptions options) => WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
    {
        var plan = await boards.PlanAsync(options);
        output.Plan(plan, boards.Description);
        return plan.IsBlocked ? ExitCode.Refused : ExitCode.Done;
    });

    public Task<int> BoardsAsync() => WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
    {
        output.Boards(await boards.ListAsync(), boards.Description);
        return ExitCode.Done;
    });

    /// <summary>Every kind of board: what is inside the program, and what an installed RatOS says.</summary>
    public Task<int> KindsAsync()
    {
        var catalogue = data is null ? BoardCatalogue.BuiltIn : RatOsCatalogue.Load(data.RatOsBoards).Catalogue;
        output.Kinds([.. catalogue.Boards.OrderBy(board => board.Id, StringComparer.Ordinal).Select(JsonKind.Of)]);
        return Task.FromResult(ExitCode.Done);
    }

    /// <summary>Runs the agent until SIGTERM: for this computer's boards, or for virtual ones.</summary>
    public async Task<int> AgentAsync()
    {
        using var over = new CancellationTokenSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT, over.Cancel);
        using var terminate = OnSignal(PosixSignal.SIGTERM, over.Cancel);
        var settings = AgentSettings.Read(data!.Settings);
        log.Level = settings.LogLevel;
        await printer.FreePortsAsync();
        await new FlashAgent(printer, data!, settings, log).RunAsync(() => output.Say($"The agent works for {data!.Root} until Ctrl-C."), over.Token);
        return ExitCode.Done;
    }

    /// <summary>Asks the running agent for something that only it knows.</summary>
    /// <exception cref="FlashException">There is none.</exception>
    public async Task<int> AskAsync(string method, Dictionary<string, object?>? arguments, Action<JsonAnswer> show)
    {
        using var agent = AgentBoards.TryOpen(data ?? DataFolder.Default) ?? throw AgentFaults.NoAgent((data ?? DataFolder.Default).Root);
        show(await agent.AskAsync(method, arguments));
        return ExitCode.Done;
    }

    public Task<int> StatusAsync() => AskAsync("status", null, answer =>
    {
        output.Say($"ratos-flash {answer.Version}; Klipper: {answer.Klippy}{(answer.Message is { Length: > 0 } message ? $" - {message}" : "")}");
        if (answer.Taken is { Length: > 0 } taken)
            output.Say($"Another program has registered {string.Join(", ", taken)}: those macros do not reach this agent.");
        output.Jobs(answer.Jobs ?? []);
        if (answer.Jobs is not { Length: > 0 })
            output.Say("No flash is at work.");
    });

    public Task<int> HistoryAsync() => AskAsync("history", null, answer =>
    {
        output.Jobs(answer.Jobs ?? []);
        if (answer.Jobs is not { Length: > 0 })
            output.Say("Nothing was flashed yet.");
    });

    public Task<int> CancelAsync(string? job) => AskAsync("cancel", job is null ? null : new() { ["job"] = job }, answer =>
        output.Say(answer.Jobs is { Length: > 0 } jobs ? $"Cancelling {string.Join(", ", jobs.Select(job => job.Job))}; a write that has begun is finished first." : "No flash is at work."));

    /// <summary>Shows what the agent does, until Ctrl-C.</summary>
    public async Task<int> WatchAsync()
    {
        using var agent = AgentBoards.TryOpen(data ?? DataFolder.Default) ?? throw AgentFaults.NoAgent((data ?? DataFolder.Default).Root);
        using var over = new CancellationTokenSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT, over.Cancel);
        using var terminate = OnSignal(PosixSignal.SIGTERM, over.Cancel);
        try
        {
            await agent.WatchAsync(output.Event, over.Token);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // That was asked for.
        }
        return ExitCode.Done;
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

    public Task<int> ListScenariosAsync()
    {
        output.Scenarios(VirtualPrinter.Scenarios);
        return Task.FromResult(ExitCode.Done);
    }

    public Task<int> ResetAsync()
    {
        printer.Reset();
        output.Say($"{printer.Description} is back at its beginning.");
        return Task.FromResult(ExitCode.Done);
    }

    /// <summary>Runs the whole virtual printer, Moonraker and agent and all, until Ctrl-C or SIGTERM.</summary>
    public async Task<int> VirtualAsync(int port, bool withAgent)
    {
        using var over = new CancellationTokenSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT, over.Cancel);
        using var terminate = OnSignal(PosixSignal.SIGTERM, over.Cancel);
        Directory.CreateDirectory(Path.GetDirectoryName(data!.Moonraker)!);
        try
        {
            await using var moonraker = printer.OpenMoonraker(new MoonrakerSetup { UnixSocket = data.Moonraker, Port = port, HostMcuFolder = data.HostMcu });
            if (withAgent)
            {
                await new FlashAgent(printer, data, AgentSettings.Read(data.Settings), log).RunAsync(() => Tell(moonraker.Port), over.Token);
                return ExitCode.Done;
            }
            Tell(moonraker.Port);
            await Task.Delay(Timeout.InfiniteTimeSpan, printer.Time, over.Token).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
        finally
        {
            printer.Save();
        }
        return ExitCode.Done;

        void Tell(int port)
        {
            output.Say($"{printer.Description}: Moonraker at http://127.0.0.1:{port} and {data.Moonraker}, until Ctrl-C.");
            output.Say($"A macro:   curl -d '{{\"script\":\"FLASH_MCU BOARD={BoardNames()[0]}\"}}' -H 'Content-Type: application/json' http://127.0.0.1:{port}/printer/gcode/script");
            output.Say(withAgent ? $"Its agent: ratos-flash watch --data {data.Root}" : $"An agent:  ratos-flash agent --data {data.Root}");
        }
    }

    private List<string> BoardNames() => [.. new KnownMcus(printer, [], null, log).Look().All.Select(mcu => mcu.Name)];

    /// <summary>Serves the boards by USB/IP until Ctrl-C or SIGTERM.</summary>
    public async Task<int> ServeAsync(int port, bool attach)
    {
        using var over = new CancellationTokenSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT, over.Cancel);
        using var terminate = OnSignal(PosixSignal.SIGTERM, over.Cancel);
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
                + $"`sudo modprobe vhci-hcd`, `sudo usbip{tcp} attach -r HOST -b {printer.Facts.Ports.GetValueOrDefault("mcu")}`.");
        }
    }

    /// <summary>Serves the boards' serial lines until somebody ends it.</summary>
    public async Task<int> VirtualPtyAsync(string folder)
    {
        var ended = new TaskCompletionSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT, () => ended.TrySetResult());
        using var terminate = OnSignal(PosixSignal.SIGTERM, () => ended.TrySetResult());
        using (var ptys = printer.OpenPtys(folder))
        {
            foreach (var (board, link, terminal) in ptys.Ports)
                output.Say($"{board}: {link} -> {terminal}");
            output.Say($"{printer.Description} is connected until Ctrl-C.");
            await ended.Task;
        }
        printer.Save();
        return ExitCode.Done;
    }

    /// <summary>
    /// The boards by way of the agent where one runs. Without one, this process works on them itself: through Moonraker, or, where that is down as well, as long as
    /// nobody else has their ports.
    /// </summary>
    private async Task<int> WithBoardsAsync(bool noKlipper, bool isFlash, Func<BoardService, Task<int>> work)
    {
        if (data is null)
            return await work(new LocalBoards(printer, new KnownMcus(printer, [], null, log), _ => noKlipper ? new NoKlippy() : printer.Klippy, log));
        if (!noKlipper && AgentBoards.TryOpen(data) is { } agent)
        {
            using (agent)
                return await work(agent);
        }
        if (!Directory.Exists(data.Root))
        {
            // A computer without a printer of its own: boards on a bench.
            return await work(new LocalBoards(printer, new KnownMcus(printer, [], null, log), static _ => new NoKlippy(), log) { BeforeFlash = noKlipper ? null : printer.CheckAlone });
        }
        using var over = new CancellationTokenSource();
        var settings = AgentSettings.Read(data.Settings);
        var moonraker = new MoonrakerConnection(new(data.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, log);
        var line = !noKlipper && File.Exists(data.Moonraker) ? moonraker.RunAsync(over.Token) : Task.CompletedTask;
        try
        {
            var isUp = !line.IsCompleted && await moonraker.WaitConnectedAsync(MoonrakerLimit, CancellationToken.None);
            // One that is down has refused by now; one that says nothing may be about to start a print.
            if (!isUp && !line.IsCompleted && isFlash && !moonraker.IsRefused)
                throw PrinterFaults.MoonrakerGone(moonraker.Place.ToString(), $"no answer within {MoonrakerLimit.TotalSeconds:0} s");
            if (isUp)
                await printer.FreePortsAsync();
            MoonrakerKlippy Asked(FlashOptions? options, Action<string, bool>? journal) => new(moonraker, printer.Time) { Options = options, Journal = journal, Service = settings.KlipperService };
            IKlippy Klippy(FlashOptions? options, Action<string, bool>? journal) => isUp ? Asked(options, journal) : noKlipper ? new NoKlippy() : printer.Klippy;
            var mcus = new KnownMcus(printer, settings.Boards, data, log);
            var local = new LocalBoards(printer, mcus, options => Klippy(options, null), log)
            {
                Data = data,
                KlipperPath = printer.KlipperSources(settings),
                HostMcu = isUp ? new MoonrakerHostMcu(moonraker, data.HostMcu, printer.Time) : printer.HostMcu,
                Refresh = isUp ? () => mcus.RefreshAsync(Asked(null, null)) : null,
                SwitchPower = isUp ? MoonrakerPower.Of(moonraker) : null,
                PowerDevices = settings.PowerDevices,
                Rollback = settings.Rollback,
                BeforeFlash = isUp || noKlipper ? null : printer.CheckAlone,
            };
            return await work(isFlash ? new LoneBoards(local, data, (job, journal) => Klippy(job.Options, journal), printer.Time, log) : local);
        }
        finally
        {
            await over.CancelAsync();
            await line;
        }
    }

    private PosixSignalRegistration OnSignal(PosixSignal signal, Action stop) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;   // a half-written board is worse than a late exit
        printer.Post(stop);
    });

    /// <summary>The printer's boards while no agent runs: locked and journalled all the same.</summary>
    private sealed class LoneBoards(LocalBoards local, DataFolder data, Func<Job, Action<string, bool>, IKlippy> klippy, TimeProvider time, LogFile log) : BoardService
    {
        public override string Description => local.Description;

        public override Task<IReadOnlyList<JsonBoard>> ListAsync() => local.ListAsync();

        public override Task<PlanView> PlanAsync(FlashOptions options) => local.PlanAsync(options);

        public override async Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel)
        {
            using var held = data.Lock();
            using var over = new CancellationTokenSource();
            using var recorder = new CallRecorder(time, log.Say);
            var queue = new FlashQueue(local, data.Jobs, klippy, token => Task.Delay(Timeout.InfiniteTimeSpan, time, token), log) { Recorder = recorder };
            var job = new Job(JobOrigin.CommandLine, options, await local.RequestAsync(options), time);
            job.Happened += tell;
            using var stop = cancel.Register(job.Cancel.Cancel);
            queue.Add(job);
            var work = queue.RunAsync(over.Token);
            var report = await job.Done;
            await over.CancelAsync();
            await work;
            return report;
        }
    }
}

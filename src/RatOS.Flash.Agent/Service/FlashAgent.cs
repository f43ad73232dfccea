using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// The running agent of one printer. Macros, buttons, menus, HTTP, the command line and updates lead to one queue. It shares a small
/// computer with Klipper: without work it does nothing, and it polls only while Klipper is in error.
/// </summary>
internal sealed class FlashAgent : IDisposable
{
    private static readonly TimeSpan IdlePoll = TimeSpan.FromMinutes(1);
    private static readonly string Folder = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);

    private readonly PrinterAccess _printer;
    private readonly DataFolder _data;
    private readonly LogFile _log;
    private readonly CallRecorder _recorder;
    private readonly MoonrakerConnection _moonraker;
    private readonly Notifier _notifier;
    private readonly FlashQueue _queue;
    private readonly AgentApi _api;            // for Moonraker's clients: browsers and screens
    private readonly AgentApi _commandLine;    // for our own socket
    private readonly UpdateFollowUp _update;
    private readonly UpdateForecast _forecast;
    private readonly OpenQuestions _questions;
    private readonly KlipperWatch _watch;

    public FlashAgent(PrinterAccess printer, DataFolder data, AgentSettings settings, LogFile log)
    {
        (_printer, _data, _log) = (printer, data, log);
        foreach (var fault in settings.Faults)
            log.Fault(fault);
        _recorder = new CallRecorder(printer.Time, log.Say);
        _moonraker = new MoonrakerConnection(new(data.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, log)
        {
            Connected = async () =>
            {
                await _notifier!.ConnectedAsync();
                _update!.Reconnected();
                foreach (var job in _queue!.Open.Where(job => job.State == JobState.Running))
                    Hold(job);
                TellOfSettings(settings.Faults);
                TellOfOldFiles();
            },
            GcodeResponse = line => _api!.OnConsole(line),
            Recorder = _recorder,
        };
        var buttons = new PromptButtons(data.Buttons, log);
        _notifier = new Notifier(_moonraker, buttons, printer.Time, log);
        var mcus = new KnownMcus(printer, settings.Boards, data, log) { KlipperPath = printer.KlipperSources(settings) };
        var klipper = new KlipperAccess(_moonraker, mcus, settings.KlipperService, printer.FindFlasher, printer.Time);
        var boards = new LocalBoards(printer, mcus, klipper.Klippy, log)
        {
            Data = data,
            KlipperPath = printer.KlipperSources(settings),
            HostMcu = new MoonrakerHostMcu(_moonraker, data, printer.Time),
            Probes = printer.Probes(settings),
            Refresh = klipper.RefreshAsync,
            LookAtKlippy = klipper.LookAsync,
            SwitchPower = MoonrakerPower.Of(_moonraker),
            PowerDevices = settings.PowerDevices,
            Rollback = settings.Rollback,
            Earlier = board => Journal.Earlier(data.Jobs, board),
        };
        _queue = new FlashQueue(
            boards, data.Jobs, klipper.KlippyFor, cancel => _moonraker.NextChange.WaitUpToAsync(IdlePoll, printer.Time, cancel), log)
        {
            Recorder = _recorder,
        };
        _queue.Added += OnAdded;
        _queue.Ended += OnEnded;
        _questions = new OpenQuestions(_notifier);
        _update = new UpdateFollowUp(
            klipper, mcus, boards, _queue, settings, _notifier, printer.Time, new(data.UpdateNotice, log), log);
        _forecast = new UpdateForecast(
            _moonraker, klipper, mcus, boards, _queue, _update, settings.Policy, _notifier, new(data.OfferNotice, log), printer.Time, log);
        _watch = new KlipperWatch(_moonraker, klipper, _queue, _update, _forecast, _questions, _notifier, printer.Time, log);
        var bundles = new BundleWriter(printer, data, _moonraker);
        var looks = new SharedLooks(printer, data, _moonraker, boards, log);
        var flashQuestions = new FlashQuestions(_notifier);
        AgentApi ApiFor(FrontEnd frontEnd) =>
            new(frontEnd, printer, data, _moonraker, klipper, boards, looks, _queue, _forecast, _notifier, flashQuestions, buttons, bundles,
                log);
        (_api, _commandLine) = (ApiFor(FrontEnd.Browser), ApiFor(FrontEnd.CommandLine));
        _moonraker.Api = _api;
    }

    /// <summary>Works until it is cancelled; a write that has begun is finished first.</summary>
    /// <param name="ready">Called when the agent's own socket is open.</param>
    /// <param name="over">The proper end.</param>
    /// <exception cref="FlashException">Another agent has this printer, or its folder cannot be written.</exception>
    public async Task RunAsync(Action ready, CancellationToken over)
    {
        using var held = _data.Lock();
        using var socket = new AgentSocket(_data.Socket, _printer.Time, _log);
        using var last = new CancellationTokenSource();
        using var between = LogFile.Ring(_data.Between);
        _recorder.BetweenJobs = between.Say;
        _watch.ReadJournals(_data.Jobs);
        WatchBuses();
        using var closing = CancellationTokenSource.CreateLinkedTokenSource(over);
        var queue = _queue.RunAsync(closing.Token);
        Task[] loops =
        [
            _moonraker.RunAsync(last.Token), _notifier.RunAsync(last.Token), socket.RunAsync(_commandLine, _queue, last.Token),
            _watch.RunAsync(last.Token), Systemd.KeepAliveAsync(_printer.Time, last.Token),
        ];
        using var stopping = over.Register(() => Systemd.Notify("STOPPING=1"));
        Systemd.Notify("READY=1");
        _log.Say($"ratos-flash {Product.Version} works for {_data.Root}.");
        ready();
        if (LastVersion.IsNew(Folder, _data.LastVersion))
            _ = KeepVersionAsync();
        try
        {
            // A loop that ends by itself has met a bug. The queue finishes its write, then systemd restarts the agent.
            var first = await Task.WhenAny([queue, .. loops]);
            await closing.CancelAsync();
            await queue;
            await _notifier.FlushAsync();
            await first;
        }
        finally
        {
            await last.CancelAsync();
            await Task.WhenAll(loops).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
    }

    /// <summary>Notes between jobs which board left the bus and when.</summary>
    private void WatchBuses()
    {
        try
        {
            _recorder.Record(_printer.Hardware);
        }
        catch (FlashException fault)
        {
            _log.Fault(fault);   // a request that uses the buses reports it again
        }
    }

    private void OnAdded(Job job)
    {
        // Any flash answers an open question, which would lie above the dialog. A button has closed its own.
        if ((_update.IsOpen || _questions.IsOpen) && job.By != JobOrigin.Prompt)
            _notifier.PromptEndIfOpen();
        _questions.Clear();
        _notifier.Follow(job);
        job.Became += () => Hold(job);
    }

    /// <summary>
    /// Lets no update of Moonraker's begin beside a job that is running: it would start Klipper. Moonraker forgets it with the connection.
    /// </summary>
    private void Hold(Job job) => _ = _moonraker.TryCallAsync(
        "server.ratos_flash.hold", new() { ["job"] = job.Id, ["hold"] = job.State == JobState.Running });

    /// <summary>Again with each connection: Moonraker and the browsers may have missed it.</summary>
    private void TellOfSettings(IEnumerable<FlashException> faults)
    {
        foreach (var fault in faults)
        {
            var words = $"{fault.Cause} This section is left out. {fault.Remedy.In(FrontEnd.Browser)}";
            _notifier.Console($"!! RatOS.Flash: {words} [{fault.Code}]");
            _notifier.Announce(words);
        }
    }

    /// <summary>After an update by Moonraker, which replaces the program's folder alone.</summary>
    private void TellOfOldFiles()
    {
        var files = File.Exists(Path.Combine(Folder, "install.sh")) ? new InstalledFiles("", Folder, _data).FindOld() : [];
        if (files.Length == 0)
            return;
        var finding = DoctorFindings.InstallationOld(files, Path.Combine(Folder, "install.sh"));
        var words = $"{finding.Text} {finding.Remedy.In(FrontEnd.Browser)}";
        _log.Say(words);
        _notifier.Console($"// RatOS.Flash {Product.Version}: {words}");
    }

    private async Task KeepVersionAsync()
    {
        // Some 25 MB, once for each version. The thread of the agent may be writing a board.
        _log.Say(await Task.Run(() => LastVersion.Keep(Folder, _data.LastVersion)));
    }

    public void Dispose() => _recorder.Dispose();

    private void OnEnded(Job job)
    {
        Hold(job);
        _notifier.End(job, job.Report!);
        _notifier.Keep(_api.History());
        _questions.Add(job);
        _moonraker.Wake();
    }
}

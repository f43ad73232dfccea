using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// The running agent of one printer: every door - macro, button, menu, HTTP, command line, update - leads to one queue. It lives beside a Klipper that has little time to
/// spare: nothing here polls, and with nothing to do nothing happens.
/// </summary>
internal sealed partial class FlashAgent
{
    // Nobody announces that Klipper ended in an error (facts: life cycle). It does so within seconds of a start, for which somebody waits; later only a person mends it.
    private static readonly TimeSpan SoonPoll = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ErrorPoll = TimeSpan.FromMinutes(1);
    private const int SoonPolls = 30;

    // KlipperScreen looks for an error every five seconds and from then on hears no console: a question that it hears before could not be closed there by anything.
    private static readonly TimeSpan KnownToScreens = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan IdlePoll = TimeSpan.FromMinutes(1);
    private const int HistoryShown = 20;
    private const string Macro = "gcode_macro _RATOS_FLASH";

    private readonly PrinterAccess _printer;
    private readonly DataFolder _data;
    private readonly LogFile _log;
    private readonly string? _service;
    private readonly MoonrakerConnection _moonraker;
    private readonly KnownMcus _mcus;
    private readonly LocalBoards _boards;
    private readonly FlashQueue _queue;
    private readonly CallRecorder _recorder;
    private readonly Notifier _notifier;
    private readonly AfterUpdate _after;
    private readonly List<JournalRecord> _unstarted = [];   // jobs that stopped Klipper and did not live to start it
    private readonly List<string> _interrupted = [];          // what people have to hear of them
    private bool _owesStart;
    private bool _hasMacro;
    private int _asked = -1;   // the epoch in which Klipper was asked for its boards

    public FlashAgent(PrinterAccess printer, DataFolder data, AgentSettings settings, LogFile log)
    {
        (_printer, _data, _log, _service) = (printer, data, log, settings.KlipperService);
        _recorder = NewRecorder(printer, log);
        _moonraker = new MoonrakerConnection(new(data.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, log)
        {
            Api = new Door(this, FrontEnd.Browser),
            Connected = () => _notifier!.ConnectedAsync(),
            GcodeResponse = OnConsole,
            Recorder = _recorder,
        };
        _mcus = new KnownMcus(printer, settings.Boards, data, log);
        _boards = new LocalBoards(printer, _mcus, options => Klippy(options), log)
        {
            Data = data,
            KlipperPath = printer.KlipperSources(settings),
            HostMcu = new MoonrakerHostMcu(_moonraker, data.HostMcu, printer.Time),
            Refresh = RefreshAsync,
            SwitchPower = MoonrakerPower.Of(_moonraker),
            PowerDevices = settings.PowerDevices,
            Rollback = settings.Rollback,
        };
        _notifier = new Notifier(_moonraker, printer.Time, log);
        _queue = new FlashQueue(_boards, data.Jobs, KlippyFor, cancel => _moonraker.NextChange.WaitUpToAsync(IdlePoll, printer.Time, cancel), log) { Recorder = _recorder };
        _queue.Added += job =>
        {
            // Whoever flashes has answered the question, by whichever door; it would lie above the dialog.
            if ((_after!.IsTold || _offered.Count > 0) && job.By != JobOrigin.Prompt)
                _notifier.PromptEnd();
            _offered.Clear();
            _notifier.Follow(job);
        };
        _queue.Ended += OnEnded;
        _after = new AfterUpdate(Klippy(), settings, _notifier, NeedsAsync, FlashAfterUpdateAsync, data.Told, log);
    }

    /// <summary>Works until it is cancelled; a write that has begun is finished first.</summary>
    /// <param name="ready">Called when every door but Moonraker's is open.</param>
    /// <param name="over">The proper end.</param>
    /// <exception cref="FlashException">Another agent has this printer, or its folder cannot be written.</exception>
    public async Task RunAsync(Action ready, CancellationToken over)
    {
        using var held = _data.Lock();
        using var socket = new AgentSocket(_data.Socket);
        using var last = new CancellationTokenSource();
        using var between = LogFile.Ring(_data.Between);
        _recorder.BetweenJobs = between.Say;
        ReadJournals();
        WatchBuses();
        using var closing = CancellationTokenSource.CreateLinkedTokenSource(over);
        var queue = _queue.RunAsync(closing.Token);
        Task[] loops =
        [
            _moonraker.RunAsync(last.Token), _notifier.RunAsync(last.Token), socket.RunAsync(new Door(this, FrontEnd.CommandLine), _queue, last.Token), WatchAsync(last.Token), Systemd.KeepAliveAsync(_printer.Time, last.Token),
        ];
        using var stopping = over.Register(() => Systemd.Notify("STOPPING=1"));
        Systemd.Notify("READY=1");
        _log.Say($"ratos-flash {Product.Version} works for {_data.Root}.");
        ready();
        try
        {
            // None of the loops ends by itself: one that does has met a mistake of ours, and systemd starts us anew - when the write is over.
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

    // ---- work

    private async Task<JsonAnswer> EnqueueAsync(JsonElement arguments, string by, bool isRecovery = false)
    {
        var options = FlashArguments.Parse(arguments, _data.Firmware, by);
        if (isRecovery)
            options = options with { Job = FlashJob.Recover };
        // Klipper answers at its next quarter of a second: what it said when it became ready is good until it restarts.
        if (_asked != _moonraker.Epoch)
            await RefreshAsync();
        var requests = await _boards.RequestAsync(options);
        // The command line asks at its terminal; a macro cannot.
        if (!options.AcceptsWarnings && !isRecovery && _boards.Plan(requests).Boards.Any(board => board.NeedsConsent))
            throw FlashFaults.ConsentMissing();
        var job = new Job(FlashArguments.OriginOf(arguments, by), options, requests, _printer.Time);
        var added = _queue.Add(job);
        return new JsonAnswer(true) { Job = added.Id, Joined = added != job };
    }

    /// <summary>Asks Klipper for its boards; null when it could not be asked.</summary>
    private async Task<McuFacts?> RefreshAsync()
    {
        var epoch = _moonraker.Epoch;
        var facts = await _mcus.RefreshAsync(Klippy());
        _asked = epoch;
        return facts;
    }

    /// <summary>By section, what the boards of the configuration need.</summary>
    private async Task<IReadOnlyDictionary<string, FirmwareNeed>> NeedsAsync()
    {
        var boards = _mcus.Look().All.ToList();
        var needs = await _boards.Firmware.NeedsAsync(boards, null);
        return boards.ToDictionary(mcu => mcu.Section!, mcu => needs[mcu.Name], StringComparer.OrdinalIgnoreCase);
    }

    private async Task<bool> FlashAfterUpdateAsync(FlashNeed need, bool isAlways, bool whenIdle)
    {
        try
        {
            // An image of another version would only be the same need once more; what is built is of Klipper's own.
            var options = new FlashOptions([FlashOptions.All]) { IncludesUpToDate = isAlways, WhenIdle = whenIdle };
            var requests = (await _boards.RequestAsync(options))
                .Where(request => request.SkipReason is null && (request.Image is null ? _boards.KlipperPath is not null : request.Image.Version == need.Host)
                    && (isAlways || request.Board.RunningVersion != need.Host)).ToList();
            if (requests.Count == 0)
                return false;
            _queue.Add(new Job(JobOrigin.Update, options, requests, _printer.Time));
            return true;
        }
        catch (FlashException fault)
        {
            _log.Fault(fault);
            return false;
        }
    }

    private List<string> Cancelled(string? id)
    {
        var jobs = _queue.Open.Where(job => id is null || job.Id == id).ToList();
        jobs.ForEach(job => job.Cancel.Cancel());
        return jobs.ConvertAll(job => job.Id);
    }

    private void OnEnded(Job job)
    {
        _notifier.End(job, job.Report!);
        _notifier.Keep(History(HistoryShown));
        Offer(job);
        _moonraker.Wake();
    }

    /// <summary>A button of a prompt, or whoever else can write to the console: the same as any request.</summary>
    private void OnConsole(string line)
    {
        if (!line.StartsWith(AfterUpdate.Action, StringComparison.Ordinal))
            return;
        _notifier.PromptEnd();
        var words = line[AfterUpdate.Action.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var arguments = new System.Text.Json.Nodes.JsonObject();
        foreach (var pair in words.Skip(1).Select(word => word.Split('=', 2)).Where(pair => pair.Length == 2))
            arguments[pair[0].ToLowerInvariant()] = pair[1];
        _ = TellAsync(() => words.FirstOrDefault() switch
        {
            "flash" => EnqueueAsync(JsonSerializer.SerializeToElement(arguments, RpcShapes.Default.JsonObject), JobOrigin.Prompt),
            "cancel" => Task.FromResult(new JsonAnswer(Cancelled((string?)arguments["job"]).Count >= 0)),
            "later" => Task.FromResult(new JsonAnswer(true)),
            _ => throw AgentFaults.BadRequest($"'{Text.Clean(line)}' asks for nothing that there is"),
        });
    }

    // ---- the printer

    private MoonrakerKlippy Klippy(FlashOptions? options = null, Action<string, bool>? journal = null) => new(_moonraker, _printer.Time) { Options = options, Journal = journal, Service = _service };

    private MoonrakerKlippy KlippyFor(Job job, Action<string, bool> journal) => Klippy(job.Options, (service, isStarted) =>
    {
        _owesStart = !isStarted;
        journal(service, isStarted);
    });

    /// <summary>What a predecessor left: jobs that never ended, and a Klipper that it stopped.</summary>
    private void ReadJournals()
    {
        foreach (var record in Journal.ReadAll(_data.Jobs))
        {
            if (record.Result is null)
            {
                var report = record.Interrupted();
                record.End(JsonResult.Of(report), _log);
                foreach (var board in report.Boards.Where(board => board.Fault is not null))
                    _log.Say($"Job {record.Header.Job} was interrupted. {board.Board}: {Text.Condition(board)}");
                _interrupted.AddRange(ResultText.Of(report, FrontEnd.Browser).Select(line => line.Text.Trim()));
            }
            if (record.Stopped is not null)
                _unstarted.Add(record);
        }
        _owesStart = _unstarted.Count > 0;
    }

    /// <summary>Each time the line comes up or Klipper becomes ready: macros are told that we live, a Klipper that we owe is started, versions are compared.</summary>
    private async Task WatchAsync(CancellationToken over)
    {
        var (seen, soon) = (-1, SoonPolls);
        long? inError = null;
        while (!over.IsCancellationRequested)
        {
            var change = _moonraker.NextChange;
            var isTroubled = false;
            if (_moonraker.IsConnected && _queue.IsAtRest)
            {
                try
                {
                    if (_owesStart)
                        await StartOwedAsync();
                    var state = (await _moonraker.CallAsync("server.info", cancel: over)).Word("klippy_state");
                    isTroubled = state is not "ready";
                    inError = state is "error" or "shutdown" ? inError ?? _printer.Time.GetTimestamp() : null;
                    if (state == "ready" ? seen != _moonraker.Epoch || MustAsk : inError is { } since && _printer.Time.GetElapsedTime(since) >= KnownToScreens)
                    {
                        if (!isTroubled)
                            await GreetAsync();
                        var epoch = _moonraker.Epoch;
                        var facts = await RefreshAsync();
                        foreach (var line in _interrupted)
                            _notifier.Console($"!! RatOS.Flash: {line}");
                        _interrupted.Clear();
                        if (facts is not null && await _after.LookAsync(facts))
                        {
                            seen = epoch;
                            AskBack();
                            // A printer's whole configuration went through here: its memory is given back, once for each start of Klipper.
                            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                        }
                        else
                            isTroubled = true;   // Klipper is not to be asked, or an update runs: its end is announced, but not by every kind of end
                    }
                }
                catch (Exception fault) when (fault is FlashException or MoonrakerException)
                {
                    _log.Say(fault.Message);
                    isTroubled = true;
                }
            }
            try
            {
                soon = await change.WaitUpToAsync(!isTroubled ? Timeout.InfiniteTimeSpan : soon > 0 ? SoonPoll : ErrorPoll, _printer.Time, over) ? SoonPolls : soon - 1;
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task StartOwedAsync()
    {
        _log.Say("Klipper was stopped for a flash that is over: starting it.");
        await Klippy().StartAsync();
        _owesStart = false;
        foreach (var record in _unstarted)
            record.Started(_log);
        _unstarted.Clear();
    }

    /// <summary>Klipper is ready: it forgot our variable, and our subscription.</summary>
    private async Task GreetAsync()
    {
        await _moonraker.CallAsync("printer.objects.subscribe", new()
        {
            ["objects"] = new System.Text.Json.Nodes.JsonObject { ["print_stats"] = new System.Text.Json.Nodes.JsonArray("state"), ["idle_timeout"] = new System.Text.Json.Nodes.JsonArray("state") },
        });
        _hasMacro = (await _moonraker.CallAsync("printer.objects.list")).Items("objects").Any(name => name.ValueKind == JsonValueKind.String && name.GetString() == Macro);
        if (_hasMacro)
            await _moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = "SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=alive VALUE=1" });
    }

    /// <summary>The macro that called complains after a while unless it hears this. It is said when the macro has ended.</summary>
    private void Acknowledge()
    {
        if (_hasMacro)
            _notifier.Script("SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=asked VALUE=0");
    }
}

using System.Text.Json;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent;

/// <summary>
/// The running agent of one printer: every door - macro, button, menu, HTTP, command line, update - leads to one queue. It lives beside a Klipper that has little time to
/// spare: nothing here polls, and with nothing to do nothing happens.
/// </summary>
internal sealed class FlashAgent : IDoors
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

    private readonly Printer _printer;
    private readonly DataFolder _data;
    private readonly LogFile _log;
    private readonly string? _service;
    private readonly MoonrakerConnection _moonraker;
    private readonly LocalBoards _boards;
    private readonly FlashQueue _queue;
    private readonly News _news;
    private readonly AfterUpdate _after;
    private readonly List<JournalRecord> _unstarted = [];   // jobs that stopped Klipper and did not live to start it
    private readonly List<string> _interrupted = [];          // what people have to hear of them
    private bool _owesStart;
    private bool _hasMacro;

    public FlashAgent(Printer printer, DataFolder data, Settings settings, LogFile log)
    {
        (_printer, _data, _log, _service) = (printer, data, log, settings.KlipperService);
        _moonraker = new MoonrakerConnection(new(data.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, log)
        {
            Doors = this,
            Connected = () => _news!.ConnectedAsync(),
            GcodeResponse = OnConsole,
        };
        _boards = new LocalBoards(printer, hot => Klippy(hot)) { FirmwareFolder = data.Firmware, BuildFolder = data.Builds, KlipperPath = printer.KlipperSources(settings), SwitchPower = MoonrakerPower.Of(_moonraker), PowerDevices = settings.PowerDevices };
        _news = new News(_moonraker, printer.Time, log);
        _queue = new FlashQueue(_boards, data.Jobs, KlippyFor, cancel => _moonraker.NextChange.WaitUpToAsync(IdlePoll, printer.Time, cancel), log);
        _queue.Added += job =>
        {
            // Whoever flashes has answered the question, by whichever door; it would lie above the dialog.
            if (_after!.IsTold && job.By != "prompt")
                _news.PromptEnd();
            _news.Follow(job);
        };
        _queue.Ended += OnEnded;
        _after = new AfterUpdate(Klippy(), settings, _news, FlashAfterUpdate, data.Told, log);
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
        ReadJournals();
        using var closing = CancellationTokenSource.CreateLinkedTokenSource(over);
        var queue = _queue.RunAsync(closing.Token);
        Task[] loops =
        [
            _moonraker.RunAsync(last.Token), _news.RunAsync(last.Token), socket.RunAsync(this, _queue, last.Token), WatchAsync(last.Token), Systemd.KeepAliveAsync(_printer.Time, last.Token),
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
            await _news.FlushAsync();
            await first;
        }
        finally
        {
            await last.CancelAsync();
            await Task.WhenAll(loops).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
    }

    // ---- doors

    public Task MacroFlashAsync(JsonElement arguments)
    {
        Acknowledge();
        return TellAsync(() => Enqueue(arguments, "macro"));
    }

    public async Task MacroStatusAsync(JsonElement arguments)
    {
        Acknowledge();
        foreach (var line in _queue.Open.Select(job => job.View()).DefaultIfEmpty(Last()).OfType<JsonJob>().SelectMany(JobText.Of))
            _news.Console($"// RatOS.Flash: {line.Text.Trim()}");
        foreach (var row in await _boards.ListAsync())
            _news.Console($"// RatOS.Flash: {row.Board ?? "-"} {row.Description} {row.State}");
    }

    public Task MacroCancelAsync(JsonElement arguments)
    {
        Acknowledge();
        _news.Console($"// RatOS.Flash: {(Cancelled(null) is { Count: > 0 } ids ? $"cancelling {string.Join(", ", ids)}; a write that has begun is finished first" : "nothing to cancel")}");
        return Task.CompletedTask;
    }

    public Task<JsonElement> FlashAsync(JsonElement arguments) => Wired(() => Task.FromResult(Enqueue(arguments, "request")));

    public Task<JsonElement> RecoverAsync(JsonElement arguments) => Wired(() => Task.FromResult(Enqueue(arguments, "request", recover: true)));

    public Task<JsonElement> PlanAsync(JsonElement arguments) => Wired(async () =>
    {
        var plan = await _boards.PlanAsync(Arguments.Parse(arguments, _data.Firmware));
        return new JsonAnswer(true) { Plan = plan.Boards, Findings = plan.Findings };
    });

    public Task<JsonElement> BoardsAsync(JsonElement arguments) => Wired(async () => new JsonAnswer(true) { Boards = [.. await _boards.ListAsync()] });

    public Task<JsonElement> StatusAsync(JsonElement arguments) => Wired(async () =>
    {
        var klippy = await Klippy().LookAsync(CancellationToken.None);
        return new JsonAnswer(true)
        {
            Version = Product.Version,
            Klippy = Wire.Name(klippy.Activity),
            Message = klippy.Blocker?.Cause ?? klippy.Message,
            Jobs = [.. _queue.Open.Select(job => job.View())],
            Taken = _moonraker.Taken.Count == 0 ? null : [.. _moonraker.Taken],
        };
    });

    public Task<JsonElement> JobAsync(JsonElement arguments) => Wired(() =>
    {
        var id = arguments.Word("job") ?? throw Faults.BadRequest("it names no job");
        var job = _queue.Find(id)?.View() ?? Journal.ReadAll(_data.Jobs).LastOrDefault(record => record.Header.Job == id)?.View() ?? throw Faults.UnknownJob(Text.Clean(id));
        return Task.FromResult(new JsonAnswer(true) { Jobs = [job] });
    });

    public Task<JsonElement> CancelAsync(JsonElement arguments) => Wired(() =>
    {
        var id = arguments.Word("job");
        var ids = Cancelled(id);
        return ids.Count == 0 && id is not null ? throw Faults.UnknownJob(Text.Clean(id)) : Task.FromResult(new JsonAnswer(true) { Jobs = [.. _queue.Open.Where(job => ids.Contains(job.Id)).Select(job => job.View())] });
    });

    public Task<JsonElement> HistoryAsync(JsonElement arguments) => Wired(() => Task.FromResult(new JsonAnswer(true)
    {
        Jobs = History((int)Math.Clamp(arguments.Number("limit") ?? HistoryShown, 1, 100)),
    }));

    // ---- work

    private JsonAnswer Enqueue(JsonElement arguments, string by, bool recover = false)
    {
        var asked = Arguments.Parse(arguments, _data.Firmware) with { Recover = recover };
        var requests = _boards.Request(asked);
        // What a command line asks a person, a macro must be told beforehand.
        if (!asked.Force && !recover && PlanView.Of(FlashPlan.Create(requests, _printer.Hardware.Look(), new(KlippyActivity.Ready))).Boards.Any(board => board.NeedsConsent))
            throw Faults.ConsentMissing();
        // Whoever pressed a button stands before the printer or its page; a program has to say so.
        var hasPerson = arguments.At("person") is null ? by is "macro" or "prompt" : asked.HasPerson;
        var job = new Job(arguments.Word("by") is ("command-line" or "screen") and { } door ? door : by, requests, _printer.Time) { Hot = asked.Hot, HasPerson = hasPerson, WhenIdle = arguments.Flag("when_idle") };
        var added = _queue.Add(job);
        return new JsonAnswer(true) { Job = added.Id, Joined = added != job };
    }

    private bool FlashAfterUpdate(FlashNeed need, bool whenIdle)
    {
        try
        {
            // An image of another version would only be the same need once more; what is built is of Klipper's own.
            var requests = _boards.Request(new Asked(["all"]))
                .Where(request => (request.Image is null ? _boards.KlipperPath is not null : request.Image.Version == need.Host) && request.Board.RunningVersion != need.Host).ToList();
            if (requests.Count == 0)
                return false;
            _queue.Add(new Job("update", requests, _printer.Time) { WhenIdle = whenIdle });
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
        _news.End(job, job.Report!);
        _news.Keep(History(HistoryShown));
        _moonraker.Wake();
    }

    /// <summary>A button of a prompt, or whoever else can write to the console: the same as any request.</summary>
    private void OnConsole(string line)
    {
        if (!line.StartsWith(AfterUpdate.Action, StringComparison.Ordinal))
            return;
        _news.PromptEnd();
        var words = line[AfterUpdate.Action.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var arguments = new System.Text.Json.Nodes.JsonObject();
        foreach (var pair in words.Skip(1).Select(word => word.Split('=', 2)).Where(pair => pair.Length == 2))
            arguments[pair[0].ToLowerInvariant()] = pair[1];
        _ = TellAsync(() => words.FirstOrDefault() switch
        {
            "flash" => Enqueue(JsonSerializer.SerializeToElement(arguments, RpcShapes.Default.JsonObject), "prompt"),
            "cancel" => new JsonAnswer(Cancelled((string?)arguments["job"]).Count >= 0),
            "later" => new JsonAnswer(true),
            _ => throw Faults.BadRequest($"'{Text.Clean(line)}' asks for nothing that there is"),
        });
    }

    // ---- the printer

    private MoonrakerKlippy Klippy(bool hot = false, Action<string, bool>? journal = null) => new(_moonraker, _printer.Time) { AllowsHot = hot, Journal = journal, Service = _service };

    private MoonrakerKlippy KlippyFor(Job job, Action<string, bool> journal) => Klippy(job.Hot, (service, isStarted) =>
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
                    _log.Say($"Job {record.Header.Job} was interrupted. {board.Board}: {Text.Condition(board.Condition)}");
                _interrupted.AddRange(ResultText.Of(report).Select(line => line.Text.Trim()));
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
                    if (state == "ready" ? seen != _moonraker.Epoch : inError is { } since && _printer.Time.GetElapsedTime(since) >= KnownToScreens)
                    {
                        if (!isTroubled)
                            await GreetAsync();
                        foreach (var line in _interrupted)
                            _news.Console($"!! RatOS.Flash: {line}");
                        _interrupted.Clear();
                        var epoch = _moonraker.Epoch;
                        if (await _after.LookAsync())
                            seen = epoch;
                        else
                            isTroubled = true;   // an update: its end is announced, but not by every kind of end
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
            _news.Script("SET_GCODE_VARIABLE MACRO=_RATOS_FLASH VARIABLE=asked VALUE=0");
    }

    private JsonJob[] History(int limit) => [.. Journal.ReadAll(_data.Jobs).Where(record => record.Result is not null).TakeLast(limit).Select(record => record.View())];

    private JsonJob? Last() => History(1).LastOrDefault();

    /// <summary>Does what nobody hears the answer of; that it failed is said on the console.</summary>
    private async Task TellAsync(Func<JsonAnswer> door)
    {
        if ((await AnswerAsync(() => Task.FromResult(door()))).Error is { } fault)
            _news.Console($"!! RatOS.Flash: {fault.Cause} {fault.Remedy} [{fault.Code}]");
    }

    private async Task<JsonElement> Wired(Func<Task<JsonAnswer>> door) => JsonSerializer.SerializeToElement(await AnswerAsync(door), Wire.Shapes.JsonAnswer);

    private async Task<JsonAnswer> AnswerAsync(Func<Task<JsonAnswer>> door)
    {
        try
        {
            return await door();
        }
        catch (FlashException fault)
        {
            _log.Fault(fault);
            return JsonAnswer.Of(fault);
        }
        catch (Exception bug)
        {
            _log.Bug(bug);
            return JsonAnswer.Of(Faults.Internal(bug));
        }
    }
}

using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Shows the steps of a job: in the dialog and the console of Mainsail, Fluidd and KlipperScreen by our component in Moonraker, in the
/// console only without it, and as agent events for programs. It never delays a flash: messages that cannot be sent are dropped.
/// </summary>
/// <param name="moonraker">The connection.</param>
/// <param name="buttons">The buttons of the prompt that is shown.</param>
/// <param name="time">The only clock.</param>
/// <param name="log">The log.</param>
internal sealed class Notifier(MoonrakerConnection moonraker, PromptButtons buttons, TimeProvider time, LogFile log)
{
    private const int MostNames = 3;
    private const int MostOfBottomLine = 32;   // characters

    // A wait for a bootloader takes up to 25 s.
    private static readonly TimeSpan BetweenWaits = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BetweenWaitsOfBuild = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan FlushLimit = TimeSpan.FromSeconds(3);

    private readonly Channel<Func<Task>> _outbox = Channel.CreateBounded<Func<Task>>(
        new BoundedChannelOptions(200) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    private bool _hasComponent;
    private Job? _shown;   // the last one that the dialog has shown

    private const int StandardPort = 7125;

    /// <summary>The address of the component's page; null where there is none.</summary>
    public string? Page { get; private set; }

    /// <summary>What a prompt's button prints to the console, before its verb and its token.</summary>
    public const string Action = "// action:ratos_flash ";

    /// <summary>Sends until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken over)
    {
        await foreach (var send in _outbox.Reader.ReadAllAsync(over))
        {
            try
            {
                await send();
            }
            catch (Exception bug) when (bug is not OperationCanceledException)
            {
                log.Bug(bug);   // the next message may be shown
            }
        }
    }

    /// <summary>Asks a new connection whether our component is loaded.</summary>
    public async Task ConnectedAsync()
    {
        try
        {
            var info = await moonraker.CallAsync("server.ratos_flash.info");
            _hasComponent = info.Number("api") is not null;
            Page = info.Flag("page") ? PageOf(await moonraker.CallAsync("server.config")) : null;
        }
        catch (MoonrakerException)
        {
            _hasComponent = false;
            log.Say("Moonraker has not loaded the component ratos_flash: flashes are shown in the console only, while Klipper runs.");
        }
    }

    /// <summary>Moonraker's own address always serves the page. A front end's does where it passes requests on.</summary>
    private static string PageOf(JsonElement config)
    {
        var host = config.Word("config", "server", "host");
        if (host is null or "0.0.0.0" or "::" or "all")
            host = Environment.MachineName;
        var port = config.Number("config", "server", "port") ?? StandardPort;
        var prefix = config.Word("config", "server", "route_prefix")?.Trim('/') is { Length: > 0 } path ? $"/{path}" : "";
        return string.Create(CultureInfo.InvariantCulture, $"http://{host}:{port}{prefix}/server/ratos_flash/page");
    }

    /// <summary>Follows a job from its beginning to its end.</summary>
    public void Follow(Job job)
    {
        var quarters = new Dictionary<string, int>(StringComparer.Ordinal);
        var awaited = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var held = new List<string>();
        var latest = new ConcurrentDictionary<string, FlashEvent>(StringComparer.Ordinal);   // by board
        var events = new JobEvents(
            job, time, board => Event("board", job.View(board).In(FrontEnd.Browser), JsonContract.Shapes.JsonJobStep), () => Snapshot(job));
        var boards = job.Requests.Select(request => (request.Board.RunningVersion, request.Image?.Version) switch
        {
            ({ } running, { } made) => $"{request.Board.Name} {running} -> {made}",
            (null, { } made) => $"{request.Board.Name} -> {made}",
            var (running, _) => $"{request.Board.Name} {running}".TrimEnd(),
        });
        Console($"// RatOS.Flash: job {job.Id}: {string.Join(", ", boards)}");
        events.Changed(null);
        job.Became += () => events.Changed(null);
        job.Happened += step =>
        {
            if (step.Phase == FlashPhase.Operator || (step.Report is not null && awaited.Count > 0))
                Ask(job, step, awaited);
            else if (DialogLine(step, quarters) is { } line)
            {
                // A dialog covers the screen, and KlipperScreen has one until it is restarted: it is for jobs that touch something.
                held.Add(line);
                if (step.Phase is not (FlashPhase.Look or FlashPhase.Plan))
                {
                    _shown = job;
                    Show(job, [.. held], [], isOver: false);
                    held.Clear();
                }
            }
            latest[step.Board ?? ""] = step;
            if (step is { Kind: FlashEventKind.Begin, Phase: not (FlashPhase.Look or FlashPhase.Plan or FlashPhase.Operator) })
                _ = CountAsync(job, step, latest);
            events.Changed(step.Board);
        };
    }

    /// <summary>Counts the seconds of a step that nothing follows.</summary>
    private async Task CountAsync(Job job, FlashEvent step, ConcurrentDictionary<string, FlashEvent> latest)
    {
        var (begin, pause) = (time.GetTimestamp(), step.Phase == FlashPhase.Build ? BetweenWaitsOfBuild : BetweenWaits);
        while (true)
        {
            await Task.Delay(pause, time);
            if (latest.GetValueOrDefault(step.Board ?? "") != step || _shown != job || job.Report is not null)
                return;
            var seconds = time.GetElapsedTime(begin).TotalSeconds;
            var text = string.Create(CultureInfo.InvariantCulture, $"{step.In(FrontEnd.Browser)}: {seconds:0} s");
            Show(job, [step.Board is null ? text : $"{step.Board}: {text}"], [], isOver: false);
        }
    }

    /// <summary>
    /// An operator step may take minutes or days. The dialog covers the screen and has no button, so it is completed; a prompt with the
    /// step stays instead.
    /// </summary>
    private void Ask(Job job, FlashEvent step, SortedDictionary<string, string> awaited)
    {
        var text = (step.Board is null ? "" : step.Board + ": ") + step.In(FrontEnd.Browser);
        if (step.Board is { } board)
        {
            if (step.Kind == FlashEventKind.Begin)
                awaited[board] = text;
            else
                awaited.Remove(board);
        }
        if (step.Report is null)
        {
            var isBegin = step.Kind == FlashEventKind.Begin;
            var line = step.Kind switch
            {
                FlashEventKind.Begin => $"!! RatOS.Flash: {text} FLASH_CANCEL ends the wait.",
                FlashEventKind.Warning => $"!! RatOS.Flash: {text}",
                _ => $"// RatOS.Flash: {text}",
            };
            Show(job, isBegin ? [text] : [], [line], isOver: isBegin, "needs you");
        }
        if (awaited.Count > 0)
        {
            Prompt(
                "A board needs you", string.Join(" ", awaited.Values),
                [new PromptButton("Give up", "warning", "cancel", new() { ["job"] = job.Id })]);
        }
        else if (step.Board is not null)
            PromptEnd();
    }

    /// <summary>Shows the verdicts, and completes the dialog.</summary>
    public void End(Job job, FlashReport report)
    {
        // The dialog has shown each warning as it came; the console has not.
        var warnings = job.Events.Where(step => step.Kind == FlashEventKind.Warning);
        var shown = warnings.Select(step => step.Message).ToHashSet(StringComparer.Ordinal);
        var dialog = _shown == job ? ResultText.Of(report, FrontEnd.Browser, shown).Select(line => line.Text) : [];
        var failed = report.Boards.Count(board => !board.Ok);
        var outcome = failed == 0 ? report.Ok ? null : "Klipper did not start"
            : failed == report.Boards.Length ? "FAILED" : $"{failed} of {report.Boards.Length} FAILED";
        Show(job, [.. dialog], [.. ConsoleText.Messages(ResultText.Of(report, FrontEnd.Browser))], isOver: true, outcome);
        Snapshot(job);
    }

    /// <summary>One line in the console, without a dialog.</summary>
    /// <param name="line">Beginning with <c>// </c> or <c>!! </c>.</param>
    public void Console(string line) => Show(null, [], [line], isOver: false);

    /// <summary>
    /// Tells a screen that its request was refused. While Klipper is in error KlipperScreen shows lines of the dialog alone, and one with
    /// the word "Error" also where it has shown its dialog before.
    /// </summary>
    public void Refuse(string text, bool isKlipperReady) =>
        Show(null, isKlipperReady ? [] : [$"Error: {text}"], [$"!! RatOS.Flash: {text}"], isOver: true, "refused");

    /// <summary>Runs G-code, without waiting for it.</summary>
    public void Script(string script) => Send(() => moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = script }));

    /// <summary>Keeps the last jobs in Moonraker's database, for other programs.</summary>
    public void Keep(JsonJob[] history) => Send(() => moonraker.TryCallAsync("server.database.post_item", new()
    {
        ["namespace"] = MoonrakerConnection.AgentName,
        ["key"] = "history",
        ["value"] = JsonSerializer.SerializeToElement(
            [.. history.Select(job => job.In(FrontEnd.Browser))], JsonContract.Shapes.JsonJobArray),
    }));

    /// <summary>Waits until everything was sent, for at most 3 s.</summary>
    public async Task FlushAsync()
    {
        var sent = new TaskCompletionSource();
        Send(() =>
        {
            sent.TrySetResult();
            return Task.CompletedTask;
        });
        if (moonraker.IsConnected)
            await sent.Task.WaitUpToAsync(FlushLimit, time, CancellationToken.None);
    }

    /// <summary>Shows a question with buttons. Its text is one line, because KlipperScreen shows only the last one.</summary>
    /// <param name="title">Above it.</param>
    /// <param name="text">One line.</param>
    /// <param name="choices">Its buttons.</param>
    public void Prompt(string title, string text, PromptButton[] choices)
    {
        // Mainsail and Fluidd cut off what does not fit into the bottom line.
        var above = choices.Sum(button => button.Label.Length) > MostOfBottomLine ? choices.Length - 1 : 0;
        string[] lines =
        [
            "// action:prompt_end", $"// action:prompt_begin {title}", $"// action:prompt_text {text}",
            .. choices.Zip(buttons.Show(choices)).Select((choice, index) =>
            {
                var (button, press) = choice;
                var action = index < above ? "prompt_button" : "prompt_footer_button";
                return $"// action:{action} {button.Label}|RESPOND TYPE=command MSG=\"{Action[3..]}{press}\"|{button.Style}";
            }),
            "// action:prompt_show",
        ];
        Show(null, [], lines, isOver: false);
    }

    /// <summary>Takes a prompt away that may still be shown. Browsers show an open question again at every reload.</summary>
    public void PromptEndIfOpen()
    {
        if (buttons.IsOpen)
            PromptEnd();
    }

    /// <summary>Takes the prompt away, on every screen.</summary>
    public void PromptEnd()
    {
        buttons.Close();
        Console("// action:prompt_end");
    }

    /// <summary>Shows an announcement until the user dismisses it; another one replaces it. Null takes it away.</summary>
    public void Announce(string? text) => Send(async () =>
    {
        if (!_hasComponent)
            return;
        await moonraker.TryCallAsync(
            "server.ratos_flash.announce",
            text is null ? new() { ["dismiss"] = true } : new() { ["title"] = "RatOS.Flash", ["description"] = text });
    });

    /// <summary>One line for each phase and each quarter of it: the dialog keeps all lines.</summary>
    private static string? DialogLine(FlashEvent step, Dictionary<string, int> quarters)
    {
        var prefix = step.Board is null ? "" : step.Board + ": ";
        switch (step.Kind)
        {
            case FlashEventKind.Begin:
                quarters[prefix] = 0;
                return prefix + step.In(FrontEnd.Browser);
            case FlashEventKind.Warning:
                return $"{prefix}! {step.In(FrontEnd.Browser)}";
            case FlashEventKind.Progress when step.Total > 0:
                var quarter = (int)(step.Done * 4 / step.Total);
                if (quarter is 0 or 4 || quarter <= quarters.GetValueOrDefault(prefix))
                    return null;
                quarters[prefix] = quarter;
                return $"{prefix}{JsonContract.Name(step.Phase)} {quarter * 25} %";
            case FlashEventKind.End when step.Phase is FlashPhase.Verify or FlashPhase.Confirm or FlashPhase.Prove or FlashPhase.Start:
                return prefix + step.In(FrontEnd.Browser);
            default:
                return null;
        }
    }

    /// <param name="job">Null for the console alone.</param>
    /// <param name="dialog">Lines of the dialog.</param>
    /// <param name="console">Messages of the console, each of one line or more.</param>
    /// <param name="isOver">The dialog can be closed.</param>
    /// <param name="outcome">
    /// Behind the boards in the dialog's title, for one that is no success. Mainsail ends every title with its word for "done".
    /// </param>
    private void Show(Job? job, string[] dialog, string[] console, bool isOver, string? outcome = null) => Send(async () =>
    {
        (dialog, console) = ([.. dialog.Select(ConsoleText.EachLine)], [.. console.Select(ConsoleText.EachLine)]);
        if (_hasComponent)
        {
            var shown = new Dictionary<string, object?>
            {
                ["job"] = job?.Id ?? "console",
                ["dialog"] = dialog,
                ["console"] = console,
                ["complete"] = isOver,
            };
            var names = job is null ? "boards" : Names(job);
            if (job is not null || outcome is not null)
                shown["title"] = outcome is null ? names : $"{names} ({outcome})";
            await moonraker.TryCallAsync("server.ratos_flash.show", shown);
            return;
        }
        // While Klipper is stopped this reaches nothing.
        foreach (var script in console.SelectMany(ConsoleText.Responds))
            await moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = script });
    });

    private static string Names(Job job) => job.Requests.Count > MostNames ? $"{job.Requests.Count} boards"
        : PlainText.Of(string.Join(", ", job.Requests.Select(request => request.Board.Name)), 60);

    private void Snapshot(Job job) => Event("job", job.View().In(FrontEnd.Browser), JsonContract.Shapes.JsonJob);

    private void Event<T>(string name, T data, JsonTypeInfo<T> shape) => Send(() => moonraker.TryCallAsync("connection.send_event", new()
    {
        ["event"] = name,
        ["data"] = JsonSerializer.SerializeToElement(data, shape),
    }));

    private void Send(Func<Task> send)
    {
        if (moonraker.IsConnected)
            _outbox.Writer.TryWrite(send);
    }
}

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
    // Every client of Moonraker gets every event: at most ten a second, and those of a job with many boards more seldom.
    private static readonly TimeSpan BetweenEvents = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BetweenSnapshots = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MoreForEachBoard = TimeSpan.FromMilliseconds(20);

    private const int MostNames = 3;

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
        long? lastEvent = null, lastSnapshot = null;
        var betweenSnapshots = BetweenSnapshots + job.Requests.Count * MoreForEachBoard;
        var boards = job.Requests.Select(request => (request.Board.RunningVersion, request.Image?.Version) switch
        {
            ({ } running, { } made) => $"{request.Board.Name} {running} -> {made}",
            (null, { } made) => $"{request.Board.Name} -> {made}",
            var (running, _) => $"{request.Board.Name} {running}".TrimEnd(),
        });
        Console($"// RatOS.Flash: job {job.Id}: {string.Join(", ", boards)}");
        Snapshot(job);
        job.Became += () => Snapshot(job);
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
            // A step is never dropped, only measures of it are.
            if (step.Kind == FlashEventKind.Progress && !IsPast(lastEvent, BetweenEvents))
                return;
            lastEvent = time.GetTimestamp();
            if (step.Board is null || IsPast(lastSnapshot, betweenSnapshots))
            {
                lastSnapshot = lastEvent;
                Snapshot(job);
            }
            else
                Event("board", job.View(step.Board).In(FrontEnd.Browser), JsonContract.Shapes.JsonJobStep);
        };
    }

    private bool IsPast(long? last, TimeSpan limit) => last is not { } before || time.GetElapsedTime(before) >= limit;

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
        // KlipperScreen shows these lines of the console as a popup.
        var good = job.By == JobOrigin.Screen && _shown != job ? "echo:" : "//";
        var failed = report.Boards.Count(board => !board.Ok);
        Show(job, [.. dialog], [.. Messages(ResultText.Of(report, FrontEnd.Browser), good)], isOver: true,
            failed == 0 ? "OK" : failed == report.Boards.Length ? "FAILED" : $"{failed} of {report.Boards.Length} FAILED");
        Snapshot(job);
    }

    /// <summary>
    /// One message for each result: a console that has the newest on top shows the lines of a message in their order. Its lines after the
    /// first one are indented.
    /// </summary>
    private static IEnumerable<string> Messages(IEnumerable<Line> lines, string good)
    {
        var message = new List<Line>();
        foreach (var line in lines)
        {
            if (message.Count > 0 && !line.Text.StartsWith(' '))
            {
                yield return Joined();
                message.Clear();
            }
            message.Add(line);
        }
        if (message.Count > 0)
            yield return Joined();

        string Joined()
        {
            var prefix = message.Exists(line => line.Tone is Tone.Bad or Tone.Warning) ? "!!" : good;
            return string.Join('\n', message.Select((line, i) => $"{prefix} {(i == 0 ? "RatOS.Flash: " : "")}{line.Text.Trim()}"));
        }
    }

    /// <summary>One line in the console, without a dialog.</summary>
    /// <param name="line">Beginning with <c>// </c> or <c>!! </c>.</param>
    public void Console(string line) => Show(null, [], [line], isOver: false);

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
        string[] lines =
        [
            "// action:prompt_end", $"// action:prompt_begin {title}", $"// action:prompt_text {text}",
            .. choices.Zip(buttons.Show(choices), static (button, press) =>
                $"// action:prompt_footer_button {button.Label}|RESPOND TYPE=command MSG=\"{Action[3..]}{press}\"|{button.Style}"),
            "// action:prompt_show",
        ];
        Show(null, [], lines, isOver: false);
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
    /// <param name="outcome">Behind the boards in the dialog's title.</param>
    private void Show(Job? job, string[] dialog, string[] console, bool isOver, string? outcome = null) => Send(async () =>
    {
        (dialog, console) = ([.. dialog.Select(EachLine)], [.. console.Select(EachLine)]);
        if (_hasComponent)
        {
            var shown = new Dictionary<string, object?>
            {
                ["job"] = job?.Id ?? "console",
                ["dialog"] = job is null ? Array.Empty<string>() : dialog,
                ["console"] = console,
                ["complete"] = isOver,
            };
            if (job is not null)
                shown["title"] = outcome is null ? Names(job) : $"{Names(job)}: {outcome}";
            await moonraker.TryCallAsync("server.ratos_flash.show", shown);
            return;
        }
        // While Klipper is stopped this reaches nothing.
        foreach (var line in console.SelectMany(message => message.Split('\n')))
            await moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = Respond(line) });
    });

    private static string Names(Job job) => job.Requests.Count > MostNames ? $"{job.Requests.Count} boards"
        : PlainText.Of(string.Join(", ", job.Requests.Select(request => request.Board.Name)), 60);

    private static string EachLine(string text) => string.Join('\n', text.Split('\n').Select(part =>
    {
        var line = string.Join(' ', part.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        return WithoutTags(PlainText.Of(line, line.Length));
    }).Where(line => line.Length > 0));

    /// <summary>Mainsail shows these texts as HTML. Characters that only look like brackets are the same in every front end.</summary>
    private static string WithoutTags(string line)
    {
        var (text, isOpen) = (line.ToCharArray(), false);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '<')
                (text[i], isOpen) = ('\u2039', true);
            else if (text[i] == '>' && isOpen)
                (text[i], isOpen) = ('\u203a', false);
        }
        return new(text);
    }

    /// <summary>A console line as Klipper's RESPOND command, without characters that G-code reads in another way.</summary>
    internal static string Respond(string line)
    {
        var type = line.StartsWith("!! ", StringComparison.Ordinal) ? "error" : "command";
        var text = new string([.. line[3..].Select(
            c => c switch { '"' => '\'', ';' => ',', '\\' => '/', '#' or '*' => ' ', < ' ' or > '~' => '?', _ => c })]);
        return $"RESPOND TYPE={type} MSG=\"{text}\"";
    }

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

using System.Text.Json;
using System.Threading.Channels;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Tells people and programs on the printer what a job does: the live dialog and the console of Mainsail, Fluidd and KlipperScreen by our component in Moonraker, the
/// console alone without it, and agent events for programs. Nothing here ever holds up a flash: what cannot be told is dropped.
/// </summary>
/// <param name="moonraker">The line.</param>
/// <param name="time">The only clock.</param>
/// <param name="log">The log.</param>
internal sealed class Notifier(MoonrakerConnection moonraker, TimeProvider time, LogFile log)
{
    private static readonly TimeSpan BetweenSnapshots = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan FlushLimit = TimeSpan.FromSeconds(3);

    private readonly Channel<Func<Task>> _outbox = Channel.CreateBounded<Func<Task>>(new BoundedChannelOptions(200) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private bool _hasComponent;

    /// <summary>Sends what there is to send until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken over)
    {
        await foreach (var send in _outbox.Reader.ReadAllAsync(over))
            await send();
    }

    /// <summary>The line is new: who shows things there?</summary>
    public async Task ConnectedAsync()
    {
        try
        {
            _hasComponent = (await moonraker.CallAsync("server.ratos_flash.info")).Number("api") is not null;
        }
        catch (MoonrakerException)
        {
            _hasComponent = false;
            log.Say("Moonraker lacks the component ratos_flash: flashes are told on the console alone, and only while Klipper runs.");
        }
    }

    /// <summary>Follows a job from its beginning to its end.</summary>
    public void Follow(Job job)
    {
        var quarters = new Dictionary<string, int>(StringComparer.Ordinal);
        var awaited = new SortedDictionary<string, string>(StringComparer.Ordinal);
        long? last = null;
        Console($"// RatOS.Flash: job {job.Id}: {string.Join(", ", job.Requests.Select(request => $"{request.Board.Name} {request.Board.RunningVersion ?? "?"} -> {request.Image?.Version ?? "?"}"))}");
        Snapshot(job);
        job.Happened += step =>
        {
            if (step.Phase == FlashPhase.Person || (step.Report is not null && awaited.Count > 0))
                Ask(job, step, awaited);
            else if (DialogLine(step, quarters) is { } line)
                Show(job, [line], [], isOver: false);
            if (step.Kind is not (FlashEventKind.Verdict or FlashEventKind.PointOfNoReturn) && last is { } before && time.GetElapsedTime(before) < BetweenSnapshots)
                return;
            last = time.GetTimestamp();
            Snapshot(job);
        };
    }

    /// <summary>
    /// A person is awaited, for minutes or days: the dialog, which covers the screen and has no button, is completed; a question with the one step stays instead.
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
            Show(job, step.Kind == FlashEventKind.Begin ? [text] : [], [(step.Kind == FlashEventKind.End ? "// " : "!! ") + $"RatOS.Flash: {text}{(step.Kind == FlashEventKind.End ? "" : " FLASH_CANCEL gives up.")}"], isOver: step.Kind == FlashEventKind.Begin);
        if (awaited.Count > 0)
            Prompt("A board needs you", string.Join(" ", awaited.Values), [("Give up", AfterUpdate.Press($"cancel job={job.Id}"), "warning")]);
        else if (step.Board is not null)
            PromptEnd();
    }

    /// <summary>The job is over: the verdicts, and the dialog's end.</summary>
    public void End(Job job, FlashReport report)
    {
        var lines = ResultText.Of(report, FrontEnd.Browser).Select(line => (line.Text, IsBad: line.Tone is Tone.Bad or Tone.Warning)).ToList();
        Show(job, [.. lines.Select(line => line.Text)], [.. lines.Select(line => (line.IsBad ? "!! " : "// ") + "RatOS.Flash: " + line.Text.Trim())], isOver: true);
        Snapshot(job);
    }

    /// <summary>One line on the console: for a person who pressed something and got no further.</summary>
    /// <param name="line">Beginning with <c>// </c> or <c>!! </c>.</param>
    public void Console(string line) => Show(null, [], [line], isOver: false);

    /// <summary>G-code of ours, which nobody waits for.</summary>
    public void Script(string script) => Send(() => moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = script }));

    /// <summary>The last jobs, where other programs on the printer find them.</summary>
    public void Keep(JsonJob[] history) => Send(() => moonraker.TryCallAsync("server.database.post_item", new()
    {
        ["namespace"] = MoonrakerConnection.AgentName,
        ["key"] = "history",
        ["value"] = JsonSerializer.SerializeToElement([.. history.Select(job => job.In(FrontEnd.Browser))], JsonContract.Shapes.JsonJobArray),
    }));

    /// <summary>Waits until everything was sent, but not long: it is only news.</summary>
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

    /// <summary>A question with buttons: one line of text, for KlipperScreen shows the last one alone. Each button says its G-code, which must close it.</summary>
    public void Prompt(string title, string text, IEnumerable<(string Label, string Gcode, string Style)> buttons)
    {
        string[] lines =
        [
            "// action:prompt_end", $"// action:prompt_begin {title}", $"// action:prompt_text {text}",
            .. buttons.Select(button => $"// action:prompt_footer_button {button.Label}|{button.Gcode}|{button.Style}"), "// action:prompt_show",
        ];
        Show(null, [], lines, isOver: false);
    }

    public void PromptEnd() => Console("// action:prompt_end");

    /// <summary>A note that stays until it is dismissed; the same again replaces it. Null takes it away.</summary>
    public void Announce(string? text) => Send(async () =>
    {
        if (_hasComponent)
            await moonraker.TryCallAsync("server.ratos_flash.announce", text is null ? new() { ["dismiss"] = true } : new() { ["title"] = "RatOS.Flash", ["description"] = text });
    });

    /// <summary>One line for each phase and each quarter: lines pile up in the dialog.</summary>
    private static string? DialogLine(FlashEvent step, Dictionary<string, int> quarters)
    {
        var who = step.Board is null ? "" : step.Board + ": ";
        switch (step.Kind)
        {
            case FlashEventKind.Begin:
                quarters[who] = 0;
                return who + step.In(FrontEnd.Browser);
            case FlashEventKind.Warning:
                return $"{who}! {step.In(FrontEnd.Browser)}";
            case FlashEventKind.Progress when step.Total > 0:
                var quarter = (int)(step.Done * 4 / step.Total);
                if (quarter is 0 or 4 || quarter <= quarters.GetValueOrDefault(who))
                    return null;
                quarters[who] = quarter;
                return $"{who}{JsonContract.Name(step.Phase)} {quarter * 25} %";
            case FlashEventKind.End when step.Phase is FlashPhase.Verify or FlashPhase.Confirm or FlashPhase.Prove or FlashPhase.Start:
                return who + step.In(FrontEnd.Browser);
            default:
                return null;
        }
    }

    private void Show(Job? job, string[] dialog, string[] console, bool isOver) => Send(async () =>
    {
        // Klipper's own words have many lines, and ours are put in columns for a terminal: here a line is one, without gaps.
        (dialog, console) = ([.. dialog.Select(OneLine)], [.. console.Select(OneLine)]);
        if (_hasComponent)
        {
            await moonraker.TryCallAsync("server.ratos_flash.show", new()
            {
                ["job"] = job?.Id ?? "console",
                ["dialog"] = job is null ? Array.Empty<string>() : dialog,
                ["console"] = console,
                ["complete"] = isOver,
            });
            return;
        }
        // With Klipper stopped there is no console to speak to.
        foreach (var line in console)
            await moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = Respond(line) });
    });

    private static string OneLine(string text) => string.Join(' ', text.Split((char[])['\n', ' '], StringSplitOptions.RemoveEmptyEntries));

    /// <summary>A console line as Klipper's own command; what G-code would take for something else is replaced.</summary>
    internal static string Respond(string line)
    {
        var type = line.StartsWith("!! ", StringComparison.Ordinal) ? "error" : "command";
        var text = new string([.. line[3..].Select(c => c switch { '"' => '\'', ';' => ',', '\\' => '/', '#' or '*' => ' ', < ' ' or > '~' => '?', _ => c })]);
        return $"RESPOND TYPE={type} MSG=\"{text}\"";
    }

    private void Snapshot(Job job)
    {
        var view = job.View().In(FrontEnd.Browser);
        Send(() => moonraker.TryCallAsync("connection.send_event", new()
        {
            ["event"] = "job",
            ["data"] = JsonSerializer.SerializeToElement(view, JsonContract.Shapes.JsonJob),
        }));
    }

    private void Send(Func<Task> send)
    {
        if (moonraker.IsConnected)
            _outbox.Writer.TryWrite(send);
    }
}

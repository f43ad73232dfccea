using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Service;

/// <summary>Answers requests of macros, screens, programs and the command line, in the words of the front end.</summary>
/// <param name="frontEnd">Of the requests that get an answer; macros and buttons get theirs in the console of a browser.</param>
/// <param name="printer">The printer.</param>
/// <param name="data">Its folder.</param>
/// <param name="moonraker">The connection.</param>
/// <param name="klipper">Klipper.</param>
/// <param name="boards">The printer's boards.</param>
/// <param name="looks">What many requests look at.</param>
/// <param name="queue">The jobs.</param>
/// <param name="forecast">What an offered update means for the boards.</param>
/// <param name="notifier">The printer's screens.</param>
/// <param name="questions">Asks before a flash.</param>
/// <param name="buttons">The buttons of the prompt that is shown.</param>
/// <param name="bundles">Writes bundles.</param>
/// <param name="log">The log.</param>
internal sealed class AgentApi(
    FrontEnd frontEnd, PrinterAccess printer, DataFolder data, MoonrakerConnection moonraker, KlipperAccess klipper, LocalBoards boards,
    SharedLooks looks, FlashQueue queue, UpdateForecast forecast, Notifier notifier, FlashQuestions questions, PromptButtons buttons,
    BundleWriter bundles, LogFile log) : IAgentApi
{
    private const int HistoryShown = 20;

    /// <summary>Of one door, at a time. Each keeps its arguments, and what it waits for.</summary>
    private const int MostOpen = 64;

    /// <summary>More of them for requests that flash: others must not keep a flash from its printer.</summary>
    private const int FlashReserve = 16;

    private readonly SharedWork<JsonAnswer> _acknowledgement = new(async () =>
    {
        await klipper.SetMacroAsync("asked", false);
        return new(true);
    }, printer.Time);

    private SharedWork<JsonAnswer>? _status;
    private int _open;

    /// <summary>The agent's own socket, which only the printer's user may open. All others come by way of Moonraker.</summary>
    private bool IsOwnSocket => frontEnd == FrontEnd.CommandLine;

    /// <summary>The last jobs that are over, newest last.</summary>
    /// <param name="limit">1 to 100.</param>
    public JsonJob[] History(int limit = HistoryShown) => HistoryOf(Journal.ReadAll(data.Jobs), limit);

    // ---- macros: they get no answer, so theirs goes to the console

    public Task MacroFlashAsync(JsonElement arguments)
    {
        Acknowledge();
        return ConsoleAsync(() => arguments.Flag("printing") ? throw PrinterFaults.PrinterBusy("a G-code file called FLASH_MCU")
            : arguments.Flag("ask") ? AskAllAsync(arguments)
            : EnqueueAsync(arguments, JobOrigin.Macro, arguments.Flag("recover") ? FlashJob.Recover : null));
    }

    /// <summary>FLASH_MCU without a board: one press must not flash a whole printer.</summary>
    private async Task<JsonAnswer> AskAllAsync(JsonElement arguments)
    {
        var options = await FlashArguments.ParseAsync(arguments, data.Firmware, JobOrigin.Macro);
        await klipper.RefreshOnceAsync();
        var requests = await boards.RequestAsync(options);
        if (requests.All(request => request.SkipReason is not null))
            notifier.Console("// RatOS.Flash: All boards are up to date. FLASH_MCU BOARD=NAME flashes one of them anyway.");
        else
            questions.AskWhether(arguments, requests);
        return new(true);
    }

    public Task MacroDoctorAsync(JsonElement arguments)
    {
        Acknowledge();
        return ConsoleAsync(async () =>
        {
            foreach (var message in ConsoleText.Doctor(await looks.Doctor.RunAsync()))
                notifier.Console(message);
            return new(true);
        });
    }

    public Task MacroBundleAsync(JsonElement arguments)
    {
        Acknowledge();
        return ConsoleAsync(async () =>
        {
            notifier.Console($"// {BundleText(await bundles.WriteAsync(arguments.Word("job")))}");
            return new(true);
        });
    }

    private static string BundleText(string file) =>
        $"RatOS.Flash: The bundle {Path.GetFileName(file)} was written. Download it from the folder logs of your front end, or from "
        + $"/server/files/logs/{Path.GetFileName(file)}";

    public Task MacroStatusAsync(JsonElement arguments)
    {
        Acknowledge();
        return (_status ??= new(StatusAsync, printer.Time)).RunAsync();
    }

    /// <summary>Prints the state to the console, once for all macros that wait for it.</summary>
    private async Task<JsonAnswer> StatusAsync()
    {
        var jobs = queue.Open.Count > 0 ? [.. queue.Open.Select(job => job.View())] : HistoryOf(await looks.Journals.RunAsync(), 1);
        foreach (var line in jobs.SelectMany(job => JobText.Of(job.In(FrontEnd.Browser))))
            notifier.Console($"// RatOS.Flash: {line.Text.Trim()}");
        foreach (var row in (await looks.Boards.RunAsync()).Boards)
        {
            var place = row.Port is null ? "" : $" at {row.Port}";
            notifier.Console($"// RatOS.Flash: {row.Board ?? "-"}{place}: {row.Description} {row.State}");
        }
        return new(true);
    }

    public Task MacroCancelAsync(JsonElement arguments)
    {
        Acknowledge();
        notifier.Console($"// RatOS.Flash: {JobText.Cancelled([.. Cancel(null).Select(job => job.View())])}");
        return Task.CompletedTask;
    }

    /// <summary>A line of Klipper's console. A prompt's button prints one, and so can any G-code: the token tells them apart.</summary>
    public void OnConsole(string line)
    {
        if (!line.StartsWith(Notifier.Action, StringComparison.Ordinal))
            return;
        var pressed = buttons.Press(line[Notifier.Action.Length..]);
        // A press closes its prompt on the other screens too. An old one, which a browser still shows, is closed unless it hides another.
        if (pressed is not null || !buttons.IsOpen)
            notifier.PromptEnd();
        _ = ConsoleAsync(() => pressed switch
        {
            ("flash" or "recover", var arguments) => EnqueueAsync(
                JsonSerializer.SerializeToElement(arguments, RpcShapes.Default.JsonObject), JobOrigin.Prompt,
                pressed is ("recover", _) ? FlashJob.Recover : null),
            ("answer", var arguments) => AnswerAndFlashAsync(JsonSerializer.SerializeToElement(arguments, RpcShapes.Default.JsonObject)),
            ("cancel", var arguments) => Task.FromResult(new JsonAnswer(Cancel((string?)arguments["job"]).Count >= 0)),
            not null => Task.FromResult(new JsonAnswer(true)),
            null => throw AgentFaults.StaleButton(),
        });
    }

    // ---- requests

    public Task<JsonElement> FlashAsync(JsonElement arguments) =>
        AnswerAsync(() => OnScreenAsync(arguments, () => EnqueueAsync(arguments, JobOrigin.Request)), FlashReserve);

    public Task<JsonElement> RecoverAsync(JsonElement arguments) =>
        AnswerAsync(() => OnScreenAsync(arguments, () => EnqueueAsync(arguments, JobOrigin.Request, FlashJob.Recover)), FlashReserve);

    public Task<JsonElement> IdentifyAsync(JsonElement arguments) =>
        AnswerAsync(() => EnqueueAsync(arguments, JobOrigin.Request, FlashJob.Identify), FlashReserve);

    public Task<JsonElement> PlanAsync(JsonElement arguments) => AnswerAsync(async () =>
    {
        var text = arguments.ValueKind == JsonValueKind.Undefined ? "" : arguments.GetRawText();
        if (!_plans.TryGetValue(text, out var shared))
        {
            _plans[text] = shared = new(async () => await boards.PlanAsync(
                await FlashArguments.ParseAsync(arguments, data.Firmware, mayCarryFirmware: IsOwnSocket)), printer.Time);
        }
        try
        {
            var plan = await shared.RunAsync();
            return new JsonAnswer(true) { Plan = plan.Boards, Findings = plan.Findings };
        }
        finally
        {
            if (!shared.IsDue)
                _plans.Remove(text);
        }
    });

    /// <summary>Plans that requests wait for, by their arguments: each reads firmware and journals, half a megabyte of garbage.</summary>
    private readonly Dictionary<string, SharedWork<PlanView>> _plans = new(StringComparer.Ordinal);

    public Task<JsonElement> AnswerAsync(JsonElement arguments) => AnswerAsync(async () =>
    {
        // A wrong start makes a board silent: by way of Moonraker an answer is one that the board's question offers.
        if (!IsOwnSocket && !await IsOfferedAsync(arguments))
            throw AgentFaults.BadRequest("it is not one of the answers that this board's question offers");
        return await AnsweredAsync(arguments);
    });

    private async Task<bool> IsOfferedAsync(JsonElement arguments)
    {
        var (board, fact, value) = (arguments.Word("board"), arguments.Word("fact"), arguments.Word("value"));
        if (board is null || fact is null || value is null)
            return false;
        var findings = new List<JsonFinding>();
        foreach (var job in (FlashJob[])[FlashJob.Write, FlashJob.SdCard])
        {
            var plan = await boards.PlanAsync(new FlashOptions([board]) { Job = job });
            findings.AddRange(plan.Boards.SelectMany(other => other.Findings).Concat(plan.Findings));
        }
        return findings.Select(finding => finding.Question).Concat(queue.Questions.Select(JsonQuestion.Of))
            .Any(question => question is not null && question.Board == board && question.Fact == fact
                && Array.Exists(question.Choices, choice => choice.Value == value));
    }

    private async Task<JsonAnswer> AnsweredAsync(JsonElement arguments)
    {
        if (arguments.Word("board") is not { } board || arguments.Word("fact") is not { } fact)
            throw AgentFaults.BadRequest("it names no board and no fact");
        if (arguments.At("value") is { ValueKind: not JsonValueKind.String })
            throw AgentFaults.BadRequest("its value is no text");
        await boards.AnswerAsync(board, fact, arguments.Word("value"));   // null forgets it
        return new(true);
    }

    public Task<JsonElement> OptionsAsync(JsonElement arguments) => AnswerAsync(async () =>
        new JsonAnswer(true) { Options = await boards.OptionsAsync(OptionsRequest.Parse(arguments)) });

    public Task<JsonElement> BoardsAsync(JsonElement arguments) =>
        AnswerAsync(async () => (await looks.Boards.RunAsync()).ToAnswer());

    public Task<JsonElement> StatusAsync(JsonElement arguments) => AnswerAsync(async () =>
    {
        var klippy = await klipper.LookAsync();
        return new JsonAnswer(true)
        {
            Version = Product.Version,
            Klippy = JsonContract.Name(klippy.Activity),
            Message = klippy.Blocker?.Cause ?? klippy.Message,
            Jobs = [.. queue.Open.Select(job => job.View())],
            Taken = moonraker.Taken.Count == 0 ? null : [.. moonraker.Taken],
            Page = notifier.Page,
            Before = forecast.Current,
        };
    });

    public Task<JsonElement> JobAsync(JsonElement arguments) => AnswerAsync(async () =>
    {
        var id = arguments.Word("job") ?? throw AgentFaults.BadRequest("it names no job");
        var job = (await queue.FindAsync(id, arguments.At("wait") is null ? 0 : arguments.Number("wait") ?? -1))?.View()
            ?? (await looks.Journals.RunAsync()).LastOrDefault(record => record.Header.Job == id)?.View();
        return new JsonAnswer(true) { Jobs = [job ?? throw AgentFaults.UnknownJob(Text.Clean(id))] };
    });

    /// <summary>Also while too many requests are open: it waits for nothing.</summary>
    public async Task<JsonElement> CancelAsync(JsonElement arguments) => Serialized(await TryAsync(() =>
    {
        var id = arguments.Word("job");
        var cancelled = Cancel(id);
        if (cancelled.Count == 0 && id is not null)
            throw AgentFaults.UnknownJob(Text.Clean(id));
        var jobs = cancelled.Select(job => job.View()).ToArray();
        if (IsScreen(arguments))
            notifier.Console($"echo: RatOS.Flash: {JobText.Cancelled(jobs)}");
        return Task.FromResult(new JsonAnswer(true) { Jobs = jobs });
    }));

    public Task<JsonElement> HistoryAsync(JsonElement arguments) => AnswerAsync(async () => new JsonAnswer(true)
    {
        Jobs = HistoryOf(await looks.Journals.RunAsync(), (int)Math.Clamp(arguments.Number("limit") ?? HistoryShown, 1, 100)),
    });

    public Task<JsonElement> DoctorAsync(JsonElement arguments) => AnswerAsync(async () =>
    {
        var findings = await looks.Doctor.RunAsync();
        if (IsScreen(arguments))
            notifier.Console(ConsoleText.DoctorPopup(findings));
        return new JsonAnswer(true) { Checks = [.. findings.Select(finding => finding.ToJson())] };
    });

    public Task<JsonElement> FilesAsync(JsonElement arguments) =>
        AnswerAsync(async () => new JsonAnswer(true) { Files = [.. await looks.Files.RunAsync()] });

    public Task<JsonElement> BundleAsync(JsonElement arguments) =>
        AnswerAsync(() => OnScreenAsync(arguments, async () =>
        {
            var file = await bundles.WriteAsync(arguments.Word("job"));
            if (IsScreen(arguments))
                notifier.Console($"echo: {BundleText(file)}");
            return new(true) { File = file };
        }));

    /// <summary>KlipperScreen drops the answer to a request.</summary>
    private static bool IsScreen(JsonElement arguments) => FlashArguments.OriginOf(arguments, JobOrigin.Request) == JobOrigin.Screen;

    /// <summary>Shows a refusal to the screen that requested it.</summary>
    private async Task<JsonAnswer> OnScreenAsync(JsonElement arguments, Func<Task<JsonAnswer>> request)
    {
        if (!IsScreen(arguments))
            return await request();
        var answer = await TryAsync(request);
        if (answer.In(FrontEnd.Browser).Error is { } fault)
        {
            // A running job has the dialog.
            var hasDialog = queue.IsAtRest && (await klipper.LookAsync()).Activity != KlippyActivity.Ready;
            notifier.Refuse($"{fault.Cause} {fault.Remedy} [{fault.Code}]", !hasDialog);
        }
        return answer;
    }

    private async Task<JsonAnswer> AnswerAndFlashAsync(JsonElement arguments)
    {
        await AnsweredAsync(arguments);
        return await EnqueueAsync(arguments, JobOrigin.Prompt);
    }

    private async Task<JsonAnswer> EnqueueAsync(JsonElement arguments, string by, FlashJob? job = null)
    {
        var options = await FlashArguments.ParseAsync(arguments, data.Firmware, by, IsOwnSocket);
        options = options with { Job = job ?? options.Job };
        await klipper.RefreshOnceAsync();
        var requests = await boards.RequestAsync(options);
        var origin = FlashArguments.OriginOf(arguments, by);
        if (!IsOwnSocket)
            questions.AskToConfirm(arguments, options.Job == FlashJob.Recover, requests, origin);
        // The command line asks at its terminal, a program its user.
        if (!options.AcceptsWarnings && options.Writes && boards.Plan(requests).Boards.Where(board => board.NeedsConsent).ToList()
            is { Count: > 0 } warned)
        {
            if (origin is JobOrigin.Macro or JobOrigin.Screen or JobOrigin.Prompt)
                questions.AskForConsent(arguments, options.Job == FlashJob.Recover, warned);
            throw FlashFaults.ConsentMissing();
        }
        var mine = new Job(origin, options, requests, printer.Time);
        var added = queue.Add(mine);
        return new JsonAnswer(true) { Job = added.Id, Joined = added != mine };
    }

    /// <summary>Cancels a job, or all of them.</summary>
    /// <returns>The cancelled jobs.</returns>
    private List<Job> Cancel(string? id)
    {
        var jobs = queue.Open.Where(job => id is null || job.Id == id).ToList();
        jobs.ForEach(job => job.Cancel.Cancel());
        return jobs;
    }

    /// <summary>The macro reports an error unless this reaches it within seconds. It runs when the macro has ended.</summary>
    private void Acknowledge() => _ = TryAsync(async () =>
    {
        // A macro can be called before this agent has noticed that Klipper is ready.
        if (!klipper.HasMacro)
            await klipper.GreetAsync();
        return klipper.HasMacro ? await _acknowledgement.RunAsync() : new(true);
    });

    // ---- answers: never an exception, whatever happens behind them

    private async Task ConsoleAsync(Func<Task<JsonAnswer>> request)
    {
        if ((await TryAsync(request)).In(FrontEnd.Browser).Error is { } fault)
            notifier.Console($"!! RatOS.Flash: {fault.Cause} {fault.Remedy} [{fault.Code}]");
    }

    private async Task<JsonElement> AnswerAsync(Func<Task<JsonAnswer>> request, int reserve = 0)
    {
        // Counted and not logged: a flood must fill neither the memory nor the disk.
        if (_open >= MostOpen + reserve)
            return Serialized(JsonAnswer.Of(AgentFaults.AgentBusy(MostOpen)));
        _open++;
        try
        {
            return Serialized(await TryAsync(request));
        }
        finally
        {
            _open--;
        }
    }

    private JsonElement Serialized(JsonAnswer answer) =>
        JsonSerializer.SerializeToElement(answer.In(frontEnd), JsonContract.Shapes.JsonAnswer);

    private static JsonJob[] HistoryOf(IEnumerable<JournalRecord> records, int limit) =>
        [.. records.Where(record => record.Result is not null).TakeLast(limit).Select(record => record.View())];

    private async Task<JsonAnswer> TryAsync(Func<Task<JsonAnswer>> request)
    {
        try
        {
            return await request();
        }
        catch (FlashException fault)
        {
            log.Fault(fault);
            return JsonAnswer.Of(fault);
        }
        catch (Exception bug)
        {
            log.Bug(bug);
            return JsonAnswer.Of(FlashFaults.Internal(bug));
        }
    }
}

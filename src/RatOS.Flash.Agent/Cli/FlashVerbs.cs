using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs that write boards, and how their firmware is built. Each returns the exit code.</summary>
internal sealed class FlashVerbs(VerbContext context)
{
    /// <summary>The value that forgets an answer.</summary>
    public const string NoAnswer = "none";

    private readonly Output _output = context.Output;

    /// <summary>
    /// <c>flash</c>, <c>recover</c> and <c>rollback</c>. If the new firmware does not work, a user at a terminal may have the old one put
    /// back. The flash itself has failed in either case.
    /// </summary>
    public async Task<int> FlashAsync(FlashOptions options, bool noKlipper)
    {
        FlashReport? report = null;
        var code = await FlashAsync(options, noKlipper, ended => report = ended);
        var boards = report?.Boards.Where(board => board.Rollback is { Asks: true }).Select(board => board.Board).ToList() ?? [];
        if (boards.Count > 0 && _output.Confirm($"Roll {string.Join(", ", boards)} back to the previous firmware?"))
        {
            var back = options with
            {
                Boards = [.. boards],
                Job = FlashJob.Write,
                RollsBack = true,
                Firmware = null,
                LinkChange = null,
                AcceptsWarnings = false,
                IncludesUpToDate = false,
            };
            await FlashAsync(back, noKlipper, static _ => { });
        }
        return code;
    }

    private Task<int> FlashAsync(FlashOptions options, bool noKlipper, Action<FlashReport> ended) =>
        context.WithBoardsAsync(noKlipper, isFlash: true, boards => FlashAsync(boards, options, ended));

    private async Task<int> FlashAsync(BoardService boards, FlashOptions options, Action<FlashReport> ended)
    {
        // Without the agent nothing would notice that the printer became idle.
        if (options.WhenIdle && boards is not AgentBoards)
            throw AgentFaults.NoAgent(context.Folder.Root);
        options = options with { OperatorPresent = _output.HasOperator && context.Printer.HasOperator };
        var plan = await boards.PlanAsync(options);
        if (options.Writes)
            _output.Plan(plan, boards.Description);
        var missing = plan.Boards.SelectMany(board => board.Findings).Select(finding => finding.Question?.ToQuestion())
            .FirstOrDefault(question => question is not null);
        if (options.Writes && missing is not null && await AskAsync(boards, missing))
            return await FlashAsync(boards, options, ended);
        if (!options.AcceptsWarnings && options.Writes && !plan.IsBlocked && plan.Boards.Any(board => board.NeedsConsent))
        {
            options = _output.Confirm("There are warnings. Flash anyway?") ? options with { AcceptsWarnings = true }
                : throw FlashFaults.ConsentMissing();
        }

        using var cancel = new CancellationTokenSource();
        var interrupted = new InterruptText();
        using var interrupts = context.OnInterrupt(() =>
        {
            if (boards is not AgentBoards { HasJoined: true })
                _output.Say(interrupted.ToString());
            cancel.Cancel();
        }, needsReader: true);
        _output.Begin([.. plan.Boards.Select(board => board.Board)]);
        FlashReport report;
        try
        {
            report = await boards.FlashAsync(options, step =>
            {
                interrupted.See(step);
                if (boards is LocalBoards)
                    context.Log.Event(step);
                _output.Event(step);
            }, cancel.Token);
        }
        finally
        {
            _output.End();
        }
        _output.Result(report);
        if (!report.Ok && context.Printer.ResetCommand is { } reset)
            _output.Hint($"This printer is virtual, and kept as it is now. `{reset}` puts it back to its beginning.");
        ended(report);
        var code = ExitCode.Of(report);
        // A fact may turn out to be missing only when the firmware is built. The other boards are done.
        if (missing is not null || !options.Writes
            || report.Boards.Select(board => board.Fault?.Question).FirstOrDefault(question => question is not null) is not { } fact
            || !await AskAsync(boards, fact))
            return code;
        var others = ExitCode.Of(report with { Boards = [.. report.Boards.Where(board => board.Board != fact.Board)] });
        return Math.Max(others, await FlashAsync(boards, options with { Boards = [fact.Board] }, ended));
    }

    /// <summary>Asks the user at the terminal for a fact, and keeps the answer.</summary>
    /// <returns>Whether there was one.</returns>
    private async Task<bool> AskAsync(BoardService boards, FactQuestion question)
    {
        if (_output.Choose(question) is not { } value)
            return false;
        await boards.AnswerAsync(question.Board, question.Fact, value);
        return true;
    }

    /// <summary>Keeps a fact that a board cannot tell itself.</summary>
    public Task<int> AnswerAsync(string board, string fact, string value) =>
        context.WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
        {
            await boards.AnswerAsync(board, fact, value == NoAnswer ? null : value);
            _output.Say(value == NoAnswer ? $"Forgotten: {fact} of {board}." : $"Kept: {fact} of {board} is {value}.");
            return ExitCode.Done;
        });

    /// <summary>Opens the menu of Klipper's build for one board.</summary>
    public async Task<int> MenuconfigAsync(string name)
    {
        if (!Terminal.IsInteractive)
            throw AgentFaults.TerminalMissing("ratos-flash menuconfig");
        var settings = ConfirmedSettings.Of(context.Folder);
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var tree = KlipperTree.Open(context.Printer.KlipperSources(settings) ?? Path.Combine(home, "klipper"));
        var mcus = new KnownMcus(context.Printer, settings.Boards, context.Folder, context.Log);
        var local = new LocalBoards(context.Printer, mcus, static _ => new NoKlippy(), context.Log) { Data = context.Folder };
        if (await local.RequestAsync(new FlashOptions([name])) is not [{ Board: { } board }])
            throw AgentFaults.MenuconfigOfManyBoards();
        // Ctrl-C is the menu's.
        using var interrupts = context.OnInterrupt(static () => { });
        var isKept = await new Menuconfig(tree, context.Folder.Configs).AskAsync(board, board.RunningLink);
        var file = Menuconfig.FileOf(context.Folder.Configs, board.Name);
        _output.Say(isKept
            ? $"Saved for {board.Name} in {file}. Its next build uses this configuration. Delete the file to return to the default."
            : $"Nothing was saved; {board.Name} is built as before.");
        return ExitCode.Done;
    }
}

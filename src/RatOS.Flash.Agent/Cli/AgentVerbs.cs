using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The agent itself, and the verbs that ask a running one. Each returns the exit code.</summary>
internal sealed class AgentVerbs(VerbContext context)
{
    private const int HistoryShown = 20;

    private readonly Output _output = context.Output;

    /// <summary>Runs the agent until SIGTERM: for this computer's boards, or for virtual ones.</summary>
    public async Task<int> AgentAsync()
    {
        using var over = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(over.Cancel);
        var data = context.Data!;
        var settings = ConfirmedSettings.OfValid(data);
        context.Log.Level = settings.LogLevel;
        if (!settings.Unconfirmed.IsEmpty)
            context.Log.Say($"Not confirmed, so not used: {string.Join(", ", settings.Unconfirmed)}. Run `ratos-flash confirm`.");
        await context.Printer.FreePortsAsync();
        using var agent = new FlashAgent(context.Printer, data, settings, context.Log);
        await agent.RunAsync(() => _output.Say($"The agent serves {data.Root} until Ctrl-C."), over.Token);
        return ExitCode.Done;
    }

    public async Task<int> StatusAsync()
    {
        if (AgentBoards.TryOpen(context.Folder) is { } agent)
        {
            using (agent)
                Status(await agent.AskAsync("status"));
            return ExitCode.Done;
        }
        // A flash of another command line may be at work, and the last one is journalled.
        _output.Jobs([.. Journalled().TakeLast(1)]);
        throw AgentFaults.NoAgent(context.Folder.Root);
    }

    private void Status(JsonAnswer answer)
    {
        var message = answer.Message is { Length: > 0 } text ? $" - {text}" : "";
        _output.Say($"ratos-flash {answer.Version}; Klipper: {answer.Klippy}{message}", 2);
        if (answer.Page is { } page)
            _output.Say($"Page: {page}", 2);
        if (answer.Taken is { Length: > 0 } taken)
            _output.Say($"Another program has registered {string.Join(", ", taken)}: those macros do not reach this agent.");
        _output.Jobs(answer.Jobs ?? []);
        if (answer.Jobs is not { Length: > 0 })
            _output.Say("No flash is running.");
    }

    /// <summary>The agent's history; without an agent, that of the journals.</summary>
    public async Task<int> HistoryAsync()
    {
        using var agent = AgentBoards.TryOpen(context.Folder);
        IReadOnlyList<JsonJob> jobs = agent is null ? Journalled() : (await agent.AskAsync("history")).Jobs ?? [];
        _output.Jobs(jobs);
        if (jobs.Count == 0)
            _output.Say("No flash yet.");
        return ExitCode.Done;
    }

    /// <summary>The last jobs of the journals. Without a result the newest is at work while the printer's lock is held.</summary>
    private List<JsonJob> Journalled()
    {
        var records = Journal.ReadAll(context.Folder.Jobs);
        var isBusy = context.Folder.IsLocked;
        return [.. records.TakeLast(HistoryShown)
            .Select(record => isBusy && record == records[^1] && record.Result is null ? record.RunningView() : record.View())];
    }

    public Task<int> CancelAsync(string? job) => AskAsync("cancel", job is null ? null : new() { ["job"] = job }, answer =>
    {
        _output.Say(JobText.Cancelled(answer.Jobs ?? []));
    });

    /// <summary>Shows each step of the agent's flashes, until Ctrl-C.</summary>
    public async Task<int> WatchAsync()
    {
        using var agent = AgentBoards.TryOpen(context.Folder) ?? throw AgentFaults.NoAgent(context.Folder.Root);
        using var over = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(over.Cancel, needsReader: true);
        try
        {
            await agent.WatchAsync(_output.Watch, over.Token);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // Ctrl-C is the usual end.
        }
        return ExitCode.Done;
    }

    /// <exception cref="FlashException">No agent runs.</exception>
    private async Task<int> AskAsync(string method, Dictionary<string, object?>? arguments, Action<JsonAnswer> show)
    {
        using var agent = AgentBoards.TryOpen(context.Folder) ?? throw AgentFaults.NoAgent(context.Folder.Root);
        show(await agent.AskAsync(method, arguments));
        return ExitCode.Done;
    }
}

using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Cli;

/// <content>Bundles: made here, and played here.</content>
internal sealed partial class Verbs
{
    /// <summary>Writes a bundle: the agent does where one runs, for it knows most.</summary>
    public async Task<int> BundleAsync(string? job, string? into)
    {
        var folder = data ?? DataFolder.Default;
        string file;
        if (into is null && AgentBoards.TryOpen(folder) is { } agent)
        {
            using (agent)
                file = (await agent.AskAsync("bundle", job is null ? null : new() { ["job"] = job })).File ?? throw AgentFaults.AgentGone("it answers as another version does");
        }
        else
        {
            file = new Bundle(folder, printer).Write(job, into);
        }
        output.Say($"{file}: it holds no keys, passwords and host names that were known as such; look into it before you give it away.");
        return ExitCode.Done;
    }

    /// <summary>Tells what happened in a recording, plays it against today's engine, and tells whether that does the same.</summary>
    public Task<int> ReplayAsync(string file)
    {
        var recording = BundleFile.Read(file);
        output.Say($"Recorded by ratos-flash {recording.Product}, {recording.Date}. Times are in seconds since the job began.");
        foreach (var line in RecordingTimeline.Of(recording))
            output.Say(line);
        foreach (var (board, condition, code) in recording.Verdicts)
            output.Say($"Recorded: {Text.Clean(board)} ended {Text.Clean(code)}, {Text.Clean(condition)}.");
        var replay = Replay.Run(recording);
        if (replay.Report is { } report)
            output.Result(report);
        if (replay.Divergence is not { } divergence)
        {
            output.Say($"This ratos-flash ({Product.Version}) does the same, from the first question to the last.");
            return Task.FromResult(ExitCode.Done);
        }
        var at = FormattableString.Invariant($"At {divergence.At.TotalSeconds:0.000} s");
        if (replay.Events is [.., var last])
            at += $" ({last.Board ?? "printer"}, {JsonContract.Name(last.Phase)})";
        output.Say(replay.EndsEarly
            ? $"{at} the recording ends; until there this ratos-flash ({Product.Version}) does the same. Its next question: {divergence.Today}"
            : $"{at} this ratos-flash ({Product.Version}) leaves the recording, which is no error of the bundle.");
        if (!replay.EndsEarly)
        {
            output.Say($"  recorded: {divergence.Recorded}");
            output.Say($"  today:    {divergence.Today ?? "nothing: it was done before"}");
        }
        return Task.FromResult(replay.EndsEarly ? ExitCode.Done : ExitCode.Failed);
    }
}

using System.IO.Compression;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs for trouble: doctor, bundles and their replay. Each returns the exit code.</summary>
internal sealed class SupportVerbs(VerbContext context)
{
    private const int TimelineIndent = 14;

    private static readonly TimeSpan DoctorLimit = TimeSpan.FromSeconds(5);

    private readonly Output _output = context.Output;

    /// <summary>Checks everything that a flash needs, and on request repairs what needs no root.</summary>
    public async Task<int> DoctorAsync(bool isFix)
    {
        var findings = DoctorChecks.Run(await ProbeAsync());
        if (isFix)
        {
            var isChanged = false;
            foreach (var finding in findings.Where(finding => finding.Fix is not null))
            {
                if (!finding.Fix!.TryApply())
                    continue;
                isChanged = true;
                _output.Say($"Repaired: {finding.Id}. Restart Moonraker and Klipper to apply it.");
            }
            if (isChanged)
                findings = DoctorChecks.Run(await ProbeAsync());
        }
        _output.Doctor(findings, DoctorChecks.Count);
        return findings.Any(finding => finding.Severity != FindingSeverity.Note) ? ExitCode.Failed : ExitCode.Done;
    }

    private async Task<DoctorFacts> ProbeAsync()
    {
        var (folder, printer) = (context.Folder, context.Printer);
        var isPrinter = Directory.Exists(folder.Root);
        string? agent = null;
        try
        {
            using var boards = AgentBoards.TryOpen(folder);
            agent = boards is null ? null : (await boards.AskAsync("status")).Version;
        }
        catch (FlashException)
        {
            // It hung up: none runs.
        }
        using var over = new CancellationTokenSource();
        var (probe, troubles, settings) = SystemProbe.Of(printer, isPrinter ? folder : null, agent, context.Log);
        if (!isPrinter)
            return await probe.ProbeAsync(null, [.. troubles]);
        var moonraker = new MoonrakerConnection(new(folder.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, context.Log);
        var line = moonraker.RunAsync(over.Token);
        try
        {
            var isUp = await moonraker.WaitConnectedAsync(DoctorLimit, CancellationToken.None);
            var gone = FaultReport.Of(moonraker.Fault("no answer"));
            return await probe.ProbeAsync(isUp ? await SystemProbe.AskMoonrakerAsync(moonraker) : new(gone), [.. troubles]);
        }
        finally
        {
            await over.CancelAsync();
            await line;
        }
    }

    /// <summary>Confirms the settings that decide what is executed and where the agent connects.</summary>
    public Task<int> ConfirmAsync(bool isYes)
    {
        var unconfirmed = ConfirmedSettings.Of(context.Folder).Unconfirmed;
        if (unconfirmed.IsEmpty)
        {
            _output.Say("Nothing to confirm.");
            return Task.FromResult(ExitCode.Done);
        }
        foreach (var setting in unconfirmed)
            _output.Say($"  {setting}", 2);
        if (!isYes && !_output.Confirm("Did you set this? Code from a checkout is executed when firmware is built."))
            throw FlashFaults.ConsentMissing();
        try
        {
            ConfirmedSettings.Confirm(context.Folder);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.JournalUnwritable(Path.GetDirectoryName(context.Folder.Confirmed)!, fault.Message);
        }
        _output.Say($"Confirmed. Restart the service {context.Folder.Unit} to use it.");
        return Task.FromResult(ExitCode.Done);
    }

    /// <summary>Writes a bundle. A running agent writes it, because it knows the printer's latest state.</summary>
    /// <param name="job">The job; null for the last one.</param>
    /// <param name="into">The file; null for one in the logs folder.</param>
    /// <param name="isListed">Shows what it holds.</param>
    public async Task<int> BundleAsync(string? job, string? into, bool isListed)
    {
        string file;
        if (into is null && AgentBoards.TryOpen(context.Folder) is { } agent)
        {
            using (agent)
            {
                var answer = await agent.AskAsync("bundle", job is null ? null : new() { ["job"] = job });
                file = answer.File ?? throw AgentFaults.AgentGone("it answers as another version does");
            }
        }
        else
        {
            file = new Bundle(context.Folder, context.Printer).Write(job, into);
        }
        if (isListed)
        {
            using var zip = ZipFile.OpenRead(file);
            foreach (var entry in zip.Entries)
                _output.Say($"  {Text.Size(entry.Length),12}  {Text.Clean(entry.FullName)}", 16);
        }
        _output.Say($"{file}: keys, passwords, macros and host names are removed. Check the bundle before you share it.", 2);
        return ExitCode.Done;
    }

    /// <summary>Shows a recording, and replays it against the engine of this program.</summary>
    public Task<int> ReplayAsync(string file)
    {
        var recording = BundleFile.Read(file);
        _output.Say($"Recorded by ratos-flash {recording.Product}, {recording.Date}. Times are seconds since the job began.");
        foreach (var line in RecordingTimeline.Of(recording))
            _output.Say(line, TimelineIndent);
        foreach (var (board, condition, code) in recording.Verdicts)
            _output.Say($"Recorded result: {Text.Clean(board)}: {Text.Clean(code)}, {Text.Clean(condition)}.");
        var replay = Replay.Run(recording);
        if (replay.Report is { } report)
            _output.Result(report);
        if (replay.Divergence is not { } divergence)
        {
            _output.Say($"Replay: ratos-flash {Product.Version} behaves the same from start to end.");
            return Task.FromResult(ExitCode.Done);
        }
        var at = FormattableString.Invariant($"{divergence.At.TotalSeconds:0.000} s");
        if (replay.Events is [.., var last])
            at += $" ({last.Board ?? "printer"}, {JsonContract.Name(last.Phase)})";
        if (replay.EndsEarly)
        {
            _output.Say($"Replay: the recording ends at {at}. Until then ratos-flash {Product.Version} behaves the same.");
            _output.Say($"  next:     {divergence.Today}", 12);
            return Task.FromResult(ExitCode.Done);
        }
        _output.Say($"Replay: from {at} on, ratos-flash {Product.Version} behaves differently. The bundle itself is intact.");
        _output.Say($"  recorded: {divergence.Recorded}", 12);
        _output.Say($"  now:      {divergence.Today ?? "nothing, it has ended"}", 12);
        return Task.FromResult(ExitCode.Failed);
    }
}

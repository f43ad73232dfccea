using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Cli;

/// <content>What is wrong with this computer.</content>
internal sealed partial class Verbs
{
    private static readonly TimeSpan DoctorLimit = TimeSpan.FromSeconds(5);

    /// <summary>Looks at everything that a flash needs, and mends on request what takes no root.</summary>
    public async Task<int> DoctorAsync(bool isFix)
    {
        var folder = data ?? DataFolder.Default;
        var findings = DoctorChecks.Judge(await LookAsync(folder));
        if (isFix)
        {
            var isChanged = false;
            foreach (var finding in findings.Where(finding => finding.Fix is not null))
            {
                if (!DoctorChecks.Apply(finding.Fix!))
                    continue;
                isChanged = true;
                output.Say($"Mended: {finding.Id}. Moonraker and Klipper see it when they are restarted.");
            }
            if (isChanged)
                findings = DoctorChecks.Judge(await LookAsync(folder));
        }
        output.Doctor(findings, DoctorChecks.Checks);
        return findings.Any(finding => finding.Severity != FindingSeverity.Note) ? ExitCode.Failed : ExitCode.Done;
    }

    private async Task<DoctorFacts> LookAsync(DataFolder folder)
    {
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
        var (probe, troubles, settings) = SystemProbe.Of(printer, isPrinter ? folder : null, agent, log);
        if (!isPrinter)
            return await probe.LookAsync(null, [.. troubles]);
        var moonraker = new MoonrakerConnection(new(folder.Moonraker, settings.MoonrakerUrl, settings.ApiKey), printer.Time, log);
        var line = moonraker.RunAsync(over.Token);
        try
        {
            var isUp = await moonraker.WaitConnectedAsync(DoctorLimit, CancellationToken.None);
            return await probe.LookAsync(isUp ? await SystemProbe.AskAsync(moonraker) : new(FaultReport.Of(PrinterFaults.MoonrakerGone(moonraker.Place.ToString(), "no answer"))), [.. troubles]);
        }
        finally
        {
            await over.CancelAsync();
            await line;
        }
    }
}

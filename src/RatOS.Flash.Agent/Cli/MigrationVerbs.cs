using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Migration;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs that bring settings from elsewhere, and take them there. Each returns the exit code.</summary>
internal sealed class MigrationVerbs(VerbContext context)
{
    private readonly Output _output = context.Output;

    /// <summary>Shows what would change, asks, and writes it.</summary>
    /// <param name="path">A file or a folder; null to look where other updaters put theirs.</param>
    /// <param name="board">The board that a configuration is for; null to find each one's own.</param>
    /// <param name="isYes">Does not ask.</param>
    public async Task<int> ImportAsync(string? path, string? board, bool isYes)
    {
        var data = Folder();
        var (found, settings) = (ImmutableArray.CreateBuilder<ForeignBoard>(), new Dictionary<string, string>());
        foreach (var place in path is not null ? [path] : ForeignTools.Places(Home, data).ToList())
        {
            try
            {
                var file = ForeignTools.Read(place);
                found.AddRange(file.Boards);
                foreach (var (key, value) in file.Settings)
                    settings[key] = value;
            }
            catch (FlashException unreadable) when (path is null)
            {
                _output.Say(unreadable.Cause, 2);   // the other places count
            }
        }
        using var cancel = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(cancel.Cancel, needsReader: true);
        var (mcus, firmware) = Boards(data);
        var import = new SettingsImport(data, mcus, firmware);
        ImportPlan plan;
        try
        {
            plan = await import.PlanAsync(found.ToImmutable(), settings, board, cancel.Token);
        }
        catch (OperationCanceledException)
        {
            _output.Say("Cancelled. Nothing was imported.");
            return ExitCode.Failed;
        }
        foreach (var (text, indent) in ImportText.Of(plan))
            _output.Say(text, indent);
        if (plan.IsEmpty)
        {
            _output.Say(found.Count == 0 && path is null ? "No other updater left anything here." : "Nothing to import.");
            return path is not null && plan.Boards.Any(refused => refused.Why is not null) ? ExitCode.Refused : ExitCode.Done;
        }
        if (!isYes && !_output.Confirm("Import this?"))
            throw AgentFaults.ImportUnconfirmed();
        import.Apply(plan, file => _output.Say($"Written: {file}", 2));
        _output.Say(plan.Settings is null ? "Imported. The next build of these boards uses it."
            : $"Imported. Restart the service {data.Unit} to use the settings.");
        return ExitCode.Done;
    }

    /// <summary>Writes one file with the settings and the kept build configurations.</summary>
    /// <param name="into">The file; null for one that the front ends show.</param>
    public Task<int> ExportAsync(string? into)
    {
        var data = Folder();
        var (mcus, _) = Boards(data);
        var export = SettingsExport.Of(data, mcus);
        var file = Path.GetFullPath(into ?? Path.Combine(data.Root, "config", "ratos-flash-export.json"));
        DataFolder.WriteTo(Path.GetDirectoryName(file)!, Path.GetFileName(file),
            Encoding.UTF8.GetBytes(JsonSerializer.Serialize(export, SettingsExport.Shapes.JsonExport) + "\n"));
        _output.Say($"{file}: settings of {export.Boards.Length} board{(export.Boards.Length == 1 ? "" : "s")}. "
            + "klipper_path, klipper_service, moonraker_url and api_key are left out.", 2);
        return Task.FromResult(ExitCode.Done);
    }

    private static string Home =>
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);

    /// <exception cref="FlashException">There is no such printer.</exception>
    private DataFolder Folder() =>
        Directory.Exists(context.Folder.Root) ? context.Folder : throw AgentFaults.NoDataFolder(context.Folder.Root);

    /// <summary>The boards as they were known last. Neither Klipper nor the agent is asked.</summary>
    private (KnownMcus Mcus, BoardFirmware Firmware) Boards(DataFolder data)
    {
        var settings = ConfirmedSettings.OfValid(data);
        var mcus = new KnownMcus(context.Printer, settings.Boards, data, context.Log);
        return (mcus, new BoardFirmware(context.Printer, mcus, data, context.Printer.KlipperSources(settings), context.Log));
    }
}

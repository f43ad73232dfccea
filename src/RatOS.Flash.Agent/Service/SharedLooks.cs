using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Service;

/// <summary>What requests of every door look at, once for all that wait.</summary>
/// <param name="printer">The printer.</param>
/// <param name="data">Its folder.</param>
/// <param name="moonraker">The connection.</param>
/// <param name="boards">The printer's boards.</param>
/// <param name="log">The log.</param>
internal sealed class SharedLooks(
    PrinterAccess printer, DataFolder data, MoonrakerConnection moonraker, LocalBoards boards, LogFile log)
{
    /// <summary>The list of boards.</summary>
    public SharedWork<BoardList> Boards { get; } = new(boards.ListAsync, printer.Time);

    /// <summary>The firmware folder.</summary>
    public SharedWork<IReadOnlyList<JsonFile>> Files { get; } = new(boards.FilesAsync, printer.Time);

    /// <summary>The journals of the newest jobs, oldest first: up to fifty files.</summary>
    public SharedWork<IReadOnlyList<JournalRecord>> Journals => field ??=
        new(() => Task.FromResult(Journal.ReadAll(data.Jobs, _ended)), printer.Time);

    /// <summary>Journals that no longer change, without their steps.</summary>
    private readonly Dictionary<string, JournalRecord> _ended = new(StringComparer.Ordinal);

    /// <summary>The findings of doctor.</summary>
    public SharedWork<IReadOnlyList<DoctorFinding>> Doctor { get; } = new(async () =>
    {
        var (probe, troubles, _) = SystemProbe.Of(printer, data, Product.Version, log);
        return [.. DoctorChecks.Run(await probe.ProbeAsync(await SystemProbe.AskMoonrakerAsync(moonraker), [.. troubles]))];
    }, printer.Time);
}

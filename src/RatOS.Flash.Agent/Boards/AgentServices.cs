using RatOS.Flash.Builds;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>What a printer's computer offers a flash: builds, the store of old firmware, Moonraker's power devices, files to download.</summary>
/// <param name="boards">The printer's boards.</param>
internal sealed class AgentServices(LocalBoards boards) : FlashServices
{
    /// <summary>Runs a long wait beside the queue, so that other jobs have their turn; null where there is no queue.</summary>
    public Func<Func<Task>, Task>? Aside { get; init; }

    /// <summary>Completes with Moonraker's next notification; null where there is none.</summary>
    public Func<CancellationToken, Task>? Change { get; init; }

    /// <summary>The job's recording; null where nothing is recorded.</summary>
    public JobRecorder? Recorder { get; init; }

    /// <summary>Boards of which no firmware is kept yet.</summary>
    public IReadOnlySet<string> Unknown { get; init; } = new HashSet<string>();

    /// <summary>What was built for this flash, by the board's name.</summary>
    public Dictionary<string, BuiltFirmware> Made { get; } = new(StringComparer.Ordinal);

    public override bool CanBuild => boards is { KlipperPath: not null, Data: not null };

    public override bool CanSwitchPower => boards.SwitchPower is not null;

    public override Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
        IReadOnlyList<PrinterBoard> wanted, Func<BuildProgress, ValueTask> progress, CancellationToken cancel)
    {
        var build = boards.BuildAsync(wanted, Made, progress, cancel);
        return Recorder?.BuiltAsync(build) ?? build;
    }

    public override bool WantsOldFirmware(string board) => Unknown.Contains(board);

    public override void KeepOldFirmware(string board, FirmwareImage image) => boards.Good!.Keep(board, image, "read-out", null);

    public override Task SwitchPowerAsync(string device, bool on) => boards.SwitchPower!(device, on);

    public override string? Offer(string board, string fileName, ReadOnlyMemory<byte> file) => boards.Data?.Offer(board, fileName, file);

    public override Task WaitAsideAsync(Func<Task> wait) => Aside is null ? wait() : Aside(wait);

    public override Task NextPrinterChangeAsync(TimeProvider time, CancellationToken cancel) =>
        Change is null ? base.NextPrinterChangeAsync(time, cancel) : Change(cancel);
}

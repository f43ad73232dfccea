using RatOS.Flash.Builds;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>
/// What a printer's computer offers a flash: builds, the store of old firmware, Moonraker's power devices, files to download.
/// </summary>
/// <param name="boards">The printer's boards.</param>
/// <param name="work">The flash; null for a rollback that follows one, which needs none of it.</param>
internal sealed class AgentServices(LocalBoards boards, FlashWork? work) : FlashServices
{
    /// <summary>Boards whose firmware was never kept.</summary>
    public IReadOnlySet<string> Unknown { get; init; } = new HashSet<string>();

    /// <summary>What was built for this flash, by the board's name.</summary>
    public Dictionary<string, BuiltFirmware> Made { get; } = new(StringComparer.Ordinal);

    public override bool CanBuild => boards.Firmware.CanBuild;

    public override bool CanSwitchPower => boards.SwitchPower is not null;

    public override Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
        IReadOnlyList<PrinterBoard> wanted, Func<BuildProgress, ValueTask> progress, CancellationToken cancel)
    {
        var build = boards.Firmware.BuildAsync(wanted, Made, progress, cancel);
        return work?.Recorder?.BuiltAsync(build) ?? build;
    }

    public override void KeepAnswers(PrinterBoard board, BoardEvidence evidence) => boards.Learn(board, evidence);

    public override bool WantsOldFirmware(string board) => Unknown.Contains(board);

    public override void KeepOldFirmware(string board, FirmwareImage image) => boards.Firmware.Good!.Keep(board, image, "read-out", null);

    public override IDisposable? LockBoard(string place, string board) => boards.Printer.LockBoard(place, board);

    public override Task SwitchPowerAsync(string device, bool on) => boards.SwitchPower!(device, on);

    public override string? Offer(string board, string fileName, ReadOnlyMemory<byte> file) => boards.Data?.Offer(board, fileName, file);

    public override Task WaitAsideAsync(Func<Task> wait) => work?.Aside is { } aside ? aside(wait) : wait();

    public override Task NextPrinterChangeAsync(TimeProvider time, CancellationToken cancel) =>
        work?.Change is { } change ? change(cancel) : base.NextPrinterChangeAsync(time, cancel);
}

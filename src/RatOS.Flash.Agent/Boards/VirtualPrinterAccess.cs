using System.Collections.Immutable;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Boards;

/// <summary>A virtual printer, its boards and its clock.</summary>
/// <param name="printer">The virtual printer.</param>
/// <param name="place">Where it is kept.</param>
internal sealed class VirtualPrinterAccess(VirtualPrinter printer, VirtualPlace place) : PrinterAccess
{
    private static readonly TimeSpan OperatorDelay = TimeSpan.FromSeconds(5);

    public override IHardware Hardware => printer;

    public override IKlippy Klippy => printer.Klippy;

    public override HostMcu? HostMcu => printer.HostMcu;

    protected override ProbeUpdater? UpdaterOf(AgentSettings settings) => printer.Probe;

    public override TimeProvider Time => printer.Time;

    public override McuFacts Facts => new(
        [.. printer.Boards.Select(printer.Klippy.Config.Section)],
        new(VirtualPrinter.HostVersion, printer.Boards.Where(board => board.RunningFirmware is not null)
            .ToDictionary(
                board => printer.Klippy.Config.Section(board).Name, board => new McuEvidence(
                    board.RunningFirmware!.Version, board.Chip.Name))))
    {
        Ports = printer.Boards.Zip(printer.PrinterBoards).Where(board => board.Second.Port is not null)
            .ToImmutableDictionary(board => printer.Klippy.Config.Section(board.First).Name, board => (board.Second.Port!, (string?)null)),
    };

    /// <summary>The boards on CAN and UART: nothing on the bus shows their kind. And those that are known by their pins.</summary>
    public override IEnumerable<PrinterBoard> Described => printer.PrinterBoards.Where(board =>
        board.Port is null || board.CanUuid is not null || !board.Port.Contains('-', StringComparison.Ordinal) || !board.Facts.IsEmpty);

    public override string Description => $"virtual printer '{place.Scenario}'";

    public override string ResetCommand =>
        $"ratos-flash virtual --reset --scenario {place.Scenario}{(place.Keep is { } folder ? $" --folder {folder}" : "")}";

    public override bool HasOperator => place.IsLive || printer.Faults.OperatorAfter is not null;

    public override FirmwareImage? Build(PrinterBoard board) =>
        printer.Boards.FirstOrDefault(candidate => candidate.Name == board.Name) is { } found
            ? FirmwareImage.Parse(found.BuildFirmware(), $"the {VirtualPrinter.HostVersion} build for {board.Name}") : null;

    public override string? SimulateOperator(PrinterBoard board)
    {
        if (printer.Boards.FirstOrDefault(candidate => candidate.Name == board.Name) is not { } found)
            return null;
        var isKatapult = found.Setup.Stage == BootStage.Katapult;
        printer.Time.Schedule(OperatorDelay, isKatapult ? found.DoublePressReset : found.ResetWithBoot0);
        var what = isKatapult ? "presses reset twice" : "sets BOOT0 and presses reset";
        return $"Virtual printer: the simulated operator {what} in {OperatorDelay.TotalSeconds:0} s.";
    }

    public override OtherFlasher? FindFlasher() => place.Processes is { } processes ? OtherFlasher.Find(processes) : null;

    public override void Post(Action action) => printer.Time.Post(action);

    public override async Task ServeAsync(int port, bool attach, Action<int> ready, Action<UsbIpEvent> tell, CancellationToken over)
    {
        await FreePortsAsync();
        await using var server = UsbIpServer.Start(printer, port, tell);
        var attacher = attach ? new VhciAttacher(printer, server.Port, tell) : null;
        ready(server.Port);
        try
        {
            await (attacher?.RunAsync(over) ?? Task.Delay(Timeout.InfiniteTimeSpan, printer.Time, over));
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // Ctrl-C, or SIGTERM.
        }
        finally
        {
            attacher?.Detach();
        }
    }

    public override Task FreePortsAsync() => printer.Klippy.StopAsync(CancellationToken.None);

    public override VirtualMoonraker OpenMoonraker(MoonrakerSetup setup) => VirtualMoonraker.Start(printer, setup);

    public override VirtualPtys OpenPtys(string folder) => VirtualPtys.Open(printer, folder);

    public override void Save() => printer.Save(place.Folder);

    public override string? Learned => Path.Combine(place.Folder, "learned.json");

    public override void Reset()
    {
        // A folder that the user named may hold other files, a real printer's among them.
        if (place.Keep is null && Directory.Exists(place.Folder))
            Directory.Delete(place.Folder, recursive: true);
        if (place.Keep is null)
            return;
        VirtualPrinter.Delete(place.Folder);
        if (File.Exists(Learned))
            File.Delete(Learned);
        if (place.HasOwnData)
            Directory.Delete(place.Data, recursive: true);
    }
}

using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Boards;

/// <summary>This computer's buses.</summary>
/// <param name="hardware">Opened by the first that uses it.</param>
/// <param name="thread">The process's own thread.</param>
internal sealed class ComputerAccess(Lazy<LinuxHardware> hardware, OneThread thread) : PrinterAccess
{
    public override IHardware Hardware => hardware.Value;

    /// <summary>Without Moonraker there is no way to Klipper, so it must not run, see <see cref="CheckAlone"/>.</summary>
    public override IKlippy Klippy { get; } = new NoKlippy();

    public override TimeProvider Time => TimeProvider.System;

    public override string Description => "this computer";

    public override IReadOnlyList<DeviceLink> Links() => LinuxHardware.Links();

    public override bool HasKinds => true;

    public override string? KlipperSources(AgentSettings known) => known.KlipperSources;

    protected override ProbeUpdater UpdaterOf(AgentSettings settings) => new BeaconUpdater(settings.KlipperSources);

    public override OtherFlasher? FindFlasher() => OtherFlasher.Find();

    public override void CheckAlone()
    {
        if (LinuxHardware.RunningKlipper() is { } klipper)
            throw PrinterFaults.KlipperRuns(klipper);
        if (FindFlasher() is { } other)
            throw PrinterFaults.OtherFlashRuns(other.ToString());
    }

    public override IDisposable? LockBoard(string place, string board) => BoardLock.Take(place, board);

    public override void Post(Action action) => thread.Post(static action => ((Action)action!)(), action);
}

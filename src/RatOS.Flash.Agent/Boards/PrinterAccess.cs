using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Boards;

/// <summary>The printer that this process works on, with its thread and its clock: this computer's, or a virtual one.</summary>
internal abstract class PrinterAccess
{
    public abstract IHardware Hardware { get; }

    public abstract IKlippy Klippy { get; }

    public abstract TimeProvider Time { get; }

    /// <summary>What is known of its MCUs without asking Klipper: everything of a virtual printer, nothing of this computer.</summary>
    public virtual McuFacts Facts => McuFacts.None;

    /// <summary>
    /// Where a virtual printer without a folder of its own keeps what its boards told and what the user answered; null on this computer.
    /// </summary>
    public virtual string? Learned => null;

    /// <summary>Boards whose kind neither a bus nor the configuration shows.</summary>
    public virtual IEnumerable<PrinterBoard> Described => [];

    /// <summary>The links below <c>/dev/serial</c> at this moment.</summary>
    public virtual IReadOnlyList<DeviceLink> Links() => [];

    public abstract string Description { get; }

    /// <summary>A kind of board may be named that is not connected.</summary>
    public virtual bool HasKinds => false;

    /// <summary>The firmware that a virtual printer's Klipper would build for the board; null otherwise.</summary>
    public virtual FirmwareImage? Build(PrinterBoard board) => null;

    /// <summary>
    /// The Klipper checkout to build from. A virtual printer has firmware of its own, and uses a checkout only if the settings name it.
    /// </summary>
    public virtual string? KlipperSources(AgentSettings settings) => settings.KlipperPath;

    /// <summary>Operator steps are possible: at a virtual printer only by a simulated operator or another program.</summary>
    public virtual bool HasOperator => true;

    /// <summary>Replaces the process that is an MCU without Moonraker; null where that is impossible.</summary>
    public virtual HostMcu? HostMcu => null;

    /// <summary>Calls the updater of a probe's maker; null where the settings forbid it, or it is impossible.</summary>
    public ProbeUpdater? Probes(AgentSettings settings) => settings.Probes == ProbePolicy.Never ? null : UpdaterOf(settings);

    /// <inheritdoc cref="Probes"/>
    protected virtual ProbeUpdater? UpdaterOf(AgentSettings settings) => null;

    /// <summary>A process beside Moonraker that flashes boards, such as RatOS's scripts; null for none.</summary>
    public virtual OtherFlasher? FindFlasher() => null;

    /// <summary>Checks that no other program uses the boards.</summary>
    /// <exception cref="FlashException">Klipper runs, or another program flashes.</exception>
    public virtual void CheckAlone()
    {
    }

    /// <inheritdoc cref="Flashing.FlashServices.LockBoard"/>
    public virtual IDisposable? LockBoard(string place, string board) => null;

    /// <summary>Runs an action on the printer's thread; callable from any thread.</summary>
    public abstract void Post(Action action);

    /// <summary>Lets the simulated operator of a virtual printer start a board's bootloader in a while.</summary>
    /// <returns>What will be done; null where a real user does it.</returns>
    public virtual string? SimulateOperator(PrinterBoard board) => null;

    /// <summary>Keeps a virtual printer's state for the next call.</summary>
    public virtual void Save()
    {
    }

    /// <summary>Serves the boards to real kernels until it is cancelled.</summary>
    /// <param name="port">TCP port; 0 for any that is free.</param>
    /// <param name="attach">To this computer's own kernel as well.</param>
    /// <param name="ready">Called with the port as soon as it listens.</param>
    /// <param name="tell">Called for each thing that happens.</param>
    /// <param name="over">The proper end.</param>
    /// <exception cref="FlashException">The port is taken, or there is no virtual host controller.</exception>
    public virtual Task ServeAsync(int port, bool attach, Action<int> ready, Action<UsbIpEvent> tell, CancellationToken over) =>
        throw new NotSupportedException("only a virtual printer can be served");

    /// <summary>The boards' serial lines for other programs.</summary>
    public virtual VirtualPtys OpenPtys(string folder) => throw new NotSupportedException("only a virtual printer has such lines");

    /// <summary>Stops a virtual printer's own Klipper, because another one uses the boards.</summary>
    public virtual Task FreePortsAsync() => Task.CompletedTask;

    /// <summary>Starts a Moonraker in front of it.</summary>
    public virtual VirtualMoonraker OpenMoonraker(MoonrakerSetup setup) =>
        throw new NotSupportedException("only a virtual printer has a Moonraker of its own");

    /// <summary>The command that puts a virtual printer back to its beginning; null for a real one.</summary>
    public virtual string? ResetCommand => null;

    /// <summary>Deletes a virtual printer's kept state.</summary>
    public virtual void Reset()
    {
    }

    /// <summary>Runs a verb on the virtual printer's own clock and thread.</summary>
    public static int Run(VirtualPlace place, Func<PrinterAccess, Task<int>> verb)
    {
        var time = new VirtualTime { Pace = place.Pace, IsLive = place.IsLive };
        var faults = place.Seed is { } seed ? InjectedFaults.FromSeed(seed) : InjectedFaults.None;
        return time.Run(() => verb(Of(VirtualPrinter.Load(place.Folder, place.Scenario, time, faults), place)));
    }

    /// <summary>A virtual printer that exists already.</summary>
    public static PrinterAccess Of(VirtualPrinter printer, VirtualPlace place) => new VirtualPrinterAccess(printer, place);

    /// <summary>Runs a verb on this computer.</summary>
    /// <param name="namedPort">A port that the caller named. Pseudo terminals are not listed by the kernel.</param>
    /// <param name="verb">The work.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string? namedPort, Func<PrinterAccess, Task<int>> verb) => OneThread.Run(async thread =>
    {
        // Verbs that read files need no bus, and some users may not open netlink.
        var hardware = new Lazy<LinuxHardware>(
            () => new(TimeProvider.System, namedPort is not null && namedPort.StartsWith('/') ? [namedPort] : []));
        try
        {
            return await verb(new ComputerAccess(hardware, thread));
        }
        finally
        {
            if (hardware.IsValueCreated)
                hardware.Value.Dispose();
        }
    });
}

using System.Collections.Immutable;
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

/// <summary>The printer that the command line works on, and the thread and clock it works by: this computer's, or one made of memory.</summary>
internal abstract class PrinterAccess
{
    public abstract IHardware Hardware { get; }

    public abstract IKlippy Klippy { get; }

    public abstract TimeProvider Time { get; }

    /// <summary>What can be known of its MCUs without Klipper: of a virtual printer all, of this computer nothing.</summary>
    public virtual McuFacts Facts => McuFacts.None;

    /// <summary>Boards whose kind neither bus nor configuration tells, and somebody knows all the same.</summary>
    public virtual IEnumerable<PrinterBoard> Described => [];

    /// <summary>Links to ports, as they are at this moment.</summary>
    public virtual IReadOnlyList<DeviceLink> Links() => [];

    public abstract string Description { get; }

    /// <summary>A kind of board may be asked for though none is seen to be connected.</summary>
    public virtual bool HasKinds => false;

    /// <summary>The firmware that this printer's Klipper would build for the board; null where it cannot be built from here.</summary>
    public virtual FirmwareImage? Build(PrinterBoard board) => null;

    /// <summary>Klipper's sources, where firmware is built; a virtual printer has firmware without, and takes only those that are named.</summary>
    public virtual string? KlipperSources(AgentSettings settings) => settings.KlipperPath;

    /// <summary>Somebody can do something with its boards; with virtual ones only a virtual person, or another program.</summary>
    public virtual bool HasPerson => true;

    /// <summary>Who may replace the process that is an MCU, where that is not Moonraker.</summary>
    public virtual HostMcu? HostMcu => null;

    /// <exception cref="FlashException">Somebody else works on the boards.</exception>
    public virtual void CheckAlone()
    {
    }

    /// <summary>Runs something on the printer's thread, from any other.</summary>
    public abstract void Post(Action action);

    /// <summary>Lets the simulated operator of a virtual printer start a board's bootloader in a while.</summary>
    /// <returns>What will be done; null where a real user does it.</returns>
    public virtual string? SimulateOperator(PrinterBoard board) => null;

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

    /// <summary>Another Klipper than the printer's own is asked: what is only imagined lets go of the boards.</summary>
    public virtual Task FreePortsAsync() => Task.CompletedTask;

    /// <summary>Starts a Moonraker in front of it.</summary>
    public virtual VirtualMoonraker OpenMoonraker(MoonrakerSetup setup) => throw new NotSupportedException("only a virtual printer has a Moonraker of its own");

    /// <summary>Forgets what was done to it.</summary>
    public virtual void Reset()
    {
    }

    /// <summary>Runs a verb on the virtual printer's own clock and thread.</summary>
    public static int Run(VirtualPlace place, Func<PrinterAccess, Task<int>> verb)
    {
        var time = new VirtualTime { Pace = place.Pace, IsLive = place.IsLive };
        return time.Run(() => verb(Of(VirtualPrinter.Load(place.Folder, place.Scenario, time, place.Seed is { } seed ? InjectedFaults.FromSeed(seed) : InjectedFaults.None), place)));
    }

    /// <summary>A virtual printer that is there already.</summary>
    public static PrinterAccess Of(VirtualPrinter printer, VirtualPlace place) => new OfMemory(printer, printer.Time, place);

    /// <summary>Runs a verb on this computer.</summary>
    /// <param name="namedPort">A port that the caller named: pseudo terminals are listed nowhere.</param>
    public static int Run(string? namedPort, Func<PrinterAccess, Task<int>> verb) => OneThread.Run(async thread =>
    {
        // Verbs that look into files need no bus, and some computers forbid to hear of it.
        var hardware = new Lazy<LinuxHardware>(() => new(TimeProvider.System, namedPort is not null && namedPort.StartsWith('/') ? [namedPort] : []));
        try
        {
            return await verb(new OfThisComputer(hardware, thread));
        }
        finally
        {
            if (hardware.IsValueCreated)
                hardware.Value.Dispose();
        }
    });

    private sealed class OfMemory(VirtualPrinter printer, VirtualTime time, VirtualPlace place) : PrinterAccess
    {
        private static readonly TimeSpan OperatorDelay = TimeSpan.FromSeconds(5);

        public override IHardware Hardware => printer;

        public override IKlippy Klippy => printer.Klippy;

        public override HostMcu? HostMcu => printer.HostMcu;

        public override TimeProvider Time => time;

        public override McuFacts Facts => new(
            [.. printer.Boards.Select(printer.Klippy.Config.Section)],
            new(VirtualPrinter.HostVersion, printer.Boards.Where(board => board.RunningFirmware is not null)
                .ToDictionary(board => printer.Klippy.Config.Section(board).Name, board => new McuTold(board.RunningFirmware!.Version, board.Chip.Name))))
        {
            Ports = printer.Boards.Zip(printer.PrinterBoards).Where(board => board.Second.Port is not null)
                .ToImmutableDictionary(board => printer.Klippy.Config.Section(board.First).Name, board => board.Second.Port!),
        };

        /// <summary>Of a board on CAN or on a wire nothing tells the kind: its owner wrote it down.</summary>
        public override IEnumerable<PrinterBoard> Described => printer.PrinterBoards.Where(board => board.Port is null || board.CanUuid is not null || !board.Port.Contains('-', StringComparison.Ordinal));

        public override string Description => $"virtual printer '{place.Scenario}'";

        public override bool HasPerson => place.IsLive || printer.Faults.OperatorAfter is not null;

        public override FirmwareImage? Build(PrinterBoard board) =>
            printer.Boards.FirstOrDefault(candidate => candidate.Name == board.Name) is { } found
                ? FirmwareImage.Parse(found.BuildFirmware(), $"the {VirtualPrinter.HostVersion} build for {board.Name}") : null;

        public override void Post(Action action) => time.Post(action);

        public override async Task ServeAsync(int port, bool attach, Action<int> ready, Action<UsbIpEvent> tell, CancellationToken over)
        {
            await FreePortsAsync();
            await using var server = UsbIpServer.Start(printer, port, tell);
            var attacher = attach ? new VhciAttacher(printer, server.Port, tell) : null;
            ready(server.Port);
            try
            {
                await (attacher?.RunAsync(over) ?? Task.Delay(Timeout.InfiniteTimeSpan, time, over));
            }
            catch (OperationCanceledException) when (over.IsCancellationRequested)
            {
                // That was asked for.
            }
            finally
            {
                attacher?.Detach();
            }
        }

        public override Task FreePortsAsync() => printer.Klippy.StopAsync(CancellationToken.None);

        public override VirtualMoonraker OpenMoonraker(MoonrakerSetup setup) => VirtualMoonraker.Start(printer, setup);

        public override VirtualPtys OpenPtys(string folder) => VirtualPtys.Open(printer, folder);

        public override string? SimulateOperator(PrinterBoard board)
        {
            if (printer.Boards.FirstOrDefault(candidate => candidate.Name == board.Name) is not { } found)
                return null;
            var isKatapult = found.Setup.Stage == BootStage.Katapult;
            time.Schedule(OperatorDelay, isKatapult ? found.DoublePressReset : found.ResetWithBoot0);
            return $"Virtual printer: the simulated operator {(isKatapult ? "presses reset twice" : "sets BOOT0 and presses reset")} in {OperatorDelay.TotalSeconds:0} s.";
        }

        public override void Save() => printer.Save(place.Folder);

        public override void Reset()
        {
            if (Directory.Exists(place.Folder))
                Directory.Delete(place.Folder, recursive: true);
        }
    }

    private sealed class OfThisComputer(Lazy<LinuxHardware> hardware, OneThread thread) : PrinterAccess
    {
        public override IHardware Hardware => hardware.Value;

        /// <summary>Nobody can be asked about Klipper from here: it must be stopped, see <see cref="CheckAlone"/>.</summary>
        public override IKlippy Klippy { get; } = new NoKlippy();

        public override TimeProvider Time => TimeProvider.System;

        public override string Description => "this computer";

        public override IReadOnlyList<DeviceLink> Links() => LinuxHardware.Links();

        public override bool HasKinds => true;

        public override string? KlipperSources(AgentSettings known) => known.KlipperSources;

        public override void CheckAlone()
        {
            if (LinuxHardware.RunningKlipper() is { } klipper)
                throw PrinterFaults.KlipperRuns(klipper);
        }

        public override void Post(Action action) => thread.Post(static action => ((Action)action!)(), action);
    }
}

using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A Beacon on the bus, and a stand-in for its maker's updater: the probe leaves for its bootloader, is written, and returns with the
/// version of the maker's file. As the real updater it needs a free port, and writes nothing if the version is the same.
/// </summary>
public sealed class VirtualProbe : ProbeUpdater
{
    /// <summary>bcdDevice of the maker's file: 2.1.0.</summary>
    private const ushort Newest = 0x2010;

    private static readonly TimeSpan EnterTime = TimeSpan.FromSeconds(0.8);
    private static readonly TimeSpan WriteTime = TimeSpan.FromSeconds(4);

    private readonly VirtualPrinter _printer;
    private readonly Device _running;

    internal VirtualProbe(VirtualPrinter printer, Device device) => (_printer, _running) = (printer, device);

    /// <summary>The maker's checkout is not installed.</summary>
    public bool IsMissing { get; set; }

    /// <summary>Other than 0: the updater fails in the bootloader with this exit code.</summary>
    public int Exit { get; set; }

    /// <summary>The updater fails with <see cref="Exit"/> before it touches the probe.</summary>
    public bool FailsEarly { get; set; }

    /// <summary>The updater never ends.</summary>
    public bool Hangs { get; set; }

    /// <summary>Even a kill does not end it.</summary>
    public bool SurvivesKill { get; set; }

    /// <summary>The probe does not return to the bus.</summary>
    public bool StaysAway { get; set; }

    /// <summary>How often it was started.</summary>
    public int Runs { get; private set; }

    public override FlashException? Check(string board) =>
        IsMissing ? ProbeFaults.ProbeUpdaterMissing(board, ["/home/pi/beacon_klipper/update_firmware.py"]) : null;

    public override string CommandFor(Device probe) => $"the virtual printer's stand-in, update {probe.Node ?? "all"}";

    public override async Task<int> RunAsync(Device probe, Action<string> line, CancellationToken kill)
    {
        Runs++;
        if (_printer.Klippy.IsRunning && probe.Node is not null)
            return Fail(line, $"{probe.Node} is busy: Klipper has it open", 1);
        if (FailsEarly)
            return Fail(line, "the probe did not answer", Exit);
        if (probe.Node is not null && probe.Release == Newest)
        {
            line("up to date: 2.1.0");
            return 0;
        }
        Leave();
        await Task.Delay(EnterTime, _printer.Time, CancellationToken.None);
        Appear(_running with { Usb = BootloaderOf(_running), Product = $"{_running.Product} Bootloader", Node = null });
        line("writing 2.1.0");
        await Task.Delay(Hangs ? Timeout.InfiniteTimeSpan : WriteTime, _printer.Time, SurvivesKill ? CancellationToken.None : kill);
        if (Exit != 0)
            return Fail(line, "the bootloader refused the file", Exit);
        Leave();
        if (!StaysAway)
            _printer.Time.Schedule(EnterTime, () => Appear(_running with { Release = Newest }));
        line("done");
        return 0;
    }

    private static int Fail(Action<string> line, string why, int exit)
    {
        line($"error: {why}");
        return exit;
    }

    private void Leave()
    {
        foreach (var session in _printer.Bus.Sessions.Where(session => IsFor(session.Device)).ToList())
        {
            session.End();
            _printer.Bus.Remove(session);
        }
    }

    private void Appear(Device device)
    {
        _printer.Bus.Add(device, null);
        _printer.Bus.Update();
    }
}

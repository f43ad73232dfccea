using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Klipper's Linux process on the printer's own computer, and the root-owned unit that replaces its program
/// (config/ratos-flash-host-mcu). The board's flash stands for the program's file.
/// </summary>
public sealed class VirtualHostProcess
{
    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(1);   // its unit's ExecStop sleeps so long

    private readonly VirtualPrinter _printer;
    private readonly VirtualBoard _board;
    private readonly BoardBoot _boot;
    private byte[]? _previous;

    internal VirtualHostProcess(VirtualPrinter printer, VirtualBoard board, BoardBoot boot) =>
        (_printer, _board, _boot) = (printer, board, boot);

    /// <summary>Its clock at the start, as measured with the real process: one turn of 32 bits less a second.</summary>
    internal static TimeSpan Clock { get; } = TimeSpan.FromSeconds((4_294_967_296 / 50_000_000.0) - 1);

    /// <summary>The service manager does not restart it.</summary>
    public bool IgnoresRestart { get; set; }

    /// <summary>The unit takes a program without doing or answering anything.</summary>
    public bool IgnoresInstall { get; set; }

    /// <summary>The unit has lost the previous program.</summary>
    public bool RefusesRestore { get; set; }

    /// <summary>The path of its terminal.</summary>
    internal string Terminal => _board.Setup.Port;

    internal VirtualBoard Board => _board;

    internal bool IsRunning => _board.State == BoardState.Klipper;

    /// <summary>Replaces the program, with the checks of the real unit. Returns why it was refused, or null.</summary>
    internal string? Install(byte[] program)
    {
        if (LinuxProgram.WhyRefused(program) is { } why)
            return why;
        _previous = _board.Flash.Read(_board.Flash.Base, _board.Chip.FlashSize).ToArray();
        Put(program);
        return null;
    }

    /// <summary>Puts the previous program back. Returns why not, or null.</summary>
    internal string? Restore()
    {
        if (_previous is null || RefusesRestore)
            return "no previous program is kept";
        Put(_previous);
        return null;
    }

    /// <summary>As <c>systemctl restart</c>.</summary>
    internal void Restart()
    {
        if (!IgnoresRestart)
            _boot.Restart(EndTime);
    }

    /// <summary>The firmware that a start would run, or the reason why none would.</summary>
    internal (VirtualFirmware? Running, string Reason) WouldRun()
    {
        var found = LinuxProgram.WouldRun(_board.Flash);
        return _printer.Faults.NewProcessCrashes && found.Running is { } running && running.Version != _board.Setup.Version
            ? (null, "it crashes at its start") : found;
    }

    /// <summary>The unit as a flash without Moonraker uses it: it can be started directly.</summary>
    internal HostMcu Unit => new DirectUnit(_printer, this);

    private void Put(byte[] program)
    {
        var file = new byte[_board.Chip.FlashSize];
        file.AsSpan().Fill(0xFF);
        program.CopyTo(file, 0);
        _board.Flash.Preset(_board.Flash.Base, file);
    }

    private sealed class DirectUnit(VirtualPrinter printer, VirtualHostProcess process) : HostMcu
    {
        public override Task<FlashException?> CheckAsync(CancellationToken cancel) =>
            Task.FromResult(printer.Faults.HasNoHostMcuUnit ? HostMcuFaults.HostMcuUnitMissing("install.sh") : null);

        public override Task InstallAsync(ReadOnlyMemory<byte> program) => Done(process.Install(program.ToArray()));

        public override Task RestoreAsync() => Done(process.Restore());

        public override Task RestartAsync()
        {
            process.Restart();
            return Task.CompletedTask;
        }

        private static Task Done(string? refusal) =>
            refusal is null ? Task.CompletedTask : Task.FromException(HostMcuFaults.HostMcuRefused(refusal));
    }
}

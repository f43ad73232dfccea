using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Virtual.Devices;

/// <content>A process on the printer's own computer, its file, and the unit of root's that may replace that.</content>
public sealed partial class VirtualBoard
{
    private static readonly TimeSpan ProcessEnd = TimeSpan.FromSeconds(1);   // its unit's ExecStop sleeps so long

    /// <summary>What its clock says when it starts: a turn of 32 bits less a second (tried with the real one).</summary>
    private static readonly TimeSpan ProcessClock = TimeSpan.FromSeconds((4_294_967_296 / 50_000_000.0) - 1);

    private byte[]? _previous;

    /// <summary>Whoever is to start the process anew does nothing.</summary>
    public bool IgnoresRestart { get; set; }

    /// <summary>The unit does nothing about a program, and gives no answer.</summary>
    public bool IgnoresInstall { get; set; }

    /// <summary>The unit has lost the previous program.</summary>
    public bool RefusesRestore { get; set; }

    /// <summary>What the unit does with a program, with the checks of the real one: null when it is in its place, else why it was refused.</summary>
    internal string? Install(byte[] program)
    {
        if (VirtualFirmware.WhyNoProgram(program) is { } why)
            return why;
        _previous = Flash.Read(Flash.Base, Chip.FlashSize).ToArray();
        Put(program);
        return null;
    }

    /// <summary>The unit puts the program back that the last one replaced: null when it did, else why not.</summary>
    internal string? Restore()
    {
        if (_previous is null || RefusesRestore)
            return "there is no previous program";
        Put(_previous);
        return null;
    }

    /// <summary>As systemctl restart.</summary>
    internal void Restart()
    {
        if (IgnoresRestart)
            return;
        Stop(BoardState.Starting);
        Later(ProcessEnd, () => StartApplication(ApplicationStart, wantsRom: false, ProgramStart));
    }

    private void Put(byte[] program)
    {
        var file = new byte[Chip.FlashSize];
        file.AsSpan().Fill(0xFF);
        program.CopyTo(file, 0);
        Flash.Preset(Flash.Base, file);
    }

    private (VirtualFirmware? Running, string Reason) WouldRun()
    {
        var found = VirtualFirmware.WouldRun(Flash);
        return _printer.Faults.NewProcessCrashes && found.Running is { } running && running.Version != Setup.Version ? (null, "it crashes at its start") : found;
    }

    /// <summary>What a flash without Moonraker asks: on this printer the unit can be started by hand.</summary>
    internal sealed class Unit(VirtualPrinter printer, VirtualBoard process) : HostMcu
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

        private static Task Done(string? refusal) => refusal is null ? Task.CompletedTask : Task.FromException(HostMcuFaults.HostMcuRefused(refusal));
    }
}

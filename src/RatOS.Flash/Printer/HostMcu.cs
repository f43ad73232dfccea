using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>
/// Replaces Klipper's Linux process. The process runs as root from a folder of root's, so a flash cannot do that itself: on a printer
/// a systemd unit does it, started through Moonraker; a virtual printer has the same.
/// </summary>
public abstract class HostMcu
{
    /// <summary>The default place of the process's terminal (Klipper src/linux/main.c).</summary>
    private const string UsualTerminal = "/tmp/klipper_host_mcu";

    /// <summary>The obstacle; null without one. Changes nothing.</summary>
    public abstract Task<FlashException?> CheckAsync(CancellationToken cancel);

    /// <summary>
    /// Replaces the program and keeps the old one. The process runs on until <see cref="RestartAsync"/>.
    /// </summary>
    /// <exception cref="FlashException"><c>host-mcu-unit-silent</c>, <c>moonraker-gone</c>: it may have been replaced or not. Any other:
    /// nothing was changed.</exception>
    public abstract Task InstallAsync(ReadOnlyMemory<byte> program);

    /// <summary>Puts the program back that the last one replaced.</summary>
    /// <exception cref="FlashException">As for <see cref="InstallAsync"/>.</exception>
    public abstract Task RestoreAsync();

    /// <summary>Requests a restart of the process. Its own answers show which program runs then.</summary>
    /// <exception cref="FlashException">The request failed.</exception>
    public abstract Task RestartAsync();

    /// <summary>The process's terminal: no bus lists it.</summary>
    public static Device TerminalOf(PrinterBoard board) =>
        Device.Terminal(board.Port is { } path && path.StartsWith('/') ? path : board.Board.HostPty is { } name ? $"/tmp/{name}"
            : UsualTerminal);
}

using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>
/// Whoever may replace Klipper's Linux process. It runs as root and its program lies in a folder of root's, so no flash does that itself:
/// on a printer a unit of root's does it and Moonraker starts it; a virtual printer has the same.
/// </summary>
public abstract class HostMcu
{
    /// <summary>Where the process makes its terminal unless somebody names another place (K:src/linux/main.c).</summary>
    private const string UsualTerminal = "/tmp/klipper_host_mcu";

    /// <summary>What stands against it; null when nothing does. Changes nothing.</summary>
    public abstract Task<FlashException?> CheckAsync(CancellationToken cancel);

    /// <summary>
    /// Puts a program into the place of the one that is there, which is kept. What runs goes on until <see cref="RestartAsync"/>.
    /// </summary>
    /// <exception cref="FlashException"><c>host-mcu-unit-silent</c>, <c>moonraker-gone</c>: nobody knows whether it was done. Any other:
    /// nothing was changed.</exception>
    public abstract Task InstallAsync(ReadOnlyMemory<byte> program);

    /// <summary>Puts the program back that the last one replaced.</summary>
    /// <exception cref="FlashException">As for <see cref="InstallAsync"/>.</exception>
    public abstract Task RestoreAsync();

    /// <summary>Asks for the process to be ended and started. What runs then, the process itself is asked.</summary>
    /// <exception cref="FlashException">It could not be asked for.</exception>
    public abstract Task RestartAsync();

    /// <summary>The process's line: no bus lists it.</summary>
    public static Device TerminalOf(PrinterBoard board) =>
        Device.Terminal(board.Port is { } path && path.StartsWith('/') ? path : board.Board.HostPty is { } name ? $"/tmp/{name}"
            : UsualTerminal);
}

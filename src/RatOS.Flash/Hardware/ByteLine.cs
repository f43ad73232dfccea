using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware;

/// <summary>Line settings of a serial port. Always 8 data bits, 1 stop bit, no flow control.</summary>
public sealed record SerialMode(int Baud, bool EvenParity = false)
{
    /// <summary>The default of Klipper and Katapult on a UART, and the rate that USB ports ignore.</summary>
    public static readonly SerialMode Klipper = new(250_000);
}

/// <summary>
/// A serial port as a line of bytes. One write is one frame and goes out whole, never cut short by a cancel:
/// half a frame wedges Katapult until its next reset (Katapult src/command.c).
/// </summary>
public abstract class ByteLine : IAsyncDisposable
{
    /// <summary>The session that this line belongs to.</summary>
    public abstract Device Device { get; }

    /// <exception cref="DeviceGoneException">The device left the bus.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> frame);

    /// <summary>Waits for bytes: 1..<paramref name="buffer"/> of them, or 0 when none came in time.</summary>
    /// <exception cref="DeviceGoneException">The device left the bus, and every byte that came before was read.</exception>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout);

    public abstract ValueTask DisposeAsync();
}

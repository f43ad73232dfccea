using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A program on a virtual chip behind a serial line, USB or UART: bytes and time in, bytes and reset requests out. It owns no timer and
/// no thread; its board carries the answers to the host when they are due.
/// </summary>
internal abstract class SerialProgram
{
    /// <summary>Its speed and parity on a UART. Unused on USB.</summary>
    public virtual SerialMode Mode => SerialMode.Klipper;

    /// <summary>Bytes arrive at this speed: a program that adapts its speed does so now.</summary>
    public virtual void Hear(SerialMode mode, ReadOnlySpan<byte> bytes)
    {
    }

    /// <summary>Bytes from the host: on USB one transfer as the host wrote it, on UART any number.</summary>
    public abstract void Receive(ReadOnlySpan<byte> bytes, TimeSpan now);

    /// <summary>Takes an answer: its bytes, and the delay until the chip is ready to send them (including its work in flash).</summary>
    public required Action<ReadOnlyMemory<byte>, TimeSpan> Send { get; init; }

    /// <summary>Requests a reset after a delay, with a request for the code that runs then.</summary>
    public required Action<ResetRequest, TimeSpan> Reset { get; init; }
}

/// <summary>A program's request for the code that runs after a reset.</summary>
internal enum ResetRequest
{
    /// <summary>None: the board starts as after power-on.</summary>
    Plain,

    /// <summary>Katapult starts the application at once and unchecked.</summary>
    SkipKatapult,

    /// <summary>The bootloader stays: Katapult where there is one, else the ROM.</summary>
    Bootloader,

    /// <summary>No reset but a crash: the chip hangs until it is reset.</summary>
    Crash,

    /// <summary>A fault of firmware that has started its watchdog: the chip hangs until that resets it.</summary>
    Watchdog,
}

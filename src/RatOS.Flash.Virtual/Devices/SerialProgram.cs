using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// What runs on a virtual chip and talks over a serial line, USB or UART: bytes and time in, bytes and reset requests out.
/// It owns no timer and no thread; the board that runs it carries its answers to the host when their time has come.
/// </summary>
internal abstract class SerialProgram
{
    /// <summary>Speed and parity that it hears and speaks on a UART. On USB they mean nothing.</summary>
    public virtual SerialMode Mode => SerialMode.Klipper;

    /// <summary>Bytes come at this speed. What follows the host's speed does so now.</summary>
    public virtual void Hear(SerialMode mode, ReadOnlySpan<byte> bytes)
    {
    }

    /// <summary>Bytes from the host: on USB one transfer's worth as the host wrote it, on UART whatever arrived.</summary>
    public abstract void Receive(ReadOnlySpan<byte> bytes, TimeSpan now);

    /// <summary>Where answers go: the bytes, and how long after now the chip is ready to send them (work in flash included).</summary>
    public required Action<ReadOnlyMemory<byte>, TimeSpan> Send { get; init; }

    /// <summary>Asks the chip for a reset after a delay: with what request in its backup word.</summary>
    public required Action<ResetRequest, TimeSpan> Reset { get; init; }
}

/// <summary>What a program leaves behind for the code that runs after the reset.</summary>
internal enum ResetRequest
{
    /// <summary>Nothing: the board starts as after power-on.</summary>
    Plain,

    /// <summary>Katapult is to start the application at once and unchecked.</summary>
    SkipKatapult,

    /// <summary>The bootloader is to stay: Katapult where there is one, else the ROM.</summary>
    Bootloader,

    /// <summary>No reset at all but a fault: the chip hangs until somebody resets it.</summary>
    Crash,
}

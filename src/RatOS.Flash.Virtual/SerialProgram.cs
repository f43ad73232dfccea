namespace RatOS.Flash.Virtual;

/// <summary>
/// What runs in the chip behind its serial line: Klipper's firmware or Katapult.
/// A sans-IO machine: bytes and time in, bytes out.
/// </summary>
internal abstract class SerialProgram
{
    /// <summary>Bytes from the host: on USB one transfer's worth as the host wrote it, on UART whatever arrived.</summary>
    public abstract void Receive(ReadOnlySpan<byte> bytes, TimeSpan now);

    /// <summary>Where answers go: the bytes, and how long after now the chip is ready to send them (work in flash included).</summary>
    public required Action<ReadOnlyMemory<byte>, TimeSpan> Send { get; init; }

    /// <summary>Asks the chip for a reset after a delay: with what request in its backup word.</summary>
    public required Action<ResetRequest, TimeSpan> Reset { get; init; }
}

/// <summary>What a program leaves in the backup word when it resets its chip.</summary>
internal enum ResetRequest
{
    Plain,

    /// <summary>The bypass word: Klipper's reset and Katapult's COMPLETE.</summary>
    SkipKatapult,

    /// <summary>Klipper was asked for its bootloader.</summary>
    Bootloader,

    /// <summary>A bus fault: the chip hangs until reset or power.</summary>
    Crash,
}

namespace RatOS.Flash.Virtual.Devices;

/// <param name="Index">Which transfer, from 1 on.</param>
/// <param name="Kind">What happens.</param>
/// <param name="Time">How long it takes: the delay of what is late, the time until cable or power are back; negative for never.</param>
public sealed record TransferFault(int Index, TransferFaultKind Kind, TimeSpan Time)
{
    /// <summary>
    /// How long after the transfer cable or power go, in the middle of an erase or a write. Where the chip is at none then, they go at
    /// the next transfer.
    /// </summary>
    public TimeSpan After { get; init; }

    internal static TransferFault Draw(Random dice)
    {
        var kinds = Enum.GetValues<TransferFaultKind>();
        var time = dice.Next(10) == 0 ? TimeSpan.FromSeconds(-1) : TimeSpan.FromMilliseconds(dice.Next(1, 9_000));
        // Most flashes have a few hundred transfers over DFU and two thousand over Katapult: both ends of that shall be met.
        var index = dice.Next(3) == 0 ? dice.Next(1, 2200) : dice.Next(1, 350);
        var after = dice.Next(3) == 0 ? TimeSpan.FromMilliseconds(dice.Next(1, 1500)) : TimeSpan.Zero;
        return new TransferFault(index, kinds[dice.Next(kinds.Length)], time) { After = after };
    }
}

public enum TransferFaultKind
{
    /// <summary>Serial: the answers to this frame are lost. On a UART and on CAN the frame itself.</summary>
    Lost,

    /// <summary>Serial: the answers to this frame come twice. CAN: the frame itself.</summary>
    Doubled,

    /// <summary>The answer takes so much longer.</summary>
    Late,

    /// <summary>UART: one byte of the frame arrives damaged. USB has checksums of its own.</summary>
    Damaged,

    /// <summary>UART: one byte of the answer arrives damaged.</summary>
    AnswerDamaged,

    /// <summary>Control: the endpoint stalls, and the device has not seen the request.</summary>
    Stall,

    /// <summary>Control: no answer at all, and the device has not seen the request.</summary>
    Timeout,

    /// <summary>Control: the device did what it was asked, and its answer never came.</summary>
    AnswerLost,

    /// <summary>Control: the bus fails, and the device has not seen the request. CAN: the host's controller goes bus-off.</summary>
    BusError,

    /// <summary>What is read has a wrong bit, though flash is right.</summary>
    WrongReadBack,

    /// <summary>Fewer bytes come than were asked for.</summary>
    Short,

    /// <summary>The cable is pulled, and put back.</summary>
    Unplug,

    /// <summary>The board's power fails, and returns.</summary>
    PowerCut,

    /// <summary>Somebody starts Klipper (H4).</summary>
    ForeignKlipper,
}

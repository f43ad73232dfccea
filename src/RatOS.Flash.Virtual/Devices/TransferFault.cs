namespace RatOS.Flash.Virtual.Devices;

/// <summary>A fault at one transfer.</summary>
/// <param name="Index">Number of the transfer, from 1 on.</param>
/// <param name="Kind">The fault.</param>
/// <param name="Time">The delay of a late answer, or the time until cable or power are back; negative for never.</param>
public sealed record TransferFault(int Index, TransferFaultKind Kind, TimeSpan Time)
{
    /// <summary>
    /// Delay from the transfer until cable or power go, in the middle of an erase or a write. Without one at that time, they go at the
    /// next transfer.
    /// </summary>
    public TimeSpan After { get; init; }

    public override string ToString()
    {
        var delay = After > TimeSpan.Zero ? $" + {After.TotalSeconds:0.###} s" : "";
        return $"{Kind} at transfer {Index}{delay} for {Time.TotalSeconds:0.###} s";
    }

    internal static TransferFault Draw(Random dice)
    {
        var kinds = Enum.GetValues<TransferFaultKind>();
        var time = dice.Next(10) == 0 ? TimeSpan.FromSeconds(-1) : TimeSpan.FromMilliseconds(dice.Next(1, 9_000));
        // A flash has a few hundred transfers over DFU and two thousand over Katapult: both ranges are drawn.
        var index = dice.Next(3) == 0 ? dice.Next(1, 2200) : dice.Next(1, 350);
        var after = dice.Next(3) == 0 ? TimeSpan.FromMilliseconds(dice.Next(1, 1500)) : TimeSpan.Zero;
        return new TransferFault(index, kinds[dice.Next(kinds.Length)], time) { After = after };
    }
}

public enum TransferFaultKind
{
    /// <summary>Serial: the answers to this frame are lost. UART and CAN: the frame itself is.</summary>
    Lost,

    /// <summary>Serial: the answers to this frame come twice. CAN: the frame itself.</summary>
    Doubled,

    /// <summary>The answer takes longer.</summary>
    Late,

    /// <summary>UART: one byte of the frame arrives damaged. USB has checksums of its own.</summary>
    Damaged,

    /// <summary>UART: one byte of the answer arrives damaged.</summary>
    AnswerDamaged,

    /// <summary>Control: the endpoint stalls before the device gets the request.</summary>
    Stall,

    /// <summary>Control: no answer, and the device does not get the request.</summary>
    Timeout,

    /// <summary>Control: the device executes the request, and its answer is lost.</summary>
    AnswerLost,

    /// <summary>Control: the bus fails before the device gets the request. CAN: the host's controller goes bus-off.</summary>
    BusError,

    /// <summary>A read returns a wrong bit, though flash is right.</summary>
    WrongReadBack,

    /// <summary>Fewer bytes arrive than requested.</summary>
    Short,

    /// <summary>The cable is unplugged, and plugged in again.</summary>
    Unplug,

    /// <summary>The board's power fails, and returns.</summary>
    PowerCut,

    /// <summary>Another program starts Klipper.</summary>
    ForeignKlipper,
}

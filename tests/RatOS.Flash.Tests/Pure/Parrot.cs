using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Acknowledges every block and never says more.</summary>
internal sealed class Parrot : SerialProgram
{
    public override void Receive(ReadOnlySpan<byte> bytes, TimeSpan now)
    {
        if (bytes.Length < 5)
            return;
        var ack = new byte[KlipperBlock.MaxLength];
        Send(ack.AsMemory(0, KlipperBlock.Write(ack, bytes[1] + 1, [])), TimeSpan.Zero);
    }
}

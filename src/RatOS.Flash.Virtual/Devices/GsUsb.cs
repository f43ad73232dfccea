using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Klipper's USB-CAN bridge on USB: the descriptors of a candleLight adapter, without its protocol.</summary>
internal sealed class GsUsb(string product, string serial) : UsbFunction
{
    // One interface of the vendor's own class, with a bulk endpoint each way.
    private static readonly byte[] Descriptor =
        Convert.FromHexString("09022000010100C032" + "0904000002FFFFFF00" + "07058102400000" + "07050202400000");

    public override UsbId Id => UsbId.KlipperCanBridge;

    public override ImmutableArray<string> Strings { get; } = ["Klipper", product, serial];

    public override ReadOnlyMemory<byte> Configuration => Descriptor;

    protected override UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now) => UsbAnswer.Stall;
}

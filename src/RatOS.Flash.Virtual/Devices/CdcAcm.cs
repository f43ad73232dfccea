using System.Buffers.Binary;
using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>USB CDC-ACM as Klipper and Katapult describe it, in front of a <see cref="SerialProgram"/>.</summary>
internal sealed class CdcAcm(
    UsbId id, string manufacturer, string product, string serial, SerialProgram program, Action? touched) : UsbFunction
{
    private const byte SetLineCoding = 0x20;
    private const byte GetLineCoding = 0x21;
    private const byte SetControlLineState = 0x22;

    /// <summary>Bulk OUT, which the host writes.</summary>
    public const byte Out = 0x02;

    /// <summary>Bulk IN, which the host reads.</summary>
    public const byte In = 0x81;

    // Klipper src/generic/usb_cdc.c and usb_cdc_ep.h, which Katapult shares: a communication interface with its functional descriptors
    // (header 1.10, ACM, union) and the silent interrupt endpoint 83, and a data interface with two bulk endpoints of 64 bytes.
    private static readonly byte[] Descriptor = Convert.FromHexString(
        "09023E00020100C032" + "090400000102020100" + "0524001001" + "04240206" + "0524060001" + "070583030800FF"
        + "09040100020A000000" + "07050202400000" + "07058102400000");

    private readonly byte[] _lineCoding = [0x00, 0xC2, 0x01, 0x00, 0, 0, 8];
    private bool _dtr;

    public override UsbId Id => id;

    public override byte DeviceClass => 2;   // communications

    public override byte ControlPacketSize => 16;

    public override ImmutableArray<string> Strings { get; } = [manufacturer, product, serial];

    public override ReadOnlyMemory<byte> Configuration => Descriptor;

    public SerialProgram Program => program;

    protected override UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now)
    {
        switch (setup.Request)
        {
            case SetLineCoding when data.Length == _lineCoding.Length:
                data.CopyTo(_lineCoding);
                break;
            case GetLineCoding:
                return Copy(_lineCoding, data);
            case SetControlLineState:
                _dtr = (setup.Value & 1) != 0;
                break;
            default:
                return UsbAnswer.Stall;
        }
        // Klipper src/generic/usb_cdc.c: 1200 baud and no DTR means "start the bootloader".
        if (!_dtr && BinaryPrimitives.ReadUInt32LittleEndian(_lineCoding) == 1200)
            touched?.Invoke();
        return UsbAnswer.Ok(data.Length);
    }
}

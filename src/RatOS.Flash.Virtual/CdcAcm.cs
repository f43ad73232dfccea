using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>
/// Two wires between a host and what runs in a chip: where bytes go and where answers come out. On USB there is a new one for each enumeration;
/// a UART keeps its own while programs come and go behind it.
/// </summary>
internal sealed class SerialWire
{
    // What a chip holds for a host that has not opened the port (facts: "Buffers and pipelining").
    private const int TransmitBuffer = 192;

    private readonly Queue<ReadOnlyMemory<byte>> _kept = new();
    private Action<ReadOnlyMemory<byte>, TimeSpan>? _listener;

    /// <summary>What runs in the chip now; null when nothing listens.</summary>
    public SerialProgram? Program { get; set; }

    /// <summary>Bits a second on a UART; null on USB, where the rate means nothing.</summary>
    public int? Baud { get; init; }

    /// <summary>Bytes from the host.</summary>
    public void Receive(ReadOnlySpan<byte> bytes, TimeSpan now) => Program?.Receive(bytes, now);

    /// <summary>Bytes from the chip, and when from now it has them ready.</summary>
    public void Answer(ReadOnlyMemory<byte> bytes, TimeSpan delay)
    {
        if (_listener is { } listener)
            listener(bytes, delay);
        else if (Baud is null && _kept.Sum(kept => kept.Length) + bytes.Length <= TransmitBuffer)
            _kept.Enqueue(bytes);
    }

    /// <summary>The host opens its end, and gets first what the chip kept for it; null closes.</summary>
    public void Listen(Action<ReadOnlyMemory<byte>, TimeSpan>? listener)
    {
        _listener = listener;
        while (listener is not null && _kept.TryDequeue(out var bytes))
            listener(bytes, TimeSpan.Zero);
    }
}

/// <summary>A USB serial port of the kind that needs no driver: CDC-ACM, as Klipper's and Katapult's firmware is.</summary>
internal sealed class CdcAcm : UsbFunction
{
    private const byte SetLineCoding = 0x20;
    private const byte GetLineCoding = 0x21;
    private const byte SetControlLineState = 0x22;

    // Communication interface (interrupt IN 83) and data interface (bulk OUT 02, bulk IN 81), USB CDC 1.20 with the functional descriptors of ACM.
    private static readonly byte[] TwoInterfaces =
    [
        9, 2, 67, 0, 2, 1, 0, 0xC0, 50,
        9, 4, 0, 0, 1, 2, 2, 1, 0,
        5, 0x24, 0, 0x10, 1,
        5, 0x24, 1, 1, 1,
        4, 0x24, 2, 6,
        5, 0x24, 6, 0, 1,
        7, 5, 0x83, 3, 8, 0, 0xFF,
        9, 4, 1, 0, 2, 0x0A, 0, 0, 0,
        7, 5, 0x02, 2, 64, 0, 0,
        7, 5, 0x81, 2, 64, 0, 0,
    ];

    private readonly byte[] _device;
    private readonly byte[] _lineCoding = [0x80, 0x25, 0, 0, 0, 0, 8]; // 9600 8N1
    private bool _dtr;

    public CdcAcm(UsbId id, ushort release = 0x0100) => _device = Device([0, 2, 2, 0, 0, 16], id, release);

    /// <summary>Where its bytes go.</summary>
    public SerialWire Wire { get; } = new();

    /// <summary>1200 baud with DTR low: Klipper takes it as the request for its bootloader, Katapult has nothing there.</summary>
    public Action? Touched { get; init; }

    public override ReadOnlyMemory<byte> DeviceDescriptor => _device;

    public override ReadOnlyMemory<byte> Configuration => TwoInterfaces;

    protected override UsbReply Class(UsbSetup setup, Memory<byte> data, TimeSpan now)
    {
        switch (setup)
        {
            case { RequestType: 0x21, Request: SetLineCoding } when data.Length == _lineCoding.Length:
                data.Span.CopyTo(_lineCoding);
                LookForTouch();
                return UsbReply.Ok(data.Length);
            case { RequestType: 0x21, Request: SetControlLineState }:
                _dtr = (setup.Value & 1) != 0;
                LookForTouch();
                return UsbReply.Ok();
            case { RequestType: 0xA1, Request: GetLineCoding }:
                return Fill(data.Span, _lineCoding);
            default:
                return UsbReply.Stall;
        }
    }

    // Looked at on both requests, as Klipper does.
    private void LookForTouch()
    {
        if (!_dtr && BitConverter.ToInt32(_lineCoding) == 1200)
            Touched?.Invoke();
    }

    public override void BulkOut(ReadOnlySpan<byte> data, TimeSpan now) => Wire.Receive(data, now);

    /// <summary>As a kernel's driver does when a program opens the port, sets its rate, or closes it.</summary>
    public void Set(int? baud, bool dtr, TimeSpan now)
    {
        if (baud is { } rate)
        {
            byte[] coding = [.. BitConverter.GetBytes(rate), 0, 0, 8];
            Control(new UsbSetup(0x21, SetLineCoding, 0, 0), coding, now);
        }
        Control(new UsbSetup(0x21, SetControlLineState, (ushort)(dtr ? 3 : 0), 0), Memory<byte>.Empty, now);
    }
}

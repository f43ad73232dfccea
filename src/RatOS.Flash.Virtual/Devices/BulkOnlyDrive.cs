using System.Buffers.Binary;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The drive beside PICOBOOT, as a kernel sees it first: SCSI over the bulk-only transport, with no medium in it. Nothing can be written to
/// it.
/// </summary>
internal sealed class BulkOnlyDrive
{
    private const byte Inquiry = 0x12, RequestSense = 0x03;
    private const int CommandSize = 31, StatusSize = 13;

    // A removable disk; "not ready, medium not present" (SPC-3 6.4.2, 4.5.3).
    private static readonly byte[] AboutIt =
        [0x00, 0x80, 0x02, 0x02, 0x1F, 0, 0, 0, .. "RPI     "u8, .. "RP2             "u8, .. "1   "u8];

    private static readonly byte[] NotReady = [0x70, 0, 0x02, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x3A, 0, 0, 0, 0, 0];

    private readonly Queue<byte[]> _answers = new();
    private bool _isHalted;   // its IN endpoint

    public bool HasAnswer => _isHalted || _answers.Count > 0;

    public void Reset()
    {
        _answers.Clear();
        _isHalted = false;
    }

    public void ClearHalt(byte endpoint) => _isHalted &= endpoint != RomBootsel.DriveIn;

    public UsbAnswer Write(ReadOnlySpan<byte> data)
    {
        if (data.Length != CommandSize || !data.StartsWith("USBC"u8))
            return UsbAnswer.Ok(data.Length);   // data of a write, which goes nowhere
        var (wanted, isIn) = (BinaryPrimitives.ReadInt32LittleEndian(data[8..]), (data[12] & 0x80) != 0);
        byte[] answer = data[15] switch { Inquiry => AboutIt, RequestSense => NotReady, _ => [] };
        answer = answer[..Math.Min(answer.Length, Math.Max(wanted, 0))];
        var status = new byte[StatusSize];
        "USBS"u8.CopyTo(status);
        data[4..8].CopyTo(status.AsSpan(4));
        BinaryPrimitives.WriteInt32LittleEndian(status.AsSpan(8), wanted - answer.Length);
        status[12] = answer.Length > 0 ? (byte)0 : (byte)1;
        Reset();
        if (answer.Length > 0)
            _answers.Enqueue(answer);
        _isHalted = answer.Length == 0 && wanted > 0 && isIn;
        _answers.Enqueue(status);
        return UsbAnswer.Ok(data.Length);
    }

    public UsbAnswer Read(Span<byte> data)
    {
        if (_isHalted)
            return UsbAnswer.Stall;
        var answer = _answers.Dequeue();
        var length = Math.Min(answer.Length, data.Length);
        answer.AsSpan(0, length).CopyTo(data);
        return UsbAnswer.Ok(length);
    }
}

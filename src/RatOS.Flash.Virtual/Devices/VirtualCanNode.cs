using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The CAN side of Klipper and Katapult: node numbers, and bytes in pieces of 8 (klipper: src/generic/canserial.c), held by recordings of
/// the real Katapult.
/// </summary>
internal sealed class VirtualCanNode
{
    private const int AdminId = 0x3F0;
    private const int AdminAnswerId = 0x3F1;

    // First byte of a frame to all nodes.
    private const byte Query = 0x00, SetKlipperNumber = 0x01, RequestBootloader = 0x02;
    private const byte SetKatapultNumber = 0x11, ClearKatapultNumbers = 0x12;
    private const byte NeedNumber = 0x20;

    private readonly VirtualTime _time;
    private readonly VirtualCanBus _bus;
    private readonly byte[] _uuid;
    private readonly SerialProgram _program;
    private readonly Action _requestBootloader;
    private TimeSpan _sent;

    /// <param name="requestBootloader">Called when Klipper gets the request.</param>
    public VirtualCanNode(VirtualTime time, VirtualCanBus bus, byte[] uuid, SerialProgram program, Action requestBootloader) =>
        (_time, _bus, _uuid, _program, _requestBootloader) = (time, bus, uuid, program, requestBootloader);

    /// <summary>Its own id; 0 while it has no number.</summary>
    public int AssignedId { get; set; }

    private bool IsKatapult => _program is KatapultProgram;

    public void Receive(CanFrame frame, TimeSpan now)
    {
        if (frame.Id == AdminId)
            Administer(frame.ToArray());
        else if (AssignedId != 0 && frame.Id == AssignedId)
            _program.Receive(frame.ToArray(), now);
        else if (AssignedId != 0 && frame.Id == AssignedId + 1)
            LoseNumber();
    }

    /// <summary>The program has bytes for the host; they are lost while the node has no number.</summary>
    public void Send(ReadOnlyMemory<byte> bytes, TimeSpan delay)
    {
        if (AssignedId == 0)
            return;
        var id = AssignedId + 1;
        var ready = _time.Now + delay;
        _sent = _sent > ready ? _sent : ready;
        for (var at = 0; at < bytes.Length; at += CanFrame.MaxLength)
        {
            var piece = new CanFrame(id, bytes.Span.Slice(at, Math.Min(CanFrame.MaxLength, bytes.Length - at)));
            Later(_sent - _time.Now, piece);
        }
    }

    private void Administer(byte[] data)
    {
        if (data.Length == 0)
            return;
        switch (data[0])
        {
            case Query when AssignedId == 0:
                Later(
                    TimeSpan.FromMicroseconds(50),
                    new CanFrame(AdminAnswerId, [NeedNumber, .. _uuid, IsKatapult ? SetKatapultNumber : SetKlipperNumber]));
                break;
            case SetKlipperNumber when !IsKatapult && data.Length == 8:
            case SetKatapultNumber when IsKatapult && data.Length == 8:
                var id = (data[7] * 2) + 0x100;
                if (IsMine(data))
                    AssignedId = id;
                else if (AssignedId == id)
                    LoseNumber();
                break;
            case RequestBootloader when !IsKatapult && IsMine(data):
                _requestBootloader();
                break;
            case ClearKatapultNumbers when IsKatapult:
                AssignedId = 0;
                break;
        }
    }

    private bool IsMine(byte[] data) => data.Length >= 7 && data.AsSpan(1, 6).SequenceEqual(_uuid);

    /// <summary>Another node has its number: Katapult gives it up, Klipper shuts down.</summary>
    private void LoseNumber()
    {
        AssignedId = 0;
        if (_program is KlipperProgram klipper)
            klipper.Stop("Another CAN node assigned this ID");
    }

    private void Later(TimeSpan delay, CanFrame frame) => _time.Schedule(delay, () => _bus.Carry(frame, this));

    /// <summary>Klipper's uuid of a chip: the first six bytes, in memory order, of the fasthash64 of its unique id.</summary>
    public static byte[] UuidOf(ReadOnlySpan<byte> chipId)
    {
        unchecked
        {
            const ulong M = 0x880355f21e6d1965UL;
            var h = 0xA16231A7UL ^ ((ulong)chipId.Length * M);
            var at = 0;
            for (; at + 8 <= chipId.Length; at += 8)
            {
                h ^= Compress(BitConverter.ToUInt64(chipId[at..]));
                h *= M;
            }
            if (at < chipId.Length)
            {
                var v = 0UL;
                for (var i = chipId.Length - 1; i >= at; i--)
                    v = (v << 8) | chipId[i];
                h ^= Compress(v);
                h *= M;
            }
            return BitConverter.GetBytes(Compress(h))[..6];

            static ulong Compress(ulong h)
            {
                h ^= h >> 23;
                h *= 0x2127599bf4325c37UL;
                return h ^ (h >> 47);
            }
        }
    }
}

using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A CAN bus at 1 Mbit with its nodes: one frame after the other, heard by everybody but its sender. The host's side is frames in and frames out, so that
/// a real interface can stand there as well.
/// </summary>
public sealed class VirtualCanBus
{
    /// <summary>What the nodes' firmware was built for, bits a second.</summary>
    public const int Bitrate = 1_000_000;

    /// <summary>txqueuelen of a CAN interface.</summary>
    private const int QueueLength = 10;

    private readonly VirtualTime _time;
    private readonly List<VirtualCanNode> _nodes = [];
    private readonly Queue<CanFrame> _waiting = new();   // for somebody who acknowledges
    private TimeSpan _free;                              // when the bus has carried what was sent
    private TimeSpan _offUntil = TimeSpan.MinValue;

    internal VirtualCanBus(VirtualTime time) => _time = time;

    /// <summary>Every frame that a node sends, when it has arrived.</summary>
    public Action<CanFrame>? FromNodes { get; set; }

    /// <summary>Called when there may be room again.</summary>
    internal Action? Eased { get; set; }

    /// <summary>The interface's own rate; with another than <see cref="Bitrate"/> nothing is understood.</summary>
    public int HostBitrate { get; set; } = Bitrate;

    public CanBusState State => IsOff ? CanBusState.Off : _waiting.Count > 0 ? CanBusState.NotAcknowledged : CanBusState.Working;

    /// <summary>The interface takes another frame.</summary>
    internal bool HasRoom => !IsOff && _waiting.Count < QueueLength;

    private bool IsOff => _time.Now < _offUntil;

    private bool IsAcknowledged => _nodes.Count > 0 && HostBitrate == Bitrate;

    /// <summary>A frame from the host's side.</summary>
    public void ToNodes(CanFrame frame)
    {
        if (IsAcknowledged)
            Carry(frame, null);
        else
            _waiting.Enqueue(frame);
    }

    /// <summary>The host's controller made too many errors; it takes no part until it was started again.</summary>
    /// <param name="time">Until then; negative for ever.</param>
    public void GoOff(TimeSpan time)
    {
        _offUntil = time < TimeSpan.Zero ? TimeSpan.MaxValue : _time.Now + time;
        if (time >= TimeSpan.Zero)
            _time.Schedule(time, () => Eased?.Invoke());
    }

    internal void Join(VirtualCanNode node)
    {
        _nodes.Add(node);
        if (!IsAcknowledged)
            return;
        while (_waiting.TryDequeue(out var frame))
            Carry(frame, null);
        Eased?.Invoke();
    }

    internal void Leave(VirtualCanNode node) => _nodes.Remove(node);

    /// <summary>The node is on the bus, and the host can hear it.</summary>
    internal bool Reaches(VirtualCanNode node) => _nodes.Contains(node) && HostBitrate == Bitrate && !IsOff;

    /// <summary>Carries a frame when the bus is free; what comes later does not overtake.</summary>
    internal void Carry(CanFrame frame, VirtualCanNode? from)
    {
        _free = (_free > _time.Now ? _free : _time.Now) + TimeOf(frame.Length);
        _time.Schedule(_free - _time.Now, () =>
        {
            foreach (var node in _nodes.ToList())
            {
                if (node != from)
                    node.Receive(frame, _time.Now);
            }
            if (from is not null && Reaches(from))
                FromNodes?.Invoke(frame);
        });
    }

    /// <summary>The frame, the gap behind it, and one stuff bit in ten.</summary>
    private static TimeSpan TimeOf(int bytes) => TimeSpan.FromMicroseconds((47 + (8 * bytes)) * 1.1 * 1_000_000 / Bitrate);
}

/// <summary>
/// The part of Klipper and Katapult that meets the bus: who has which number, and bytes in pieces of 8 (facts: CAN), pinned by recordings of the real
/// Katapult.
/// </summary>
internal sealed class VirtualCanNode
{
    private const int AdminId = 0x3F0;
    private const int AdminAnswerId = 0x3F1;

    // What comes first in a frame to all nodes.
    private const byte Query = 0x00, SetKlipperNumber = 0x01, RequestBootloader = 0x02, SetKatapultNumber = 0x11, ClearKatapultNumbers = 0x12;
    private const byte NeedNumber = 0x20;

    private readonly VirtualTime _time;
    private readonly VirtualCanBus _bus;
    private readonly byte[] _uuid;
    private readonly SerialProgram _program;
    private readonly Action _requestBootloader;
    private TimeSpan _sent;

    /// <param name="requestBootloader">Klipper is asked for it; Katapult never is.</param>
    public VirtualCanNode(VirtualTime time, VirtualCanBus bus, byte[] uuid, SerialProgram program, Action requestBootloader) =>
        (_time, _bus, _uuid, _program, _requestBootloader) = (time, bus, uuid, program, requestBootloader);

    /// <summary>The id it listens to besides everybody's; 0 while it has no number.</summary>
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

    /// <summary>The program has bytes for the host. Nobody hears them while the node has no number.</summary>
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
                Later(TimeSpan.FromMicroseconds(50), new CanFrame(AdminAnswerId, [NeedNumber, .. _uuid, IsKatapult ? SetKatapultNumber : SetKlipperNumber]));
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

    /// <summary>Somebody else has its number: Katapult gives it up, Klipper stops for safety.</summary>
    private void LoseNumber()
    {
        AssignedId = 0;
        if (_program is KlipperProgram klipper)
            klipper.Stop("Another CAN node assigned this ID");
    }

    private void Later(TimeSpan delay, CanFrame frame) => _time.Schedule(delay, () => _bus.Carry(frame, this));

    /// <summary>Klipper's uuid of a chip: fasthash64 of its unique id, of the result the first six bytes in memory order.</summary>
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

/// <summary>The host's end of a virtual bus, through an interface that may leave.</summary>
internal sealed class VirtualCanPort : CanPort
{
    private const int MostUnread = 4096;

    private readonly VirtualPrinter _printer;
    private readonly VirtualPrinter.Present _present;
    private readonly VirtualCanBus _bus;
    private readonly Queue<CanFrame> _incoming = new();
    private readonly Pause _reader;
    private readonly Pause _writer;
    private bool _isOpen = true;
    private TimeSpan _late;

    public VirtualCanPort(VirtualPrinter printer, VirtualPrinter.Present present, VirtualCanBus bus)
    {
        (_printer, _present, _bus) = (printer, present, bus);
        (_reader, _writer) = (new Pause(printer.Time), new Pause(printer.Time));
        _bus.FromNodes += Heard;
        _bus.Eased += _writer.Wake;
        present.WhenGone(Gone);
    }

    public override Device Device => _present.Device;

    public override CanBusState State => _bus.State;

    public override async ValueTask SendAsync(CanFrame frame)
    {
        Check();
        var fault = _printer.NextCanFrame(frame);
        if (fault?.Kind == TransferFaultKind.BusError)
            _bus.GoOff(fault.Time);
        for (var begin = _printer.Time.Now; !_bus.HasRoom;)
        {
            var left = SendLimit - (_printer.Time.Now - begin);
            if (left <= TimeSpan.Zero)
                throw _bus.State == CanBusState.Off ? CanFaults.CanBusOff(Device.Port) : CanFaults.CanNotAcknowledged(Device.Port, Device.Can?.Bitrate);
            await _writer.WaitAsync(left);
            Check();
        }
        if (fault?.Kind == TransferFaultKind.Lost)
            return;
        _late = fault?.Kind == TransferFaultKind.Late ? fault.Time.Duration() : TimeSpan.Zero;
        if (_late > TimeSpan.Zero)
            await _writer.WaitAsync(_late);
        Check();
        _bus.ToNodes(frame);
        if (fault?.Kind == TransferFaultKind.Doubled)
            _bus.ToNodes(frame);   // an error in the last bit of a frame: the sender repeats what everybody has heard
    }

    public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
    {
        if (_incoming.Count == 0)
        {
            Check();
            if (timeout <= TimeSpan.Zero)
                return null;
            await _reader.WaitAsync(timeout);
            if (_incoming.Count == 0)
            {
                Check();
                return null;
            }
        }
        return _incoming.Dequeue();
    }

    public override ValueTask DisposeAsync()
    {
        if (_isOpen)
        {
            _isOpen = false;
            _bus.FromNodes -= Heard;
            _bus.Eased -= _writer.Wake;
            _present.Forget(Gone);
        }
        return ValueTask.CompletedTask;
    }

    private void Heard(CanFrame frame)
    {
        if (_incoming.Count < MostUnread)
            _incoming.Enqueue(frame);
        _reader.Wake();
    }

    private void Gone()
    {
        _reader.Wake();
        _writer.Wake();
    }

    private void Check()
    {
        if (_present.IsOver)
            throw new DeviceGoneException(Device.ToString());
        if (Device.Can is not { IsUp: true })
            throw CanFaults.CanDown(Device.Port);
    }
}

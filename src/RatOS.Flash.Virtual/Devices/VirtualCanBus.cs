using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A CAN bus with its nodes: one frame after the other, received by all nodes but its sender. The host's side is frames in
/// and out, so that a real interface can be there too.
/// </summary>
public sealed class VirtualCanBus
{
    /// <summary>Klipper's usual bit rate, in bit/s.</summary>
    public const int Bitrate = 1_000_000;

    /// <summary>txqueuelen of a CAN interface.</summary>
    private const int QueueLength = 10;

    private readonly VirtualTime _time;
    private readonly List<VirtualCanNode> _nodes = [];
    private readonly Queue<CanFrame> _waiting = new();   // until a node acknowledges
    private TimeSpan _free;                              // when the bus has carried all frames so far
    private TimeSpan _offUntil = TimeSpan.MinValue;

    private readonly int _rate;

    /// <param name="rate">Bit rate of the nodes' firmware, in bit/s.</param>
    internal VirtualCanBus(VirtualTime time, int rate = Bitrate) => (_time, _rate, HostBitrate) = (time, rate, rate);

    /// <summary>Called with each frame of a node when it arrives.</summary>
    public Action<CanFrame>? FromNodes { get; set; }

    /// <summary>Called when there may be room again.</summary>
    internal Action? Eased { get; set; }

    /// <summary>The interface's own rate; with another than the nodes' no frame is understood.</summary>
    public int HostBitrate { get; set; }

    public CanBusState State => IsOff ? CanBusState.Off : _waiting.Count > 0 ? CanBusState.NotAcknowledged : CanBusState.Working;

    /// <summary>The interface has room for another frame.</summary>
    internal bool HasRoom => !IsOff && _waiting.Count < QueueLength;

    private bool IsOff => _time.Now < _offUntil;

    private bool IsAcknowledged => _nodes.Count > 0 && HostBitrate == _rate;

    /// <summary>A frame from the host's side.</summary>
    public void ToNodes(CanFrame frame)
    {
        if (IsAcknowledged)
            Carry(frame, null);
        else
            _waiting.Enqueue(frame);
    }

    /// <summary>The host's controller goes bus-off after too many errors, until it is restarted.</summary>
    /// <param name="time">Until its restart; negative for never.</param>
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

    /// <summary>The node is on the bus, and the host receives it.</summary>
    internal bool Reaches(VirtualCanNode node) => _nodes.Contains(node) && HostBitrate == _rate && !IsOff;

    /// <summary>Carries a frame when the bus is free; frames keep their order.</summary>
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
    private TimeSpan TimeOf(int bytes) => TimeSpan.FromMicroseconds((47 + (8 * bytes)) * 1.1 * 1_000_000 / _rate);
}

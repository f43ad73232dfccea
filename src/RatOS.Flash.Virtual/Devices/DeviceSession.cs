using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>One session of a device on the bus: from its enumeration until it leaves, or until it is no longer listed.</summary>
internal sealed class DeviceSession(Device device, VirtualBoard? board, UsbFunction? function)
{
    private readonly List<Action> _ended = [];

    public Device Device { get; set; } = device;

    /// <summary>When it appeared.</summary>
    public TimeSpan Since { get; init; }

    /// <summary>Null for a device that is none of the printer's boards.</summary>
    public VirtualBoard? Board { get; } = board;

    /// <summary>Null for a port without USB, and after the device has left.</summary>
    public UsbFunction? Function { get; private set; } = function;

    /// <summary>A program has it open.</summary>
    public bool IsHeld { get; set; }

    /// <summary>The device has left, though it may still be listed.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Calls back when the device leaves.</summary>
    public void WhenOver(Action callback) => _ended.Add(callback);

    /// <summary>Takes back <see cref="WhenOver"/>.</summary>
    public void Forget(Action callback) => _ended.Remove(callback);

    /// <summary>The device leaves.</summary>
    public void End()
    {
        (Function, IsOver) = (null, true);
        foreach (var callback in _ended.ToList())
            callback();
    }
}

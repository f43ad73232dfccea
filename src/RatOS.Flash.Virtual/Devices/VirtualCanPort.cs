using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The host's end of a virtual bus, through an interface that may be unplugged.</summary>
internal sealed class VirtualCanPort : CanPort
{
    private const int MostUnread = 4096;

    private readonly VirtualPrinter _printer;
    private readonly DeviceSession _session;
    private readonly VirtualCanBus _bus;
    private readonly Queue<CanFrame> _incoming = new();
    private readonly Pause _reader;
    private readonly Pause _writer;
    private bool _isOpen = true;
    private TimeSpan _late;

    public VirtualCanPort(VirtualPrinter printer, DeviceSession session, VirtualCanBus bus)
    {
        (_printer, _session, _bus) = (printer, session, bus);
        (_reader, _writer) = (new Pause(printer.Time), new Pause(printer.Time));
        _bus.FromNodes += OnFrame;
        _bus.Eased += _writer.Wake;
        session.WhenOver(Gone);
    }

    public override Device Device => _session.Device;

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
                throw _bus.State == CanBusState.Off
                    ? CanFaults.CanBusOff(Device.Port)
                    : CanFaults.CanNotAcknowledged(Device.Port, Device.Can?.Bitrate);
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
            _bus.ToNodes(frame);   // an error in the last bit of a frame: the sender repeats it, though all nodes have it
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
            _bus.FromNodes -= OnFrame;
            _bus.Eased -= _writer.Wake;
            _session.Forget(Gone);
        }
        return ValueTask.CompletedTask;
    }

    private void OnFrame(CanFrame frame)
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
        if (_session.IsOver)
            throw new DeviceGoneException(Device.ToString());
        if (Device.Can is not { IsUp: true })
            throw CanFaults.CanDown(Device.Port);
    }
}

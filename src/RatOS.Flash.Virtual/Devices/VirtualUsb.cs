using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Control transfers to a virtual board, with the bus's time and with injected faults.</summary>
internal sealed class VirtualUsb : IUsbDevice
{
    private readonly VirtualPrinter _printer;
    private readonly DeviceSession _session;
    private readonly Pause _transfer;
    private bool _isAborted;

    public VirtualUsb(VirtualPrinter printer, DeviceSession session)
    {
        (_printer, _session) = (printer, session);
        Configuration = session.Function!.Configuration;
        _transfer = new Pause(printer.Time);
        session.WhenOver(_transfer.Wake);
    }

    public Device Device => _session.Device;

    public ReadOnlyMemory<byte> Configuration { get; }

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate) =>
        await ControlAsync(new UsbSetup(0x01, 11, alternate, interfaceNumber), Memory<byte>.Empty, TimeSpan.FromSeconds(1));

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout)
    {
        _isAborted = false;
        var fault = _printer.Injector.Next(_session.Board!);
        var isUpload = setup is { RequestType: 0xA1, Request: 2 };
        await OnBusAsync(_printer.ControlTime(data.Length));
        if (_isAborted)
            return new UsbTransfer(UsbStatus.Timeout, 0);
        if (_session.Board!.IsUsbHung)
        {
            await OnBusAsync(timeout);
            return new UsbTransfer(UsbStatus.Timeout, 0);
        }
        switch (fault?.Kind)
        {
            case TransferFaultKind.Stall:
                return new UsbTransfer(UsbStatus.Stall, 0);
            case TransferFaultKind.BusError:
                return new UsbTransfer(UsbStatus.Error, 0);
            case TransferFaultKind.Timeout:
                await OnBusAsync(timeout);
                return new UsbTransfer(UsbStatus.Timeout, 0);
        }
        var answer = _session.Function!.Control(setup, data.Span, _printer.Time.Now);
        var delay = answer.Delay + (fault?.Kind == TransferFaultKind.Late ? fault.Time.Duration() : TimeSpan.Zero);
        var isInTime = delay <= timeout && fault?.Kind != TransferFaultKind.AnswerLost;
        if (delay > TimeSpan.Zero || !isInTime)
            await OnBusAsync(isInTime ? delay : timeout);
        if (!isInTime)
            return new UsbTransfer(UsbStatus.Timeout, 0);
        if (fault?.Kind == TransferFaultKind.WrongReadBack && isUpload && answer.Length > 0)
            data.Span[answer.Length / 2] ^= 0x10;
        return new UsbTransfer(answer.Status, fault?.Kind == TransferFaultKind.Short ? answer.Length / 2 : answer.Length);
    }

    /// <summary>A USB bootloader has endpoint 0 only; Klipper and Katapult use their serial port.</summary>
    public ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout) =>
        ValueTask.FromResult(new UsbTransfer(UsbStatus.Stall, 0));

    /// <summary>
    /// A USB reset does not reset the ROM: it keeps its state, with the first alternate setting selected.
    /// </summary>
    public async ValueTask ResetAsync()
    {
        await OnBusAsync(TimeSpan.FromMilliseconds(60));
        _session.Board!.IsUsbHung = false;
        _session.Function!.Control(new UsbSetup(0x01, 11, 0, 0), [], _printer.Time.Now);
    }

    /// <summary>Ends the transfer under way as an unlink by the host does: its caller gets a time-out at once.</summary>
    public void Abort()
    {
        _isAborted = true;
        _transfer.Wake();
    }

    /// <summary>Lets time pass on the bus. It ends at once when the device leaves, as a kernel ends its transfers.</summary>
    private async ValueTask OnBusAsync(TimeSpan time)
    {
        if (_session.Function is not null && !_isAborted)
            await _transfer.WaitAsync(time);
        if (_session.Function is null)
            throw new DeviceGoneException(Device.ToString());
    }

    public void Close()
    {
        _session.IsHeld = false;
        _session.Forget(_transfer.Wake);
    }

    public ValueTask DisposeAsync()
    {
        Close();
        return ValueTask.CompletedTask;
    }
}

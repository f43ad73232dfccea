using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Control and bulk transfers to a virtual board, with the bus's time and with injected faults.</summary>
internal sealed class VirtualUsb : IUsbDevice
{
    /// <summary>So often an endpoint that has nothing ready is asked again.</summary>
    private static readonly TimeSpan NakPoll = TimeSpan.FromMilliseconds(10);

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

    public async ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout)
    {
        _isAborted = false;
        // A kernel's own driver asks the drive, which has no faults.
        var isDrive = endpoint is RomBootsel.DriveIn or RomBootsel.DriveOut;
        var fault = isDrive ? null : _printer.Injector.Next(_session.Board!);
        var isIn = (endpoint & 0x80) != 0;
        if (!isIn && fault?.Kind == TransferFaultKind.Short)
            data = data[..(data.Length / 2)];
        if (!isDrive)
            await OnBusAsync(_printer.BulkTime(isIn ? 0 : data.Length));
        switch (fault?.Kind)
        {
            case var _ when _session.Board!.IsUsbHung:
            case TransferFaultKind.Timeout:
                await OnBusAsync(timeout);
                return new UsbTransfer(UsbStatus.Timeout, 0);
            case TransferFaultKind.Stall:
                return new UsbTransfer(UsbStatus.Stall, 0);
            case TransferFaultKind.BusError:
                return new UsbTransfer(UsbStatus.Error, 0);
        }
        var late = fault?.Kind == TransferFaultKind.Late ? fault.Time.Duration() : TimeSpan.Zero;
        if (!await IsReadyAsync(endpoint, timeout, late))
            return new UsbTransfer(UsbStatus.Timeout, 0);
        var answer = _session.Function!.Bulk(endpoint, data.Span, _printer.Time.Now);
        if (isIn && !isDrive)
            await OnBusAsync(_printer.BulkTime(answer.Length) - _printer.BulkTime(0));
        if (fault?.Kind == TransferFaultKind.AnswerLost)
        {
            await OnBusAsync(timeout);
            return new UsbTransfer(UsbStatus.Timeout, 0);
        }
        if (fault?.Kind == TransferFaultKind.WrongReadBack && isIn && answer.Length > 0)
            data.Span[answer.Length / 2] ^= 0x10;
        return new UsbTransfer(answer.Status, fault?.Kind == TransferFaultKind.Short && isIn ? answer.Length / 2 : answer.Length);
    }

    public ValueTask<UsbTransfer> ClearHaltAsync(byte endpoint) =>
        ControlAsync(new UsbSetup(0x02, 1, 0, endpoint), Memory<byte>.Empty, TimeSpan.FromSeconds(1));

    /// <summary>Waits while the endpoint answers NAK; false at the time-out, or when the transfer was aborted.</summary>
    private async ValueTask<bool> IsReadyAsync(byte endpoint, TimeSpan timeout, TimeSpan late)
    {
        var begin = _printer.Time.Now;
        while (true)
        {
            var delay = _session.Function!.BulkDelay(endpoint, _printer.Time.Now);
            var left = begin + timeout - _printer.Time.Now;
            if (delay <= left && late <= TimeSpan.Zero)
            {
                await OnBusAsync(delay);
                return !_isAborted;
            }
            if (left <= TimeSpan.Zero)
                return false;
            var step = late > TimeSpan.Zero ? late : NakPoll;
            await OnBusAsync(step < left ? step : left);
            late = TimeSpan.Zero;
            if (_isAborted)
                return false;
        }
    }

    /// <summary>
    /// A USB reset does not reset the ROM: it keeps its state, with the first alternate setting selected.
    /// </summary>
    public async ValueTask ResetAsync()
    {
        await OnBusAsync(TimeSpan.FromMilliseconds(60));
        _session.Board!.IsUsbHung = false;
        _session.Function!.Control(new UsbSetup(0x00, 9, 1, 0), [], _printer.Time.Now);
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

using System.Globalization;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Recording;

/// <summary>Buses that are recorded. It changes nothing of what it passes on.</summary>
internal sealed class RecordedHardware(IHardware inner, FlightRecorder recorder) : IHardware
{
    public DeviceList Look()
    {
        var list = inner.Look();
        recorder.Saw(list);
        return list;
    }

    public async Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel)
    {
        var list = await inner.WaitForChangeAsync(generation, cancel);
        recorder.Saw(list);
        return list;
    }

    public Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        var handle = recorder.NextHandle();
        return recorder.AskAsync<IUsbDevice>(
            ChannelOf(device), "usb", [], null, async () => new RecordedUsb(await inner.OpenUsbAsync(device), handle, recorder), usb => Answer.Bytes(usb.Configuration, handle));
    }

    public Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        var handle = recorder.NextHandle();
        return recorder.AskAsync<ByteLine>(
            ChannelOf(device), "serial", [FlightRecorder.Number(mode.Baud), mode.EvenParity ? "even" : null], null,
            async () => new RecordedLine(await inner.OpenSerialAsync(device, mode), handle, recorder), _ => Answer.Ok(handle));
    }

    public Task<CanPort> OpenCanAsync(Device device)
    {
        var handle = recorder.NextHandle();
        return recorder.AskAsync<CanPort>(
            ChannelOf(device), "can", [], null, async () => new RecordedCan(await inner.OpenCanAsync(device), handle, recorder), _ => Answer.Ok(handle));
    }

    public Task TouchAsync(Device device, int baud) => recorder.AskAsync(
        ChannelOf(device), "touch", [FlightRecorder.Number(baud)], null,
        async () =>
        {
            await inner.TouchAsync(device, baud);
            return true;
        },
        static _ => Answer.Ok());

    public Task<bool> CyclePortAsync(string port) => recorder.AskAsync(
        FlightRecorder.Escape(port), "cycle", [], null, () => inner.CyclePortAsync(port), static isDone => Answer.Ok(isDone ? "on" : "no"));

    public Task<string?> PutOnCardAsync(string name, ReadOnlyMemory<byte> file) => recorder.AskAsync(
        "card", "put", [name], file, () => inner.PutOnCardAsync(name, file), static place => place is null ? Answer.Ok() : Answer.Ok(place));

    internal static string ChannelOf(Device device) => string.Create(CultureInfo.InvariantCulture, $"{FlightRecorder.Escape(device.Port)}#{device.Number}");
}

internal sealed class RecordedUsb(IUsbDevice inner, string handle, FlightRecorder recorder) : IUsbDevice
{
    public Device Device => inner.Device;

    public ReadOnlyMemory<byte> Configuration => inner.Configuration;

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate) => await recorder.AskAsync(
        handle, "claim", [FlightRecorder.Number(interfaceNumber), FlightRecorder.Number(alternate)], null,
        async () =>
        {
            await inner.ClaimAsync(interfaceNumber, alternate);
            return true;
        },
        static _ => Answer.Ok());

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout) => await recorder.AskAsync(
        handle, "control", Words(setup, data.Length), Sent(setup.IsIn, data), async () => await inner.ControlAsync(setup, data, timeout), came => Told(came, setup.IsIn, data));

    public async ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout)
    {
        var isIn = (endpoint & 0x80) != 0;
        return await recorder.AskAsync(
            handle, "bulk", [FlightRecorder.Number(endpoint), FlightRecorder.Number(data.Length)], Sent(isIn, data),
            async () => await inner.BulkAsync(endpoint, data, timeout), came => Told(came, isIn, data));
    }

    public async ValueTask ResetAsync() => await recorder.AskAsync(
        handle, "reset", [], null,
        async () =>
        {
            await inner.ResetAsync();
            return true;
        },
        static _ => Answer.Ok());

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    internal static string?[] Words(UsbSetup setup, int length) =>
    [
        FlightRecorder.Number(setup.RequestType), FlightRecorder.Number(setup.Request), FlightRecorder.Number(setup.Value), FlightRecorder.Number(setup.Index), FlightRecorder.Number(length),
    ];

    /// <summary>What goes out with a transfer; null where there is nothing, or where it comes in.</summary>
    internal static ReadOnlyMemory<byte>? Sent(bool isIn, ReadOnlyMemory<byte> data) => isIn || data.IsEmpty ? (ReadOnlyMemory<byte>?)null : data;

    private static Answer Told(UsbTransfer came, bool isIn, ReadOnlyMemory<byte> data) =>
        new("ok", [came.Status.ToString(), FlightRecorder.Number(came.Length)], Sent(!isIn, data[..Math.Min(came.Length, data.Length)]));
}

internal sealed class RecordedLine(ByteLine inner, string handle, FlightRecorder recorder) : ByteLine
{
    public override Device Device => inner.Device;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame) => await recorder.AskAsync(
        handle, "write", [], frame,
        async () =>
        {
            await inner.WriteAsync(frame);
            return true;
        },
        static _ => Answer.Ok());

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        var begun = recorder.Now;
        try
        {
            var length = await inner.ReadAsync(buffer, timeout);
            recorder.Put(handle, length > 0 ? "got" : "none", begun, [FlightRecorder.Number(timeout.Ticks)], null, length > 0 ? Answer.Bytes(buffer[..length]) : Answer.Ok());
            return length;
        }
        catch (Exception fault) when (Answer.For(fault) is not null)
        {
            recorder.Put(handle, "lost", begun, [FlightRecorder.Number(timeout.Ticks)], null, Answer.For(fault)!.Value);
            throw;
        }
    }

    public override ValueTask DisposeAsync() => inner.DisposeAsync();
}

internal sealed class RecordedCan(CanPort inner, string handle, FlightRecorder recorder) : CanPort
{
    private CanBusState _state;

    public override Device Device => inner.Device;

    public override CanBusState State
    {
        get
        {
            if (inner.State is var state && state != _state)
                recorder.Put(handle, "state", recorder.Now, [], null, Answer.Ok((_state = state).ToString()));
            return state;
        }
    }

    public override async ValueTask SendAsync(CanFrame frame) => await recorder.AskAsync(
        handle, "send", [FlightRecorder.Number(frame.Id)], frame.ToArray(),
        async () =>
        {
            await inner.SendAsync(frame);
            return true;
        },
        static _ => Answer.Ok());

    public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
    {
        var begun = recorder.Now;
        try
        {
            var frame = await inner.ReceiveAsync(timeout);
            recorder.Put(
                handle, frame is null ? "none" : "heard", begun, [FlightRecorder.Number(timeout.Ticks)], null,
                frame is { } heard ? Answer.Bytes(heard.ToArray(), FlightRecorder.Number(heard.Id)) : Answer.Ok());
            return frame;
        }
        catch (Exception fault) when (Answer.For(fault) is not null)
        {
            recorder.Put(handle, "lost", begun, [FlightRecorder.Number(timeout.Ticks)], null, Answer.For(fault)!.Value);
            throw;
        }
    }

    public override ValueTask DisposeAsync() => inner.DisposeAsync();
}

internal sealed class RecordedKlippy(IKlippy inner, FlightRecorder recorder) : IKlippy
{
    public Task<KlippyState> LookAsync(CancellationToken cancel) => recorder.AskAsync("klippy", "look", [], null, () => inner.LookAsync(cancel), Told);

    public Task StopAsync(CancellationToken cancel) => recorder.AskAsync(
        "klippy", "stop", [], null,
        async () =>
        {
            await inner.StopAsync(cancel);
            return true;
        },
        static _ => Answer.Ok());

    public Task<KlippyState> StartAsync() => recorder.AskAsync("klippy", "start", [], null, inner.StartAsync, Told);

    private static Answer Told(KlippyState state) =>
        Answer.Ok(state.Activity.ToString(), state.Message, state.Refusal?.Code, state.Refusal?.Cause, state.Refusal?.Remedy);
}

/// <summary>A device as the words of <c>bus came</c>.</summary>
internal static class DeviceWords
{
    private const int Count = 12;

    public static string?[] Of(Device device) =>
    [
        device.Port, FlightRecorder.Number(device.Number), device.Usb?.ToString(), device.Can is { } can ? can.IsUp ? "up" : "down" : null,
        device.Can?.Bitrate is { } bitrate ? FlightRecorder.Number(bitrate) : null, device.Can?.UsbPort,
        device.Manufacturer, device.Product, device.Serial, FlightRecorder.Number(device.Release), device.Node, device.Driver,
    ];

    /// <summary>Null for words that are no device.</summary>
    public static Device? Read(string?[] words)
    {
        if (words.Length < Count || words[0] is not { } port || Int(words[1]) is not { } number || Int(words[9]) is not (>= 0 and <= ushort.MaxValue and var release))
            return null;
        UsbId? usb = null;
        if (words[2] is { } id)
        {
            if (id.Length != 9 || id[4] != ':' || !ushort.TryParse(id.AsSpan(0, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var vendor)
                || !ushort.TryParse(id.AsSpan(5), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var product))
                return null;
            usb = new UsbId(vendor, product);
        }
        return new Device
        {
            Port = port,
            Number = number,
            Usb = usb,
            Can = words[3] is { } state ? new CanLink(state == "up", Int(words[4]), words[5]) : null,
            Manufacturer = words[6],
            Product = words[7],
            Serial = words[8],
            Release = (ushort)release,
            Node = words[10],
            Driver = words[11],
        };
    }

    public static int? Int(string? word) => int.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;
}

using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using static RatOS.Flash.Recording.RecordingWords;

namespace RatOS.Flash.Recording;

/// <summary>Buses whose calls are recorded and otherwise passed on unchanged.</summary>
internal sealed class RecordingHardware(IHardware inner, CallRecorder recorder) : IHardware
{
    public DeviceList Look()
    {
        var list = inner.Look();
        recorder.Append(list);
        return list;
    }

    public async Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel)
    {
        var list = await inner.WaitForChangeAsync(generation, cancel);
        recorder.Append(list);
        return list;
    }

    public Task CheckAccessAsync(Device device) =>
        recorder.RecordAsync(DeviceWords.ChannelOf(device), "access", [device.Usb?.ToString()], null, () => inner.CheckAccessAsync(device));

    public Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        var handle = recorder.NextHandle();
        return recorder.RecordAsync<IUsbDevice>(
            DeviceWords.ChannelOf(device), "usb", [], null,
            async () => new RecordingUsb(await inner.OpenUsbAsync(device), handle, recorder),
            usb => Answer.Bytes(usb.Configuration, handle));
    }

    public Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        var handle = recorder.NextHandle();
        return recorder.RecordAsync<ByteLine>(
            DeviceWords.ChannelOf(device), "serial", [Number(mode.Baud), mode.EvenParity ? "even" : null], null,
            async () => new RecordingLine(await inner.OpenSerialAsync(device, mode), handle, recorder), _ => Answer.Ok(handle));
    }

    public Task<CanPort> OpenCanAsync(Device device)
    {
        var handle = recorder.NextHandle();
        return recorder.RecordAsync<CanPort>(
            DeviceWords.ChannelOf(device), "can", [], null,
            async () => new RecordingCan(await inner.OpenCanAsync(device), handle, recorder), _ => Answer.Ok(handle));
    }

    public Task TouchAsync(Device device, int baud) =>
        recorder.RecordAsync(DeviceWords.ChannelOf(device), "touch", [Number(baud)], null, () => inner.TouchAsync(device, baud));

    public Task<bool> CyclePortAsync(string port) => recorder.RecordAsync(
        Escape(port), "cycle", [], null, () => inner.CyclePortAsync(port), static isDone => Answer.Ok(isDone ? "on" : "no"));

    public Task<string?> PutOnCardAsync(string path, ReadOnlyMemory<byte> file, Func<ReadOnlyMemory<byte>, bool> holds) =>
        recorder.RecordAsync("card", "put", [path], Payload.OfFile(file), () => inner.PutOnCardAsync(path, file, holds),
            static place => place is null ? Answer.Ok() : Answer.Ok(place));
}

internal sealed class RecordingUsb(IUsbDevice inner, string handle, CallRecorder recorder) : IUsbDevice
{
    public Device Device => inner.Device;

    public ReadOnlyMemory<byte> Configuration => inner.Configuration;

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate) => await recorder.RecordAsync(
        handle, "claim", [Number(interfaceNumber), Number(alternate)], null,
        async () => await inner.ClaimAsync(interfaceNumber, alternate));

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout) => await recorder.RecordAsync(
        handle, "control", Words(setup, data.Length), Sent(setup.IsIn, data),
        async () => await inner.ControlAsync(setup, data, timeout), transfer => AnswerOf(transfer, setup.IsIn, data));

    public async ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout)
    {
        var isIn = (endpoint & 0x80) != 0;
        return await recorder.RecordAsync(
            handle, "bulk", [Number(endpoint), Number(data.Length)], Sent(isIn, data),
            async () => await inner.BulkAsync(endpoint, data, timeout), transfer => AnswerOf(transfer, isIn, data));
    }

    public async ValueTask<UsbTransfer> ClearHaltAsync(byte endpoint) => await recorder.RecordAsync(
        handle, "clear-halt", [Number(endpoint)], null, async () => await inner.ClearHaltAsync(endpoint),
        static transfer => AnswerOf(transfer, isIn: false, ReadOnlyMemory<byte>.Empty));

    public async ValueTask ResetAsync() => await recorder.RecordAsync(handle, "reset", [], null, async () => await inner.ResetAsync());

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    internal static string?[] Words(UsbSetup setup, int length) =>
        [Number(setup.RequestType), Number(setup.Request), Number(setup.Value), Number(setup.Index), Number(length)];

    /// <summary>The bytes that go out with a transfer; null for an IN transfer, and where there are none.</summary>
    internal static ReadOnlyMemory<byte>? Sent(bool isIn, ReadOnlyMemory<byte> data) =>
        isIn || data.IsEmpty ? (ReadOnlyMemory<byte>?)null : data;

    private static Answer AnswerOf(UsbTransfer transfer, bool isIn, ReadOnlyMemory<byte> data)
    {
        string?[] words = [UsbStatuses.Of(transfer.Status), Number(transfer.Length)];
        return new("ok", words, Sent(!isIn, data[..Math.Min(transfer.Length, data.Length)]));
    }
}

internal sealed class RecordingLine(ByteLine inner, string handle, CallRecorder recorder) : ByteLine
{
    public override Device Device => inner.Device;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame) =>
        await recorder.RecordAsync(handle, "write", [], frame, async () => await inner.WriteAsync(frame));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        var begun = recorder.Now;
        string?[] words = [Number(timeout.Ticks)];
        try
        {
            var length = await inner.ReadAsync(buffer, timeout);
            recorder.Append(
                handle, length > 0 ? "got" : "none", begun, words, null, length > 0 ? Answer.Bytes(buffer[..length]) : Answer.Ok());
            return length;
        }
        catch (Exception fault) when (Answer.For(fault) is not null)
        {
            recorder.Append(handle, "lost", begun, words, null, Answer.For(fault)!.Value);
            throw;
        }
    }

    public override ValueTask DisposeAsync() => inner.DisposeAsync();
}

internal sealed class RecordingCan(CanPort inner, string handle, CallRecorder recorder) : CanPort
{
    private CanBusState _state;

    public override Device Device => inner.Device;

    public override CanBusState State
    {
        get
        {
            if (inner.State is var state && state != _state)
                recorder.Append(handle, "state", recorder.Now, [], null, Answer.Ok(CanBusStates.Of(_state = state)));
            return state;
        }
    }

    public override async ValueTask SendAsync(CanFrame frame) =>
        await recorder.RecordAsync(handle, "send", [Number(frame.Id)], frame.ToArray(), async () => await inner.SendAsync(frame));

    public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
    {
        var begun = recorder.Now;
        string?[] words = [Number(timeout.Ticks)];
        try
        {
            var frame = await inner.ReceiveAsync(timeout);
            var answer = frame is { } heard ? Answer.Bytes(heard.ToArray(), Number(heard.Id)) : Answer.Ok();
            recorder.Append(handle, frame is null ? "none" : "heard", begun, words, null, answer);
            return frame;
        }
        catch (Exception fault) when (Answer.For(fault) is not null)
        {
            recorder.Append(handle, "lost", begun, words, null, Answer.For(fault)!.Value);
            throw;
        }
    }

    public override ValueTask DisposeAsync() => inner.DisposeAsync();
}

internal sealed class RecordingKlippy(IKlippy inner, CallRecorder recorder) : IKlippy
{
    public Task<KlippyState> LookAsync(CancellationToken cancel) =>
        recorder.RecordAsync("klippy", "look", [], null, () => inner.LookAsync(cancel), AnswerOf);

    public Task StopAsync(CancellationToken cancel) => recorder.RecordAsync("klippy", "stop", [], null, () => inner.StopAsync(cancel));

    public Task<KlippyState> StartAsync() => recorder.RecordAsync("klippy", "start", [], null, inner.StartAsync, AnswerOf);

    private static Answer AnswerOf(KlippyState state) => Answer.Ok(
        [KlippyActivities.Of(state.Activity), state.Message, .. Answer.WordsOf(state.Refusal)]);
}

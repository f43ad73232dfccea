using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using static RatOS.Flash.Recording.RecordingWords;

namespace RatOS.Flash.Recording;

/// <summary>The buses of a recording.</summary>
internal sealed class ReplayHardware : IHardware
{
    private readonly JobRecording _recording;
    private readonly ReplaySession _session;
    private readonly Dictionary<(string, int), Device> _devices = [];
    private readonly DeviceChanges _changes = new();
    private readonly bool _hasAccess;

    public ReplayHardware(JobRecording recording, ReplaySession session)
    {
        (_recording, _session) = (recording, session);
        _hasAccess = recording.Lines.Any(line => line.Verb == "access");
        // The devices that were present when the job began are recorded before its beginning.
        foreach (var line in recording.Lines.TakeWhile(line => line != recording.Begin).Where(line => line.Channel == "bus"))
            Apply(line);
        _ = ChangeAsync();
    }

    public DeviceList Look() => _changes.Now;

    public Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) => _changes.AfterAsync(generation, cancel);

    /// <summary>A recording of a version without this check has no answers to it.</summary>
    public Task CheckAccessAsync(Device device) => _hasAccess
        ? _session.AskAsync(DeviceWords.ChannelOf(device), "access", [device.Usb?.ToString()], null) : Task.CompletedTask;

    public async Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        var answer = await _session.AskAsync(DeviceWords.ChannelOf(device), "usb", [], null);
        return new ReplayUsb(_session, device, answer.Word(0) ?? "", answer.Data);
    }

    public async Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        var answer = await _session.AskAsync(
            DeviceWords.ChannelOf(device), "serial", [Number(mode.Baud), mode.EvenParity ? "even" : null], null);
        return new ReplayLine(_session, device, answer.Word(0) ?? "");
    }

    public async Task<CanPort> OpenCanAsync(Device device)
    {
        var answer = await _session.AskAsync(DeviceWords.ChannelOf(device), "can", [], null);
        return new ReplayCan(_session, _recording, device, answer.Word(0) ?? "");
    }

    public Task TouchAsync(Device device, int baud) => _session.AskAsync(DeviceWords.ChannelOf(device), "touch", [Number(baud)], null);

    public async Task<bool> CyclePortAsync(string port) => (await _session.AskAsync(Escape(port), "cycle", [], null)).Word(0) == "on";

    public async Task<string?> PutOnCardAsync(string path, ReadOnlyMemory<byte> file, Func<ReadOnlyMemory<byte>, bool> holds) =>
        (await _session.AskAsync("card", "put", [path], Payload.OfFile(file))).Word(0);

    private async Task ChangeAsync()
    {
        foreach (var line in _recording.Lines.SkipWhile(line => line != _recording.Begin).Where(line => line.Channel == "bus"))
        {
            await _session.UntilAsync(line.At);
            Apply(line);
        }
    }

    private void Apply(RecordedCall line)
    {
        switch (line.Verb)
        {
            case "came" when DeviceWords.Read(line.Words) is { } device:
                _devices[(device.Port, device.Number)] = device;
                break;
            case "left" when line.Words is [{ } port, var number] && Integer(number) is { } left:
                _devices.Remove((port, left));
                break;
            case "list":
                _changes.Set(
                    [.. _devices.Values.OrderBy(device => device.Port, StringComparer.Ordinal)],
                    Integer(line.Words.FirstOrDefault()) ?? 0);
                break;
        }
    }
}

internal sealed class ReplayUsb(ReplaySession session, Device device, string handle, byte[]? configuration) : IUsbDevice
{
    public Device Device => device;

    public ReadOnlyMemory<byte> Configuration { get; } = configuration ?? [];

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate) =>
        await session.AskAsync(handle, "claim", [Number(interfaceNumber), Number(alternate)], null);

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout) =>
        Transfer(
            await session.AskAsync(
                handle, "control", RecordingUsb.Words(setup, data.Length), RecordingUsb.Sent(setup.IsIn, data), timeout),
            data);

    public async ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout)
    {
        var sent = RecordingUsb.Sent((endpoint & 0x80) != 0, data);
        return Transfer(await session.AskAsync(handle, "bulk", [Number(endpoint), Number(data.Length)], sent, timeout), data);
    }

    public async ValueTask<UsbTransfer> ClearHaltAsync(byte endpoint) =>
        Transfer(await session.AskAsync(handle, "clear-halt", [Number(endpoint)], null), Memory<byte>.Empty);

    public async ValueTask ResetAsync() => await session.AskAsync(handle, "reset", [], null);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static UsbTransfer Transfer(RecordedAnswer answer, Memory<byte> data)
    {
        if (answer.Data is { } bytes)
            bytes.AsSpan(0, Math.Min(bytes.Length, data.Length)).CopyTo(data.Span);
        return new UsbTransfer(
            UsbStatuses.Find(answer.Word(0)) ?? UsbStatus.Error, Math.Clamp(Integer(answer.Word(1)) ?? 0, 0, data.Length));
    }
}

internal sealed class ReplayLine(ReplaySession session, Device device, string handle) : ByteLine
{
    private ReadOnlyMemory<byte> _rest;

    public override Device Device => device;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame) => await session.AskAsync(handle, "write", [], frame);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        if (_rest.IsEmpty)
        {
            if (await session.HearAsync(handle, timeout) is not { } line)
                return 0;
            ReplayCan.Check(line, device);
            _rest = line.Answer.Data ?? [];
        }
        var length = Math.Min(buffer.Length, _rest.Length);
        _rest[..length].CopyTo(buffer);
        _rest = _rest[length..];
        return length;
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

internal sealed class ReplayCan(ReplaySession session, JobRecording recording, Device device, string handle) : CanPort
{
    public override Device Device => device;

    public override CanBusState State => session.StateOf(recording.Lines, handle);

    public override async ValueTask SendAsync(CanFrame frame) =>
        await session.AskAsync(handle, "send", [Number(frame.Id)], frame.ToArray());

    public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
    {
        if (await session.HearAsync(handle, timeout) is not { } line)
            return null;
        Check(line, device);
        return Integer(line.Answer.Word(0)) is >= 0 and <= CanFrame.MaxId and var id
            && line.Answer.Data is { Length: <= CanFrame.MaxLength } data
            ? new CanFrame(id, data) : null;
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <exception cref="DeviceGoneException">The device left then.</exception>
    /// <exception cref="FlashException">The read failed then.</exception>
    internal static void Check(RecordedCall line, Device device)
    {
        if (line.Answer.Kind == "fault" && line.Answer.FaultAt(0) is { } fault)
            throw fault;
        if (line.Verb == "lost")
            throw new DeviceGoneException(line.Answer.Word(0) ?? device.ToString());
    }
}

/// <summary>The Klipper of a recording.</summary>
internal sealed class ReplayKlippy(ReplaySession session) : IKlippy
{
    public async Task<KlippyState> LookAsync(CancellationToken cancel) => State(await session.AskAsync("klippy", "look", [], null));

    public Task StopAsync(CancellationToken cancel) => session.AskAsync("klippy", "stop", [], null);

    public async Task<KlippyState> StartAsync() => State(await session.AskAsync("klippy", "start", [], null));

    private static KlippyState State(RecordedAnswer answer) =>
        new(KlippyActivities.Find(answer.Word(0)) ?? KlippyActivity.Unknown, answer.Word(1) ?? "")
        {
            Refusal = answer.FaultAt(2),
        };
}

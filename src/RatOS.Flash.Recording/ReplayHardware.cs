using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Recording;

/// <summary>Buses made of a recording.</summary>
internal sealed class ReplayHardware : IHardware
{
    private readonly JobRecording _recording;
    private readonly Tape _tape;
    private readonly Dictionary<(string, int), Device> _devices = [];
    private readonly DeviceChanges _changes = new();

    public ReplayHardware(JobRecording recording, Tape tape)
    {
        (_recording, _tape) = (recording, tape);
        // What was there at the beginning stands before it.
        foreach (var line in recording.Lines.TakeWhile(line => line != recording.Begin).Where(line => line.Channel == "bus"))
            Apply(line);
        _ = ChangeAsync();
    }

    public DeviceList Look() => _changes.Now;

    public Task<DeviceList> WaitForChangeAsync(long generation, CancellationToken cancel) => _changes.AfterAsync(generation, cancel);

    public async Task<IUsbDevice> OpenUsbAsync(Device device)
    {
        var answer = await _tape.AskAsync(RecordedHardware.ChannelOf(device), "usb", [], null);
        return new ReplayUsb(_tape, device, answer.Word(0) ?? "", answer.Data);
    }

    public async Task<ByteLine> OpenSerialAsync(Device device, SerialMode mode)
    {
        var answer = await _tape.AskAsync(RecordedHardware.ChannelOf(device), "serial", [FlightRecorder.Number(mode.Baud), mode.EvenParity ? "even" : null], null);
        return new ReplayLine(_tape, device, answer.Word(0) ?? "");
    }

    public async Task<CanPort> OpenCanAsync(Device device)
    {
        var answer = await _tape.AskAsync(RecordedHardware.ChannelOf(device), "can", [], null);
        return new ReplayCan(_tape, _recording, device, answer.Word(0) ?? "");
    }

    public Task TouchAsync(Device device, int baud) => _tape.AskAsync(RecordedHardware.ChannelOf(device), "touch", [FlightRecorder.Number(baud)], null);

    public async Task<bool> CyclePortAsync(string port) => (await _tape.AskAsync(FlightRecorder.Escape(port), "cycle", [], null)).Word(0) == "on";

    public async Task<string?> PutOnCardAsync(string name, ReadOnlyMemory<byte> file) => (await _tape.AskAsync("card", "put", [name], file)).Word(0);

    private async Task ChangeAsync()
    {
        foreach (var line in _recording.Lines.SkipWhile(line => line != _recording.Begin).Where(line => line.Channel == "bus"))
        {
            await _tape.UntilAsync(line.At);
            Apply(line);
        }
    }

    private void Apply(RecordedLineOf line)
    {
        switch (line.Verb)
        {
            case "came" when DeviceWords.Read(line.Words) is { } device:
                _devices[(device.Port, device.Number)] = device;
                break;
            case "left" when line.Words is [{ } port, var number] && DeviceWords.Int(number) is { } left:
                _devices.Remove((port, left));
                break;
            case "list":
                _changes.Set([.. _devices.Values.OrderBy(device => device.Port, StringComparer.Ordinal)], DeviceWords.Int(line.Words.FirstOrDefault()) ?? 0);
                break;
        }
    }
}

internal sealed class ReplayUsb(Tape tape, Device device, string handle, byte[]? configuration) : IUsbDevice
{
    public Device Device => device;

    public ReadOnlyMemory<byte> Configuration { get; } = configuration ?? [];

    public async ValueTask ClaimAsync(byte interfaceNumber, byte alternate) =>
        await tape.AskAsync(handle, "claim", [FlightRecorder.Number(interfaceNumber), FlightRecorder.Number(alternate)], null);

    public async ValueTask<UsbTransfer> ControlAsync(UsbSetup setup, Memory<byte> data, TimeSpan timeout) =>
        Came(await tape.AskAsync(handle, "control", RecordedUsb.Words(setup, data.Length), RecordedUsb.Sent(setup.IsIn, data), timeout), data);

    public async ValueTask<UsbTransfer> BulkAsync(byte endpoint, Memory<byte> data, TimeSpan timeout) =>
        Came(await tape.AskAsync(handle, "bulk", [FlightRecorder.Number(endpoint), FlightRecorder.Number(data.Length)], RecordedUsb.Sent((endpoint & 0x80) != 0, data), timeout), data);

    public async ValueTask ResetAsync() => await tape.AskAsync(handle, "reset", [], null);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static UsbTransfer Came(RecordedAnswer answer, Memory<byte> data)
    {
        if (answer.Data is { } bytes)
            bytes.AsSpan(0, Math.Min(bytes.Length, data.Length)).CopyTo(data.Span);
        return new UsbTransfer(Enum.TryParse<UsbStatus>(answer.Word(0), out var status) ? status : UsbStatus.Error, Math.Clamp(DeviceWords.Int(answer.Word(1)) ?? 0, 0, data.Length));
    }
}

internal sealed class ReplayLine(Tape tape, Device device, string handle) : ByteLine
{
    private ReadOnlyMemory<byte> _rest;

    public override Device Device => device;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame) => await tape.AskAsync(handle, "write", [], frame);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        if (_rest.IsEmpty)
        {
            if (await tape.HearAsync(handle, timeout) is not { } line)
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

internal sealed class ReplayCan(Tape tape, JobRecording recording, Device device, string handle) : CanPort
{
    public override Device Device => device;

    public override CanBusState State => tape.StateOf(recording.Lines, handle);

    public override async ValueTask SendAsync(CanFrame frame) => await tape.AskAsync(handle, "send", [FlightRecorder.Number(frame.Id)], frame.ToArray());

    public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
    {
        if (await tape.HearAsync(handle, timeout) is not { } line)
            return null;
        Check(line, device);
        return DeviceWords.Int(line.Answer.Word(0)) is >= 0 and <= CanFrame.MaxId and var id && line.Answer.Data is { Length: <= CanFrame.MaxLength } data ? new CanFrame(id, data) : null;
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <exception cref="DeviceGoneException">That is what came in.</exception>
    /// <exception cref="FlashException">That is what came in.</exception>
    internal static void Check(RecordedLineOf line, Device device)
    {
        if (line.Answer is { Kind: "fault", Words: [{ } code, { } cause, { } remedy] })
            throw new FlashException(code, cause, remedy);
        if (line.Verb == "lost")
            throw new DeviceGoneException(line.Answer.Word(0) ?? device.ToString());
    }
}

/// <summary>Klipper made of a recording.</summary>
internal sealed class ReplayKlippy(Tape tape) : IKlippy
{
    public async Task<KlippyState> LookAsync(CancellationToken cancel) => State(await tape.AskAsync("klippy", "look", [], null));

    public Task StopAsync(CancellationToken cancel) => tape.AskAsync("klippy", "stop", [], null);

    public async Task<KlippyState> StartAsync() => State(await tape.AskAsync("klippy", "start", [], null));

    private static KlippyState State(RecordedAnswer answer) => new(Enum.TryParse<KlippyActivity>(answer.Word(0), out var activity) ? activity : KlippyActivity.Unknown, answer.Word(1) ?? "")
    {
        Refusal = answer.Word(2) is { } code ? new FlashException(code, answer.Word(3) ?? "", answer.Word(4) ?? "") : null,
    };
}

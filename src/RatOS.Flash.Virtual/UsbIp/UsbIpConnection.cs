using System.Net.Sockets;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.UsbIp;

/// <summary>One client of the server: a list, or an import with its transfers.</summary>
internal sealed class UsbIpConnection(UsbIpServer server, Socket socket) : IDisposable
{
    private const int MostPending = 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The kernel polls a hub four times a second for a device that left. Until then the host controller fails its transfers.
    /// </summary>
    private static readonly TimeSpan UntilNoticed = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// A host controller tries a transfer three times before it fails. A driver then submits again at once: without this time the two
    /// would keep a processor busy until the hub reports.
    /// </summary>
    private static readonly TimeSpan ErrorTime = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Forever = TimeSpan.FromDays(1);   // the client unlinks a transfer without an answer

    private readonly NetworkStream _stream = new(socket, ownsSocket: true);
    private readonly Queue<byte[]> _outgoing = new();
    private readonly List<UsbIpCommand> _pending = [];   // submits without an answer, oldest first
    private DeviceSession? _session;
    private readonly Dictionary<byte, VirtualUsb> _pipes = [];   // of a bootloader: its bulk endpoints that were used
    private VirtualUsb? _control;      // of a bootloader: endpoint 0
    private VirtualLine? _line;        // of a CDC-ACM function
    private UsbIpCommand? _inControl;  // the control transfer under way
    private readonly Dictionary<byte, UsbIpCommand> _inPipe = [];   // the bulk transfer under way
    private bool _isReading;
    private bool _isSending;
    private bool _isClosed;

    private VirtualTime Time => server.Printer.Time;

    public async Task RunAsync()
    {
        server.Connections.Add(this);
        // A client without a request is dropped.
        var limit = Time.Schedule(Patience, Dispose);
        try
        {
            var request = await ReadAsync(UsbIpWire.RequestLength);
            if (request.Length > 0 && UsbIpWire.ParseRequest(request) == UsbIpWire.RequestList)
                await SendAsync(UsbIpWire.List([.. server.Printer.Exported.Select(session => (session.Device, session.Function!))]));
            else if (request.Length > 0 && Import(UsbIpWire.ParseBusId(await ReadAsync(UsbIpWire.BusIdLength))))
                await TakeAllAsync(limit);
        }
        catch (InvalidDataException malformed)
        {
            server.Tell(new UsbIpEvent(UsbIpEventKind.Dropped, $"a connection was closed, because it sent {malformed.Message}"));
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException or DeviceGoneException)
        {
            // The client or the board is gone: the connection ends.
        }
        catch (Exception bug)
        {
            Report(bug);
        }
        finally
        {
            VirtualTime.Unschedule(limit);
            Dispose();
        }
    }

    /// <summary>Ends it. Earlier answers still arrive.</summary>
    public void Dispose()
    {
        if (_isClosed)
            return;
        _isClosed = true;
        server.Connections.Remove(this);
        _pending.Clear();
        if (_session is { } session)
        {
            session.Forget(Gone);
            foreach (var pipe in _pipes.Values.Append(_control).OfType<VirtualUsb>())
            {
                pipe.Abort();
                pipe.Close();
            }
            _line?.Close();
            server.Tell(UsbIpEvent.Of(UsbIpEventKind.Released, session, "is imported no more"));
        }
        if (_isSending)
            Time.Schedule(ClosingTime, HangUp);
        else
            HangUp();
    }

    private void HangUp()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception end) when (end is SocketException or ObjectDisposedException)
        {
            // The client hung up first, or this is the second call.
        }
        _stream.Dispose();
    }

    /// <summary>
    /// The board left. An answer that it has just given goes first. Each open transfer then gets an error: without one a kernel's driver
    /// waits for its answer, 5 s for a modem line, before it notices that the board is gone.
    /// </summary>
    private void Gone() => Time.Schedule(TimeSpan.Zero, () =>
    {
        FailPending();
        Time.Schedule(UntilNoticed, () =>
        {
            FailPending();
            Dispose();
        });
    });

    private void FailPending()
    {
        foreach (var command in _pending.ToList())
            Answer(command, UsbIpWire.ProtocolError, []);
    }

    /// <summary>Reads a number of bytes; none at the connection's proper end.</summary>
    private async Task<byte[]> ReadAsync(int length)
    {
        var message = new byte[length];
        var read = await _stream.ReadAtLeastAsync(message, length, throwOnEndOfStream: false);
        if (read == 0 && length > 0)
            return [];
        return read == length ? message : throw new InvalidDataException($"{read} of {length} bytes and then nothing more");
    }

    private bool Import(string busId)
    {
        var session = server.Printer.Exported.FirstOrDefault(session => session.Device.Port == busId);
        if (session is null or { IsHeld: true })
        {
            _ = SendAsync(UsbIpWire.Refused(session is null ? UsbIpWire.NoDevice : UsbIpWire.DeviceBusy));
            server.Tell(session is null
                ? new UsbIpEvent(UsbIpEventKind.Refused, "an import of a device that is not there was refused")
                : UsbIpEvent.Of(UsbIpEventKind.Refused, session, "is in use already: a second import was refused"));
            return false;
        }
        (_session, session.IsHeld) = (session, true);
        session.WhenOver(Gone);
        if (session.Function is CdcAcm)
            _line = new VirtualLine(server.Printer, session, SerialMode.Klipper);
        else
            _control = new VirtualUsb(server.Printer, session);
        _ = SendAsync(UsbIpWire.Imported(session.Device, session.Function!));
        server.Tell(UsbIpEvent.Of(UsbIpEventKind.Imported, session, "was imported"));
        return true;
    }

    private async Task TakeAllAsync(object limit)
    {
        VirtualTime.Unschedule(limit);
        while (await ReadAsync(UsbIpWire.HeaderLength) is { Length: > 0 } header)
        {
            var command = UsbIpWire.ParseCommand(header);
            if (command is { IsIn: false, Length: > 0 })
            {
                command = command with { Data = await ReadAsync(command.Length) };
                if (command.Data.Length == 0)
                    throw new InvalidDataException($"0 of {command.Length} bytes and then nothing more");
            }
            if (command.DeviceId != UsbIpWire.DeviceId(_session!.Device))
                throw new InvalidDataException($"a command for device {command.DeviceId:x8}");
            if (_isClosed)
                return;
            if (_outgoing.Count > MostPending)
                throw new InvalidDataException($"command after command and takes none of {_outgoing.Count} answers");
            await TakeAsync(command);
        }
    }

    private async ValueTask TakeAsync(UsbIpCommand command)
    {
        if (command.Unlinks is { } sequence)
        {
            Unlink(command, sequence);
            return;
        }
        if (_session!.Function is not { } function)
        {
            Fail(command);
            return;
        }
        var kind = function.Endpoint(command.Address);
        if (kind == EndpointKind.Bulk && !command.IsIn && _line is not null)
        {
            // The endpoint takes a transfer as the host wrote it; an empty one has no effect.
            if (command.Length > 0 && !await WriteAsync(command.Data))
                Fail(command);
            else
                Answer(command, 0, command.Data);
            return;
        }
        if (_pending.Count == MostPending)
            throw new InvalidDataException($"more than {MostPending} transfers at once");
        // An interrupt transfer waits until it is unlinked: no board sends notifications.
        if (kind is not null)
            _pending.Add(command);
        else
            Answer(command, UsbIpWire.Stalled, []);
        if (kind == EndpointKind.Control && _inControl is null)
            _ = BesideAsync(ServeControlAsync);
        else if (kind == EndpointKind.Bulk && _line is null && !_inPipe.ContainsKey(command.Address))
            _ = BesideAsync(() => ServePipeAsync(command.Address));
        else if (kind == EndpointKind.Bulk && !_isReading)
            _ = BesideAsync(ServeReadsAsync);
    }

    /// <summary>False when the board left before it took the bytes.</summary>
    private async ValueTask<bool> WriteAsync(byte[] data)
    {
        try
        {
            await _line!.WriteAsync(data);
            return true;
        }
        catch (DeviceGoneException)
        {
            return false;
        }
    }

    private void Unlink(UsbIpCommand command, uint sequence)
    {
        var unlinked = _pending.Find(candidate => candidate.Sequence == sequence);
        if (unlinked is not null)
            _pending.Remove(unlinked);
        if (unlinked is not null && unlinked == _inControl)
            _control?.Abort();
        if (unlinked is not null && _inPipe.GetValueOrDefault(unlinked.Address) == unlinked)
            _pipes[unlinked.Address].Abort();
        _ = SendAsync(UsbIpWire.ReturnUnlink(command.Sequence, unlinked is null ? 0 : UsbIpWire.Unlinked));
    }

    /// <summary>Endpoint 0 does one transfer after the other.</summary>
    private async Task ServeControlAsync()
    {
        while (_pending.Find(candidate => candidate.Endpoint == 0) is { } command)
        {
            _inControl = command;
            var data = command.IsIn ? new byte[command.SetupLength] : command.Data[..command.SetupLength];
            var result = await ControlAsync(command, data);
            _inControl = null;
            if (!_pending.Contains(command))
                continue;   // it was unlinked
            var status = result.Status switch { UsbStatus.Ok => 0, UsbStatus.Stall => UsbIpWire.Stalled, _ => UsbIpWire.ProtocolError };
            Answer(command, status, data.AsSpan(0, result.Length));
        }
    }

    /// <summary>A bulk endpoint of a bootloader, or of the drive beside it, does one transfer after the other.</summary>
    private async Task ServePipeAsync(byte address)
    {
        if (!_pipes.TryGetValue(address, out var pipe))
            _pipes[address] = pipe = new VirtualUsb(server.Printer, _session!);
        while (_pending.Find(candidate => candidate.Address == address) is { } command)
        {
            _inPipe[address] = command;
            var data = command.IsIn ? new byte[command.Length] : command.Data;
            var result = await pipe.BulkAsync(address, data, Forever);
            _inPipe.Remove(address);
            if (!_pending.Contains(command))
                continue;   // it was unlinked
            var status = result.Status switch { UsbStatus.Ok => 0, UsbStatus.Stall => UsbIpWire.Stalled, _ => UsbIpWire.ProtocolError };
            Answer(command, status, data.AsSpan(0, result.Length));
        }
    }

    private async ValueTask<UsbTransfer> ControlAsync(UsbIpCommand command, byte[] data)
    {
        if (_session!.Function is not { } function)
            throw new DeviceGoneException(_session.Device.ToString());
        if (command.Setup.IsIn != command.IsIn && command.SetupLength > 0)
            return new UsbTransfer(UsbStatus.Stall, 0);
        // Standard requests of the kernel, for enumeration and for opening a line, do not count as transfers with faults.
        if (_control is not null && (command.Setup.RequestType & 0x60) != 0)
            return await _control.ControlAsync(command.Setup, data, Forever);
        var answer = function.Control(command.Setup, data, Time.Now);
        return new UsbTransfer(answer.Status, answer.Length);
    }

    /// <summary>
    /// Gives the board's bytes to the waiting reads, oldest first. Fewer bytes than a read wants end it, as a short packet does.
    /// </summary>
    private async Task ServeReadsAsync()
    {
        _isReading = true;
        while (NextRead() is not null)
        {
            await _line!.ReadAsync(Memory<byte>.Empty, Timeout.InfiniteTimeSpan);   // takes nothing: an unlink may follow
            if (NextRead() is not { } command)
                break;
            var data = new byte[command.Length];
            Answer(command, 0, data.AsSpan(0, await _line.ReadAsync(data, TimeSpan.Zero)));
        }
        _isReading = false;

        UsbIpCommand? NextRead() => _pending.Find(candidate => candidate.Address == CdcAcm.In);
    }

    /// <summary>Works beside the reading of messages. A board that leaves ends it, and the connection soon after.</summary>
    private async Task BesideAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (DeviceGoneException)
        {
            // The connection is about to be closed.
        }
        catch (Exception bug)
        {
            Report(bug);
            Dispose();
        }
    }

    private void Report(Exception bug) =>
        server.Tell(new UsbIpEvent(UsbIpEventKind.Dropped, $"a connection was closed by an internal error: {bug}"));

    /// <summary>Answers that the device is silent, unless the transfer is unlinked first.</summary>
    private void Fail(UsbIpCommand command)
    {
        if (_pending.Count == MostPending)
            throw new InvalidDataException($"more than {MostPending} transfers at once");
        _pending.Add(command);
        Time.Schedule(ErrorTime, () =>
        {
            if (_pending.Contains(command))
                Answer(command, UsbIpWire.ProtocolError, []);
        });
    }

    private void Answer(UsbIpCommand command, int status, ReadOnlySpan<byte> data)
    {
        _pending.Remove(command);
        _ = SendAsync(UsbIpWire.Return(command, status, data));
    }

    /// <summary>Sends behind all earlier messages.</summary>
    private async Task SendAsync(byte[] message)
    {
        _outgoing.Enqueue(message);
        if (_isSending)
            return;
        _isSending = true;
        try
        {
            while (_outgoing.TryDequeue(out var next))
                await _stream.WriteAsync(next);
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException)
        {
            // The reading side fails too, and closes.
            _outgoing.Clear();
        }
        _isSending = false;
        if (_isClosed)
            HangUp();
    }
}

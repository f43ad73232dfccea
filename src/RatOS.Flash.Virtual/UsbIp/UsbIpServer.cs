using System.Net;
using System.Net.Sockets;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.UsbIp;

/// <summary>
/// Serves the virtual boards to real kernels, by USB/IP on this computer's loopback address (kernel:
/// Documentation/usb/usbip_protocol.rst). Each import is a connection that lasts for one session of the board on the bus: it closes when
/// the board leaves, and the next session is imported again.
/// </summary>
/// <remarks>
/// Everything runs on the printer's live time: sockets complete on other threads and continue there, so that one thread uses the boards,
/// and each connection reads its next message after it has served the last.
/// </remarks>
public sealed class UsbIpServer : IAsyncDisposable
{
    private const int MostConnections = 64;

    private readonly Socket _listener;
    private readonly CancellationTokenSource _over = new();

    private UsbIpServer(VirtualPrinter printer, Socket listener, Action<UsbIpEvent> tell) =>
        (Printer, _listener, Tell) = (printer, listener, tell);

    /// <summary>Its TCP port.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    internal VirtualPrinter Printer { get; }

    internal Action<UsbIpEvent> Tell { get; }

    internal HashSet<UsbIpConnection> Connections { get; } = [];

    /// <summary>Listens from now on. Called on the time's thread, and disposed there.</summary>
    /// <param name="printer">The printer of the boards; its time is live.</param>
    /// <param name="port">TCP port; 0 for any that is free.</param>
    /// <param name="tell">Called for each board that arrives or leaves, and for each import.</param>
    /// <exception cref="FlashException">The port is taken.</exception>
    public static UsbIpServer Start(VirtualPrinter printer, int port, Action<UsbIpEvent> tell)
    {
        if (!printer.Time.IsLive)
            throw new ArgumentException("Only a live printer can be served.", nameof(printer));
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            listener.Listen();
        }
        catch (SocketException fault)
        {
            listener.Dispose();
            throw VirtualFaults.UsbIpPort(port, fault.Message);
        }
        var server = new UsbIpServer(printer, listener, tell);
        _ = server.AcceptAsync();
        _ = server.WatchAsync();
        return server;
    }

    /// <summary>Closes every connection: the kernels see their devices unplugged.</summary>
    public ValueTask DisposeAsync()
    {
        _over.Cancel();
        _listener.Dispose();
        foreach (var connection in Connections.ToList())
            connection.Dispose();
        _over.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task AcceptAsync()
    {
        while (!_over.IsCancellationRequested)
        {
            try
            {
                var socket = await _listener.AcceptAsync(_over.Token);
                socket.NoDelay = true;
                if (Connections.Count < MostConnections)
                    _ = new UsbIpConnection(this, socket).RunAsync();
                else
                    socket.Dispose();
            }
            catch (Exception end) when (end is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException fault)
            {
                // No file descriptor is left, or the client is gone already: the next one may succeed.
                Tell(new UsbIpEvent(UsbIpEventKind.Dropped, $"a connection could not be accepted: {fault.Message}"));
                await Task.Delay(TimeSpan.FromMilliseconds(100), Printer.Time);
            }
        }
    }

    /// <summary>Reports the boards that arrive and leave.</summary>
    private async Task WatchAsync()
    {
        await Task.Yield();   // the caller reports first that it serves
        var (seen, known) = (Printer.Look(), new List<DeviceSession>());
        while (true)
        {
            var now = Printer.Exported.ToList();
            foreach (var left in known.Except(now))
                Tell(UsbIpEvent.Of(UsbIpEventKind.Left, left, "left the bus"));
            foreach (var came in now.Except(known))
                Tell(UsbIpEvent.Of(UsbIpEventKind.Came, came, $"is on the bus as {came.Device.Usb} {came.Device.Product}"));
            known = now;
            try
            {
                seen = await Printer.WaitForChangeAsync(seen.Generation, _over.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}

/// <summary>An event of the server, for users and programs.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Text">A sentence.</param>
public sealed record UsbIpEvent(UsbIpEventKind Kind, string Text)
{
    /// <summary>The board's name; null without one.</summary>
    public string? Board { get; init; }

    /// <summary>Its port on the virtual printer.</summary>
    public string? Port { get; init; }

    /// <summary>Its state.</summary>
    public BoardState? State { get; init; }

    internal static UsbIpEvent Of(UsbIpEventKind kind, DeviceSession session, string predicate) =>
        new(kind, $"{session.Board!.Name} at {session.Device.Port} {predicate}")
        {
            Board = session.Board.Name,
            Port = session.Device.Port,
            State = session.Board.State,
        };
}

public enum UsbIpEventKind
{
    /// <summary>A board is on the bus and can be imported.</summary>
    [ContractName("came")] Came,
    [ContractName("left")] Left,

    /// <summary>A client has it.</summary>
    [ContractName("imported")] Imported,
    [ContractName("released")] Released,

    /// <summary>An import was refused: no such device, or another client has it.</summary>
    [ContractName("refused")] Refused,

    /// <summary>A connection was closed because of an invalid message.</summary>
    [ContractName("dropped")] Dropped,

    /// <summary>This computer's own kernel has it (<see cref="VhciAttacher"/>).</summary>
    [ContractName("attached")] Attached,
}

using System.Net;
using System.Net.Sockets;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.UsbIp;

/// <summary>
/// Gives the virtual boards to real kernels, by USB/IP on this computer's loopback address (kernel: Documentation/usb/usbip_protocol.rst). Each import is
/// a connection of its own that lasts as long as the board's stay on the bus: when the board leaves it is closed, and what returns is imported anew.
/// </summary>
/// <remarks>
/// Everything runs on the printer's live time: a socket completes on some other thread, and what follows is posted there, so that boards are touched by
/// one thread alone and each connection reads its next message when it is done with the last.
/// </remarks>
public sealed partial class UsbIpServer : IAsyncDisposable
{
    private const int MostConnections = 64;

    private readonly Socket _listener;
    private readonly CancellationTokenSource _over = new();
    private readonly HashSet<Connection> _connections = [];

    private UsbIpServer(VirtualPrinter printer, Socket listener, Action<UsbIpEvent> tell) => (Printer, _listener, Tell) = (printer, listener, tell);

    /// <summary>Where it listens.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    private VirtualPrinter Printer { get; }

    private Action<UsbIpEvent> Tell { get; }

    /// <summary>Listens from now on. To be called on the time's thread, and disposed there.</summary>
    /// <param name="printer">Whose boards; its time is live.</param>
    /// <param name="port">TCP port; 0 for any that is free.</param>
    /// <param name="tell">Called for each board that comes or goes, and for each import.</param>
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

    /// <summary>Closes every connection, which is how the kernels see their devices unplugged.</summary>
    public ValueTask DisposeAsync()
    {
        _over.Cancel();
        _listener.Dispose();
        foreach (var connection in _connections.ToList())
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
                if (_connections.Count < MostConnections)
                    _ = new Connection(this, socket).RunAsync();
                else
                    socket.Dispose();
            }
            catch (Exception end) when (end is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException fault)
            {
                // No file descriptor left, or a client that was gone before it was accepted: the next one may fare better.
                Tell(new UsbIpEvent(UsbIpEventKind.Dropped, $"a connection could not be accepted: {fault.Message}"));
                await Task.Delay(TimeSpan.FromMilliseconds(100), Printer.Time);
            }
        }
    }

    /// <summary>Tells who comes and goes.</summary>
    private async Task WatchAsync()
    {
        await Task.Yield();   // whoever starts it has something to say first
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

/// <summary>What happened at the server, for people and programs to see.</summary>
/// <param name="Kind">What it was.</param>
/// <param name="Text">A sentence.</param>
public sealed record UsbIpEvent(UsbIpEventKind Kind, string Text)
{
    /// <summary>The board's name; null where it was about none.</summary>
    public string? Board { get; init; }

    /// <summary>Where it is, on the virtual printer.</summary>
    public string? Port { get; init; }

    /// <summary>What it is doing now.</summary>
    public BoardState? State { get; init; }

    internal static UsbIpEvent Of(UsbIpEventKind kind, DeviceSession present, string what) => new(kind, $"{present.Board!.Name} at {present.Device.Port} {what}")
    {
        Board = present.Board.Name,
        Port = present.Device.Port,
        State = present.Board.State,
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

    /// <summary>An import was refused: no such device, or somebody has it.</summary>
    [ContractName("refused")] Refused,

    /// <summary>A connection was closed because of what it sent.</summary>
    [ContractName("dropped")] Dropped,

    /// <summary>This computer's own kernel has it (<see cref="VhciAttacher"/>).</summary>
    [ContractName("attached")] Attached,
}

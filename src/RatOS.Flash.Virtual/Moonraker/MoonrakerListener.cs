using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The unix socket and the TCP port of a virtual Moonraker, and their connections.</summary>
internal sealed class MoonrakerListener(VirtualMoonraker moonraker)
{
    private const int MostConnections = 128;
    private static readonly TimeSpan RetryTime = TimeSpan.FromMilliseconds(100);

    private readonly HashSet<MoonrakerPeer> _peers = [];
    private readonly List<Socket> _listeners = [];

    /// <summary>The TCP port, the same after a restart; 0 without one.</summary>
    public int Port { get; private set; }

    /// <exception cref="FlashException">The port or the path is taken.</exception>
    public void Begin()
    {
        if (moonraker.Setup.UnixSocket is { } path)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            Listen(socket, path, () => new UnixDomainSocketEndPoint(path), client => new UnixPeer(moonraker, client));
        }
        if (moonraker.Setup.Port is { } port)
        {
            var chosen = Port > 0 ? Port : port;
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Listen(
                socket, $"127.0.0.1:{chosen}", () => new IPEndPoint(IPAddress.Loopback, chosen), client => new TcpPeer(moonraker, client));
            Port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        }
    }

    public void Stop()
    {
        foreach (var listener in _listeners)
            listener.Dispose();
        if (_listeners.Count > 0 && moonraker.Setup.UnixSocket is { } path)
            File.Delete(path);
        _listeners.Clear();
    }

    public void HangUpAll(bool withGoodbye)
    {
        foreach (var peer in _peers.ToList())
            peer.HangUp(withGoodbye);
    }

    public void Remove(MoonrakerPeer peer) => _peers.Remove(peer);

    private void Listen(Socket listener, string name, Func<EndPoint> endPoint, Func<Socket, MoonrakerPeer> create)
    {
        try
        {
            if (listener.AddressFamily == AddressFamily.Unix)
                File.Delete(name);   // of an earlier run
            listener.Bind(endPoint());
            listener.Listen();
        }
        catch (Exception fault) when (fault is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            listener.Dispose();
            throw VirtualFaults.MoonrakerSocket(name, fault.Message);
        }
        _listeners.Add(listener);
        _ = AcceptAsync(listener, create);
    }

    private async Task AcceptAsync(Socket listener, Func<Socket, MoonrakerPeer> create)
    {
        while (_listeners.Contains(listener))
        {
            try
            {
                var socket = await listener.AcceptAsync();
                if (_peers.Count < MostConnections && moonraker.IsUp)
                    _ = ServeAsync(create(socket));
                else
                    socket.Dispose();
            }
            catch (Exception end) when (end is ObjectDisposedException or SocketException)
            {
                // It listens no more; or no file descriptor is left, and the next client may succeed.
                if (!await moonraker.WaitAsync(RetryTime))
                    return;
            }
        }
    }

    private async Task ServeAsync(MoonrakerPeer peer)
    {
        _peers.Add(peer);
        try
        {
            await peer.RunAsync();
        }
        catch (Exception end) when (end is IOException or SocketException or ObjectDisposedException or WebSocketException
            or InvalidDataException or OperationCanceledException)
        {
            // The client is gone, or sent an invalid message: the connection ends.
        }
        finally
        {
            peer.Dispose();
        }
    }
}

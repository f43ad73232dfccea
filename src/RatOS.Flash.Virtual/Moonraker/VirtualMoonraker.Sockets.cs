using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>The unix socket, TCP, and what all connections have in common.</content>
public sealed partial class VirtualMoonraker
{
    private const int MostConnections = 128;
    private const int MostWaiting = 64 * 1024 * 1024;      // bytes for a client that does not read
    private const int LargestUnixText = 20 * 1024 * 1024;
    private const byte EndOfText = 0x03;
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(1);

    private readonly HashSet<Peer> _peers = [];
    private readonly List<Socket> _listeners = [];

    /// <summary>Its TCP port, the same after a restart; 0 where it has none.</summary>
    public int Port { get; private set; }

    private void Listen()
    {
        if (_setup.UnixSocket is { } path)
            ListenAt(path, AddressFamily.Unix, ProtocolType.Unspecified, () => new UnixDomainSocketEndPoint(path), peer => peer.RunUnixAsync());
        if (_setup.Port is { } port)
        {
            var chosen = Port > 0 ? Port : port;
            var listener = ListenAt(
                $"127.0.0.1:{chosen}", AddressFamily.InterNetwork, ProtocolType.Tcp, () => new IPEndPoint(IPAddress.Loopback, chosen), peer => peer.RunTcpAsync());
            Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        }
    }

    private Socket ListenAt(string where, AddressFamily family, ProtocolType protocol, Func<EndPoint> endPoint, Func<Peer, Task> runAsync)
    {
        var listener = new Socket(family, SocketType.Stream, protocol);
        try
        {
            if (family == AddressFamily.Unix)
                File.Delete(where);   // of an earlier run
            listener.Bind(endPoint());
            listener.Listen();
        }
        catch (Exception fault) when (fault is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            listener.Dispose();
            throw VirtualFaults.MoonrakerSocket(where, fault.Message);
        }
        _listeners.Add(listener);
        _ = AcceptAsync(listener, runAsync);
        return listener;
    }

    private void StopListening()
    {
        foreach (var listener in _listeners)
            listener.Dispose();
        if (_listeners.Count > 0 && _setup.UnixSocket is { } path)
            File.Delete(path);
        _listeners.Clear();
    }

    private void HangUpAll(bool withWord)
    {
        foreach (var client in _clients.ToList())
            client.HangUp(withWord);
        foreach (var peer in _peers.ToList())
            peer.HangUp(withWord);
    }

    private async Task AcceptAsync(Socket listener, Func<Peer, Task> runAsync)
    {
        while (_listeners.Contains(listener))
        {
            try
            {
                var socket = await listener.AcceptAsync();
                if (_peers.Count < MostConnections && _isUp)
                    _ = ServeAsync(new Peer(this, socket), runAsync);
                else
                    socket.Dispose();
            }
            catch (Exception end) when (end is ObjectDisposedException or SocketException)
            {
                // It listens no more; or no file descriptor is left, and the next client may fare better.
                if (!await WaitAsync(TimeSpan.FromMilliseconds(100)))
                    return;
            }
        }
    }

    private async Task ServeAsync(Peer peer, Func<Peer, Task> runAsync)
    {
        _peers.Add(peer);
        try
        {
            await runAsync(peer);
        }
        catch (Exception end) when (end is IOException or SocketException or ObjectDisposedException or WebSocketException or InvalidDataException or OperationCanceledException)
        {
            // The client is gone, or sent what nobody can read: both end the connection.
        }
        finally
        {
            peer.Dispose();
        }
    }

    /// <summary>One accepted socket. What is sent waits in line; a client that does not read keeps nobody else waiting.</summary>
    private sealed partial class Peer(VirtualMoonraker server, Socket socket) : IDisposable
    {
        private readonly NetworkStream _stream = new(socket, ownsSocket: true);
        private readonly Queue<ReadOnlyMemory<byte>> _outgoing = new();
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private MoonrakerClient? _client;
        private long _waiting;
        private bool _isSending;
        private bool _isClosing;   // with a word, behind what waits
        private bool _isClosed;

        public async Task RunUnixAsync()
        {
            _write = WriteUnixAsync;
            _client = server.Connect(Send, HangUp, isTrusted: true);
            var buffer = new byte[4096];
            var (start, end) = (0, 0);
            while (!_isClosed)
            {
                if (end == buffer.Length)
                    Array.Resize(ref buffer, Math.Min(buffer.Length * 2, LargestUnixText + 1));
                var read = await _stream.ReadAsync(buffer.AsMemory(end));
                if (read == 0)
                    return;
                var searched = end;
                end += read;
                // Only what came now can hold the next end.
                for (int length; (length = buffer.AsSpan(searched, end - searched).IndexOf(EndOfText)) >= 0;)
                {
                    _ = server.ReceiveAsync(_client, buffer.AsSpan(start, searched + length - start).ToArray());
                    (start, searched) = (searched + length + 1, searched + length + 1);
                }
                buffer.AsSpan(start, end - start).CopyTo(buffer);
                (start, end) = (0, end - start);
                if (end > LargestUnixText)
                    throw new InvalidDataException("a text without end");
            }
        }

        public void Dispose() => HangUp(false);

        /// <summary>Closes it; with a word where there is one, behind what was sent before.</summary>
        public void HangUp(bool withWord)
        {
            if (_isClosed || (withWord && _isClosing))
                return;
            if (withWord && _webSocket is not null)
            {
                _isClosing = true;
                server.Time.Schedule(ClosingTime, () => HangUp(false));
                _ = SendAllAsync();
                return;
            }
            _isClosed = true;
            server._peers.Remove(this);
            if (_client is not null)
                server.Disconnect(_client);
            _webSocket?.Abort();
            _stream.Dispose();
            _closed.TrySetResult();
        }

        private Func<ReadOnlyMemory<byte>, ValueTask> _write = _ => ValueTask.CompletedTask;

        private void Send(ReadOnlyMemory<byte> text)
        {
            _outgoing.Enqueue(text);
            _waiting += text.Length;
            if (_waiting > MostWaiting)
                HangUp(false);
            else
                _ = SendAllAsync();
        }

        private async ValueTask WriteUnixAsync(ReadOnlyMemory<byte> text)
        {
            var framed = new byte[text.Length + 1];
            text.CopyTo(framed);
            framed[^1] = EndOfText;
            await _stream.WriteAsync(framed);
        }

        private async Task SendAllAsync()
        {
            if (_isSending)
                return;
            _isSending = true;
            try
            {
                while (_outgoing.TryDequeue(out var next) && !_isClosed)
                {
                    _waiting -= next.Length;
                    await _write(next);
                }
                // Its own goodbye then ends the reading; one that says none is hung up soon.
                if (_isClosing && !_isClosed)
                    await SayGoodbyeAsync();
            }
            catch (Exception end) when (end is IOException or ObjectDisposedException or WebSocketException or OperationCanceledException or InvalidOperationException)
            {
                // The reading side meets the same end, and closes.
                _outgoing.Clear();
            }
            _isSending = false;
        }
    }
}

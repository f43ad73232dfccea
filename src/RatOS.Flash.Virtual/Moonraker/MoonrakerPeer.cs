using System.Net.Sockets;
using System.Net.WebSockets;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>One accepted socket. Outgoing texts wait in a queue, so that a client that does not read delays no other one.</summary>
internal abstract class MoonrakerPeer(VirtualMoonraker moonraker, Socket socket) : IDisposable
{
    private const int MostWaiting = 64 * 1024 * 1024;   // bytes for a client that does not read
    private static readonly TimeSpan ClosingTime = TimeSpan.FromSeconds(1);

    private readonly Queue<ReadOnlyMemory<byte>> _outgoing = new();
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private MoonrakerClient? _client;
    private long _waiting;
    private bool _isSending;

    /// <summary>Completes when the socket is closed.</summary>
    protected Task Closed => _closed.Task;

    protected VirtualMoonraker Moonraker => moonraker;

    protected NetworkStream Stream { get; } = new(socket, ownsSocket: true);

    protected bool IsClosed { get; private set; }

    /// <summary>It closes after a goodbye, behind what waits.</summary>
    protected bool IsClosing { get; private set; }

    /// <summary>The protocol has a goodbye, and can send it now.</summary>
    protected virtual bool HasGoodbye => false;

    /// <summary>Serves the connection to its end.</summary>
    public abstract Task RunAsync();

    public void Dispose() => HangUp(false);

    /// <summary>Closes it.</summary>
    /// <param name="withGoodbye">With a goodbye, where the protocol has one, behind all earlier texts.</param>
    public void HangUp(bool withGoodbye)
    {
        if (IsClosed || (withGoodbye && IsClosing))
            return;
        if (withGoodbye && HasGoodbye)
        {
            IsClosing = true;
            moonraker.Time.Schedule(ClosingTime, () => HangUp(false));
            _ = SendAllAsync();
            return;
        }
        IsClosed = true;
        moonraker.Listener.Remove(this);
        if (_client is not null)
            moonraker.Disconnect(_client);
        Abort();
        Stream.Dispose();
        _closed.TrySetResult();
    }

    /// <summary>The connection is a client from now on.</summary>
    protected MoonrakerClient Connect(bool isTrusted) => _client = moonraker.Connect(Send, HangUp, isTrusted);

    protected abstract ValueTask WriteAsync(ReadOnlyMemory<byte> text);

    protected virtual Task SayGoodbyeAsync() => Task.CompletedTask;

    protected virtual void Abort()
    {
    }

    private void Send(ReadOnlyMemory<byte> text)
    {
        _outgoing.Enqueue(text);
        _waiting += text.Length;
        if (_waiting > MostWaiting)
            HangUp(false);
        else
            _ = SendAllAsync();
    }

    private async Task SendAllAsync()
    {
        if (_isSending)
            return;
        _isSending = true;
        try
        {
            while (_outgoing.TryDequeue(out var next) && !IsClosed)
            {
                _waiting -= next.Length;
                await WriteAsync(next);
            }
            // The client's own goodbye then ends the reading. A client without one is hung up soon.
            if (IsClosing && !IsClosed)
                await SayGoodbyeAsync();
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException or WebSocketException or OperationCanceledException
            or InvalidOperationException)
        {
            // The reading side fails too, and closes.
            _outgoing.Clear();
        }
        _isSending = false;
    }
}

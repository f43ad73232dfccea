using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A Moonraker on a unix socket whose answers are texts, as odd as a test wants them.</summary>
internal sealed class RawMoonraker : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private Socket? _client;

    public RawMoonraker(string path)
    {
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen();
        _ = ServeAsync();
    }

    /// <summary>The results, by method; <c>{}</c> for others.</summary>
    public Dictionary<string, string> Results { get; } = new(StringComparer.Ordinal);

    /// <summary>Every method that was called, in order.</summary>
    public List<string> Calls { get; } = [];

    /// <summary>Every message that is no call: answers to what <see cref="SendAsync"/> asked.</summary>
    public List<string> Answers { get; } = [];

    public int Connections { get; private set; }

    public async Task SendAsync(string message) => await _client!.SendAsync(Encoding.UTF8.GetBytes(message + "\u0003"));

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                _client = await _listener.AcceptAsync();
                Connections++;
                var (buffer, text) = (new byte[64 * 1024], new List<byte>());
                for (int length; (length = await _client.ReceiveAsync(buffer)) > 0;)
                {
                    text.AddRange(buffer.AsSpan(0, length));
                    for (int end; (end = text.IndexOf(3)) >= 0; text.RemoveRange(0, end + 1))
                        await TakeAsync(Encoding.UTF8.GetString([.. text.Take(end)]));
                }
            }
        }
        catch (Exception over) when (over is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task TakeAsync(string message)
    {
        using var json = JsonDocument.Parse(message);
        if (!json.RootElement.TryGetProperty("method", out var method))
        {
            Answers.Add(message);
            return;
        }
        Calls.Add(method.GetString()!);
        if (json.RootElement.TryGetProperty("id", out var id))
            await SendAsync($"{{\"jsonrpc\": \"2.0\", \"id\": {id}, \"result\": {Results.GetValueOrDefault(method.GetString()!, "{}")}}}");
    }

    public void Dispose()
    {
        _listener.Dispose();
        _client?.Dispose();
    }
}

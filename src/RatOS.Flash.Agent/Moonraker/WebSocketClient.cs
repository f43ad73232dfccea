using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// A websocket over plain TCP: the client's side of the handshake (RFC 6455, 4.1). ClientWebSocket needs OpenSSL even for <c>ws://</c>,
/// and where it is missing, the whole program aborts.
/// </summary>
internal static class WebSocketClient
{
    private const int LongestHead = 16 * 1024;
    private const int KeyLength = 16;
    private const string Magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    /// <param name="url">Of the scheme <c>ws</c>.</param>
    /// <param name="apiKey">Moonraker's; null without one.</param>
    /// <param name="pingInterval">How often a silent connection is tested.</param>
    /// <param name="pingLimit">How long an answer to such a test may take.</param>
    /// <param name="cancel">Ends the attempt; the caller's time limit.</param>
    /// <exception cref="SocketException">Nothing listens there, or the name is not known.</exception>
    /// <exception cref="WebSocketException">What listens there is no websocket.</exception>
    public static async Task<WebSocket> ConnectAsync(
        Uri url, string? apiKey, TimeSpan pingInterval, TimeSpan pingLimit, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            // Also without a file /etc/hosts.
            if (url.IdnHost.Equals("localhost", StringComparison.OrdinalIgnoreCase))
                await socket.ConnectAsync([IPAddress.Loopback, IPAddress.IPv6Loopback], url.Port, cancel);
            else
                await socket.ConnectAsync(url.IdnHost, url.Port, cancel);
            var stream = new NetworkStream(socket, ownsSocket: true);
            var key = Convert.ToBase64String(SecureRandom.Bytes(KeyLength));
            await stream.WriteAsync(Encoding.Latin1.GetBytes(Request(url, key, apiKey)), cancel);
            var (head, behind) = await ReadHeadAsync(stream, cancel);
            Check(head, key);
            return WebSocket.CreateFromStream(
                new MaskingStream(stream, behind),
                new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = pingInterval, KeepAliveTimeout = pingLimit });
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string Request(Uri url, string key, string? apiKey)
    {
        // A line end in the key would begin a header of its own.
        var own = apiKey is null ? "" : $"X-Api-Key: {string.Concat(apiKey.Where(c => c is > ' ' and < '\x7f'))}\r\n";
        return $"GET {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + $"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{own}\r\n";
    }

    /// <returns>The answer's lines, and the bytes behind them.</returns>
    private static async Task<(string[] Head, ReadOnlyMemory<byte> Behind)> ReadHeadAsync(NetworkStream stream, CancellationToken cancel)
    {
        var (buffer, length) = (new byte[LongestHead], 0);
        while (true)
        {
            var came = await stream.ReadAsync(buffer.AsMemory(length), cancel);
            if (came == 0)
                throw Refused(length == 0 ? "it closed the connection" : "it closed the connection within its answer");
            var searched = Math.Max(length - 3, 0);
            length += came;
            if (buffer.AsSpan(searched, length - searched).IndexOf("\r\n\r\n"u8) is >= 0 and var at)
            {
                var end = searched + at;
                return (Encoding.Latin1.GetString(buffer, 0, end).Split("\r\n"), buffer.AsMemory(end + 4, length - end - 4).ToArray());
            }
            if (length == buffer.Length)
                throw Refused($"its answer is longer than {LongestHead / 1024} KiB");
        }
    }

    /// <exception cref="WebSocketException">This is not the answer to our request.</exception>
    private static void Check(string[] head, string key)
    {
        var words = head[0].Split(' ', 3);
        if (words.Length < 2 || !words[0].StartsWith("HTTP/1.", StringComparison.Ordinal)
            || !int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out var status))
            throw Refused("its answer is not HTTP");
        if (status != (int)HttpStatusCode.SwitchingProtocols)
            throw Refused($"it answered with HTTP status {status}");
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var line in head.Skip(1))
        {
            if (line.Split(':', 2) is [var name, var value] && !headers.TryAdd(name, value.Trim()))
                headers[name] += $", {value.Trim()}";
        }
        string Header(string wanted) => headers.GetValueOrDefault(wanted, "");
        if (!Header("Upgrade").Equals("websocket", StringComparison.OrdinalIgnoreCase)
            || !Header("Connection").Split(',').Any(word => word.Trim().Equals("upgrade", StringComparison.OrdinalIgnoreCase)))
            throw Refused("it does not switch to the websocket protocol");
        if (Header("Sec-WebSocket-Accept") != Accept(key))
            throw Refused("its accept key is wrong");
        // None was offered (RFC 6455, 4.1).
        if (Header("Sec-WebSocket-Extensions").Length > 0 || Header("Sec-WebSocket-Protocol").Length > 0)
            throw Refused("it uses an extension that was not offered");
    }

    /// <summary>A server's answer to a client's key (RFC 6455, 4.2.2).</summary>
    private static string Accept(string key) => Convert.ToBase64String(Sha1.HashData(Encoding.ASCII.GetBytes(key + Magic)));

    private static WebSocketException Refused(string why) => new(WebSocketError.NotAWebSocket, $"no websocket there: {why}");
}

using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using RatOS.Flash.Agent.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>The websocket's client against servers that are right, wrong, slow and hostile.</summary>
public sealed class WebSocketClientTests
{
    private const string Good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: {0}\r\n";

    private static readonly TimeSpan Generous = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData(1)]
    [InlineData(125)]
    [InlineData(126)]
    [InlineData(4096)]
    [InlineData(65535)]
    [InlineData(65536)]
    [InlineData(3_000_001)]
    public async Task Messages_of_every_length_arrive_in_both_directions(int length)
    {
        var message = RandomNumberGenerator.GetBytes(length);
        using var server = new Server(async (stream, key) =>
        {
            await stream.WriteAsync(Answer(key));
            using var socket = WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = true });
            await socket.SendAsync(await MessageAsync(socket), WebSocketMessageType.Binary, true, CancellationToken.None);
            await socket.SendAsync(message, WebSocketMessageType.Binary, true, CancellationToken.None);
            Assert.Equal(WebSocketMessageType.Close, (await socket.ReceiveAsync(new byte[1], CancellationToken.None)).MessageType);
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        });
        using var client = await ConnectAsync(server);
        await client.SendAsync(message, WebSocketMessageType.Binary, true, CancellationToken.None);
        Assert.Equal(message, await MessageAsync(client));
        Assert.Equal(message, await MessageAsync(client));
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "over", CancellationToken.None);
        await server.Over;
    }

    [Fact]
    public async Task The_request_is_one_of_HTTP_with_the_key_of_Moonraker_and_no_more_headers()
    {
        using var server = new Server(async (stream, key) => await stream.WriteAsync(Answer(key)));
        using var client = await WebSocketClient.ConnectAsync(
            new Uri(server.Url + "?a=b"), "secret\r\nX-Evil: 1", Generous, Generous, CancellationToken.None);
        await server.Over;
        var lines = server.Head!.Split("\r\n");
        Assert.Equal("GET /websocket?a=b HTTP/1.1", lines[0]);
        Assert.Contains($"Host: {new Uri(server.Url).Authority}", lines);
        Assert.Contains("X-Api-Key: secretX-Evil:1", lines);
        Assert.Contains("Sec-WebSocket-Version: 13", lines);
        Assert.Equal(7, lines.Count(line => line.Length > 0));
    }

    [Fact]
    public async Task A_frame_that_comes_together_with_the_answer_is_read_and_so_is_one_byte_at_a_time()
    {
        using var server = new Server(async (stream, key) =>
        {
            await stream.WriteAsync((byte[])[.. Answer(key), 0x81, 2, (byte)'h', (byte)'i', 0x81]);
            foreach (var next in (byte[])[126, 0, 3, (byte)'y', (byte)'o', (byte)'u', 0x81, 0])
                await stream.WriteAsync(new[] { next });
            await stream.ReadExactlyAsync(new byte[1]);
        });
        using var client = await ConnectAsync(server);
        Assert.Equal("hi"u8.ToArray(), await MessageAsync(client));
        Assert.Equal("you"u8.ToArray(), await MessageAsync(client));
        Assert.Empty(await MessageAsync(client));
    }

    [Fact]
    public async Task Frames_of_the_client_have_masks_that_differ()
    {
        var frames = new byte[2 * 9];
        using var server = new Server(async (stream, key) =>
        {
            await stream.WriteAsync(Answer(key));
            await stream.ReadExactlyAsync(frames);
        });
        using var client = await ConnectAsync(server);
        for (var i = 0; i < 2; i++)
            await client.SendAsync("hey"u8.ToArray(), WebSocketMessageType.Text, true, CancellationToken.None);
        await server.Over;
        Assert.Equal([0x81, 0x83], frames[..2]);
        Assert.NotEqual(frames[2..6], frames[11..15]);
        Assert.Equal("hey"u8, [.. frames[6..9].Select((b, i) => (byte)(b ^ frames[2 + i]))]);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP status 400")]
    [InlineData("HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", "HTTP status 301")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP status 200")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP")]
    [InlineData("HTTP/1.1\r\n\r\n", "not HTTP")]
    [InlineData("HTTP/1.1 -101 Odd\r\n\r\n", "not HTTP")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\n\r\n", "does not switch")]
    [InlineData(Good + "\r\n", "accept key is wrong", "dGhlIHNhbXBsZSBub25jZQ==")]
    [InlineData("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "accept key is wrong")]
    [InlineData(Good + "Sec-WebSocket-Accept: x\r\n\r\n", "accept key is wrong")]
    [InlineData(Good + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "not offered")]
    [InlineData("HTTP/1.1 101 Swi", "within its answer")]
    [InlineData("", "closed the connection")]
    public async Task An_answer_that_is_no_websockets_is_refused_with_the_reason(string answer, string why, string? accept = null)
    {
        using var server = new Server(async (stream, key) =>
            await stream.WriteAsync(Encoding.Latin1.GetBytes(answer.Replace("{0}", accept ?? AcceptOf(key), StringComparison.Ordinal))));
        var refused = await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(server));
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_without_end_is_read_up_to_16_KiB()
    {
        using var server = new Server(async (stream, _) =>
        {
            await stream.WriteAsync("HTTP/1.1 101 Switching Protocols\r\n"u8.ToArray());
            while (true)
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"X-Filler: {new string('x', 1010)}\r\n"));
        });
        var refused = await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(server));
        Assert.Contains("longer than 16 KiB", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_drips_or_is_silent_is_left_when_the_time_is_up()
    {
        using var server = new Server(async (stream, _) =>
        {
            await stream.WriteAsync("HTTP/1.1 101"u8.ToArray());
            await stream.ReadExactlyAsync(new byte[1]);
        });
        using var limit = new CancellationTokenSource();
        var attempt = WebSocketClient.ConnectAsync(new Uri(server.Url), null, Generous, Generous, limit.Token);
        await server.Asked;
        await limit.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => attempt.WaitAsync(Generous));
        await server.Over.WaitAsync(Generous);   // the connection is closed
    }

    [Theory]
    [InlineData(new byte[] { 0x81, 0x82, 1, 2, 3, 4, 5, 6 })]                           // a server may not mask
    [InlineData(new byte[] { 0x82, 127, 0xff, 255, 255, 255, 255, 255, 255, 255, 1 })]  // a length below zero
    [InlineData(new byte[] { 0xf1, 1, 0 })]                                             // reserved bits
    [InlineData(new byte[] { 0x83, 1, 0 })]                                             // an unknown kind
    [InlineData(new byte[] { 0x89, 126, 0, 200 })]                                      // a ping that is too long
    [InlineData(new byte[] { 0x81 })]                                                   // the end within a header
    [InlineData(new byte[] { 0x81, 5, 1 })]                                             // the end within a message
    public async Task Frames_that_no_server_may_send_end_the_connection(byte[] frame)
    {
        using var server = new Server(async (stream, key) => await stream.WriteAsync((byte[])[.. Answer(key), .. frame]));
        using var client = await ConnectAsync(server);
        await Assert.ThrowsAsync<WebSocketException>(async () =>
        {
            while (true)
                await client.ReceiveAsync(new byte[100], CancellationToken.None).WaitAsync(Generous);
        });
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    public async Task A_computer_is_named_or_numbered(string host)
    {
        using var server = new Server(async (stream, key) => await stream.WriteAsync(Answer(key)));
        var url = new UriBuilder(server.Url) { Host = host }.Uri;
        using var client = await WebSocketClient.ConnectAsync(url, null, Generous, Generous, CancellationToken.None);
        Assert.Equal(WebSocketState.Open, client.State);
    }

    [Fact]
    public async Task A_name_that_does_not_exist_is_an_outage() => await Assert.ThrowsAsync<SocketException>(
        () => WebSocketClient.ConnectAsync(
            new Uri("ws://no-such-computer.invalid:7125/websocket"), null, Generous, Generous, CancellationToken.None));

    private static Task<WebSocket> ConnectAsync(Server server) =>
        WebSocketClient.ConnectAsync(new Uri(server.Url), null, Generous, Generous, CancellationToken.None).WaitAsync(Generous);

    private static byte[] Answer(string key) =>
        Encoding.ASCII.GetBytes(Good.Replace("{0}", AcceptOf(key), StringComparison.Ordinal) + "\r\n");

#pragma warning disable CA5350
    private static string AcceptOf(string key) => Convert.ToBase64String(
        SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350

    private static async Task<byte[]> MessageAsync(WebSocket socket)
    {
        using var message = new MemoryStream();
        var buffer = new byte[10_000];
        while (true)
        {
            var piece = await socket.ReceiveAsync(buffer, CancellationToken.None).WaitAsync(Generous);
            message.Write(buffer, 0, piece.Count);
            if (piece.EndOfMessage)
                return message.ToArray();
        }
    }

    /// <summary>Takes one connection, reads its request, and does what the test wants.</summary>
    private sealed class Server : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Server(Func<NetworkStream, string, Task> then)
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen();
            Url = $"ws://{_listener.LocalEndPoint}/websocket";
            Over = ServeAsync(then);
        }

        public string Url { get; }

        public string? Head { get; private set; }

        public Task Asked => _asked.Task;

        public Task Over { get; }

        public void Dispose() => _listener.Dispose();

        private async Task ServeAsync(Func<NetworkStream, string, Task> then)
        {
            try
            {
                await using var stream = new NetworkStream(await _listener.AcceptAsync(), ownsSocket: true);
                var head = new StringBuilder();
                var next = new byte[1];
                while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
                {
                    await stream.ReadExactlyAsync(next);
                    head.Append((char)next[0]);
                }
                Head = head.ToString();
                const string header = "Sec-WebSocket-Key: ";
                var key = Head.Split("\r\n").First(line => line.StartsWith(header, StringComparison.Ordinal))[header.Length..];
                Assert.Equal(16, Convert.FromBase64String(key).Length);
                _asked.TrySetResult();
                await then(stream, key);
            }
            catch (Exception over) when (over is IOException or SocketException or ObjectDisposedException)
            {
                // The client has left.
            }
        }
    }
}

using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A TCP connection: HTTP, and the websocket at /websocket.</summary>
internal sealed class TcpPeer(VirtualMoonraker moonraker, Socket socket) : MoonrakerPeer(moonraker, socket)
{
    private const int LargestMessage = 10 * 1024 * 1024;   // of a websocket
    private const int LargestKeptBuffer = 64 * 1024;

    private WebSocket? _webSocket;

    protected override bool HasGoodbye => _webSocket is not null;

    public override async Task RunAsync()
    {
        Stream.Socket.NoDelay = true;
        try
        {
            await ServeAllAsync(new HttpReader(Stream));
        }
        catch (InvalidDataException) when (_webSocket is null && !IsClosed)
        {
            await Stream.WriteAsync("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"u8.ToArray());
        }
    }

    private async Task ServeAllAsync(HttpReader reader)
    {
        while (!IsClosed && await reader.ReadHeadAsync() is { } request)
        {
            if (request.Path == "/websocket")
            {
                await UpgradeAsync(request, reader);
                return;
            }
            if (request.HasWord("Expect", "100-continue"))
                await Stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray());
            request = request with { Body = await reader.ReadBodyAsync(request) };
            if (await Moonraker.ServeAsync(request) is not { } answer)
            {
                await Closed;
                return;
            }
            await AnswerAsync(answer, withBody: request.Verb != "HEAD");
            if (request.HasWord("Connection", "close"))
                return;
        }
    }

    protected override ValueTask WriteAsync(ReadOnlyMemory<byte> text) =>
        _webSocket!.SendAsync(text, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

    protected override Task SayGoodbyeAsync() =>
        _webSocket!.CloseOutputAsync(WebSocketCloseStatus.EndpointUnavailable, "Server Shutdown", CancellationToken.None);

    protected override void Abort() => _webSocket?.Abort();

    private ValueTask AnswerAsync(HttpAnswer answer, bool withBody = true)
    {
        var head = $"HTTP/1.1 {answer.Status} {HttpAnswer.Reason(answer.Status)}\r\nServer: TornadoServer/6.2\r\n"
            + $"Content-Type: {answer.ContentType}\r\nContent-Length: {answer.Body.Length}\r\n{answer.Headers}\r\n";
        return Stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. withBody ? answer.Body.Span : default]);
    }

    private async Task UpgradeAsync(HttpRequest request, HttpReader reader)
    {
        if (request.Verb != "GET" || !request.HasWord("Upgrade", "websocket") || !request.HasWord("Connection", "upgrade")
            || request.Header("Sec-WebSocket-Key") is not { } key)
        {
            await AnswerAsync(new(400, "Can \"Upgrade\" only to \"WebSocket\"."u8.ToArray(), "text/html; charset=UTF-8"));
            return;
        }
        if (reader.HasMore)
            throw new InvalidDataException("frames before the end of the handshake");
        // RFC 6455, 4.2.2: its constant.
        var accept = Convert.ToBase64String(Sha1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        await Stream.WriteAsync(Encoding.ASCII.GetBytes(
            "HTTP/1.1 101 Switching Protocols\r\nServer: TornadoServer/6.2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + $"Sec-Websocket-Accept: {accept}\r\n\r\n"));
        // The recorded server never pings.
        _webSocket = WebSocket.CreateFromStream(
            Stream, new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = TimeSpan.Zero });
        var user = UserOf(request);
        var client = Connect(isTrusted: user is not null);
        client.User = user;
        await ReceiveAllAsync(_webSocket, client);
    }

    /// <summary>A token that is not valid does not prevent the connection.</summary>
    private string? UserOf(HttpRequest request)
    {
        try
        {
            return Moonraker.Access.UserOf(request);
        }
        catch (MoonrakerException)
        {
            return null;
        }
    }

    private async Task ReceiveAllAsync(WebSocket webSocket, MoonrakerClient client)
    {
        var (buffer, length) = (new byte[4096], 0);
        while (!IsClosed)
        {
            if (length == buffer.Length)
                Array.Resize(ref buffer, Math.Min(buffer.Length * 2, LargestMessage + 1));
            var part = await webSocket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
            if (part.MessageType == WebSocketMessageType.Close)
            {
                if (webSocket.State == WebSocketState.CloseReceived && !IsClosing)
                    await webSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                return;
            }
            length += part.Count;
            if (length > LargestMessage)
                throw new InvalidDataException("a message that is too large");   // closed without a code
            if (!part.EndOfMessage)
                continue;
            _ = Moonraker.ReceiveAsync(client, buffer.AsSpan(0, length).ToArray());
            length = 0;
            if (buffer.Length > LargestKeptBuffer)
                buffer = new byte[4096];
        }
    }
}

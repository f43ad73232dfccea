using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>HTTP/1.1 as far as Moonraker's clients need it, and the websocket at /websocket.</content>
public sealed partial class VirtualMoonraker
{
    private const int LargestHead = 64 * 1024;
    private const int LargestBody = 50 * 1024 * 1024;
    private const int LargestMessage = 10 * 1024 * 1024;   // of a websocket

    /// <summary>A request by HTTP.</summary>
    internal sealed record HttpRequest(string Verb, string Path, string Query, IReadOnlyDictionary<string, string> Headers)
    {
        public ReadOnlyMemory<byte> Body { get; init; }

        public string? Header(string name) => Headers.GetValueOrDefault(name);

        public bool HasWord(string header, string word) => Header(header)?.Contains(word, StringComparison.OrdinalIgnoreCase) == true;

        /// <summary>The names and values of the query string; a name alone has an empty value.</summary>
        public IEnumerable<(string Name, string Value)> Arguments => Query.Split('&', StringSplitOptions.RemoveEmptyEntries).Select(part =>
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            return equals < 0 ? (WebUtility.UrlDecode(part), "") : (WebUtility.UrlDecode(part[..equals]), WebUtility.UrlDecode(part[(equals + 1)..]));
        });
    }

    private bool IsTrusted(HttpRequest request) =>
        _setup.ApiKey is not { } key || request.Header("X-Api-Key") == key || request.Arguments.Any(argument => argument.Name == "token" && _tokens.Remove(argument.Value));

    /// <summary>Does what a request asks for; null for no answer, ever.</summary>
    internal async Task<(int Status, JsonNode Body)?> ServeAsync(HttpRequest request)
    {
        try
        {
            var (name, method) = Find(request);
            _calls = _calls.Add(name);
            if (IsSilent)
                return null;
            var client = new MoonrakerClient(NextId(), _ => { }, _ => { }) { IsHttp = true, IsTrusted = IsTrusted(request) };
            using var parameters = JsonDocument.Parse(MoonrakerJson.Write(Parameters(request)));
            var result = await RunAsync(method, new Call(client, parameters.RootElement));
            return (200, await LateAsync(new JsonObject { ["result"] = result }));
        }
        catch (MoonrakerException failed)
        {
            var status = failed.Status is >= 400 and < 600 ? failed.Status : 500;
            var told = failed.Status == 401 ? $"{failed.Message} ({failed.Message})" : failed.Message;
            var error = new JsonObject
            {
                ["code"] = status,
                ["message"] = failed.Message,
                ["traceback"] = $"Traceback (most recent call last):\n[...]\ntornado.web.HTTPError: HTTP {status}: {told}\n",
            };
            return (status, await LateAsync(new JsonObject { ["error"] = error }));
        }
    }

    private (string Name, Method Method) Find(HttpRequest request)
    {
        var named = _methods.Where(method => method.Value.Verb is not null && request.Path == (method.Value.Path ?? $"/{method.Key.Replace('.', '/')}")).ToList();
        if (named.Count == 0)
            throw new MoonrakerException(404, "Not Found");
        // Objects may be asked for by POST as well: their list can be long.
        var found = named.Find(method => method.Value.Verb == request.Verb || (method.Key == "printer.objects.query" && request.Verb == "POST"));
        return found.Value is null ? throw new MoonrakerException(405, "Method Not Allowed") : (found.Key, found.Value);
    }

    /// <summary>The query string's texts, and over them the members of a JSON body.</summary>
    private static JsonObject Parameters(HttpRequest request)
    {
        var parameters = new JsonObject();
        foreach (var (name, value) in request.Arguments.Where(argument => argument.Name != "token"))
            parameters[name] = value;
        if (request.Body.IsEmpty || !request.HasWord("Content-Type", "application/json"))
            return parameters;
        try
        {
            using var body = JsonDocument.Parse(request.Body);
            foreach (var member in body.RootElement.EnumerateObject())
                parameters[member.Name] = MoonrakerJson.ToNode(member.Value);
            return parameters;
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            throw new MoonrakerException(400, "Error parsing JSON body");
        }
    }

    private sealed partial class Peer
    {
        private byte[] _buffer = new byte[4096];
        private int _start;
        private int _end;
        private WebSocket? _webSocket;

        public async Task RunTcpAsync()
        {
            socket.NoDelay = true;
            while (!_isClosed && await ReadHeadAsync() is { } request)
            {
                if (request.Path == "/websocket")
                {
                    await UpgradeAsync(request);
                    return;
                }
                if (request.HasWord("Expect", "100-continue"))
                    await _stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray());
                request = request with { Body = await ReadBodyAsync(request) };
                if (await server.ServeAsync(request) is not var (status, body))
                {
                    await _closed.Task;
                    return;
                }
                await AnswerAsync(status, MoonrakerJson.Write(body), "application/json; charset=UTF-8");
                if (request.HasWord("Connection", "close"))
                    return;
            }
        }

        private ValueTask AnswerAsync(int status, byte[] body, string type)
        {
            var head = $"HTTP/1.1 {status} {(status == 200 ? "OK" : "Error")}\r\nServer: TornadoServer/6.2\r\nContent-Type: {type}\r\nContent-Length: {body.Length}\r\n\r\n";
            return _stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. body]);
        }

        /// <summary>The next request's head; null at the connection's proper end. What no HTTP client sends ends it.</summary>
        private async Task<HttpRequest?> ReadHeadAsync()
        {
            int length;
            while ((length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8)) < 0)
            {
                if (_end - _start > LargestHead)
                    throw new InvalidDataException("a head without end");
                if (!await FillAsync())
                    return _end == _start ? null : throw new InvalidDataException("half a head");
            }
            var lines = Encoding.Latin1.GetString(_buffer, _start, length).Split("\r\n");
            _start += length + 4;
            var words = lines[0].Split(' ');
            if (words.Length != 3 || !words[2].StartsWith("HTTP/1.", StringComparison.Ordinal) || !words[1].StartsWith('/'))
                throw new InvalidDataException("no HTTP");
            var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            foreach (var line in lines.Skip(1))
            {
                if (line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon)
                    headers[line[..colon].Trim()] = line[(colon + 1)..].Trim();
            }
            var question = words[1].IndexOf('?', StringComparison.Ordinal);
            return question < 0 ? new HttpRequest(words[0], words[1], "", headers) : new HttpRequest(words[0], words[1][..question], words[1][(question + 1)..], headers);
        }

        private async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpRequest request)
        {
            if (!request.HasWord("Transfer-Encoding", "chunked"))
            {
                var length = request.Header("Content-Length") is { } text ? int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1 : 0;
                return await TakeAsync(length);
            }
            using var body = new MemoryStream();
            while (true)
            {
                var line = await ReadLineAsync();
                if (!int.TryParse(line.Split(';')[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var length))
                    throw new InvalidDataException("no chunk");
                body.Write((await TakeAsync(length)).Span);
                if (body.Length > LargestBody || (await ReadLineAsync()).Length > 0)
                    throw new InvalidDataException("no chunk");
                if (length == 0)
                    return body.ToArray();
            }
        }

        private async Task<string> ReadLineAsync()
        {
            int length;
            while ((length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8)) < 0)
            {
                if (_end - _start > LargestHead || !await FillAsync())
                    throw new InvalidDataException("a line without end");
            }
            var line = Encoding.Latin1.GetString(_buffer, _start, length);
            _start += length + 2;
            return line;
        }

        private async Task<ReadOnlyMemory<byte>> TakeAsync(int length)
        {
            if (length is < 0 or > LargestBody)
                throw new InvalidDataException("a body that is too large");
            while (_end - _start < length)
            {
                if (!await FillAsync())
                    throw new InvalidDataException("half a body");
            }
            var body = _buffer.AsSpan(_start, length).ToArray();
            _start += length;
            return body;
        }

        /// <summary>Reads some more; false at the end.</summary>
        private async Task<bool> FillAsync()
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
            if (_end == _buffer.Length)
                Array.Resize(ref _buffer, _buffer.Length * 2);
            var read = await _stream.ReadAsync(_buffer.AsMemory(_end));
            _end += read;
            return read > 0;
        }

        // ---- websocket

        private async Task UpgradeAsync(HttpRequest request)
        {
            if (request.Verb != "GET" || !request.HasWord("Upgrade", "websocket") || !request.HasWord("Connection", "upgrade") || request.Header("Sec-WebSocket-Key") is not { } key)
            {
                await AnswerAsync(400, "Can \"Upgrade\" only to \"WebSocket\"."u8.ToArray(), "text/html; charset=UTF-8");
                return;
            }
            if (_end > _start)
                throw new InvalidDataException("frames before the handshake's end");
            // RFC 6455, 4.2.2: its constant, and SHA-1 for no reason of security.
#pragma warning disable CA5350
            var accept = Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350
            await _stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"HTTP/1.1 101 Switching Protocols\r\nServer: TornadoServer/6.2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-Websocket-Accept: {accept}\r\n\r\n"));
            // As with the older tornado of the recordings, the server never pings.
            _webSocket = WebSocket.CreateFromStream(_stream, new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = TimeSpan.Zero });
            _write = text => _webSocket.SendAsync(text, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
            _client = server.Connect(Send, HangUp, server.IsTrusted(request));
            await ReceiveAllAsync(_webSocket, _client);
        }

        private async Task ReceiveAllAsync(WebSocket webSocket, MoonrakerClient client)
        {
            var (buffer, length) = (new byte[4096], 0);
            while (!_isClosed)
            {
                if (length == buffer.Length)
                    Array.Resize(ref buffer, Math.Min(buffer.Length * 2, LargestMessage + 1));
                var part = await webSocket.ReceiveAsync(buffer.AsMemory(length), CancellationToken.None);
                if (part.MessageType == WebSocketMessageType.Close)
                {
                    if (webSocket.State == WebSocketState.CloseReceived && !_isClosing)
                        await webSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
                    return;
                }
                length += part.Count;
                if (length > LargestMessage)
                    throw new InvalidDataException("a message that is too large");   // closed without a code
                if (!part.EndOfMessage)
                    continue;
                _ = server.ReceiveAsync(client, buffer.AsSpan(0, length).ToArray());
                length = 0;
                if (buffer.Length > LargestHead)
                    buffer = new byte[4096];
            }
        }

        private Task SayGoodbyeAsync() => _webSocket!.CloseOutputAsync(WebSocketCloseStatus.EndpointUnavailable, "Server Shutdown", CancellationToken.None);
    }
}

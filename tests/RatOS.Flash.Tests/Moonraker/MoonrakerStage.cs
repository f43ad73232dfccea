using System.Buffers;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>A virtual printer with a virtual Moonraker behind real sockets, and clients of the tests' own.</summary>
internal sealed class MoonrakerStage(VirtualPrinter printer, VirtualMoonraker moonraker, string socket)
{
    public VirtualPrinter Printer => printer;

    public VirtualMoonraker Moonraker => moonraker;

    public VirtualTime Time => printer.Time;

    public string Socket => socket;

    /// <param name="setup">Without sockets: the stage adds both.</param>
    /// <param name="story">The test.</param>
    /// <param name="pace">Lower where an event must happen within a second or so.</param>
    public static void With(MoonrakerSetup setup, Func<MoonrakerStage, Task> story, double pace = 20)
    {
        var time = new VirtualTime { IsLive = true, Pace = pace, YieldsToLoad = true };
        time.Run(async () =>
        {
            var folder = Directory.CreateTempSubdirectory("moonraker-");
            try
            {
                var path = Path.Combine(folder.FullName, "moonraker.sock");
                var printer = VirtualPrinter.Create("octopus", time);
                await using var moonraker = VirtualMoonraker.Start(printer, setup with { UnixSocket = path, Port = 0 });
                await story(new MoonrakerStage(printer, moonraker, path));
            }
            finally
            {
                folder.Delete(recursive: true);
            }
            return true;
        });
    }

    public async Task WaitAsync(Func<bool> until)
    {
        for (var tries = 0; !until(); tries++)
        {
            Assert.True(tries < 2000, "it never came to that");
            await Task.Delay(TimeSpan.FromSeconds(0.1), Time);
        }
    }

    public async Task<TestClient> ConnectUnixAsync()
    {
        var unix = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await unix.ConnectAsync(new UnixDomainSocketEndPoint(socket));
        return new TestClient(new NetworkStream(unix, ownsSocket: true));
    }

    public async Task<TestClient> ConnectWebSocketAsync(string query = "", string? key = null)
    {
        var webSocket = new ClientWebSocket();
        if (key is not null)
            webSocket.Options.SetRequestHeader("X-Api-Key", key);
        await webSocket.ConnectAsync(new Uri($"ws://127.0.0.1:{moonraker.Port}/websocket{query}"), CancellationToken.None);
        return new TestClient(webSocket);
    }
}

/// <summary>A plain client on a unix socket or a websocket. It keeps everything that it receives.</summary>
internal sealed class TestClient : IDisposable
{
    private readonly NetworkStream? _unix;
    private readonly ClientWebSocket? _webSocket;
    private readonly Dictionary<long, TaskCompletionSource<JsonObject>> _asked = [];
    private long _lastId;

    public TestClient(NetworkStream unix)
    {
        _unix = unix;
        Ended = ReadUnixAsync();
    }

    public TestClient(ClientWebSocket webSocket)
    {
        _webSocket = webSocket;
        Ended = ReadWebSocketAsync();
    }

    /// <summary>Received notifications and requests in order, without the statistics.</summary>
    public List<JsonObject> Received { get; } = [];

    /// <summary>Number of received statistics, one each second.</summary>
    public int Statistics { get; private set; }

    /// <summary>Completes when the server has closed, with the websocket's close code and text, if any.</summary>
    public Task<string> Ended { get; }

    public IEnumerable<string> Methods => Received.Select(text => (string)text["method"]!);

    /// <summary>The whole answer.</summary>
    public async Task<JsonObject> AskAsync(string method, JsonObject? parameters = null)
    {
        var request = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method, ["id"] = ++_lastId };
        if (parameters is not null)
            request["params"] = parameters;
        var answer = _asked[_lastId] = new TaskCompletionSource<JsonObject>();
        await SendAsync(request.ToJsonString());
        return await answer.Task;
    }

    public async Task<JsonNode?> ResultAsync(string method, JsonObject? parameters = null)
    {
        var answer = await AskAsync(method, parameters);
        Assert.True(answer.ContainsKey("result"), answer.ToJsonString());
        return answer["result"];
    }

    public async Task<string> ErrorAsync(string method, JsonObject? parameters = null)
    {
        var answer = await AskAsync(method, parameters);
        return answer["error"] is { } error ? $"{error["code"]} {error["message"]}" : answer.ToJsonString();
    }

    public Task<JsonNode?> IdentifyAsync(string name = "ratos_flash", string type = "agent") =>
        ResultAsync(
            "server.connection.identify",
            new JsonObject { ["client_name"] = name, ["version"] = "0.1.0", ["type"] = type, ["url"] = "https://example.invalid" });

    public async Task SendAsync(string text)
    {
        if (_webSocket is not null)
            await _webSocket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, CancellationToken.None);
        else
            await SendRawAsync((byte[])[.. Encoding.UTF8.GetBytes(text), 3]);
    }

    public async Task SendRawAsync(ReadOnlyMemory<byte> bytes) => await _unix!.WriteAsync(bytes);

    public void Dispose()
    {
        _unix?.Dispose();
        _webSocket?.Dispose();
    }

    private async Task<string> ReadUnixAsync()
    {
        var (buffer, text) = (new byte[65536], new ArrayBufferWriter<byte>());
        try
        {
            while (await _unix!.ReadAsync(buffer) is > 0 and var length)
            {
                foreach (var value in buffer.AsSpan(0, length))
                {
                    if (value != 3)
                        text.Write([value]);
                    else
                    {
                        Hear(text.WrittenSpan);
                        text.Clear();
                    }
                }
            }
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException)
        {
            // Closed.
        }
        return "";
    }

    private async Task<string> ReadWebSocketAsync()
    {
        var (buffer, text) = (new byte[65536], new ArrayBufferWriter<byte>());
        try
        {
            while (true)
            {
                var part = await _webSocket!.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
                if (part.MessageType == WebSocketMessageType.Close)
                    return $"{(int)_webSocket.CloseStatus!} {_webSocket.CloseStatusDescription}";
                text.Write(buffer.AsSpan(0, part.Count));
                if (!part.EndOfMessage)
                    continue;
                Hear(text.WrittenSpan);
                text.Clear();
            }
        }
        catch (Exception end) when (end is WebSocketException or ObjectDisposedException or OperationCanceledException)
        {
            return "";
        }
    }

    private void Hear(ReadOnlySpan<byte> utf8)
    {
        if (JsonNode.Parse(utf8) is not JsonObject text)
            Received.Add(new JsonObject { ["method"] = Encoding.UTF8.GetString(utf8) });
        else if ((string?)text["method"] == "notify_proc_stat_update")
            Statistics++;
        else if (text.ContainsKey("method"))
            Received.Add(text);
        else if (text["id"] is JsonValue id && id.TryGetValue(out long number) && _asked.Remove(number, out var asked))
            asked.SetResult(text);
        else
            Received.Add(new JsonObject { ["method"] = text.ToJsonString() });
    }
}

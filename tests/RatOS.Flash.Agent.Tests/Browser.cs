using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A client of Moonraker by HTTP.</summary>
internal sealed class Browser(int port) : IDisposable
{
    public HttpClient Http { get; } = new() { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

    public void Dispose() => Http.Dispose();

    public Task<(HttpStatusCode Status, string? Type, string Text)> GetAsync(string path) => SendAsync("GET", path);

    public async Task<(HttpStatusCode Status, string? Type, string Text)> SendAsync(string verb, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(verb), path) { Content = body is null ? null : JsonContent.Create(body) };
        return await ReadAsync(Http.SendAsync(request));
    }

    /// <summary>The result of a request that succeeds.</summary>
    public async Task<JsonElement> ResultAsync(string verb, string path, object? body = null)
    {
        var (status, _, text) = await SendAsync(verb, path, body);
        Assert.True(status == HttpStatusCode.OK, text);
        return JsonElement.Parse(text).GetProperty("result");
    }

    public async Task<(HttpStatusCode Status, string? Type, string Text)> UploadAsync(
        string root, string name, byte[] file, params (string Name, string Value)[] fields)
    {
        using var form = new MultipartFormDataContent { { new StringContent(root), "\"root\"" } };
        foreach (var (field, value) in fields)
            form.Add(new StringContent(value), $"\"{field}\"");
        form.Add(new ByteArrayContent(file), "\"file\"", $"\"{name}\"");
        return await ReadAsync(Http.PostAsync("/server/files/upload", form));
    }

    private static async Task<(HttpStatusCode Status, string? Type, string Text)> ReadAsync(Task<HttpResponseMessage> sent)
    {
        using var response = await sent;
        return (response.StatusCode, response.Content.Headers.ContentType?.ToString(), await response.Content.ReadAsStringAsync());
    }
}

/// <summary>A client of Moonraker by websocket, one call after the other.</summary>
internal sealed class BrowserSocket : IDisposable
{
    private readonly ClientWebSocket _socket = new();
    private readonly List<JsonElement> _notifications = [];
    private int _last;

    public static async Task<BrowserSocket> ConnectAsync(int port, string query = "")
    {
        var socket = new BrowserSocket();
        await socket._socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port}/websocket{query}"), CancellationToken.None);
        return socket;
    }

    public void Dispose() => _socket.Dispose();

    public async Task<JsonElement> ResultAsync(string method, object? parameters = null)
    {
        var answer = await AskAsync(method, parameters);
        Assert.True(answer.At("error") is null, answer.GetRawText());
        return answer.GetProperty("result");
    }

    public async Task<string> ErrorAsync(string method, object? parameters = null)
    {
        var answer = await AskAsync(method, parameters);
        return $"{answer.Number("error", "code")} {answer.Word("error", "message")}";
    }

    /// <summary>The parameter of the first notification of this name, which has come or comes.</summary>
    public async Task<JsonElement> NotificationAsync(string method)
    {
        while (!_notifications.Exists(notification => notification.Word("method") == method))
            _notifications.Add(await ReceiveAsync());
        return _notifications.Find(notification => notification.Word("method") == method).GetProperty("params")[0];
    }

    private async Task<JsonElement> AskAsync(string method, object? parameters)
    {
        var id = ++_last;
        var request = JsonSerializer.SerializeToUtf8Bytes(new { jsonrpc = "2.0", method, @params = parameters ?? new { }, id });
        await _socket.SendAsync(request, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        while (true)
        {
            var text = await ReceiveAsync();
            if (text.Number("id") == id)
                return text;
            _notifications.Add(text);
        }
    }

    private async Task<JsonElement> ReceiveAsync()
    {
        var (text, buffer) = (new StringBuilder(), new byte[64 * 1024]);
        while (true)
        {
            var part = await _socket.ReceiveAsync(buffer, CancellationToken.None);
            text.Append(Encoding.UTF8.GetString(buffer, 0, part.Count));
            if (part.EndOfMessage)
                return JsonElement.Parse(text.ToString());
        }
    }
}

using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using StreamJsonRpc;
using StreamJsonRpc.Protocol;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// A JSON-RPC connection in Moonraker's dialect, to Moonraker or over our own socket: named parameters only, no cancel requests, and no
/// error of the far side ends it, and neither does a message that cannot be read. Calls arrive in order on the synchronization context
/// that created it.
/// </summary>
internal sealed class Rpc : JsonRpc
{
    private const int LongestMessage = 20 * 1024 * 1024;   // Moonraker's own limit
    private const int DeepestAnswered = 4096;

    // A request names boards and a file; only the own socket carries one. An answer of Moonraker's may have its whole configuration.
    private const int LongestRequest = 64 * 1024;
    private const int MostTokens = 4096;

    private readonly IDisposable _transport;

    /// <summary>Over a unix socket, in Moonraker's framing.</summary>
    /// <param name="stream">The socket.</param>
    /// <param name="say">Takes notes about messages that are passed over.</param>
    /// <param name="mostOpen">So many requests of the far side may be without an answer; then no more are read.</param>
    /// <param name="carriesFiles">A request may be as long as a message.</param>
    public Rpc(Stream stream, Action<string>? say = null, int mostOpen = int.MaxValue, bool carriesFiles = false)
        : this(new EtxHandler(stream, say, mostOpen, carriesFiles), stream)
    {
    }

    /// <summary>Over a websocket.</summary>
    public Rpc(WebSocket socket, Action<string>? say = null)
        : this(new SocketHandler(socket, say), socket)
    {
    }

    private Rpc(IJsonRpcMessageHandler handler, IDisposable transport)
        : base(handler)
    {
        _transport = transport;
        // Moonraker answers unknown notifications with errors.
        CancellationStrategy = null;
        ActivityTracingStrategy = null;
        SynchronizationContext = SynchronizationContext.Current;
        TraceSource.Listeners.Clear();
    }

    /// <summary>Calls a method with named arguments; null sends none. The answer may be of any kind.</summary>
    public Task<JsonElement> CallAsync(string method, Dictionary<string, object?>? arguments) =>
        InvokeWithParameterObjectAsync<JsonElement>(
            method, (IReadOnlyDictionary<string, object?>?)arguments, argumentDeclaredTypes: null, CancellationToken.None);

    /// <summary>Offers every method of a contract. Each takes its arguments as one JSON value.</summary>
    public void Offer<T>(T target)
        where T : PolyType.IShapeable<T> =>
        AddLocalRpcTarget(
            RpcTargetMetadata.FromShape<T>(), target!, new JsonRpcTargetOptions { UseSingleObjectParameterDeserialization = true });

    /// <summary>The far side's error, with its code and text.</summary>
    public static MoonrakerException ErrorOf(RemoteRpcException error) => new(
        error.ErrorCode is { } code ? (int)code : 0, Text.Clean(error.Message));

    /// <summary>Closes the socket too, which the base class leaves open.</summary>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
            _transport.Dispose();
    }

    protected override Type? GetErrorDetailsDataType(JsonRpcError error) => typeof(JsonElement);

    protected override JsonRpcError.ErrorDetail CreateErrorDetails(JsonRpcRequest request, Exception exception) =>
        new() { Code = JsonRpcErrorCode.InvocationError, Message = exception.Message };

    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Every transmitted type is in RpcShapes.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Every transmitted type is in RpcShapes.")]
    private static SystemTextJsonFormatter Formatter() => new() { JsonSerializerOptions = { TypeInfoResolver = RpcShapes.Default } };

    /// <summary>
    /// Reads a message. Null for one to pass over: an error without a request, as Moonraker sends it for a failed notification, and text
    /// that is no message. StreamJsonRpc would close the connection.
    /// </summary>
    private static JsonRpcMessage? Read(
        IJsonRpcMessageFormatter formatter, ReadOnlyMemory<byte> text, Action<string>? say, bool carriesFiles = false)
    {
        try
        {
            if (text.Length > LongestRequest && ForeignRequest.Of(text.Span, MostTokens) is { } request
                && (!carriesFiles || request.HasManyTokens))
            {
                // Moonraker announces long things, such as the commits of every repository. That it does is enough.
                if (request is { Id: null, Announces: { } announced })
                    return new JsonRpcRequest { Method = announced };
                say?.Invoke($"A request of {text.Length} bytes is refused.");
                return request.Id is { } asked ? new JsonRpcRequest { RequestId = new RequestId(asked), Method = "(too long)" } : null;
            }
            var message = formatter.Deserialize(new(ForeignJson.Mend(text)));
            return message is JsonRpcError { RequestId: var id } && (id.IsEmpty || id.IsNull) ? null : message;
        }
        catch (Exception odd) when (odd is not OperationCanceledException)
        {
            say?.Invoke($"A message cannot be read and is passed over: {Text.Clean(odd.Message)}");
            return Unreadable(text);
        }
    }

    /// <summary>Every message of a stream in Moonraker's framing, as a connection reads it.</summary>
    internal static async Task<List<JsonRpcMessage>> ReadAllAsync(Stream stream)
    {
        using var handler = new EtxHandler(stream, say: null, int.MaxValue, carriesFiles: false);
        var messages = new List<JsonRpcMessage>();
        while (await handler.ReadAsync(CancellationToken.None) is { } message)
            messages.Add(message);
        return messages;
    }

    /// <summary>The client of an unreadable request gets an error: no method has this name. Null where no client waits.</summary>
    private static JsonRpcRequest? Unreadable(ReadOnlyMemory<byte> text)
    {
        try
        {
            using var document = ForeignJson.Parse(text, DeepestAnswered);
            return document.RootElement.Word("method") is not null && document.RootElement.Number("id") is { } id
                && Math.Abs(id) < long.MaxValue ? new() { RequestId = new RequestId((long)id), Method = "(unreadable)" } : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Messages that end with the byte 03, as on Moonraker's unix socket.</summary>
    private sealed class EtxHandler(Stream stream, Action<string>? say, int mostOpen, bool carriesFiles)
        : PipeMessageHandler(PipeWriter.Create(stream), PipeReader.Create(stream), Formatter())
    {
        private const byte Etx = 3;

        private readonly SemaphoreSlim _room = new(mostOpen);
        private bool _skips;

        protected override void Write(JsonRpcMessage content, CancellationToken cancellationToken)
        {
            Formatter.Serialize(Writer!, content);
            Writer!.Write([Etx]);
            if (content is JsonRpcResult or JsonRpcError)
                _room.Release();
        }

        protected override async ValueTask<JsonRpcMessage?> ReadCoreAsync(CancellationToken cancellationToken)
        {
            long looked = 0;
            while (true)
            {
                var read = await Reader!.ReadAsync(cancellationToken);
                // A message of megabytes arrives in a thousand pieces: each piece is searched once.
                if (read.Buffer.Slice(looked).PositionOf(Etx) is { } end)
                {
                    looked = 0;
                    var message = _skips ? null : Read(Formatter, read.Buffer.Slice(0, end).ToArray(), say, carriesFiles);
                    _skips = false;
                    Reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                    if (message is null)
                        continue;
                    if (message is JsonRpcRequest { IsResponseExpected: true })
                        await _room.WaitAsync(cancellationToken);
                    return message;
                }
                if (read.IsCompleted)
                    return null;
                if (!_skips && read.Buffer.Length > LongestMessage)
                {
                    say?.Invoke($"A message of more than {LongestMessage} bytes is passed over.");
                    _skips = true;
                }
                looked = _skips ? 0 : read.Buffer.Length;
                Reader.AdvanceTo(_skips ? read.Buffer.End : read.Buffer.Start, read.Buffer.End);
            }
        }
    }

    private sealed class SocketHandler(WebSocket socket, Action<string>? say) : WebSocketMessageHandler(socket, Formatter())
    {
        private const int PieceSize = 16 * 1024;

        protected override async ValueTask<JsonRpcMessage?> ReadCoreAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                var (text, isTooLong) = (new ArrayBufferWriter<byte>(), false);
                ValueWebSocketReceiveResult piece;
                do
                {
                    piece = await this.WebSocket.ReceiveAsync(text.GetMemory(PieceSize), cancellationToken);
                    if (piece.MessageType == WebSocketMessageType.Close)
                    {
                        await this.WebSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "closed", CancellationToken.None);
                        return null;
                    }
                    isTooLong |= text.WrittenCount > LongestMessage;
                    if (!isTooLong)
                        text.Advance(piece.Count);
                }
                while (!piece.EndOfMessage);
                if (isTooLong)
                    say?.Invoke($"A message of more than {LongestMessage} bytes is passed over.");
                else if (Read(Formatter, text.WrittenMemory, say) is { } message)
                    return message;
            }
        }
    }
}

/// <summary>A long request of another program, as far as it can be told without memory for its content.</summary>
/// <param name="Id">Null for a notification.</param>
/// <param name="Announces">Its method, if that is one of Moonraker's announcements.</param>
/// <param name="HasManyTokens">It has more values and names than a request needs.</param>
internal readonly record struct ForeignRequest(long? Id, string? Announces, bool HasManyTokens)
{
    /// <summary>Null for an answer, and for text that is no request.</summary>
    /// <param name="utf8">The message.</param>
    /// <param name="mostTokens">More are many.</param>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static ForeignRequest? Of(ReadOnlySpan<byte> utf8, int mostTokens)
    {
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = ForeignJson.Depth });
        var (isRequest, tokens) = (false, 0);
        long? id = null;
        string? method = null;
        while (reader.Read())
        {
            tokens++;
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1)
                continue;
            if (reader.ValueTextEquals("result"u8) || reader.ValueTextEquals("error"u8))
                return null;
            if (reader.ValueTextEquals("method"u8) && reader.Read())
            {
                isRequest = true;
                method = reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length < 64 ? reader.GetString() : null;
            }
            else if (reader.ValueTextEquals("id"u8) && reader.Read() && reader.TokenType == JsonTokenType.Number
                && reader.TryGetInt64(out var number))
                id = number;
        }
        var announces = method?.StartsWith("notify_", StringComparison.Ordinal) == true ? method : null;
        return isRequest ? new(id, announces, tokens > mostTokens) : null;
    }
}

/// <summary>An error that Moonraker answered with.</summary>
/// <param name="code">Of HTTP or of JSON-RPC.</param>
/// <param name="text">Moonraker's text.</param>
internal sealed class MoonrakerException(int code, string text) : Exception(text)
{
    public const int NoSuchMethod = -32601;

    /// <summary>Its websocket's code for HTTP's 401; identifying has no other use of it.</summary>
    public const int Unauthorized = -32602;

    public int Code { get; } = code;
}

/// <summary>The types of arguments and answers.</summary>
[JsonSerializable(typeof(Dictionary<string, object?>))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(JsonObject))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(bool))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(double))]
internal sealed partial class RpcShapes : JsonSerializerContext;

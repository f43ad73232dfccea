using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using RatOS.Flash.Agent.Contract;
using StreamJsonRpc;
using StreamJsonRpc.Protocol;
using StreamJsonRpc.Reflection;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// A JSON-RPC connection in Moonraker's dialect, to Moonraker or over our own socket: named parameters only, no cancel requests, and no
/// error of the far side ends it. Calls arrive in order on the synchronization context that created it.
/// </summary>
internal sealed class Rpc : JsonRpc
{
    private readonly IDisposable _transport;

    /// <summary>Over a unix socket, in Moonraker's framing.</summary>
    public Rpc(Stream stream)
        : this(new EtxHandler(stream), stream)
    {
    }

    /// <summary>Over a websocket.</summary>
    public Rpc(WebSocket socket)
        : this(new SocketHandler(socket), socket)
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
    /// An error without a request, as Moonraker sends it for a failed notification. StreamJsonRpc would close the connection.
    /// </summary>
    private static bool IsOrphan(JsonRpcMessage? message)
    {
        if (message is not JsonRpcError { RequestId: var id } || !(id.IsEmpty || id.IsNull))
            return false;
        (message as IJsonRpcMessageBufferManager)?.DeserializationComplete(message);
        return true;
    }

    /// <summary>Messages that end with the byte 03, as on Moonraker's unix socket.</summary>
    /// <exception cref="InvalidDataException">A message is longer than 20 MiB.</exception>
    private sealed class EtxHandler(Stream stream) : PipeMessageHandler(PipeWriter.Create(stream), PipeReader.Create(stream), Formatter())
    {
        private const byte Etx = 3;
        private const int Limit = 20 * 1024 * 1024;   // Moonraker's own

        protected override void Write(JsonRpcMessage content, CancellationToken cancellationToken)
        {
            Formatter.Serialize(Writer!, content);
            Writer!.Write([Etx]);
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
                    try
                    {
                        var message = Formatter.Deserialize(read.Buffer.Slice(0, end));
                        if (!IsOrphan(message))
                            return message;
                    }
                    finally
                    {
                        Reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                    }
                    continue;
                }
                if (read.IsCompleted)
                    return null;
                if (read.Buffer.Length > Limit)
                    throw new InvalidDataException($"a message of more than {Limit} bytes");
                looked = read.Buffer.Length;
                Reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }
        }
    }

    private sealed class SocketHandler(WebSocket socket) : WebSocketMessageHandler(socket, Formatter())
    {
        protected override async ValueTask<JsonRpcMessage?> ReadCoreAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                var message = await base.ReadCoreAsync(cancellationToken);
                if (!IsOrphan(message))
                    return message;
            }
        }
    }
}

/// <summary>An error that Moonraker answered with.</summary>
/// <param name="code">Of HTTP or of JSON-RPC.</param>
/// <param name="text">Moonraker's text.</param>
internal sealed class MoonrakerException(int code, string text) : Exception(text)
{
    public const int NoSuchMethod = -32601;

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

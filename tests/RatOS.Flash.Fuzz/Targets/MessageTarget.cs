using RatOS.Flash.Agent.Moonraker;
using StreamJsonRpc.Protocol;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>
/// The stream of a client: messages of JSON-RPC that end with the byte 03, as on the own socket and on Moonraker's. Moonraker's websocket
/// reads a message with the same code.
/// </summary>
internal sealed class MessageTarget : FuzzTarget
{
    private const byte Etx = 3;

    public override string Name => "messages";

    public override string Oracle =>
        "A message that cannot be read is passed over or answered, and the one behind it arrives.";

    public override IEnumerable<string> Tokens =>
    [
        "\u0003", "{\"jsonrpc\":\"2.0\",", "\"method\":\"flash\",", "\"method\":\"notify_status_update\",", "\"params\":{", "\"params\":[",
        "\"id\":1", "\"id\":\"a\"", "\"id\":null", "\"id\":1e300", "\"result\":", "\"error\":{\"code\":-32601,\"message\":\"x\"}",
        "\\ud800", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":", "\"data\":{}", "true", "-0",
        "\"jsonrpc\":1", "\"traceparent\":\"", "\"$/cancelRequest\"",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        yield return Bytes("{\"jsonrpc\":\"2.0\",\"method\":\"flash\",\"params\":{\"board\":\"octopus\"},\"id\":1}\u0003");
        yield return Bytes(
            "{\"jsonrpc\":\"2.0\",\"method\":\"notify_status_update\",\"params\":[{\"print_stats\":{\"state\":\"ready\"}},12.5]}\u0003");
        yield return Bytes("{\"jsonrpc\":\"2.0\",\"result\":{\"klippy_state\":\"ready\"},\"id\":7}\u0003");
        yield return Bytes("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"x\",\"data\":{\"a\":1}},\"id\":null}\u0003");
        yield return Bytes("nonsense\u0003{\"jsonrpc\":\"2.0\",\"method\":\"status\",\"id\":\"x\"}\u0003");
    }

    public override void Run(byte[] input)
    {
        byte[] stream = [.. input, Etx, .. "{\"jsonrpc\":\"2.0\",\"method\":\"last\",\"id\":77}"u8, Etx];
        var read = Rpc.ReadAllAsync(new MemoryStream(stream)).GetAwaiter().GetResult();
        Hold(read is [.., JsonRpcRequest { Method: "last" }], "the message behind arrives");
        foreach (var message in read)
            Look(message);
    }

    private static void Look(JsonRpcMessage message)
    {
        if (message is not JsonRpcRequest request)
            return;
        _ = request.Method;
        _ = request.ArgumentCount;
    }
}

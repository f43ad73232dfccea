using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>
/// A recorded conversation of clients with the real Moonraker, replayed to the virtual one on virtual time. A client's text is sent when
/// it has received all that precedes it in the recording, and at the end each client must have received the same texts. Lines have
/// <c>dir</c> (<c>-></c> sent, <c>&lt;-</c> received, <c>#</c> a note), <c>client</c>, <c>t</c> (seconds) and <c>frame</c>.
/// </summary>
internal sealed partial class RecordedConversation(VirtualMoonraker moonraker, VirtualTime time)
{
    // Values that depend on the machine, on the run, or on Moonraker's own numbers: only their presence is compared.
    private static readonly HashSet<string> Incidental = new(StringComparer.Ordinal)
    {
        "eventtime", "connection_id", "websocket_id", "process_id", "websocket_count", "registered_directories", "printing_time",
        "mcu_build_versions", "mcu_constants", "last_stats", "settings", "config", "objects", "python", "cpu_info", "sd_info",
        "distribution", "virtualization",
        "network", "canbus", "provider", "available_services", "service_state", "warnings",
    };

    private const string Anywhere = "at any place: ";
    private static readonly string[] Unheard = ["notify_proc_stat_update", "notify_filelist_changed", "notify_history_changed"];

    private readonly Dictionary<string, Client> _clients = new(StringComparer.Ordinal);

    /// <summary>Versions of the recording and their replacements here.</summary>
    public Dictionary<string, string> Versions { get; } = new(StringComparer.Ordinal);

    /// <summary>Called for each note before the next line.</summary>
    public Action<string> Noted { get; init; } = _ => { };

    /// <summary>Lines of the recording that are replayed.</summary>
    public int Lines { get; init; } = int.MaxValue;

    /// <summary>Methods whose requests and answers are left out.</summary>
    public string[] Without { get; init; } = [];

    /// <summary>Clients of the recording that read answers only.</summary>
    public string[] Deaf { get; init; } = [];

    /// <summary>Clients that Moonraker does not trust when they connect.</summary>
    public string[] Untrusted { get; init; } = [];

    /// <summary>One client: expected and received texts. Answers by id, all others in order.</summary>
    private sealed class Client
    {
        public MoonrakerClient? Connection;
        public readonly List<string> Expected = [];
        public readonly List<string> Received = [];

        // Ids of requests to it as an agent, in order: the recorded ones, and ours.
        public readonly List<long> Recorded = [];
        public readonly List<long> Sent = [];
    }

    public async Task TellAsync(string file)
    {
        var lines = File.ReadLines(file).Select(line => JsonNode.Parse(line)!.AsObject()).Take(Lines).ToList();
        Assert.NotEmpty(lines);
        foreach (var first in lines.DistinctBy(line => (string)line["client"]!))
        {
            if ((string)first["dir"]! == "<-")
                Open((string)first["client"]!);
        }
        var (last, skipped) = (0.0, new HashSet<string>(StringComparer.Ordinal));
        foreach (var line in lines)
        {
            var (client, frame, at) = ((string)line["client"]!, line["frame"], (double)line["t"]!);
            switch ((string)line["dir"]!)
            {
                case "#":
                    await WaitUntilReceivedAsync(at - last);
                    last = at;
                    Note(client, frame!.AsObject());
                    break;
                case "->":
                    await WaitUntilReceivedAsync(at - last);
                    last = at;
                    if (frame is JsonObject request && Without.Contains((string?)request["method"]))
                        skipped.Add($"{client} {request["id"]}");
                    else
                        Send(client, frame!);
                    break;
                default:
                    if (!skipped.Remove($"{client} {(frame as JsonObject)?["id"]}"))
                        Expect(client, frame!);
                    break;
            }
        }
        await WaitUntilReceivedAsync(1);
        Compare();
        Assert.True(_clients.Values.Sum(client => client.Expected.Count) > 3, "nothing was compared");
    }

    private void Compare()
    {
        foreach (var (name, client) in _clients)
        {
            var (expected, received) = (InOrder(client.Expected), InOrder(client.Received));
            // Who hangs up in the moment when an agent does may have missed it.
            if (client.Connection is null && received.Count == expected.Count + 1
                && received[^1].EndsWith("\"event\":\"disconnected\"}]}", StringComparison.Ordinal))
                received.RemoveAt(expected.Count);
            Assert.True(
                expected.SequenceEqual(received),
                $"{name} should have received\n{string.Join('\n', expected.Except(received))}\nbut "
                + $"received\n{string.Join('\n', received.Except(expected))}\n(all: {string.Join('\n', received)})");
        }
    }

    /// <summary>Answers may come anywhere between the notifications.</summary>
    private static List<string> InOrder(List<string> texts) =>
        [.. texts.Where(text => text.StartsWith(Anywhere, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
            .Concat(texts.Where(text => !text.StartsWith(Anywhere, StringComparison.Ordinal)))];

    /// <summary>Lets the recorded time pass, and then waits for all texts that were received by then.</summary>
    private async Task WaitUntilReceivedAsync(double seconds)
    {
        await Task.Delay(TimeSpan.FromSeconds(Math.Max(0, seconds)), time);
        for (var tries = 0; _clients.Values.Any(client => client.Received.Count < client.Expected.Count); tries++)
        {
            if (tries == 500)
                Compare();
            await Task.Delay(TimeSpan.FromSeconds(0.02), time);
        }
    }

    private void Note(string client, JsonObject note)
    {
        var text = (string)note["note"]!;
        if (text == "socket closed" && _clients.TryGetValue(client, out var closed) && closed.Connection is { } connection)
        {
            Assert.Null(note["code"]);   // else the server would have closed it by now
            moonraker.Disconnect(connection);
            closed.Connection = null;
        }
        if (text == "reconnected after")
        {
            foreach (var name in _clients.Where(other => other.Value.Connection is null && other.Key != "http")
                .Select(other => other.Key).ToList())
                Open(name);
        }
        Noted(text);
    }

    private Client Open(string name)
    {
        var client = Get(name);
        client.Connection = moonraker.Connect(
            text => Hear(client, Deaf.Contains(name), text), _ => client.Connection = null, !Untrusted.Contains(name));
        return client;
    }

    private Client Get(string name) => _clients.TryGetValue(name, out var client) ? client : _clients[name] = new Client();

    private void Send(string name, JsonNode frame)
    {
        if (name == "http")
        {
            _ = AskAsync(Get(name), frame.AsObject());
            return;
        }
        var client = Get(name).Connection is null ? Open(name) : Get(name);
        // An agent's answer carries the id that the virtual server gave.
        if (frame is JsonObject answer && !answer.ContainsKey("method") && answer["id"] is JsonValue id
            && client.Recorded.LastIndexOf((long)id) is >= 0 and var request)
            answer["id"] = client.Sent[request];
        _ = moonraker.ReceiveAsync(
            client.Connection!,
            frame is JsonValue raw && raw.TryGetValue(out string? text) ? Encoding.UTF8.GetBytes(text) : MoonrakerJson.Write(frame));
    }

    private async Task AskAsync(Client client, JsonObject frame)
    {
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase) { ["Content-Type"] = "application/json" };
        if (HeaderPattern().Match((string)frame["headers"]!) is { Success: true } header)
            headers[header.Groups["name"].Value] = header.Groups["value"].Value;
        var request = new HttpRequest((string)frame["verb"]!, (string)frame["path"]!, "", headers)
        {
            Body = frame["body"] is { } body ? MoonrakerJson.Write(body) : default,
        };
        var answer = (await moonraker.ServeAsync(request))!;
        client.Received.Add(Normal(new JsonObject { ["status"] = answer.Status, ["body"] = JsonNode.Parse(answer.Body.Span) }));
    }

    private void Expect(string name, JsonNode frame)
    {
        if (frame is JsonObject notification && Unheard.Contains((string?)notification["method"]))
            return;
        var client = Get(name);
        client.Expected.Add(Normal(frame));
        if (IsRequest(frame, out var id))
            client.Recorded.Add(id);
    }

    private void Hear(Client client, bool isDeaf, ReadOnlyMemory<byte> text)
    {
        var frame = JsonNode.Parse(text.Span)!;
        if (frame is JsonObject notification
            && (Unheard.Contains((string?)notification["method"]) || (isDeaf && (string?)notification["method"] == "notify_agent_event")))
            return;
        client.Received.Add(Normal(frame));
        if (IsRequest(frame, out var id))
            client.Sent.Add(id);
    }

    private static bool IsRequest(JsonNode frame, out long id)
    {
        id = 0;
        return frame is JsonObject request && request.ContainsKey("method") && request["id"] is JsonValue value
            && value.TryGetValue(out id);
    }

    private string Normal(JsonNode frame)
    {
        var normal = frame.DeepClone();
        Clear(normal);
        if ((normal as JsonObject)?["method"]?.ToString() == "notify_status_update")
            normal["params"]![1] = "*";
        var text = Encoding.UTF8.GetString(MoonrakerJson.Write(Sorted(normal)!));
        foreach (var (recorded, here) in Versions)
            text = text.Replace(recorded, here, StringComparison.Ordinal);
        text = OwnNumber().Replace(text, "ID");
        return frame switch
        {
            JsonObject received when !received.ContainsKey("method") && received["id"] is { } id =>
                $"{Anywhere}{OwnNumber().Replace(id.ToJsonString(), "ID")} {text}",
            // Changes by a shutdown were recorded before its notification and behind it.
            JsonObject received when (string?)received["method"] == "notify_status_update" => Anywhere + text,
            _ => text,
        };
    }

    private static void Clear(JsonNode? node)
    {
        if (node is JsonArray list)
        {
            foreach (var item in list)
                Clear(item);
        }
        if (node is not JsonObject members)
            return;
        foreach (var name in members.Select(member => member.Key).ToList())
        {
            // Codes and messages of errors and data of agents are always compared.
            if (Incidental.Contains(name))
                members[name] = "*";
            else
                Clear(members[name]);
        }
    }

    /// <summary>Members by name, numbers by value.</summary>
    private static JsonNode? Sorted(JsonNode? node) => node switch
    {
        JsonObject members =>
            new JsonObject(
                members.OrderBy(member => member.Key, StringComparer.Ordinal)
                .Select(member => KeyValuePair.Create(member.Key, Sorted(member.Value)))),
        JsonArray list => new JsonArray([.. list.Select(Sorted)]),
        JsonValue value when value.GetValueKind() == JsonValueKind.Number => JsonValue.Create(double.Parse(value.ToJsonString())),
        _ => node?.DeepClone(),
    };

    [GeneratedRegex(
        @"(?<![0-9])14[0-9]{13}(?![0-9])|(?<![0-9])13[0-9]{13}(?![0-9])"
        + @"|(?<=""result"":"")ONESHOT2ONESHOT2ONESHOT2ONESHOT2|(?<=""result"":"")[0-9A-F]{32}(?="")",
        RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex OwnNumber();

    [GeneratedRegex(@"-H '(?<name>[^:]+): (?<value>[^']+)'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex HeaderPattern();
}

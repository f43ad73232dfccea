using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The connections of a virtual Moonraker, and what they are notified of.</summary>
internal sealed class MoonrakerClients(VirtualMoonraker moonraker)
{
    private readonly List<MoonrakerClient> _clients = [];
    private long _lastId = 140_592_537_000_000;   // 47 bits, as the real one's

    public int Count => _clients.Count;

    /// <summary>A copy, because clients may leave while it is used.</summary>
    public IReadOnlyList<MoonrakerClient> All => [.. _clients];

    /// <summary>A new number, larger than all before.</summary>
    public long NextId() => _lastId += 0x30 + (_lastId % 7 * 0x10);

    public MoonrakerClient Add(Action<ReadOnlyMemory<byte>> send, Action<bool> hangUp, bool isTrusted)
    {
        var client = new MoonrakerClient(NextId(), send, hangUp) { IsTrusted = isTrusted };
        _clients.Add(client);
        return client;
    }

    /// <summary>False when it was removed already.</summary>
    public bool Remove(MoonrakerClient client)
    {
        client.IsGone = true;
        return _clients.Remove(client);
    }

    /// <summary>Notifies every trusted client.</summary>
    public void Notify(string method, JsonNode? parameter = null, MoonrakerClient? except = null)
    {
        if (!moonraker.IsAnswering || _clients.Count == 0)
            return;
        var text = Notification(method, parameter);
        foreach (var client in All)
        {
            if (client.IsTrusted && client != except)
                client.Send(text);
        }
    }

    /// <summary>Notifies each subscriber of the changes of its status objects.</summary>
    public void NotifyStatus()
    {
        foreach (var client in All)
        {
            if (moonraker.IsLinked && moonraker.IsAnswering && client.Subscription is { } wanted)
                NotifyChanges(client, wanted);
        }
    }

    public void EndSubscriptions()
    {
        foreach (var client in _clients)
            client.Subscription = null;
    }

    private void NotifyChanges(MoonrakerClient client, IReadOnlyDictionary<string, IReadOnlyList<string>?> wanted)
    {
        var (before, now) = (client.LastStatus, moonraker.Klipper.Objects.Query(wanted));
        client.LastStatus = now.DeepClone().AsObject();
        var changes = new JsonObject();
        foreach (var (name, status) in now)
        {
            var changed = new JsonObject();
            foreach (var (member, value) in status!.AsObject())
            {
                if (!JsonNode.DeepEquals(value, before[name]?[member]))
                    changed[member] = value?.DeepClone();
            }
            if (changed.Count > 0)
                changes[name] = changed;
        }
        if (changes.Count > 0)
            client.Send(Notification("notify_status_update", changes, moonraker.Time.Now.TotalSeconds));
    }

    /// <summary>Without a parameter the key <c>params</c> is absent.</summary>
    private static byte[] Notification(string method, JsonNode? parameter, double? time = null)
    {
        var notification = new JsonObject { ["jsonrpc"] = "2.0", ["method"] = method };
        if (parameter is not null)
            notification["params"] = time is { } at ? new JsonArray(parameter, at) : new JsonArray(parameter);
        return MoonrakerJson.Write(notification);
    }
}

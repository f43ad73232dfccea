using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The product's own component (moonraker-component/ratos_flash.py): it shows an agent's lines in stock front ends.</summary>
internal sealed class FlashComponent(VirtualMoonraker moonraker)
{
    private const string Application = "ratos-flash";
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    private ImmutableList<string> _dialog = [];
    private string _title = "boards";
    private MoonrakerClient? _shower;   // the agent whose dialog is open
    private long _dialogId;
    private JsonObject? _announcement;
    private ImmutableDictionary<string, MoonrakerClient> _holding = ImmutableDictionary<string, MoonrakerClient>.Empty;

    /// <summary>
    /// Lines of the update dialog as users read them, and <c>(complete)</c> where it can be closed. Any thread may read them.
    /// </summary>
    public IReadOnlyList<string> Dialog => _dialog;

    /// <summary>The text of its announcement; null where there is none, or it was dismissed. Any thread may read it.</summary>
    public string? Announcement => (string?)_announcement?["description"];

    public JsonNode Info() => new JsonObject
    {
        ["api"] = 1,
        ["dialog"] = moonraker.Setup.HasUpdateManager,
        ["announcements"] = true,
        ["page"] = true,
        ["frame_origins"] = new JsonArray(),
    };

    public JsonNode Show(MoonrakerCall call)
    {
        if (call.Text("job").Length == 0)
            throw new MoonrakerException(400, "'job' must be a text that is not empty");
        var (dialog, console) = (Lines(call, "dialog").SelectMany(line => line.Split('\n')).ToList(), Lines(call, "console"));
        var isComplete = call.Optional("complete") is { ValueKind: JsonValueKind.True };
        foreach (var line in console)
        {
            if (!((string[])["// ", "!! ", "echo: "]).Any(prefix => line.StartsWith(prefix, StringComparison.Ordinal)))
                throw new MoonrakerException(400, $"a line of 'console' must begin with '// ', '!! ' or 'echo: ', not so: {line}");
        }
        if (dialog.Count > 0 && call.Optional("title") is { ValueKind: JsonValueKind.String } title)
            _title = title.GetString()!;
        if (moonraker.Setup.HasUpdateManager)
            ShowInDialog(call.Client, dialog, isComplete);
        foreach (var line in console)
            moonraker.ShowOnConsole(line);
        return new JsonObject { ["shown"] = true };
    }

    public JsonNode Announce(MoonrakerCall call)
    {
        if (call.Optional("dismiss") is { ValueKind: JsonValueKind.True })
        {
            if (_announcement is not null)
            {
                var dismissed = new JsonObject { ["entry_id"] = _announcement["entry_id"]!.DeepClone() };
                moonraker.Clients.Notify("notify_announcement_dismissed", dismissed);
            }
            _announcement = null;
            return new JsonObject { ["shown"] = false };
        }
        var at = moonraker.Time.GetUtcNow();
        _announcement = new JsonObject
        {
            ["entry_id"] = $"{Application}/{at:s}",
            ["url"] = "",
            ["title"] = call.Text("title"),
            ["description"] = call.Text("description"),
            ["priority"] = "high",
            ["date"] = at.ToUnixTimeMilliseconds() / 1000.0,
            ["dismissed"] = false,
            ["date_dismissed"] = null,
            ["dismiss_wake"] = null,
            ["source"] = "internal",
            ["feed"] = Application,
        };
        var update = new JsonObject { ["entries"] = new JsonArray(_announcement.DeepClone()) };
        moonraker.Clients.Notify("notify_announcement_update", update);
        return new JsonObject { ["shown"] = true };
    }

    /// <summary>Jobs that no update may begin beside. Any thread may read it.</summary>
    public IReadOnlyCollection<string> Holding => [.. _holding.Keys];

    public JsonNode Hold(MoonrakerCall call)
    {
        if (call.Optional("hold") is { ValueKind: JsonValueKind.True })
            _holding = _holding.SetItem(call.Text("job"), call.Client);
        else
            _holding = _holding.Remove(call.Text("job"));
        return new JsonObject { ["held"] = _holding.Count > 0 };
    }

    /// <summary>Sets a variable of the product's macros.</summary>
    public async Task<JsonNode?> MacroAsync(MoonrakerCall call)
    {
        if (call.Text("variable") is not ("alive" or "asked") and var other)
            throw new MoonrakerException(400, $"'variable' must be one of: alive, asked; it is {other}");
        var value = call.Optional("value") is { ValueKind: JsonValueKind.True } ? 1 : 0;
        var result = await moonraker.RunGcodeAsync(
            $"SET_GCODE_VARIABLE MACRO={GcodeMacro.Flag} VARIABLE={call.Text("variable")} VALUE={value}");
        return result.IsOk ? new JsonObject { ["set"] = true } : throw new MoonrakerException(result.Code, result.Message);
    }

    /// <summary>A client has disconnected. An agent that only lost its socket is back within moments, and continues.</summary>
    public void Remove(MoonrakerClient client)
    {
        _holding = _holding.RemoveRange(_holding.Where(held => held.Value == client).Select(held => held.Key));
        if (_shower != client)
            return;
        moonraker.Time.Schedule(Grace, () =>
        {
            if (_shower == client && !moonraker.IsOver)
            {
                CompleteWith("RatOS.Flash is not running. The result of the job is not known here. "
                    + "On the printer run: systemctl status ratos-flash");
            }
        });
    }

    /// <summary>Moonraker stops.</summary>
    public void Stop()
    {
        if (_shower is not null)
            CompleteWith("Moonraker is stopping. A running flash continues, and is shown again when Moonraker is back.");
    }

    /// <summary>Moonraker starts again, without announcements.</summary>
    public void Forget() => _announcement = null;

    private void ShowInDialog(MoonrakerClient client, List<string> lines, bool isComplete)
    {
        foreach (var (index, line) in lines.Index())
        {
            if (_shower is null)
            {
                _dialogId = moonraker.Clients.NextId();
                if (!isComplete || index < lines.Count - 1)
                    moonraker.Clients.Notify("notify_update_refreshed", SystemAnswers.UpdateStatus(moonraker, isBusy: true));
            }
            _shower = client;
            _dialog = _dialog.Add(line);
            if (!isComplete || index < lines.Count - 1)
                Notify(line, isComplete: false);
        }
        if (isComplete && _shower is not null)
            Complete(lines.LastOrDefault() ?? "");
    }

    private void CompleteWith(string line)
    {
        _dialog = _dialog.Add(line);
        Complete(line);
    }

    private void Complete(string line)
    {
        _dialog = _dialog.Add("(complete)");
        if (line.Length > 0)
            Notify(line, isComplete: false);
        Notify("", isComplete: true);
        _shower = null;
    }

    private void Notify(string line, bool isComplete) => moonraker.Clients.Notify("notify_update_response", new JsonObject
    {
        ["message"] = Escape(line),
        ["application"] = $"firmware of {_title}",
        ["proc_id"] = _dialogId,
        ["complete"] = isComplete,
    });

    /// <summary>Neither tags nor entities.</summary>
    private static string Escape(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace('<', '\u2039');

    private static List<string> Lines(MoonrakerCall call, string name)
    {
        if (call.Optional(name) is not { ValueKind: not JsonValueKind.Null } given)
            return [];
        return given.ValueKind == JsonValueKind.Array && given.EnumerateArray().All(line => line.ValueKind == JsonValueKind.String)
            ? [.. given.EnumerateArray().Select(line => line.GetString()!)]
            : throw new MoonrakerException(400, $"The argument '{name}' must be a list of strings");
    }
}

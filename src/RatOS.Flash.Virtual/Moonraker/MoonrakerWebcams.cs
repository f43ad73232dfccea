using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Moonraker's list of webcams (moonraker: components/webcam.py). Front ends keep pages in it, too.</summary>
internal sealed class MoonrakerWebcams(VirtualMoonraker moonraker)
{
    private readonly List<JsonObject> _webcams = [];

    public JsonObject List() => new() { ["webcams"] = new JsonArray([.. _webcams.Select(webcam => webcam.DeepClone())]) };

    public JsonNode Get(MoonrakerCall call) => Answer(Find(call) ?? throw NotFound(call));

    public JsonNode Post(MoonrakerCall call)
    {
        var known = Find(call);
        var webcam = known ?? Defaults(moonraker.Clients.NextId());
        if (known is null && call.Optional("uid") is not null)
            throw NotFound(call);
        if (_webcams.Exists(other => other != webcam && (string)other["name"]! == call.Text("name")))
            throw new MoonrakerException(400, $"Webcam with requested name '{call.Text("name")}' already exists.");
        foreach (var name in webcam.Select(member => member.Key).Where(name => name is not ("uid" or "source")).ToList())
        {
            if (call.Optional(name) is { } value)
                webcam[name] = MoonrakerJson.ToNode(value);
        }
        if (known is null)
            _webcams.Add(webcam);
        return Changed(webcam);
    }

    public JsonNode Delete(MoonrakerCall call)
    {
        var webcam = Find(call) ?? throw NotFound(call);
        _webcams.Remove(webcam);
        return Changed(webcam);
    }

    private JsonObject? Find(MoonrakerCall call)
    {
        var key = call.Optional("uid") is null ? "name" : "uid";
        var wanted = call.Text(key);
        return _webcams.Find(webcam => (string)webcam[key]! == wanted);
    }

    private JsonObject Changed(JsonObject webcam)
    {
        moonraker.Clients.Notify("notify_webcams_changed", List());
        return Answer(webcam);
    }

    private static JsonObject Answer(JsonObject webcam) => new() { ["webcam"] = webcam.DeepClone() };

    private static MoonrakerException NotFound(MoonrakerCall call) => new(
        404, call.Optional("uid") is { } uid ? $"Webcam with UID {uid} not found" : $"Webcam {call.Text("name")} not found");

    private static JsonObject Defaults(long id) => new()
    {
        ["name"] = "",
        ["enabled"] = true,
        ["icon"] = "mdiWebcam",
        ["aspect_ratio"] = "4:3",
        ["target_fps"] = 15,
        ["target_fps_idle"] = 5,
        ["location"] = "printer",
        ["service"] = "mjpegstreamer",
        ["stream_url"] = "",
        ["snapshot_url"] = "",
        ["flip_horizontal"] = false,
        ["flip_vertical"] = false,
        ["rotation"] = 0,
        ["source"] = "database",
        ["extra_data"] = new JsonObject(),
        ["uid"] = $"00000000-0000-4000-8000-{id:x12}",
    };
}

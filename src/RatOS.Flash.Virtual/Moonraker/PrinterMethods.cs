using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>
/// Moonraker's methods <c>printer.*</c> (moonraker: components/klippy_apis.py). Without a connection to Klipper each fails.
/// </summary>
internal sealed class PrinterMethods(VirtualMoonraker moonraker)
{
    public JsonNode Info() => IfLinked(new JsonObject
    {
        ["state"] = moonraker.Klippy.ApiState,
        ["state_message"] = moonraker.Klippy.ApiMessage,
        ["hostname"] = "printer",
        ["klipper_path"] = "/home/pi/klipper",
        ["python_path"] = "/home/pi/klippy-env/bin/python",
        ["process_id"] = 612,
        ["user_id"] = 1000,
        ["group_id"] = 1000,
        ["log_file"] = "/home/pi/printer_data/logs/klippy.log",
        ["config_file"] = "/home/pi/printer_data/config/printer.cfg",
        ["software_version"] = VirtualPrinter.HostVersion,
        ["cpu_info"] = "4 core CPU",
    });

    public JsonNode ListObjects() => IfLinked(new JsonObject { ["objects"] = MoonrakerJson.Texts(moonraker.Klipper.Objects.Names) });

    public JsonNode Query(MoonrakerCall call) => Status(Wanted(call));

    public JsonNode Subscribe(MoonrakerCall call)
    {
        var wanted = IfLinked(Wanted(call));
        var status = Status(wanted);
        (call.Client.Subscription, call.Client.LastStatus) = (wanted, status["status"]!.DeepClone().AsObject());
        return status;
    }

    public async Task<JsonNode?> ScriptAsync(MoonrakerCall call)
    {
        var result = await moonraker.RunGcodeAsync(call.Text("script"));
        return result.IsOk ? "ok" : throw new MoonrakerException(result.Code, result.Message);
    }

    public async Task<JsonNode?> RestartAsync(bool resetsBoards)
    {
        IfLinked(0);
        await moonraker.Klippy.RestartAsync(resetsBoards);
        return "ok";
    }

    public JsonNode EmergencyStop()
    {
        IfLinked(0);
        moonraker.Klippy.ShutDown("Shutdown due to webhooks request");
        return "ok";
    }

    private T IfLinked<T>(T result) => moonraker.IsLinked ? result : throw MoonrakerException.NoKlippy;

    private JsonObject Status(IReadOnlyDictionary<string, IReadOnlyList<string>?> wanted) => IfLinked(
        new JsonObject { ["eventtime"] = moonraker.Time.Now.TotalSeconds, ["status"] = moonraker.Klipper.Objects.Query(wanted) });

    /// <summary>
    /// Objects by name: a list of members, or null for all. A query string has the objects as keys, and members with commas between.
    /// </summary>
    private static Dictionary<string, IReadOnlyList<string>?> Wanted(MoonrakerCall call)
    {
        var objects = call.Client.IsHttp ? call.Optional("objects") ?? call.Parameters : call.Required("objects");
        if (objects.ValueKind != JsonValueKind.Object)
            throw new MoonrakerException(400, "Invalid argument 'objects'");
        var wanted = new Dictionary<string, IReadOnlyList<string>?>(StringComparer.Ordinal);
        foreach (var item in objects.EnumerateObject())
        {
            wanted[item.Name] = item.Value.ValueKind switch
            {
                JsonValueKind.Null => null,
                JsonValueKind.String when call.Client.IsHttp =>
                    item.Value.GetString() is { Length: > 0 } members ? members.Split(',') : null,
                JsonValueKind.Array => [.. item.Value.EnumerateArray().Select(member => member.GetString()!)],
                _ => throw new MoonrakerException(400, $"Invalid value for object {item.Name}"),
            };
        }
        return wanted;
    }
}

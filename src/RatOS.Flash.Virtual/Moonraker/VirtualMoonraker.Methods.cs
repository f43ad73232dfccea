using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>Every method there is; all others are not found.</content>
public sealed partial class VirtualMoonraker
{
    private const string UsualKey = "00112233445566778899aabbccddeeff";
    private static readonly TimeSpan TokenTime = TimeSpan.FromSeconds(5);

    private readonly HashSet<string> _tokens = new(StringComparer.Ordinal);   // not used yet

    /// <summary>There is always one; where TCP clients are trusted nobody needs it, but a wrong one is refused all the same.</summary>
    private string ApiKey => _setup.ApiKey ?? UsualKey;

    private Dictionary<string, Method> Methods()
    {
        var methods = new Dictionary<string, Method>(StringComparer.Ordinal)
        {
            ["server.info"] = Now("GET", _ => ServerInfo()),
            ["server.restart"] = Now("POST", _ => RestartSoon()),
            ["server.websocket.id"] = Now(null, call => new JsonObject { ["websocket_id"] = call.Client.Id }),
            ["server.connection.identify"] = Now(null, Identify) with { IsOpen = true },
            ["connection.register_remote_method"] = Now(null, Register),
            ["connection.send_event"] = Now(null, SendEvent),
            ["server.extensions.list"] = Now("GET", _ => ListAgents()),
            ["server.extensions.request"] = new Method("POST", AskAgentAsync),
            ["server.database.list"] = Now("GET", _ => ListNamespaces()),
            ["server.database.get_item"] = Now("GET", GetItem) with { Path = "/server/database/item" },
            ["server.database.post_item"] = Now("POST", PostItem) with { Path = "/server/database/item" },
            ["server.database.delete_item"] = Now("DELETE", DeleteItem) with { Path = "/server/database/item" },
            ["printer.info"] = Now("GET", _ => PrinterInfo()),
            ["printer.objects.list"] = Now("GET", _ => WithKlippy(new JsonObject { ["objects"] = new JsonArray([.. _klipper.Objects.Select(name => (JsonNode)name)]) })),
            ["printer.objects.query"] = Now("GET", call => Status(Wanted(call))),
            ["printer.objects.subscribe"] = Now(null, Subscribe),
            ["printer.gcode.script"] = new Method("POST", ScriptAsync),
            ["printer.restart"] = new Method("POST", _ => RestartKlippyAsync(resetsBoards: false)),
            ["printer.firmware_restart"] = new Method("POST", _ => RestartKlippyAsync(resetsBoards: true)),
            ["printer.emergency_stop"] = Now("POST", _ => EmergencyStop()),
            ["machine.system_info"] = Now("GET", _ => SystemInfo()),
            ["machine.services.stop"] = Now("POST", call => Service(call, "stop")),
            ["machine.services.start"] = Now("POST", call => Service(call, "start")),
            ["machine.services.restart"] = Now("POST", call => Service(call, "restart")),
            ["access.get_api_key"] = Now("GET", _ => ApiKey) with { Path = "/access/api_key" },
            ["access.oneshot_token"] = Now("GET", _ => Token()),
            ["access.info"] = Now("GET", AccessInfo) with { IsOpen = true },
        };
        if (_setup.PowerDevices.Count > 0)
        {
            methods["machine.device_power.devices"] = Now("GET", _ => PowerDevices());
            methods["machine.device_power.get_device"] = Now("GET", GetPower) with { Path = "/machine/device_power/device" };
            methods["machine.device_power.post_device"] = Now("POST", SetPower) with { Path = "/machine/device_power/device" };
        }
        if (_setup.HasUpdateManager)
            methods["machine.update.status"] = Now("GET", _ => UpdateStatus());
        if (_setup.HasComponent)
        {
            methods["server.ratos_flash.info"] = Now("GET", _ => ComponentInfo());
            methods["server.ratos_flash.show"] = Now("POST", Show);
            methods["server.ratos_flash.announce"] = Now("POST", Announce);
        }
        return methods;

        static Method Now(string? verb, Func<Call, JsonNode?> run) => new(verb, call => Task.FromResult(run(call)));
    }

    // ---- server

    private JsonObject ServerInfo() => new()
    {
        ["klippy_connected"] = _isLinked,
        ["klippy_state"] = KlippyState,
        ["components"] = Texts(Components()),
        ["failed_components"] = new JsonArray(),
        ["registered_directories"] = Texts("config", "logs", "gcodes", "config_examples", "docs"),
        ["warnings"] = new JsonArray(),
        ["websocket_count"] = _clients.Count,
        ["moonraker_version"] = _setup.IsOld ? "v0.9.3-1-gcd09503" : "v0.10.0-1-gcaa3585",
        ["missing_klippy_requirements"] = new JsonArray(),
        ["api_version"] = new JsonArray(1, _setup.IsOld ? 4 : 5, 0),
        ["api_version_string"] = _setup.IsOld ? "1.4.0" : "1.5.0",
    };

    private string[] Components() =>
    [
        "secrets", "template", "klippy_connection", "jsonrpc", "internal_transport", "application", "websockets", "database", "dbus_manager", "file_manager",
        "authorization", "klippy_apis", "shell_command", "machine", "data_store", "proc_stats", "job_state", "job_queue", "history", "http_client",
        "announcements", "webcam", "extensions", .. _setup.HasUpdateManager ? ["update_manager"] : Array.Empty<string>(), .. _setup.HasComponent ? ["ratos_flash"] : Array.Empty<string>(),
    ];

    private static JsonArray Texts(params string[] texts) => new([.. texts.Select(text => (JsonNode)text)]);

    private JsonNode RestartSoon()
    {
        // The answer goes out first; the port then refuses for about as long as was recorded.
        Time.Schedule(TimeSpan.FromSeconds(0.1), () =>
        {
            if (!_isOver)
                _ = RestartAsync(TimeSpan.FromSeconds(0.65));
        });
        return "ok";
    }

    private JsonNode Token()
    {
        var token = Convert.ToHexString(SHA256.HashData(Encoding.ASCII.GetBytes($"{NextId()}")))[..32];
        _tokens.Add(token);
        Time.Schedule(TokenTime, () => _tokens.Remove(token));
        return token;
    }

    private static JsonObject AccessInfo(Call call) => new()
    {
        ["default_source"] = "moonraker",
        ["available_sources"] = Texts("moonraker"),
        ["login_required"] = false,
        ["trusted"] = call.Client.IsTrusted,
    };

    // ---- printer

    private T WithKlippy<T>(T result) => _isLinked ? result : throw MoonrakerException.NoKlippy;

    private JsonObject PrinterInfo() => WithKlippy(new JsonObject
    {
        ["state"] = Klippy.ApiState,
        ["state_message"] = Klippy.ApiMessage,
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

    private JsonObject Status(IReadOnlyDictionary<string, IReadOnlyList<string>?> wanted) =>
        WithKlippy(new JsonObject { ["eventtime"] = Time.Now.TotalSeconds, ["status"] = _klipper.Query(wanted) });

    private JsonObject Subscribe(Call call)
    {
        var wanted = WithKlippy(Wanted(call));
        var status = Status(wanted);
        (call.Client.Subscription, call.Client.LastStatus) = (wanted, status["status"]!.DeepClone().AsObject());
        return status;
    }

    /// <summary>Objects by name: a list of members, or null for all. A query string names objects by its keys, members with commas between.</summary>
    private static Dictionary<string, IReadOnlyList<string>?> Wanted(Call call)
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
                JsonValueKind.String when call.Client.IsHttp => item.Value.GetString() is { Length: > 0 } members ? members.Split(',') : null,
                JsonValueKind.Array => [.. item.Value.EnumerateArray().Select(member => member.GetString()!)],
                _ => throw new MoonrakerException(400, $"Invalid value for object {item.Name}"),
            };
        }
        return wanted;
    }

    private async Task<JsonNode?> ScriptAsync(Call call)
    {
        var result = await RunGcodeAsync(call.Text("script"));
        return result.IsOk ? "ok" : throw new MoonrakerException(result.Code, result.Message);
    }

    private async Task<JsonNode?> RestartKlippyAsync(bool resetsBoards)
    {
        WithKlippy(0);
        await Klippy.RestartAsync(resetsBoards);
        return "ok";
    }

    private JsonNode EmergencyStop()
    {
        WithKlippy(0);
        Klippy.ShutDown("Shutdown due to webhooks request");
        return "ok";
    }
}

using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Every method of a virtual Moonraker; all others are not found.</summary>
internal static class MethodTable
{
    public static Dictionary<string, MoonrakerMethod> Create(VirtualMoonraker moonraker)
    {
        var (access, agents, services) = (moonraker.Access, moonraker.Agents, moonraker.Services);
        var (database, printer, webcams) = (new MoonrakerDatabase(), new PrinterMethods(moonraker), new MoonrakerWebcams(moonraker));
        var methods = new Dictionary<string, MoonrakerMethod>(StringComparer.Ordinal)
        {
            ["server.info"] = Now("GET", _ => ServerInfo(moonraker)),
            ["server.config"] = Now("GET", _ => ServerConfig(moonraker)),
            ["server.restart"] = Now("POST", _ => moonraker.RestartSoon()),
            ["server.websocket.id"] = Now(null, call => new JsonObject { ["websocket_id"] = call.Client.Id }),
            ["server.connection.identify"] = Now(null, agents.Identify) with { IsOpen = true },
            ["connection.register_remote_method"] = Now(null, agents.Register),
            ["connection.send_event"] = Now(null, agents.SendEvent),
            ["server.extensions.list"] = Now("GET", _ => agents.List()),
            ["server.extensions.request"] = new("POST", agents.RequestAsync),
            ["server.database.list"] = Now("GET", _ => database.List()),
            ["server.database.get_item"] = Now("GET", database.Get) with { Path = "/server/database/item" },
            ["server.database.post_item"] = Now("POST", database.Post) with { Path = "/server/database/item" },
            ["server.database.delete_item"] = Now("DELETE", database.Delete) with { Path = "/server/database/item" },
            ["server.webcams.list"] = Now("GET", _ => webcams.List()),
            ["server.webcams.get_item"] = Now("GET", webcams.Get) with { Path = "/server/webcams/item" },
            ["server.webcams.post_item"] = Now("POST", webcams.Post) with { Path = "/server/webcams/item" },
            ["server.webcams.delete_item"] = Now("DELETE", webcams.Delete) with { Path = "/server/webcams/item" },
            ["printer.info"] = Now("GET", _ => printer.Info()),
            ["printer.objects.list"] = Now("GET", _ => printer.ListObjects()),
            ["printer.objects.query"] = Now("GET", printer.Query),
            ["printer.objects.subscribe"] = Now(null, printer.Subscribe),
            ["printer.gcode.script"] = new("POST", printer.ScriptAsync),
            ["printer.restart"] = new("POST", _ => printer.RestartAsync(resetsBoards: false)),
            ["printer.firmware_restart"] = new("POST", _ => printer.RestartAsync(resetsBoards: true)),
            ["printer.emergency_stop"] = Now("POST", _ => printer.EmergencyStop()),
            ["machine.system_info"] = Now("GET", _ => SystemAnswers.Info(services)),
            ["machine.services.stop"] = Now("POST", call => services.Queue(call, "stop")),
            ["machine.services.start"] = Now("POST", call => services.Queue(call, "start")),
            ["machine.services.restart"] = Now("POST", call => services.Queue(call, "restart")),
            ["access.get_api_key"] = Now("GET", _ => access.ApiKey) with { Path = "/access/api_key" },
            ["access.oneshot_token"] = Now("GET", access.Token),
            ["access.info"] = Now("GET", access.Info) with { IsOpen = true },
            ["access.login"] = Now("POST", access.Logins.Login) with { IsOpen = true },
            ["access.refresh_jwt"] = Now("POST", access.Logins.Refresh) with { IsOpen = true },
            ["access.logout"] = Now("POST", access.Logins.Logout),
            ["access.get_user"] = Now("GET", access.Logins.User) with { Path = "/access/user" },
        };
        if (moonraker.Files is { } files)
        {
            methods["server.files.roots"] = Now("GET", _ => files.ListRoots());
            methods["server.files.list"] = Now("GET", files.List);
            methods["server.files.delete_file"] = Now(null, files.Delete);
        }
        if (moonraker.Setup.PowerDevices.Count > 0)
        {
            var power = new PowerDevices(moonraker.Printer, moonraker.Setup);
            methods["machine.device_power.devices"] = Now("GET", _ => power.List());
            methods["machine.device_power.get_device"] = Now("GET", power.Get) with { Path = "/machine/device_power/device" };
            methods["machine.device_power.post_device"] = Now("POST", power.Set) with { Path = "/machine/device_power/device" };
        }
        if (moonraker.Setup.HasUpdateManager)
            methods["machine.update.status"] = Now("GET", _ => SystemAnswers.UpdateStatus(moonraker, moonraker.UpdateBusy is not null));
        if (moonraker.Setup.HasComponent)
        {
            methods["server.ratos_flash.info"] = Now("GET", _ => moonraker.Component.Info());
            methods["server.ratos_flash.show"] = Now("POST", moonraker.Component.Show);
            methods["server.ratos_flash.announce"] = Now("POST", moonraker.Component.Announce);
            methods["server.ratos_flash.hold"] = Now("POST", moonraker.Component.Hold);
            methods["server.ratos_flash.macro"] = new("POST", moonraker.Component.MacroAsync);
        }
        return methods;
    }

    private static MoonrakerMethod Now(string? verb, Func<MoonrakerCall, JsonNode?> run) => new(verb, call => Task.FromResult(run(call)));

    private static JsonObject ServerInfo(VirtualMoonraker moonraker) => new()
    {
        ["klippy_connected"] = moonraker.IsLinked,
        ["klippy_state"] = moonraker.KlippyState,
        ["components"] = MoonrakerJson.Texts(Components(moonraker.Setup)),
        ["failed_components"] = new JsonArray(),
        ["registered_directories"] = MoonrakerJson.Texts(
            [.. moonraker.Files?.Roots ?? ["config", "logs", "gcodes"], "config_examples", "docs"]),
        ["warnings"] = new JsonArray(),
        ["websocket_count"] = moonraker.Clients.Count,
        ["moonraker_version"] = moonraker.Setup.IsOld ? "v0.9.3-1-gcd09503" : "v0.10.0-1-gcaa3585",
        ["missing_klippy_requirements"] = new JsonArray(),
        ["api_version"] = new JsonArray(1, moonraker.Setup.IsOld ? 4 : 5, 0),
        ["api_version_string"] = moonraker.Setup.IsOld ? "1.4.0" : "1.5.0",
    };

    /// <summary>What clients read of it: the address.</summary>
    private static JsonObject ServerConfig(VirtualMoonraker moonraker)
    {
        var server = new JsonObject { ["host"] = "127.0.0.1", ["port"] = moonraker.Port, ["route_prefix"] = null };
        return new JsonObject
        {
            ["config"] = new JsonObject { ["server"] = server },
            ["orig"] = new JsonObject { ["server"] = server.DeepClone() },
            ["files"] = new JsonArray(),
        };
    }

    private static IEnumerable<string> Components(MoonrakerSetup setup)
    {
        string[] components =
        [
            "secrets", "template", "klippy_connection", "jsonrpc", "internal_transport", "application", "websockets", "database",
            "dbus_manager", "file_manager", "authorization", "klippy_apis", "shell_command", "machine", "data_store", "proc_stats",
            "job_state", "job_queue", "history", "http_client", "announcements", "webcam", "extensions",
        ];
        return components.Concat(setup.HasUpdateManager ? ["update_manager"] : []).Concat(setup.HasComponent ? ["ratos_flash"] : []);
    }
}

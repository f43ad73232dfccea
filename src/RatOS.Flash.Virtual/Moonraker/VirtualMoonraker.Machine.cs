using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>Services, updates and the database (moonraker: components/machine.py, database.py; transcripts 12, 14, 15).</content>
public sealed partial class VirtualMoonraker
{
    private static readonly string[] AllowedServices =
    [
        "klipper_mcu", "webcamd", "MoonCord", "KlipperScreen", "moonraker-telegram-bot", "moonraker-obico", "sonar", "crowsnest", "octoeverywhere",
        "ratos-configurator", "ratos-flash",
    ];

    private readonly Dictionary<string, JsonNode> _database = new(StringComparer.Ordinal)
    {
        ["announcements"] = new JsonObject(),
        ["moonraker"] = new JsonObject { ["instance_id"] = "0123456789abcdef0123456789abcdef" },
        ["gcode_metadata"] = new JsonObject(),
    };

    private Task _job = Task.CompletedTask;   // of the service manager: one after the other

    // ---- services

    private string ServiceState => Klippy.IsRunning ? "active" : "inactive";

    private static JsonObject ServiceStatus(string state) => new() { ["active_state"] = state, ["sub_state"] = state == "active" ? "running" : "stopped" };

    /// <summary>As with systemd: the job is only queued when the answer comes.</summary>
    private JsonNode Service(Call call, string action)
    {
        var service = call.Text("service");
        if (service == "moonraker")
            return action == "restart" ? RestartSoon() : throw new MoonrakerException(400, $"Service action '{action}' not available for moonraker");
        if (_printer.Process is { } process && (service == ProcessService || (service == UnitService && _setup.HostMcuFolder is not null)))
        {
            _job = ActAsync(_job, process, service, action);
            return "ok";
        }
        if (service != "klipper")
        {
            // By prefix, as its pattern matches.
            var isAllowed = AllowedServices.Contains(service) || service.StartsWith("klipper", StringComparison.Ordinal) || service.StartsWith("moonraker", StringComparison.Ordinal);
            throw new MoonrakerException(400, isAllowed ? $"Service '{service}' not installed" : $"Service '{service}' not allowed");
        }
        _job = RunJobAsync(_job, action);
        return "ok";
    }

    private async Task RunJobAsync(Task before, string action)
    {
        await before;
        await Task.Yield();   // the answer goes first
        try
        {
            if (action != "start" && Klippy.IsRunning)
                await Klippy.StopAsync(CancellationToken.None);
            if (action != "stop" && !Klippy.IsRunning)
                _ = StartAsync();
        }
        catch (FlashException)
        {
            // It would not: the manager's log knows, and whoever waits for the truth.
        }
    }

    private async Task StartAsync()
    {
        try
        {
            await Klippy.StartAsync();
        }
        catch (FlashException)
        {
            // As above.
        }
    }

    private JsonObject SystemInfo() => new()
    {
        ["system_info"] = new JsonObject
        {
            ["python"] = new JsonObject { ["version"] = new JsonArray(3, 11, 2, "final", 0), ["version_string"] = "3.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]" },
            ["cpu_info"] = new JsonObject
            {
                ["cpu_count"] = 4,
                ["bits"] = "64bit",
                ["processor"] = "aarch64",
                ["cpu_desc"] = "CPU",
                ["serial_number"] = "",
                ["hardware_desc"] = "",
                ["model"] = "",
                ["total_memory"] = 24_684_092,
                ["memory_units"] = "kB",
            },
            ["sd_info"] = new JsonObject(),
            ["distribution"] = new JsonObject
            {
                ["name"] = "Debian GNU/Linux 12 (bookworm)",
                ["id"] = "debian",
                ["version"] = "12",
                ["version_parts"] = new JsonObject { ["major"] = "12", ["minor"] = "", ["build_number"] = "" },
                ["like"] = "",
                ["codename"] = "bookworm",
                ["release_info"] = new JsonObject(),
                ["kernel_version"] = "6.6.31",
            },
            ["virtualization"] = new JsonObject { ["virt_type"] = "none", ["virt_identifier"] = "none" },
            ["network"] = new JsonObject(),
            ["canbus"] = new JsonObject(),
            ["provider"] = "systemd_dbus",
            ["available_services"] = Texts(Services()),
            ["service_state"] = new JsonObject { ["klipper"] = ServiceStatus(ServiceState), ["moonraker"] = ServiceStatus("active") },
            ["instance_ids"] = new JsonObject { ["moonraker"] = "moonraker", ["klipper"] = "klipper" },
        },
    };

    private JsonObject Statistics() => new()
    {
        ["moonraker_stats"] = new JsonObject { ["time"] = Time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0, ["cpu_usage"] = 0.61, ["memory"] = 51_704, ["mem_units"] = "kB" },
        ["cpu_temp"] = null,
        ["network"] = new JsonObject
        {
            ["lo"] = new JsonObject
            {
                ["rx_bytes"] = 24_651_716,
                ["tx_bytes"] = 24_651_716,
                ["rx_packets"] = 21_259,
                ["tx_packets"] = 21_259,
                ["rx_errs"] = 0,
                ["tx_errs"] = 0,
                ["rx_drop"] = 0,
                ["tx_drop"] = 0,
                ["bandwidth"] = 6289.27,
            },
        },
        ["system_cpu_usage"] = new JsonObject { ["cpu"] = 4.5, ["cpu0"] = 5.0, ["cpu1"] = 4.0 },
        ["system_memory"] = new JsonObject { ["total"] = 24_684_092, ["available"] = 23_714_816, ["used"] = 969_276 },
        ["websocket_connections"] = _clients.Count,
    };

    private JsonObject UpdateStatus() => new()
    {
        ["github_rate_limit"] = null,
        ["github_requests_remaining"] = null,
        ["github_limit_reset_time"] = null,
        ["version_info"] = new JsonObject
        {
            ["klipper"] = new JsonObject
            {
                ["channel"] = "dev",
                ["is_valid"] = true,
                ["configured_type"] = "git_repo",
                ["version"] = VirtualPrinter.HostVersion[..VirtualPrinter.HostVersion.LastIndexOf('-')],
                ["remote_version"] = VirtualPrinter.HostVersion[..VirtualPrinter.HostVersion.LastIndexOf('-')],
                ["full_version_string"] = VirtualPrinter.HostVersion,
                ["is_dirty"] = false,
                ["name"] = "klipper",
            },
        },
        ["busy"] = UpdateBusy is not null,
    };

    // ---- database

    private JsonObject ListNamespaces() => new() { ["namespaces"] = Texts([.. _database.Keys]), ["backups"] = new JsonArray() };

    private JsonObject GetItem(Call call)
    {
        var (name, key) = (call.Text("namespace"), call.Optional("key"));
        var found = Namespace(name);
        foreach (var step in Steps(key))
            found = Step(found, step) ?? throw KeyNotFound(name, key!.Value);
        return Item(name, key, found);
    }

    private JsonObject PostItem(Call call)
    {
        var (name, key, value) = (Writable(call), call.Required("key"), MoonrakerJson.ToNode(call.Required("value")));
        var steps = Steps(key);
        if (steps.Count == 0)
            throw MoonrakerException.Missing("key");
        if (!_database.TryGetValue(name, out var space))
            space = _database[name] = new JsonObject();
        foreach (var step in steps.SkipLast(1))
        {
            if (Step(space, step) is not JsonObject)
                space[step] = new JsonObject();
            space = space[step]!;
        }
        space[steps[^1]] = value;
        return Item(name, key, value);
    }

    private JsonObject DeleteItem(Call call)
    {
        var (name, key) = (Writable(call), call.Required("key"));
        var (space, steps) = (Namespace(name), Steps(key));
        foreach (var step in steps.SkipLast(1))
            space = Step(space, step) ?? throw KeyNotFound(name, key);
        if (steps.Count == 0 || space is not JsonObject parent || !parent.Remove(steps[^1], out var removed))
            throw KeyNotFound(name, key);
        return Item(name, key, removed);
    }

    private static string Writable(Call call)
    {
        var name = call.Text("namespace");
        return name == "moonraker" ? throw new MoonrakerException(403, "Write access to namespace 'moonraker' is forbidden") : name;
    }

    private JsonNode Namespace(string name) => _database.GetValueOrDefault(name) ?? throw new MoonrakerException(404, $"Namespace {name} not found");

    /// <summary>Dots lead into an object; in a list they are part of the key.</summary>
    private static List<string> Steps(JsonElement? key) => key switch
    {
        null or { ValueKind: JsonValueKind.Null } => [],
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(step => step.GetString()!)],
        { } text => [.. text.GetString()!.Split('.')],
    };

    private static JsonNode? Step(JsonNode space, string step) => space is JsonObject item ? item[step] : null;

    private static MoonrakerException KeyNotFound(string name, JsonElement key) =>
        new(404, $"Key '{(key.ValueKind == JsonValueKind.Array ? MoonrakerJson.Repr(key) : key.GetString())}' in namespace '{name}' not found");

    private static JsonObject Item(string name, JsonElement? key, JsonNode? value) => new()
    {
        ["namespace"] = name,
        ["key"] = key is { } given ? MoonrakerJson.ToNode(given) : null,
        ["value"] = value?.DeepClone(),
    };
}

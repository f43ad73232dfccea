using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Answers about the computer, with the values of a recorded one.</summary>
internal static class SystemAnswers
{
    public static JsonNode Info(ServiceManager services) => new JsonObject
    {
        ["system_info"] = new JsonObject
        {
            ["python"] = new JsonObject
            {
                ["version"] = new JsonArray(3, 11, 2, "final", 0),
                ["version_string"] = "3.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]",
            },
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
            ["available_services"] = MoonrakerJson.Texts(services.Services),
            ["service_state"] = new JsonObject
            {
                ["klipper"] = ServiceManager.Status(services.KlipperState),
                ["moonraker"] = ServiceManager.Status("active"),
            },
            ["instance_ids"] = new JsonObject { ["moonraker"] = "moonraker", ["klipper"] = "klipper" },
        },
    };

    public static JsonObject Statistics(DateTimeOffset at, int connections) => new()
    {
        ["moonraker_stats"] = new JsonObject
        {
            ["time"] = at.ToUnixTimeMilliseconds() / 1000.0,
            ["cpu_usage"] = 0.61,
            ["memory"] = 51_704,
            ["mem_units"] = "kB",
        },
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
        ["websocket_connections"] = connections,
    };

    public static JsonNode UpdateStatus(VirtualMoonraker moonraker, bool isBusy)
    {
        var offer = moonraker.Offer ?? new(VirtualPrinter.HostCommit, VirtualPrinter.HostCommit, null);
        var version = VirtualPrinter.HostVersion[..VirtualPrinter.HostVersion.LastIndexOf('-')];
        return new JsonObject
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
                    ["version"] = version,
                    ["remote_version"] = offer.RemoteVersion ?? version,
                    ["current_hash"] = offer.CurrentHash,
                    ["remote_hash"] = offer.RemoteHash,
                    ["commits_behind"] = new JsonArray(),
                    ["commits_behind_count"] = offer.CurrentHash == offer.RemoteHash ? 0 : 1,
                    ["full_version_string"] = VirtualPrinter.HostVersion,
                    ["is_dirty"] = offer.IsDirty,
                    ["name"] = "klipper",
                },
            },
            ["busy"] = isBusy,
        };
    }
}

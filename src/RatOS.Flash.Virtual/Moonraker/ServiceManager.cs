using System.Text.Json.Nodes;
using RatOS.Flash.Core;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>
/// Systemd as Moonraker uses it (moonraker: components/machine.py): Klipper's service, and those of the process that is an MCU: its own,
/// and the root-owned unit that replaces its program.
/// </summary>
internal sealed class ServiceManager(VirtualMoonraker moonraker)
{
    private const string ProcessService = "klipper-mcu";
    private const string UnitService = "ratos-flash-host-mcu";
    private static readonly TimeSpan UnitTime = TimeSpan.FromSeconds(0.3);
    private static readonly TimeSpan NoticeTime = TimeSpan.FromSeconds(0.9);   // until Moonraker notices a change

    private static readonly string[] AllowedServices =
    [
        "klipper_mcu", "webcamd", "MoonCord", "KlipperScreen", "moonraker-telegram-bot", "moonraker-obico", "sonar", "crowsnest",
        "octoeverywhere", "ratos-configurator", "ratos-flash",
    ];

    private Task _job = Task.CompletedTask;   // jobs run one after the other
    private string _noticed = "";

    public static JsonObject Status(string state) =>
        new() { ["active_state"] = state, ["sub_state"] = state == "active" ? "running" : "stopped" };

    /// <summary>Klipper's service: <c>active</c> or <c>inactive</c>.</summary>
    public string KlipperState => moonraker.Klippy.IsRunning ? "active" : "inactive";

    /// <summary>The services of this computer.</summary>
    public string[] Services
    {
        get
        {
            string[] services = ["klipper", "moonraker"];
            if (Process is not null)
                services = [.. services, ProcessService];
            return HasUnit ? [.. services, UnitService] : services;
        }
    }

    private VirtualHostProcess? Process => moonraker.Printer.Process;

    private bool HasUnit => Process is not null && moonraker.Setup.HostMcuFolder is not null;

    /// <summary>Queues an action, as with systemd: the answer does not wait for it.</summary>
    public JsonNode Queue(MoonrakerCall call, string action)
    {
        var service = call.Text("service");
        if (service == "moonraker")
        {
            return action == "restart"
                ? moonraker.RestartSoon()
                : throw new MoonrakerException(400, $"Service action '{action}' not available for moonraker");
        }
        if (Process is { } process && (service == ProcessService || (service == UnitService && HasUnit)))
        {
            _job = ActAsync(_job, process, service, action);
            return "ok";
        }
        if (service != "klipper")
        {
            // Its pattern matches by prefix.
            var isAllowed = AllowedServices.Contains(service)
                || service.StartsWith("klipper", StringComparison.Ordinal) || service.StartsWith("moonraker", StringComparison.Ordinal);
            throw new MoonrakerException(400, isAllowed ? $"Service '{service}' not installed" : $"Service '{service}' not allowed");
        }
        _job = ActAsync(_job, action);
        return "ok";
    }

    /// <summary>Moonraker starts, and knows the current state.</summary>
    public void Begin() => _noticed = KlipperState;

    /// <summary>The process has started or stopped: Moonraker notices it a little later.</summary>
    public void NoticeSoon() => moonraker.Time.Schedule(NoticeTime, () =>
    {
        if (moonraker.IsOver || KlipperState == _noticed)
            return;
        _noticed = KlipperState;
        moonraker.Clients.Notify("notify_service_state_changed", new JsonObject { ["klipper"] = Status(_noticed) });
    });

    private async Task ActAsync(Task before, string action)
    {
        await before;
        await Task.Yield();   // the answer goes first
        try
        {
            if (action != "start" && moonraker.Klippy.IsRunning)
                await moonraker.Klippy.StopAsync(CancellationToken.None);
            if (action != "stop" && !moonraker.Klippy.IsRunning)
                _ = StartAsync();
        }
        catch (FlashException)
        {
            // It did not stop: only the service manager's log shows that.
        }
    }

    private async Task StartAsync()
    {
        try
        {
            await moonraker.Klippy.StartAsync();
        }
        catch (FlashException)
        {
            // As above.
        }
    }

    private async Task ActAsync(Task before, VirtualHostProcess process, string service, string action)
    {
        await before;
        await Task.Yield();
        if (service == ProcessService)
        {
            if (action == "restart")
                process.Restart();
            return;
        }
        await Task.Delay(UnitTime, moonraker.Time);
        // As config/ratos-flash-host-mcu: a request, a program, an answer.
        var folder = moonraker.Setup.HostMcuFolder!;
        try
        {
            var words = (await File.ReadAllTextAsync(Path.Combine(folder, "request"))).Trim().Split(' ');
            if (words[0] == "install" && process.IgnoresInstall)
                return;
            var refusal = words[0] switch
            {
                "install" => process.Install(await File.ReadAllBytesAsync(Path.Combine(folder, "klipper_mcu.new"))),
                "restore" => process.Restore(),
                _ => "the request makes no sense",
            };
            await File.WriteAllTextAsync(
                Path.Combine(folder, "result"), $"{words[^1]} {(refusal is null ? "done" : $"refused: {refusal}")}\n");
        }
        catch (IOException)
        {
            // Without a request it ends without an answer.
        }
    }
}

using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// Klipper's host process, through Moonraker. State is queried and never taken from a notification; a state that cannot be queried
/// forbids a flash. A restart of Moonraker is waited for.
/// </summary>
/// <param name="moonraker">The connection.</param>
/// <param name="time">The only clock.</param>
internal sealed class MoonrakerKlippy(MoonrakerConnection moonraker, TimeProvider time) : IKlippy
{
    /// <summary>The time that a running command gets to end, such as the macro that requested the flash.</summary>
    private static readonly TimeSpan CommandLimit = TimeSpan.FromSeconds(5);

    /// <summary>A lost connection is back by then, also after a restart of Moonraker.</summary>
    private static readonly TimeSpan LineLimit = TimeSpan.FromSeconds(30);

    /// <summary>By then a restarted Moonraker is connected to Klipper, also on a slow computer.</summary>
    private static readonly TimeSpan LinkLimit = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(150);   // Klipper searches a missing board for 90 s
    private static readonly TimeSpan DisconnectLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);           // Moonraker has no notification for an error
    private const double Cool = 50;

    /// <summary>Of the flash that it serves; null where nothing is flashed.</summary>
    public FlashOptions? Options { get; init; }

    /// <summary>Klipper's unit; null to ask Moonraker.</summary>
    public string? Service { get; init; }

    /// <summary>Looks for a process beside Moonraker that flashes boards.</summary>
    public Func<OtherFlasher?>? FindFlasher { get; init; }

    /// <summary>Called with the service's name and false before a stop, and with true after a start.</summary>
    public Action<string, bool>? Journal { get; init; }

    public async Task<KlippyState> LookAsync(CancellationToken cancel)
    {
        var (begin, mayComeBack) = (time.GetTimestamp(), moonraker.IsConnected || !moonraker.IsRefused);
        while (true)
        {
            var change = moonraker.NextChange;
            try
            {
                return await LookOnceAsync(cancel);
            }
            catch (FlashException gone)
            {
                var left = LineLimit - time.GetElapsedTime(begin);
                if (!mayComeBack || left <= TimeSpan.Zero || !await change.WaitUpToAsync(left, time, cancel))
                    return new(KlippyActivity.Unknown) { Refusal = gone };
            }
            catch (MoonrakerException refused)
            {
                return Unknown(refused.Message);
            }
        }
    }

    public async Task StopAsync(CancellationToken cancel)
    {
        var begin = time.GetTimestamp();
        string? service = null;
        var (isAsked, wasAsked, why) = (false, false, "");
        while (true)
        {
            var change = moonraker.NextChange;
            try
            {
                if (service is null)
                {
                    service = await ServiceAsync(cancel);
                    Journal?.Invoke(service, false);
                }
                var info = await moonraker.CallAsync("server.info", cancel: cancel);
                if (!isAsked)
                {
                    // The connection was lost since the last query: a print may have begun.
                    if (why.Length > 0 && !wasAsked && (await LookAsync(cancel)).Blocker is { } blocker)
                        throw blocker;
                    if (info.Word("klippy_state") == "ready")
                        await moonraker.TryCallAsync("printer.gcode.script", new() { ["script"] = "TURN_OFF_HEATERS" });
                    wasAsked = true;
                    await moonraker.CallAsync("machine.services.stop", new() { ["service"] = service }, cancel);
                    isAsked = true;
                }
                // The answer "ok" only confirms the request. Klipper is stopped when it is disconnected and its service inactive.
                else if (!info.Flag("klippy_connected") && await IsActiveAsync(service, cancel) != true)
                {
                    return;
                }
                else
                {
                    why = $"its service {service} is still running";
                    await change.WaitUpToAsync(Poll, time, cancel);
                }
            }
            catch (MoonrakerException refused)
            {
                throw PrinterFaults.KlipperWouldNotStop(refused.Message);
            }
            catch (FlashException gone) when (gone.Kind == FaultKind.MoonrakerGone)
            {
                (isAsked, why) = (false, gone.Cause);
                await change.WaitUpToAsync(Poll, time, cancel);
            }
            if (time.GetElapsedTime(begin) > StopLimit)
                throw PrinterFaults.KlipperWouldNotStop($"{StopLimit.TotalSeconds:0} s later {why}");
        }
    }

    public async Task<KlippyState> StartAsync()
    {
        var begin = time.GetTimestamp();
        string? service = null;
        var (isAsked, restarts, lost) = (false, 0, (FlashException?)null);
        while (true)
        {
            var change = moonraker.NextChange;
            try
            {
                service ??= await ServiceAsync(CancellationToken.None);
                if (!isAsked)
                    await moonraker.CallAsync("machine.services.start", new() { ["service"] = service });
                (isAsked, lost) = (true, null);
                var state = (await moonraker.CallAsync("server.info")).Word("klippy_state");
                if (state is "ready" or "error" or "shutdown")
                {
                    var message = (await moonraker.CallAsync("printer.info")).Word("state_message") ?? "";
                    // A board that shut down when Klipper stopped needs FIRMWARE_RESTART (Klipper docs/G-Codes.md).
                    if (state != "ready" && message.Contains("shutdown", StringComparison.OrdinalIgnoreCase) && restarts++ == 0)
                    {
                        await moonraker.CallAsync("printer.firmware_restart");
                        continue;
                    }
                    Journal?.Invoke(service, true);
                    return state == "ready"
                        ? new(KlippyActivity.Ready, await OtherVersionsAsync())
                        : new(state == "error" ? KlippyActivity.Error : KlippyActivity.Shutdown, message);
                }
            }
            catch (MoonrakerException refused) when (!isAsked)
            {
                throw PrinterFaults.KlipperNotStarted(refused.Message);
            }
            catch (MoonrakerException)
            {
                // It is connecting: queried again.
            }
            catch (FlashException gone)
            {
                (isAsked, lost) = (false, gone);
                if (time.GetElapsedTime(begin) > DisconnectLimit)
                    throw PrinterFaults.KlipperNotStarted($"{gone.Cause} It is started as soon as Moonraker is back");
            }
            if (time.GetElapsedTime(begin) > StartLimit)
            {
                if (isAsked && lost is null)
                    Journal?.Invoke(service!, true);
                return new(KlippyActivity.Error, $"it is still looking for its boards after {StartLimit.TotalSeconds:0} s");
            }
            await change.WaitUpToAsync(Poll, time, CancellationToken.None);
        }
    }

    /// <summary>What Klipper's configuration and Klipper itself say of the printer's MCUs.</summary>
    /// <exception cref="FlashException">There is no connection to Moonraker.</exception>
    /// <exception cref="MoonrakerException">Klipper does not answer.</exception>
    public async Task<McuFacts> McusAsync()
    {
        var info = await moonraker.CallAsync("printer.info");
        var names = await McuObjectsAsync();
        var asked = names.ToDictionary(name => name, _ => (string[])["mcu_version", "mcu_constants"]);
        // The settings lack sections that Klipper could not set up; the raw text has them all, with includes.
        asked["configfile"] = ["settings", "config", "warnings"];
        var status = await QueryAsync(asked);
        // configfile.settings has its names in lower case (Klipper klippy/configfile.py); the objects have the user's.
        var sections = status.Members("configfile", "settings")
            .Where(section => section.Name == "mcu" || section.Name.StartsWith("mcu ", StringComparison.Ordinal))
            .Select(section => new McuSection(
                names.Find(name => name == section.Name)
                ?? names.Find(name => string.Equals(name, section.Name, StringComparison.OrdinalIgnoreCase)) ?? section.Name)
            {
                Serial = section.Value.Word("serial"),
                Baud = section.Value.Number("baud") is { } baud ? $"{baud:0}" : null,
                CanbusUuid = section.Value.Word("canbus_uuid"),
                CanbusInterface = section.Value.Word("canbus_interface"),
                RestartMethod = section.Value.Word("restart_method"),
                IsNonCritical = section.Value.Flag("is_non_critical"),
            });
        return new(
            [.. sections.DistinctBy(section => section.Name)],
            new KlippyEvidence(
            info.Word("software_version"),
            names.ToDictionary(name => name, name => EvidenceOf(status.At(name) ?? default) with
            {
                MissingFeatures = DeprecatedCode.Of(name, status.Items("configfile", "warnings")),
            }, StringComparer.Ordinal)))
        {
            State = info.Word("state"),
            Message = info.Word("state_message"),
            Power = await PowerAsync(),
            Pins = PrinterPins.Of([.. status.Members("configfile", "config").Select(ConfigSectionOf)]),
        };
    }

    private static ConfigSection ConfigSectionOf(JsonProperty section)
    {
        var config = new ConfigSection(section.Name);
        if (section.Value.ValueKind == JsonValueKind.Object)
        {
            foreach (var option in section.Value.EnumerateObject().Where(option => option.Value.ValueKind == JsonValueKind.String))
                config.Options.Add(new(option.Name, option.Value.GetString()!));
        }
        return config;
    }

    private static bool IsKept(string constant) => BoardIdentity.IsTelling(constant)
        || ((string[])["RESERVE_PINS_", "CANBUS_", "SERIAL_BAUD"]).Any(constant.StartsWith);

    private static McuEvidence EvidenceOf(JsonElement mcu) => new(mcu.Word("mcu_version"), mcu.Word("mcu_constants", "MCU"))
    {
        // The build and its link: a chip has a hundred other constants.
        Constants = mcu.Members("mcu_constants")
            .Where(constant => IsKept(constant.Name) && constant.Value.ValueKind is JsonValueKind.String or JsonValueKind.Number)
            .DistinctBy(constant => constant.Name).ToDictionary(constant => constant.Name, constant => $"{constant.Value}"),
    };

    private async Task<ImmutableArray<PowerDevice>> PowerAsync()
    {
        try
        {
            return [.. (await moonraker.CallAsync("machine.device_power.devices")).Items("devices")
                .Where(device => device.Word("device") is not null)
                .Select(device => new PowerDevice(device.Word("device")!, device.Word("status") != "off"))];
        }
        catch (MoonrakerException)
        {
            return [];   // no [power] section
        }
    }

    private async Task<List<string>> McuObjectsAsync() =>
        [.. (await moonraker.CallAsync("printer.objects.list")).Items("objects").Where(name => name.ValueKind == JsonValueKind.String)
            .Select(name => name.GetString()!).Distinct().Where(it => it == "mcu" || it.StartsWith("mcu ", StringComparison.Ordinal))];

    private async Task<KlippyState> LookOnceAsync(CancellationToken cancel)
    {
        if ((await UpdateAsync(cancel) is { } update ? PrinterFaults.UpdateRuns(update)
            : FindFlasher?.Invoke() is { } other ? PrinterFaults.OtherFlashRuns(other.ToString()) : null) is { } refusal)
            return new(await HoldsPortsAsync(cancel) ? KlippyActivity.Busy : KlippyActivity.Stopped) { Refusal = refusal };
        var begin = time.GetTimestamp();
        while (true)
        {
            var change = moonraker.NextChange;
            var info = await moonraker.CallAsync("server.info", cancel: cancel);
            var state = info.Flag("klippy_connected") ? info.Word("klippy_state") : null;
            if (state is null or "disconnected" or "startup")
            {
                var isLate = time.GetElapsedTime(begin) > LinkLimit;
                if (await UnlinkedAsync(state, isLate, cancel) is { } known)
                    return known;
                await change.WaitUpToAsync(Poll, time, cancel);
                continue;
            }
            if (state != "ready")
                return new(
                    state == "shutdown" ? KlippyActivity.Shutdown : KlippyActivity.Error,
                    (await moonraker.CallAsync("printer.info", cancel: cancel)).Word("state_message") ?? state);
            // Klipper answers each query at its next quarter of a second.
            var status = await QueryAsync(
                new() { ["print_stats"] = ["state", "filename"], ["idle_timeout"] = ["state"], ["heaters"] = ["available_heaters"] },
                cancel);
            var (busy, isCommand) = Busy(status);
            if (busy is null || !isCommand || time.GetElapsedTime(begin) > CommandLimit)
                return busy ?? await HeatersAsync(status, cancel) ?? new(KlippyActivity.Ready);
            await change.WaitUpToAsync(Poll, time, cancel);
        }
    }

    /// <summary>Klipper's process is there, as far as can be told at once.</summary>
    private async Task<bool> HoldsPortsAsync(CancellationToken cancel) => (await moonraker.CallAsync("server.info", cancel: cancel))
        .Flag("klippy_connected") || await IsActiveAsync(await ServiceAsync(cancel), cancel) != false;

    /// <summary>
    /// The state where Moonraker is not connected to Klipper. A Moonraker that has just restarted may not be connected yet while Klipper
    /// prints: null, to query again.
    /// </summary>
    private async Task<KlippyState?> UnlinkedAsync(string? state, bool isLate, CancellationToken cancel)
    {
        if (state == "startup")
        {
            // Moonraker says so too while it connects, so Klipper is asked.
            var own = await moonraker.CallAsync("printer.info", cancel: cancel);
            if (own.Word("state") == "startup")
                return new(KlippyActivity.Error, own.Word("state_message") ?? state);
        }
        else if (await IsActiveAsync(await ServiceAsync(cancel), cancel) is var isActive
            && (isActive == false || (isLate && isActive is null)))
        {
            return new(KlippyActivity.Stopped);
        }
        return isLate ? Unknown("Klipper runs, and Moonraker has no connection to it") : null;
    }

    /// <summary>Printing, paused, or some other command at work.</summary>
    private static (KlippyState? Busy, bool IsCommand) Busy(JsonElement status)
    {
        var (print, idle) = (status.Word("print_stats", "state"), status.Word("idle_timeout", "state"));
        if (print is null && idle is null)
            return (Unknown("Klipper reports neither print_stats nor idle_timeout"), false);
        if (print is "printing" or "paused")
            return (new(KlippyActivity.Busy, $"{print} {Text.Clean(status.Word("print_stats", "filename") ?? "")}".TrimEnd()), false);
        return idle == "Printing" ? (new(KlippyActivity.Busy, "it moves, or a command runs"), true) : (null, false);
    }

    private async Task<KlippyState?> HeatersAsync(JsonElement known, CancellationToken cancel)
    {
        var names = known.Items("heaters", "available_heaters").Where(name => name.ValueKind == JsonValueKind.String)
            .Select(name => name.GetString()!).Distinct().ToList();
        if (Options is { AllowsHotHeaters: true } || names.Count == 0)
            return null;
        var status = await QueryAsync(names.ToDictionary(name => name, _ => (string[])["temperature"]), cancel);
        var hot = names.Select(name => (name, Degrees: status.Number(name, "temperature"))).Where(heater => heater.Degrees is not < Cool)
            .ToList();
        if (hot.Count == 0)
            return null;
        if (hot.FirstOrDefault(heater => heater.Degrees is null) is { name: not null } unknown)
            return Unknown($"the temperature of {unknown.name} is unknown");
        return new(KlippyActivity.Busy)
        {
            Refusal = PrinterFaults.HeatersHot(string.Join(", ", hot.Select(heater => $"{heater.name} is at {heater.Degrees:0} °C"))),
        };
    }

    /// <summary>What update_manager is updating; null where it is idle or missing.</summary>
    public async Task<string?> UpdateAsync(CancellationToken cancel = default) =>
        (await UpdateStatusAsync(cancel))?.Flag("busy") == true ? "its programs" : null;

    /// <summary>update_manager's last knowledge of all programs; null where it is missing.</summary>
    public async Task<JsonElement?> UpdateStatusAsync(CancellationToken cancel = default)
    {
        try
        {
            return await moonraker.CallAsync("machine.update.status", new() { ["refresh"] = false }, cancel);
        }
        catch (MoonrakerException missing) when (missing.Code == MoonrakerException.NoSuchMethod)
        {
            return null;
        }
    }

    /// <summary>Boards with another version than Klipper, in words; empty where there is none.</summary>
    private async Task<string> OtherVersionsAsync()
    {
        try
        {
            var evidence = (await McusAsync()).Evidence;
            var others = evidence.Boards.Where(board => board.Value.Version is { } version && version != evidence.Host).ToList();
            var words = string.Join(", ", others.Select(board => $"{board.Key} runs {board.Value.Version}"));
            return others.Count == 0 ? "" : $"Klipper is {evidence.Host}; {words}.";
        }
        catch (Exception fault) when (fault is FlashException or MoonrakerException)
        {
            return "";   // only a remark
        }
    }

    private static KlippyState Unknown(string why) => new(KlippyActivity.Unknown) { Refusal = PrinterFaults.PrinterUnknown(why) };

    /// <summary>The unit's real name: <c>klipper</c>, <c>klipper-1</c>, ...</summary>
    private async Task<string> ServiceAsync(CancellationToken cancel) =>
        Service ?? (await moonraker.CallAsync("machine.system_info", cancel: cancel)).Word("system_info", "instance_ids", "klipper")
            ?? "klipper";

    /// <summary>Null where Moonraker does not know the service.</summary>
    private async Task<bool?> IsActiveAsync(string service, CancellationToken cancel) =>
        (await moonraker.CallAsync("machine.system_info", cancel: cancel)).Word(
            "system_info", "service_state", service, "active_state") is { } state
            ? state is "active" or "activating" or "deactivating" or "reloading" : null;

    private async Task<JsonElement> QueryAsync(Dictionary<string, string[]> objects, CancellationToken cancel = default)
    {
        var asked = new JsonObject(objects.Select(one => KeyValuePair.Create(
            one.Key, (JsonNode?)new JsonArray([.. one.Value.Select(field => JsonValue.Create(field))]))));
        return (await moonraker.CallAsync("printer.objects.query", new() { ["objects"] = asked }, cancel)).At("status") ?? default;
    }
}

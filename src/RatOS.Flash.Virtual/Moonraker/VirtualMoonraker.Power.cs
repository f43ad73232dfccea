using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>Power devices, as Moonraker's documentation of <c>[power]</c> has them; not recorded from a real one.</content>
public sealed partial class VirtualMoonraker
{
    private readonly HashSet<string> _off = new(StringComparer.Ordinal);

    private JsonObject PowerDevices() => new()
    {
        ["devices"] = new JsonArray([.. _setup.PowerDevices.Keys.Order(StringComparer.Ordinal).Select(name => (JsonNode)new JsonObject
        {
            ["device"] = name,
            ["status"] = PowerState(name),
            ["locked_while_printing"] = false,
            ["type"] = "gpio",
        })]),
    };

    private JsonObject GetPower(Call call) => new() { [Device(call)] = PowerState(Device(call)) };

    private JsonObject SetPower(Call call)
    {
        var (name, action) = (Device(call), call.Text("action"));
        var isOn = action switch
        {
            "on" => true,
            "off" => false,
            "toggle" => _off.Contains(name),
            _ => throw new MoonrakerException(400, $"Invalid requested action '{action}'"),
        };
        if (isOn)
            _off.Remove(name);
        else
            _off.Add(name);
        _printer.SetPower(_setup.PowerDevices[name], isOn);
        return new JsonObject { [name] = PowerState(name) };
    }

    private string Device(Call call) => call.Text("device") is var name && _setup.PowerDevices.ContainsKey(name) ? name : throw new MoonrakerException(400, $"No valid device named {name}");

    private string PowerState(string name) => _off.Contains(name) ? "off" : "on";
}

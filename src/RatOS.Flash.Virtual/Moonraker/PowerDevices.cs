using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Power devices as Moonraker's documentation of <c>[power]</c> describes them; not recorded from a real one.</summary>
internal sealed class PowerDevices(VirtualPrinter printer, MoonrakerSetup setup)
{
    private readonly HashSet<string> _off = new(StringComparer.Ordinal);

    public JsonNode List()
    {
        var devices = setup.PowerDevices.Keys.Order(StringComparer.Ordinal).Select(name => new JsonObject
        {
            ["device"] = name,
            ["status"] = StateOf(name),
            ["locked_while_printing"] = false,
            ["type"] = "gpio",
        });
        return new JsonObject { ["devices"] = new JsonArray([.. devices]) };
    }

    public JsonNode Get(MoonrakerCall call)
    {
        var name = Device(call);
        return new JsonObject { [name] = StateOf(name) };
    }

    public JsonNode Set(MoonrakerCall call)
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
        printer.SetPower(setup.PowerDevices[name], isOn);
        return new JsonObject { [name] = StateOf(name) };
    }

    private string Device(MoonrakerCall call) => call.Text("device") is var name && setup.PowerDevices.ContainsKey(name)
        ? name
        : throw new MoonrakerException(400, $"No valid device named {name}");

    private string StateOf(string name) => _off.Contains(name) ? "off" : "on";
}

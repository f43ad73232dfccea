using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>Moonraker's <c>[power]</c> devices. Only those that the settings name for a board are switched.</summary>
internal static class MoonrakerPower
{
    /// <summary>Switches a device by its name. Returns when Moonraker has switched it.</summary>
    public static Func<string, bool, Task> Of(MoonrakerConnection moonraker) => async (device, isOn) =>
    {
        try
        {
            await moonraker.CallAsync(
                "machine.device_power.post_device", new() { ["device"] = device, ["action"] = isOn ? "on" : "off" });
        }
        catch (MoonrakerException refused)
        {
            throw PrinterFaults.PowerRefused(Text.Clean(device), refused.Message);
        }
    };
}

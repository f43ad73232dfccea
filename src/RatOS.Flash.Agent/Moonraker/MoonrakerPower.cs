using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>Moonraker's <c>[power]</c> devices. Only one that somebody named for a board is ever switched.</summary>
internal static class MoonrakerPower
{
    /// <summary>Switches a device by its name, and returns when Moonraker has done it.</summary>
    public static Func<string, bool, Task> Of(MoonrakerConnection moonraker) => async (device, isOn) =>
    {
        try
        {
            await moonraker.CallAsync("machine.device_power.post_device", new() { ["device"] = device, ["action"] = isOn ? "on" : "off" });
        }
        catch (MoonrakerException refused)
        {
            throw PrinterFaults.PowerRefused(Text.Clean(device), refused.Message);
        }
    };
}

namespace RatOS.Flash.Core;

/// <content>What was tried besides.</content>
public static partial class Faults
{
    public static FlashException PortLeftOff(string port, string node) => new(
        "port-left-off", $"The USB port {port} was switched off and could not be switched on again.", $"Switch it on: `echo 0 | sudo tee {node}`, or restart this computer.");

    public static FlashException PowerRefused(string device, string why) => new(
        "power-refused", $"Moonraker did not switch its power device '{device}': {why}.", "Correct `power:` of the board in ratos-flash.conf; Mainsail lists the devices of [power].");
}

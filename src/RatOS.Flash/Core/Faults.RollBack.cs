namespace RatOS.Flash.Core;

/// <content>Going back to the firmware before.</content>
public static partial class Faults
{
    public static FlashException KlipperRefusesFirmware(string board, string version, string why) => new(
        "klipper-refuses-firmware", $"{board} runs {version}, but Klipper, which was ready before, does not work with it: {why}.",
        $"Put the firmware before back (`ratos-flash rollback {board}`), or flash one that is built from this Klipper's sources with the right configuration.");

    /// <summary>What is left to do when the old firmware runs again, whatever the fault was.</summary>
    public static string RemedyAfterRollBack(string version) =>
        $"{version} runs again: the printer can be used. See that the new firmware is built for this board and from this Klipper's sources before it is flashed again.";
}

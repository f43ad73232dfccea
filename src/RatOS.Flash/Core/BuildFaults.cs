using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Building firmware.</summary>
public static class BuildFaults
{
    // ---- Klipper's sources

    public static FlashException NotAKlipperTree(string path, string why) => new(
        FaultKind.NotAKlipperTree, $"{path} has no Klipper sources: {why}.",
        $"Set `klipper_path:` in ratos-flash.conf to your Klipper checkout (usually ~/klipper): it has a Makefile, src/ and scripts/.");

    public static FlashException KlipperWithoutTags(string path) => new(
        FaultKind.KlipperWithoutTags, $"The git repository in {path} has no tags, so its version is a bare commit.",
        $"Fetch them{By($"git -C {path} fetch --tags")}. After a shallow clone fetch all commits too (unshallow). "
        + $"Building works without tags.");

    public static FlashException KlipperGitUnusable(string path, string why) => new(
        FaultKind.KlipperGitUnusable, $"git cannot determine the version of {path}: {why}.",
        $"Install git{By("sudo apt-get install git")}, or repair the clone. Until then the firmware's version is '?'.");

    public static FlashException KlipperTreeUnreadable(string path, string why) => new(
        FaultKind.KlipperTreeUnreadable, $"Klipper's sources in {path} cannot be read: {why}.",
        $"Fix their ownership: the agent runs as Moonraker's user.");

    public static FlashException KlipperTreeChanged(string board) => new(
        FaultKind.KlipperTreeChanged, $"Klipper's sources changed while the firmware of {board} was being built.",
        $"Wait until the update is complete, then build again.");

    // ---- this computer

    public static FlashException BuildPath(string path, string what) => new(
        FaultKind.BuildPath, $"Klipper cannot be built with the path {path}: make and its shell would misread the {what} in it.",
        $"Use a folder whose path has only letters, digits, '/', '.', '-' and '_'.");

    public static FlashException BuildFolder(string path, string why) => new(
        FaultKind.BuildFolder, $"The build directory {path} cannot be used: {why}.",
        $"Fix the folder's ownership, or free disk space. Its contents can be deleted at any time.");

    public static FlashException BuildDiskFull(string path, double leastMiB) => new(
        FaultKind.DiskFull, $"Not enough disk space for a build in {path}: it temporarily needs {leastMiB:0} MiB.",
        $"Delete old logs and G-code files. Show the free space{By("df -h")}. Then build again.");

    /// <param name="board">The board.</param>
    /// <param name="missing">The missing program: <c>arm-none-eabi-gcc</c>.</param>
    /// <param name="packages">Debian's names of the packages, in the order of an apt line.</param>
    public static FlashException ToolchainMissing(string board, string missing, string packages) => new(
        FaultKind.ToolchainMissing, $"The firmware of {board} cannot be built on this computer: {missing} is missing.",
        $"Install the tools{By($"sudo apt-get install {packages}")}.");

    // ---- configuration and result

    public static FlashException ConfigUnusable(string board, string why) => new(
        FaultKind.ConfigUnusable, $"The build configuration of {board} cannot be used: {why}.", ByHand(board));

    /// <param name="board">The board.</param>
    /// <param name="symbol">As it stands in a .config, without <c>CONFIG_</c>.</param>
    /// <param name="wanted">The value in the configuration.</param>
    /// <param name="got">The value that this Klipper reads.</param>
    public static FlashException ConfigDrift(string board, string symbol, string wanted, string got) => new(
        FaultKind.ConfigDrift,
        $"This Klipper reads the configuration of {board} differently: CONFIG_{symbol} should be {wanted}, but becomes {got}.",
        $"The configuration is for another version of Klipper, and nothing was built. {ByHand(board)}");

    /// <param name="board">The board.</param>
    /// <param name="symbol">As it stands in a .config, without <c>CONFIG_</c>.</param>
    /// <param name="wanted">The board's own value.</param>
    /// <param name="got">The value that the user chose.</param>
    public static FlashException OptionsOfOtherBoard(string board, string symbol, string wanted, string got) => new(
        FaultKind.ConfigDrift, $"These build options are not for {board}: CONFIG_{symbol} is {got}, but the board has {wanted}.",
        $"Choose the board's own chip and bootloader offset, and save again. Nothing was kept.");

    private static Remedy ByHand(string board) =>
        $"Build the firmware manually, and copy it to printer_data/ratos-flash/firmware as {board}.bin.";

    public static FlashException MenuconfigFailed(string board, int exit) => new(
        FaultKind.MenuconfigFailed, $"Klipper's menu for {board} ended with exit code {exit}.",
        $"Its output is above; nothing was kept. The menu needs a terminal of at least 80 by 24 characters. "
        + $"If Python's module curses is missing, install it{By("sudo apt-get install python3")}.");

    public static FlashException OptionsUnreadable(string board, string why) => new(
        FaultKind.MenuconfigFailed, $"Klipper's menu for {board} cannot be evaluated: {why}.",
        $"Revert local changes to Klipper's sources, or update Klipper, and try again. Nothing was kept.");

    public static FlashException BuildFailed(string board, string lastLines, string log) => new(
        FaultKind.BuildFailed, $"Klipper's build for {board} failed: {lastLines}",
        $"The full output is in {log}. Revert local changes to Klipper's sources, or update Klipper, and build again.");

    public static FlashException FirmwareOutgrewBoard(string board, string mcu, string tooMany, string version) => new(
        FaultKind.FirmwareTooBig, $"Klipper {version} no longer fits into the flash of {board} ({mcu}): {tooMany} too many.",
        $"This Klipper no longer supports the board. "
        + $"Build with fewer features and copy the file to printer_data/ratos-flash/firmware as {board}.bin, "
        + $"keep the board on an older Klipper, or replace it.");

    public static FlashException BuiltOtherFirmware(string board, string what, string wanted, string got) => new(
        FaultKind.BuiltOtherFirmware, $"The build for {board} has another {what}: {got}, not {wanted}.",
        $"Build again. If it happens again, check whether another program is building in Klipper's folder.");
}

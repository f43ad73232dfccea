namespace RatOS.Flash.Core;

/// <summary>Building firmware.</summary>
public static class BuildFaults
{
    public static FlashException NotAKlipperTree(string path, string why) => new(
        FaultKind.NotAKlipperTree, $"{path} holds no Klipper sources: {why}.",
        "Name the folder that Klipper was cloned into (usually ~/klipper): it has a Makefile, src/ and scripts/.");

    public static FlashException KlipperWithoutTags(string path) => new(
        FaultKind.KlipperWithoutTags, $"The git repository in {path} has no tags, so its version is a bare commit.",
        $"Fetch them: `git -C {path} fetch --tags` (after a shallow clone: `git -C {path} fetch --unshallow --tags`). Building works without.");

    public static FlashException KlipperGitUnusable(string path, string why) => new(
        FaultKind.KlipperGitUnusable, $"git cannot tell the version of {path}: {why}.", "Install git (`sudo apt-get install git`), or repair the clone. Until then the firmware calls itself '?'.");

    public static FlashException KlipperTreeUnreadable(string path, string why) => new(
        FaultKind.KlipperTreeUnreadable, $"Klipper's sources in {path} cannot be read: {why}.", "Check whose files they are; the agent runs as Moonraker's user.");

    public static FlashException KlipperTreeChanged(string board) => new(
        FaultKind.KlipperTreeChanged, $"Klipper's sources changed while the firmware of {board} was being built.", "Wait until the update is complete, then build again.");

    public static FlashException BuildPath(string path, string what) => new(
        FaultKind.BuildPath, $"Klipper cannot be built with the path {path}: make and its shell would misread the {what} in it.",
        "Use a folder whose path has letters, digits, '/', '.', '-' and '_' alone.");

    public static FlashException BuildFolder(string path, string why) => new(
        FaultKind.BuildFolder, $"The build folder {path} cannot be used: {why}.", "See whose folder it is and whether there is room; what is in it can be deleted at any time.");

    public static FlashException BuildDiskFull(string path, double leastMiB) => new(
        FaultKind.DiskFull, $"There is no room for a build in {path}; it takes {leastMiB:0} MiB for a while.", "Make room (`df -h`, old logs and G-code files), then build again.");

    /// <param name="missing">What was not found: <c>arm-none-eabi-gcc</c>.</param>
    /// <param name="packages">Debian's names of the packages, in the order of an apt line.</param>
    public static FlashException ToolchainMissing(string board, string missing, string packages) => new(
        FaultKind.ToolchainMissing, $"The firmware of {board} cannot be built here: {missing} is missing.", $"Install what it takes: sudo apt-get install {packages}");

    public static FlashException BuildFailed(string board, string lastLines, string log) => new(
        FaultKind.BuildFailed, $"Klipper's build for {board} failed: {lastLines}", $"The whole output is in {log}. Put local changes of Klipper's sources back, or update Klipper, and build again.");

    public static FlashException FirmwareOutgrewBoard(string board, string mcu, string tooMany, string version) => new(
        FaultKind.FirmwareTooBig, $"Klipper {version} no longer fits into the flash of {board} ({mcu}): {tooMany} too many.",
        "This board is no longer supported by this Klipper. Build it with fewer features and put it into the firmware folder, keep the board on an older Klipper, or replace it.");

    /// <param name="symbol">As it stands in a .config, without <c>CONFIG_</c>.</param>
    public static FlashException ConfigDrift(string board, string symbol, string wanted, string got) => new(
        FaultKind.ConfigDrift, $"This Klipper understands the configuration of {board} otherwise than it was meant: CONFIG_{symbol} should be {wanted}, but becomes {got}.",
        "The configuration is older (or newer) than this Klipper: build for this board by hand and put the firmware into the firmware folder. Nothing was built.");

    public static FlashException MenuconfigFailed(string board, int exit) => new(
        FaultKind.MenuconfigFailed, $"Klipper's menu for {board} ended with an error (exit code {exit}).", "What it said is above; nothing was kept. A terminal of at least 80 by 24 characters is needed, and Python's curses (`sudo apt-get install python3`).");

    public static FlashException ConfigUnusable(string board, string why) => new(
        FaultKind.ConfigUnusable, $"The build configuration of {board} cannot be used: {why}.", "Build for this board by hand, and put the firmware into the firmware folder under its name.");

    public static FlashException BuiltOtherFirmware(string board, string what, string wanted, string got) => new(
        FaultKind.BuiltOtherFirmware, $"What was built for {board} is not what was asked for: its {what} is {got}, not {wanted}.", "Build again; if it happens again, see whether something else builds in Klipper's folder.");
}

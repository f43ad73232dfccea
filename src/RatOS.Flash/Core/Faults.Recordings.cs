namespace RatOS.Flash.Core;

/// <content>Recordings of flashes, and bundles of them.</content>
public static partial class Faults
{
    public static FlashException BundleUnreadable(string file, string why) => new(
        "bundle-unreadable", $"{file} cannot be read as a bundle: {why}.",
        "Make it anew with `ratos-flash bundle`, and copy it as a binary file; a job's recording.gz can be played as well.");

    public static FlashException BundleVersion(string file, string found, int known) => new(
        "bundle-version", $"The recording in {file} has format {found}; this program knows format {known}.", "Play it with the version of ratos-flash that made it; versions.txt in the bundle names it.");

    public static FlashException BundleUnwritable(string path, string why) => new(
        "bundle-unwritable", $"The bundle {path} cannot be written: {why}.", "Make room on that disk, or say another file with --output.");

    public static FlashException ReplayImpossible(string why) => new(
        "replay-impossible", $"The recording cannot be played: {why}.", "Read timeline.txt in the bundle instead; `ratos-flash replay` shows it too.");
}

namespace RatOS.Flash.Core;

/// <summary>Recordings of flashes, and bundles of them.</summary>
public static class RecordingFaults
{
    public static FlashException BundleUnreadable(string file, string why) => new(
        FaultKind.BundleUnreadable, $"{file} cannot be read as a bundle: {why}.",
        "Make it anew with `ratos-flash bundle`, and copy it as a binary file; a job's recording.gz can be played as well.");

    public static FlashException BundleVersion(string file, string found, int known) => new(
        FaultKind.BundleVersion, $"The recording in {file} has format {found}; this program knows format {known}.", "Play it with the version of ratos-flash that made it; versions.txt in the bundle names it.");

    public static FlashException BundleUnwritable(string path, string why) => new(
        FaultKind.BundleUnwritable, $"The bundle {path} cannot be written: {why}.", "Make room on that disk, or say another file with --output.");

    public static FlashException ReplayImpossible(string why) => new(
        FaultKind.ReplayImpossible, $"The recording cannot be played: {why}.", "Read timeline.txt in the bundle instead; `ratos-flash replay` shows it too.");
}

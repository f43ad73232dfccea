using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Recordings of flashes, and bundles of them.</summary>
public static class RecordingFaults
{
    public static FlashException BundleUnreadable(string file, string why) => new(
        FaultKind.BundleUnreadable, $"{file} cannot be read as a bundle: {why}.",
        $"Make it again{By("ratos-flash bundle")}, and copy it as a binary file. A job's recording.gz can be replayed too.");

    /// <summary>Nothing was read: it is no file that can be.</summary>
    public static FlashException NoBundle(string path, string why) => new(
        FaultKind.BundleUnreadable, $"{path} cannot be read as a bundle: {why}.",
        $"Name a bundle (.zip) or a job's recording.gz that you may read. Make a bundle{By("ratos-flash bundle")}.");

    public static FlashException BundleVersion(string file, string found, int known) => new(
        FaultKind.BundleVersion, $"The recording in {file} has format {found}; this program reads format {known}.",
        $"Replay it with the version of ratos-flash that made it; versions.txt in the bundle names that version.");

    public static FlashException BundleUnwritable(string path, string why) => new(
        FaultKind.BundleUnwritable, $"The bundle {path} cannot be written: {why}.",
        $"Free disk space, or name another file{By("ratos-flash bundle --output FILE")}.");

    public static FlashException ReplayImpossible(string why) => new(
        FaultKind.ReplayImpossible, $"The recording cannot be replayed: {why}.",
        $"Read timeline.txt in the bundle instead. {Terminal("ratos-flash replay BUNDLE")} prints it too.");
}

using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>Reads the firmware files that callers name.</summary>
internal static class FirmwareFile
{
    private const int Largest = 8 * 1024 * 1024;

    /// <param name="path">A regular file of at most 8 MiB.</param>
    /// <exception cref="FlashException"><c>firmware-unreadable</c>.</exception>
    public static GivenFirmware Read(string path)
    {
        try
        {
            return new(path, RegularFile.Read(path, Largest));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            var why = path.Length == 0 ? "no file is named" : fault.Message.TrimEnd('.');
            throw FirmwareFaults.FirmwareUnreadable(Text.Clean(path), why);
        }
    }

    /// <param name="given">The file.</param>
    /// <param name="sha256">What the caller expects of either, in lower-case hex; null for anything.</param>
    /// <exception cref="FlashException"><c>firmware-differs</c>.</exception>
    public static void Check(GivenFirmware given, string? sha256)
    {
        var own = Convert.ToHexStringLower(Sha256.HashData(given.Bytes.Span));
        if (sha256 is not null && sha256 != own && sha256 != given.Image.Sha256)
            throw FirmwareFaults.FirmwareDiffers(Text.Clean(Path.GetFileName(given.Name)), sha256, own);
    }
}

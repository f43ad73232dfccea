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
}

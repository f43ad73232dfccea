namespace RatOS.Flash.Hardware.Linux;

/// <summary>A hub's switch for one of its ports, in sysfs. Most hubs disconnect the port; few cut its power as well.</summary>
internal static class PortSwitch
{
    /// <summary>Until a small board's capacitors are empty.</summary>
    public static readonly TimeSpan OffTime = TimeSpan.FromSeconds(3);

    /// <summary>False where writing is not permitted, or the kernel refuses.</summary>
    public static bool TrySet(string node, bool isOff)
    {
        try
        {
            File.WriteAllText(node, isOff ? "1" : "0");
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}

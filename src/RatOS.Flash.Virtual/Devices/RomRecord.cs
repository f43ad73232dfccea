namespace RatOS.Flash.Virtual.Devices;

/// <summary>Requests to a board's ROM over all of its sessions.</summary>
internal sealed class RomRecord
{
    /// <summary>Requests that no document allows.</summary>
    public List<string> Illegal { get; } = [];

    /// <summary>The whole chip was erased, or its read protection was removed.</summary>
    public bool WasMassErased { get; set; }

    /// <summary>Of an RP2350: the number of partitions in its flash; null without a partition table.</summary>
    public int? Partitions { get; set; }

    /// <summary>The number of leave requests that it still ignores.</summary>
    public int LeavesIgnored { get; set; }
}

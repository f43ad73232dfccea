namespace RatOS.Flash.Virtual.Devices;

/// <summary>What a board's ROM remembers over all of its sessions, for the invariants of a trial.</summary>
internal sealed class RomRecord
{
    /// <summary>Requests that no document allows.</summary>
    public List<string> Illegal { get; } = [];

    /// <summary>The whole chip was erased, or its read protection was removed.</summary>
    public bool WasMassErased { get; set; }

    /// <summary>The number of leave requests that it still ignores.</summary>
    public int LeavesIgnored { get; set; }
}

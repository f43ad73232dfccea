namespace RatOS.Flash.Virtual.Devices;

/// <summary>A moment in the life of Klipper's host process, for Moonraker.</summary>
internal enum KlippyMoment
{
    /// <summary>The process starts, or restarts within itself.</summary>
    Started,

    /// <summary>Its API socket accepts connections.</summary>
    Listening,
    Ready,

    /// <summary>It announces its shutdown; only if it was ready.</summary>
    ShuttingDown,
    Shutdown,

    /// <summary>It announces its restart.</summary>
    Restarting,

    /// <summary>Its API is gone; the process stays.</summary>
    Disconnected,

    /// <summary>The process is gone.</summary>
    Stopped,
}

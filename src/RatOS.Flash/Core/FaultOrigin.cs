namespace RatOS.Flash.Core;

/// <summary>Where a fault lies.</summary>
public enum FaultOrigin
{
    /// <summary>The printer, its boards, or this computer.</summary>
    Printer,

    /// <summary>The request: it fails again unless the user changes it.</summary>
    Request,

    /// <summary>RatOS.Flash itself.</summary>
    Program,
}

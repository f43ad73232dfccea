namespace RatOS.Flash.Core;

/// <summary>Whether a power cycle may help against a fault.</summary>
public enum PowerHelp
{
    Never,

    /// <summary>Only while the board has firmware: without, most chips need BOOT0 to enter their ROM again.</summary>
    WithFirmware,

    Always,
}

namespace RatOS.Flash.Core;

/// <summary>Where a sentence is read. A browser has no options and no terminal; a terminal has no buttons.</summary>
public enum FrontEnd
{
    /// <summary>A terminal: options and commands.</summary>
    CommandLine,

    /// <summary>Mainsail, Fluidd and KlipperScreen: macros, menus, and settings in <c>ratos-flash.conf</c>.</summary>
    Browser,
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>A change of a board's link that the user named: new firmware may come up elsewhere than the old one ran.</summary>
/// <param name="From">The link of the firmware that the board has.</param>
/// <param name="To">The link of the new firmware.</param>
public sealed record LinkChange(BuildLink From, BuildLink To)
{
    /// <summary>The changes whose outcome can be observed, by their name in options and requests. Part of the contract.</summary>
    public static readonly ImmutableSortedDictionary<string, LinkChange> Known = new LinkChange[]
    {
        new(BuildLink.Usb, BuildLink.Can), new(BuildLink.Usb, BuildLink.UsbCanBridge), new(BuildLink.Can, BuildLink.Usb),
        new(BuildLink.UsbCanBridge, BuildLink.Usb),
    }.ToImmutableSortedDictionary(change => change.ToString(), change => change, StringComparer.Ordinal);

    public override string ToString() => $"{NameOf(From)}:{NameOf(To)}";

    /// <summary>What the user changes in printer.cfg afterwards.</summary>
    /// <param name="uuid">Null for a board that is on USB now.</param>
    internal static string NoteOf(CanUuid? uuid) => uuid is null
        ? "In printer.cfg the board's section needs `serial:` in place of `canbus_uuid:` from now on."
        : $"In printer.cfg the board's section needs `canbus_uuid: {uuid}` in place of `serial:` from now on.";

    private static string NameOf(BuildLink link) => link switch
    {
        BuildLink.Usb => "usb",
        BuildLink.Uart => "uart",
        BuildLink.Can => "can",
        _ => "bridge",
    };
}

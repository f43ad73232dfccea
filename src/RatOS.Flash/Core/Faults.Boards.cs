namespace RatOS.Flash.Core;

/// <content>Which boards there are, and what is said of them.</content>
public static partial class Faults
{
    public static FlashException BadBoardDefinition(string folder, string why) => new(
        "bad-board-definition", $"RatOS's definition in boards/{folder} was passed over: {why}.",
        "If it is yours, correct it; if it came with RatOS, update RatOS. Other boards are not touched by it.");

    public static FlashException AmbiguousBoard(string name, IEnumerable<string> boards) => new(
        "ambiguous-board", $"More than one board of this printer is called '{name}': {string.Join(", ", boards)}.", "Say which one, by the name that `ratos-flash boards` shows.");

    public static FlashException NotOurs(string board, string why) => new(
        "not-ours", $"The firmware of {board} is not built from Klipper's sources here: {why}.", "Update it with the updater of whoever made it.");

    public static FlashException NothingToRollBack(string board, string folder) => new(
        "nothing-to-roll-back", $"No other firmware that {board} has run is kept in {folder}.", "Flash it: name a file with --firmware, or let it be built. What is flashed from now on is kept.");

    public static FlashException PinsUnknown(string board, string wire) => new(
        "pins-unknown", $"Which pins and speed {board} uses on its {wire} is not known: it did not tell, and no configuration is kept.",
        $"Say it once with `ratos-flash menuconfig {board}`, or put its firmware into the firmware folder.");

    public static FlashException NoPower(string board, IEnumerable<string> devices) => new(
        "no-power", $"{board} is not on the bus, and {string.Join(" and ", devices)} is switched off.", "Switch the printer's power on (Mainsail and Fluidd have it in their menu), then look again.");

    public static FlashException TwoSections(string port, IEnumerable<string> sections) => new(
        "two-sections-one-port", $"{string.Join(" and ", sections)} of printer.cfg name one and the same board, at {port}.", "Give each section its own `serial:` or `canbus_uuid:` in printer.cfg.");

    public static FlashException PortOfAnother(string section, string path, string expected, string found) => new(
        "port-of-another-board", $"[{section}] of printer.cfg should be {expected}, but at {path} is {found}.",
        "Correct its `serial:` in printer.cfg, or the board's kind in ratos-flash.conf; nothing is flashed there meanwhile.");

    public static FlashException BadUuid(string section, string uuid) => new(
        "bad-uuid", $"The canbus_uuid of [{section}] in printer.cfg is no uuid of 12 hex digits: '{uuid}'.", "Correct it; `ratos-flash boards` shows who answers on the bus.");

    public static FlashException NameTaken(string section, string name) => new(
        "name-taken", $"[{section}] would be called '{name}', as another board of this printer is.", "Nothing to do: it is listed and asked for under the name of its section.");

    public static FlashException KindUnknown(string board, string? chip, IReadOnlyCollection<string> candidates) => new(
        "kind-unknown", $"Which kind of board {board} is cannot be seen{(chip is null ? "" : $"; its chip is a {chip}")}.",
        $"Describe it in ratos-flash.conf: a section `[board NAME]` with `id:` of its kind{(candidates.Count > 0 ? $", such as {string.Join(", ", candidates)}" : "")}; or choose how it is built with `ratos-flash menuconfig {board}`.");

    public static FlashException BootloaderAssumed(string board, string device) => new(
        "bootloader-assumed", $"{board} is missing, and {device} waits in a bootloader that would be its; nothing else fits.",
        "See that no other board was put into its bootloader; or name the port of this one with --port.");
}

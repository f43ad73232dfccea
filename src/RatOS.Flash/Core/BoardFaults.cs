namespace RatOS.Flash.Core;

/// <summary>Boards of this printer: names, ports, identity.</summary>
public static class BoardFaults
{
    public static FlashException BadBoardDefinition(string folder, string why) => new(
        FaultKind.BadBoardDefinition, $"RatOS's definition in boards/{folder} was passed over: {why}.",
        "If it is yours, correct it; if it came with RatOS, update RatOS. Other boards are not touched by it.");

    public static FlashException AmbiguousBoard(string name, IEnumerable<string> boards) => new(
        FaultKind.AmbiguousBoard, $"More than one board of this printer is called '{name}': {string.Join(", ", boards)}.", "Say which one, by the name that `ratos-flash boards` shows.");

    public static FlashException NoPower(string board, IEnumerable<string> devices) => new(
        FaultKind.NoPower, $"{board} is not on the bus, and {string.Join(" and ", devices)} is switched off.", "Switch the printer's power on (Mainsail and Fluidd have it in their menu), then look again.");

    public static FlashException TwoSections(string port, IEnumerable<string> sections) => new(
        FaultKind.TwoSectionsOnePort, $"{string.Join(" and ", sections)} of printer.cfg name one and the same board, at {port}.", "Give each section its own `serial:` or `canbus_uuid:` in printer.cfg.");

    public static FlashException PortOfAnother(string section, string path, string expected, string found) => new(
        FaultKind.PortOfAnotherBoard, $"[{section}] of printer.cfg should be {expected}, but at {path} is {found}.",
        "Correct its `serial:` in printer.cfg, or the board's kind in ratos-flash.conf; nothing is flashed there meanwhile.");

    public static FlashException BadUuid(string section, string uuid) => new(
        FaultKind.BadUuid, $"The canbus_uuid of [{section}] in printer.cfg is no uuid of 12 hex digits: '{uuid}'.", "Correct it; `ratos-flash boards` shows who answers on the bus.");

    public static FlashException NameTaken(string section, string name) => new(
        FaultKind.NameTaken, $"[{section}] would be called '{name}', as another board of this printer is.", "Nothing to do: it is listed and asked for under the name of its section.");

    public static FlashException KindUnknown(string board, string? chip, IReadOnlyCollection<string> candidates) => new(
        FaultKind.KindUnknown, $"Which kind of board {board} is cannot be seen{(chip is null ? "" : $"; its chip is a {chip}")}.",
        $"Describe it in ratos-flash.conf: a section `[board NAME]` with `id:` of its kind{(candidates.Count > 0 ? $", such as {string.Join(", ", candidates)}" : "")}; or choose how it is built with `ratos-flash menuconfig {board}`.");

    public static FlashException BootloaderAssumed(string board, string device) => new(
        FaultKind.BootloaderAssumed, $"{board} is missing, and {device} waits in a bootloader that would be its; nothing else fits.",
        "See that no other board was put into its bootloader; or name the port of this one with --port.");

    public static FlashException UnknownBoard(string name, IReadOnlyCollection<string> nearest, IReadOnlyCollection<string> all) => new(
        FaultKind.UnknownBoard,
        $"This printer has no board called '{name}'." + (nearest.Count > 0 ? $" Did you mean {string.Join(" or ", nearest)}?" : ""),
        all.Count > 0 ? $"Its boards are: {string.Join(", ", all)}. `ratos-flash boards` shows them." : "`ratos-flash boards` shows what is connected.");

    public static FlashException NoBoards() => new(
        FaultKind.NoBoards, "No board of this printer is known.", "Connect one that runs Klipper, or name its kind and its port; `ratos-flash boards` shows what is connected.");

    public static FlashException BoardNotSeen(string board, string wanted, string seen) => new(
        FaultKind.BoardNotSeen, $"{board} is not connected: nothing on the bus is {wanted}. Seen: {seen}.",
        "Check its power and its USB cable; `ratos-flash boards` shows what is connected.");

    public static FlashException BoardsAlike(string board, IEnumerable<string> ports) => new(
        FaultKind.BoardsAlike, $"More than one device could be {board}: {string.Join(", ", ports)}.",
        "Say which one with --port PORT (the USB port path, as listed), or unplug the other.");

    public static FlashException WhichBootloader(string board, IEnumerable<string> ports) => new(
        FaultKind.WhichBootloader,
        $"{board} does not run Klipper, and a bootloader waits at {string.Join(", ", ports)}; whether it is this board cannot be seen from here.",
        "If it is, say so with --port PORT.");

    public static FlashException OtherBootloader(string board, string asked, string found) => new(
        FaultKind.OtherBootloader, $"{board} cannot be flashed by {asked}: {found}.", "Leave --bootloader out, or name the bootloader that the board has.");

    public static FlashException SamePort(string port, IEnumerable<string> boards) => new(
        FaultKind.SamePort, $"{string.Join(" and ", boards)} are the same device, at port {port}.", "Flash it under one name, or give each its own --port.");

    public static FlashException NoRoad(string board, string why, string guide) => new(
        FaultKind.NoRoad, $"{board} cannot be flashed from here: {why}.", guide);

    public static FlashException WrongMcu(string board, string expected, string found) => new(
        FaultKind.WrongMcu, $"{board} should be a {expected}, but the device says {found}.",
        "Check which board is plugged in where, and the board's name; nothing was written.");

    public static FlashException WrongBoard(string board, string expected, string found) => new(
        FaultKind.WrongBoard, $"The bootloader that appeared has the serial {found}, but {board} must show {expected}: it is another board.",
        "Take the other board out of its bootloader (power off and on), then flash again; nothing was written.");

    public static FlashException WrongStart(string board, uint expected, uint found) => new(
        FaultKind.WrongStart, $"The bootloader of {board} starts applications at {found:x8}, but the board is declared with {expected:x8}.",
        $"Build the firmware for {found:x8} and correct the board's declaration; nothing was written.");

    public static FlashException CloneRefused(string what) => new(
        FaultKind.CloneRefused, $"{what} is a GD32's bootloader, which behaves differently from an STM32's.", "Flash this board its vendor's way.");

    public static FlashException OtherBoardAnswers(string board, string expected, string found) => new(
        FaultKind.OtherBoardAnswers, $"The board that answers at the port of {board} has the unique id {found}; the one that was flashed has {expected}.",
        "Put the cables back as they were and flash again.");
}

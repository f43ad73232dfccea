using static RatOS.Flash.Core.RemedyAction;

namespace RatOS.Flash.Core;

/// <summary>Boards of this printer: names, ports, identity.</summary>
public static class BoardFaults
{
    private const string Listed = "lists everything that is connected";

    // ---- names

    public static FlashException UnknownBoard(string name, IReadOnlyCollection<string> nearest, IReadOnlyCollection<string> all) => new(
        FaultKind.UnknownBoard,
        $"This printer has no board called '{name}'." + (nearest.Count > 0 ? $" Did you mean {string.Join(" or ", nearest)}?" : ""),
        $"{(all.Count > 0 ? $"Choose one of its boards: {string.Join(", ", all)}. " : "")}{ListBoards} {Listed}.");

    public static FlashException NoBoards() => new(
        FaultKind.NoBoards, "No board of this printer is known.",
        $"Connect a board that runs Klipper, or describe one in ratos-flash.conf. {ListBoards} {Listed}.");

    public static FlashException AmbiguousBoard(string name, IEnumerable<string> boards) => new(
        FaultKind.AmbiguousBoard, $"More than one board of this printer is called '{name}': {string.Join(", ", boards)}.",
        $"Name one of them. {ListBoards} lists their names.");

    public static FlashException NameTaken(string section, string name) => new(
        FaultKind.NameTaken, $"[{section}] would get the name '{name}', which another board of this printer already has.",
        $"Nothing to do: the board is listed under the name of its section.");

    public static FlashException KindUnknown(string board, string? chip) => new(
        FaultKind.KindUnknown, chip is null ? $"The kind of {board} cannot be detected." : $"{board} is a {chip} of no known kind.",
        chip is null ? $"Add a section `[board {board}]` to ratos-flash.conf, with `id:` of its kind."
            : (Remedy)"A kind is not needed: a board tells what its build needs, or you are asked.");

    public static FlashException BadBoardDefinition(string folder, string why) => new(
        FaultKind.BadBoardDefinition, folder.Length == 0
            ? $"All of RatOS's definitions in config/RatOS/boards were ignored: {why}."
            : $"RatOS's definition in boards/{folder} was ignored: {why}.",
        $"Correct it if it is yours; update RatOS if it came with RatOS. Other boards are not affected.");

    /// <param name="place">A file or folder.</param>
    /// <param name="why">A clause without its full stop: it is not there.</param>
    public static FlashException PinsUnread(string place, string why) => new(
        FaultKind.PinsUnread, $"{place} was not read for the pins of boards: {why}.",
        $"Nothing to do for a flash. Boards that only their pins name stay without a name.");

    // ---- places

    /// <param name="board">The board.</param>
    /// <param name="wanted">Its known place, as a clause: at port 1-1.3.</param>
    /// <param name="seen">The devices on the bus.</param>
    /// <param name="enter">The manual way into its bootloader.</param>
    /// <param name="wasInterrupted">Its last flash did not end with a board that runs.</param>
    public static FlashException BoardNotSeen(string board, string wanted, string seen, Remedy enter, bool wasInterrupted = false)
    {
        var last = wasInterrupted ? " Its last flash was interrupted, so it may have no firmware." : "";
        return new(
            FaultKind.BoardNotSeen, $"{board} is not connected: no device on the bus is {wanted}. Seen: {seen}.{last}",
            $"{CheckCable}. {ListBoards} {Listed}. If the board still does not appear, start its bootloader: {enter} Then {FlashAgain}.");
    }

    /// <param name="board">The board.</param>
    /// <param name="wanted">As of <see cref="BoardNotSeen"/>.</param>
    /// <param name="section">Its section in printer.cfg.</param>
    /// <param name="unnamed">Boards of its chip that no section names, 1 or more: chip, serial and port.</param>
    /// <param name="links">Links to their ports.</param>
    /// <param name="seen">What is on the buses.</param>
    public static FlashException BoardUnderAnotherSerial(string board, string wanted, string section,
        IReadOnlyList<string> unnamed, IReadOnlyList<string> links, string seen) => new(
        FaultKind.BoardNotSeen,
        $"{board} is not connected: no device on the bus is {wanted}. But {string.Join(" and ", unnamed.Select(other => $"a {other}"))} "
        + $"{(unnamed.Count == 1 ? "is" : "are")} named by no section of printer.cfg. Seen: {seen}.",
        $"If {(unnamed.Count == 1 ? "that" : "one of them")} is this board, set "
        + $"{string.Join(" or ", links.Select(link => $"`serial: {link}`"))} in [{section}] of printer.cfg and restart Klipper. "
        + $"If not, {CheckCable}. {ListBoards} {Listed}.");

    /// <param name="board">The board.</param>
    /// <param name="port">Where it should be.</param>
    /// <param name="found">The device that is there, by its own texts.</param>
    public static FlashException ForeignFirmware(string board, string port, string found) => new(
        FaultKind.ForeignFirmware, $"{board} should be at {port}, but the device there is {found}. It does not run Klipper.",
        $"Check the port. If it is this board, {StartRom} and {FlashAgain}. The bootloader appears at the same port.");

    public static FlashException NoPower(string board, IEnumerable<string> devices) => new(
        FaultKind.NoPower, $"{board} is not on the bus, and {string.Join(" and ", devices)} is switched off.",
        $"Switch the printer's power on (Mainsail and Fluidd have it in their menu), then try again.");

    public static FlashException BoardsAlike(string board, IEnumerable<string> ports) => new(
        FaultKind.BoardsAlike, $"More than one device could be {board}: {string.Join(", ", ports)}.",
        $"{NamePort(board)} with the right port, or unplug the other device.");

    public static FlashException WhichBootloader(string board, IEnumerable<string> ports) => new(
        FaultKind.WhichBootloader,
        $"{board} does not run Klipper. A bootloader is at {string.Join(", ", ports)}, but it may belong to another board.",
        $"If it is this board, {NamePort(board, ports.First())}.");

    public static FlashException BootloaderAssumed(string board, string device) => new(
        FaultKind.BootloaderAssumed, $"{board} is missing. {device} is in a bootloader that fits only this board.",
        $"Check that no other board is in its bootloader. To be sure, {NamePort(board)}.");

    public static FlashException SamePort(string port, IEnumerable<string> boards) => new(
        FaultKind.SamePort, $"{string.Join(" and ", boards)} are the same device, at port {port}.",
        $"Flash it under one name, or set `port:` in the section of each board in ratos-flash.conf.");

    public static FlashException TwoSections(string port, IEnumerable<string> sections) => new(
        FaultKind.TwoSectionsOnePort, $"{string.Join(" and ", sections)} of printer.cfg name the same board, at {port}.",
        $"Give each section its own `serial:` or `canbus_uuid:` in printer.cfg.");

    public static FlashException PortOfAnother(string section, string path, string expected, string found) => new(
        FaultKind.PortOfAnotherBoard, $"[{section}] of printer.cfg should be {expected}, but the device at {path} is {found}.",
        $"Correct its `serial:` in printer.cfg, or the board's `id:` in ratos-flash.conf. Until then nothing is flashed there.");

    public static FlashException BadUuid(string section, string uuid) => new(
        FaultKind.BadUuid, $"The canbus_uuid of [{section}] in printer.cfg is not a uuid of 12 hex digits: '{uuid}'.",
        $"Correct it. {ListBoards} lists the uuids that answer on the bus.");

    // ---- identity

    public static FlashException OtherBootloader(string board, string asked, string found) => new(
        FaultKind.OtherBootloader, $"{board} cannot be flashed by {asked}: {found}.", $"{FixBootloader(board)}.");

    public static FlashException NoRoad(string board, string why, Remedy guide) => new(
        FaultKind.NoRoad, $"{board} cannot be flashed by RatOS.Flash: {why}.", guide);

    public static FlashException FactMissing(FactQuestion question) => new(
        FaultKind.FactMissing, $"One fact about {question.Board} is missing. {question.Text}", $"{Answer(question)}.")
    {
        Question = question,
    };

    /// <param name="board">The board.</param>
    /// <param name="expected">Its chip by what is known.</param>
    /// <param name="found">What it reports, as a clause: its chip id is 441.</param>
    public static FlashException WrongMcu(string board, string expected, string found) => new(
        FaultKind.WrongMcu, $"{board} should be a {expected}, but {found}.",
        $"Check the board's name and its port. Nothing was written.");

    public static FlashException WrongBoard(string board, string expected, string found) => new(
        FaultKind.WrongBoard, $"The bootloader that appeared has the serial {found}, but {board} has {expected}: it is another board.",
        $"{AtBoard(OperatorStep.PowerCycle, "switch the other board's power off and on, so that it leaves its bootloader")}, "
        + $"then {FlashAgain}. Nothing was written.");

    public static FlashException WrongStart(string board, uint expected, uint found) => new(
        FaultKind.WrongStart, $"The bootloader of {board} starts applications at {found:x8}, but the board is declared with {expected:x8}.",
        $"Build the firmware for {found:x8}, and correct the board's declaration. Nothing was written.");

    /// <param name="board">The board.</param>
    /// <param name="declared">Its application start by the weaker source.</param>
    /// <param name="by">That source, behind "according to".</param>
    /// <param name="found">Its application start by the stronger one.</param>
    /// <param name="where">That source, behind "according to".</param>
    public static FlashException OtherStart(string board, string declared, string by, string found, string where) => new(
        FaultKind.WrongStart,
        $"The application of {board} starts at {found} according to {where}, but at {declared} according to {by}. "
        + "Firmware at the wrong start would overwrite the bootloader, or not run.",
        $"Correct the board's `id:` in ratos-flash.conf, or its build options{By($"ratos-flash menuconfig {board}")}. "
        + $"Nothing was written.");

    /// <param name="board">The board.</param>
    /// <param name="start">Of its firmware: the beginning of flash.</param>
    /// <param name="found">The start of the application that the bootloader starts, or the first one that may be it.</param>
    public static FlashException BootloaderInTheWay(string board, uint start, uint found) => new(
        FaultKind.WrongStart,
        $"The flash of {board} begins with a bootloader, or with another short program that is not Klipper, and has room for an "
        + $"application at {found:x8}. Firmware for {start:x8} would overwrite it.",
        $"If it is a bootloader, build the firmware for {found:x8}, and correct the board's `id:` in ratos-flash.conf, or its build options"
        + $"{By($"ratos-flash menuconfig {board}")}. If it is no longer wanted, erase the whole chip first"
        + $"{By($"dfu-util -a 0 -s 0x{start:x8}:mass-erase:force -D klipper.bin")}. Nothing was written.");

    /// <inheritdoc cref="BootloaderInTheWay"/>
    public static FlashException KlipperInTheWay(string board, uint start, uint found) => new(
        FaultKind.WrongStart,
        $"The flash of {board} begins with Klipper, at {found:x8}: no bootloader is there that would start an application at {start:x8}.",
        $"Build the firmware for {found:x8}, and correct the board's `id:` in ratos-flash.conf, or its build options"
        + $"{By($"ratos-flash menuconfig {board}")}. Or write the board's bootloader first. Nothing was written.");

    public static FlashException CloneRefused(string what) => new(
        FaultKind.CloneRefused, $"{what} is a GD32's bootloader, which behaves differently from an STM32's.",
        $"Flash this board with its vendor's method.");

    public static FlashException OtherBoardAnswers(string board, string expected, string found) => new(
        FaultKind.OtherBoardAnswers, $"The board at the port of {board} has the unique id {found}; the flashed board has {expected}.",
        $"{AtBoard(OperatorStep.CheckCable, "put the cables back as they were")} and {FlashAgain}.");
}

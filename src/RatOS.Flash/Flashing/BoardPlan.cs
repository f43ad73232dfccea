using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>How one board is flashed, and the findings about it. <see cref="BoardPlanner"/> makes it.</summary>
public sealed record BoardPlan
{
    /// <summary>
    /// Klippy numbers its nodes from 4 on (Klipper klippy/extras/canbus_ids.py), and Katapult's flashtool uses 0x81. Each plan has numbers
    /// of its own.
    /// </summary>
    internal const int Numbers = 60, FirstKlipperNumber = 0x44, FirstBootloaderNumber = 0x81;

    internal BoardPlan(FlashRequest request, BoardProfile profile) => (Request, Profile) = (request, profile);

    public FlashRequest Request { get; }

    /// <summary>Facts about the board, with the answers of its running firmware once it was asked.</summary>
    public BoardProfile Profile { get; }

    public string Name => Request.Board.Name;

    public BoardEvidence? Evidence => Profile.Evidence;

    /// <summary>Where the board is now; null when it was not found.</summary>
    public Device? Device { get; internal init; }

    public FlashEntry Entry { get; internal init; }

    /// <summary>The bootloader that is there, or that is expected; null while several are possible.</summary>
    public BootloaderDriver? Bootloader { get; internal init; }

    /// <summary>The change of link that this flash makes; null where the board stays where it is.</summary>
    internal LinkChange? LinkChange { get; init; }

    /// <summary>It runs Klipper where it can be asked, which is then done whenever Klipper is stopped.</summary>
    internal bool IsAsked => Device is { } device && !IsBootloader(device) && Entry switch
    {
        FlashEntry.Touch or FlashEntry.CanRequest or FlashEntry.Manual or FlashEntry.SdCard => true,
        FlashEntry.None => IsAskedFirst,
        _ => false,
    };

    /// <summary>Too little is known of it to build its firmware, and it can tell: it is asked before the build.</summary>
    public bool IsAskedFirst { get; internal init; }

    /// <summary>The same, with the device at its place, for a board that cannot be flashed now.</summary>
    internal BoardPlan SeenAt(Device? device) => device is null ? this : Request.Board.Drivers.Showing(device) is not { } waiting
        ? this with { Device = device } : this with { Device = device, Entry = FlashEntry.InBootloader, Bootloader = waiting };

    public ImmutableArray<Finding> Findings { get; internal init; } = [];

    /// <summary>The first finding that blocks this board; null when none does.</summary>
    public FlashException? Blocker => Findings.FirstOrDefault(finding => finding.Severity == FindingSeverity.Blocker)?.ToFault();

    public bool IsBlocked => Blocker is not null;

    /// <summary>
    /// What is known of its firmware now: from the running board, from an earlier flash, from Klipper's report. A bootloader tells nothing.
    /// </summary>
    public BoardCondition Condition => this switch
    {
        { Entry: FlashEntry.Replace } or { Evidence: not null } => BoardCondition.Unchanged,
        // A probe has no serial port in its bootloader.
        { Entry: FlashEntry.OwnUpdater } => Device?.Node is null ? BoardCondition.Unknown : BoardCondition.Unchanged,
        { Device: { } device } when device.RunsKlipper || device.CanNode is { InBootloader: false }
            || (IsCanBridge && device.Can is not null) => BoardCondition.Unchanged,
        { Request.Earlier: { } earlier } => earlier.Condition,
        // A node with a number, and a board on a UART, answer Klipper only.
        { Device: { Usb: null, CanNode: null }, Request.Board.RunningVersion: not null } => BoardCondition.Unchanged,
        _ => BoardCondition.Unknown,
    };

    /// <summary>The version before the flash; null when it is not known.</summary>
    public string? RunningVersion =>
        Request.Job == FlashJob.ConfirmSdCard ? Request.Board.RunningVersion : Evidence?.Version ?? Request.Board.RunningVersion;

    /// <summary>Its Klipper carries the CAN interface: both leave together, and its bootloaders are on USB.</summary>
    public bool IsCanBridge { get; internal init; }

    /// <summary>0..<see cref="Numbers"/>-1, one for each board of a plan.</summary>
    internal int CanNumber { get; init; }

    internal byte KlipperNumber => (byte)(FirstKlipperNumber + CanNumber);

    internal byte BootloaderNumber => (byte)(FirstBootloaderNumber + CanNumber);

    /// <summary>Where its bootloader appears: a bridge's at the port of the adapter that it is.</summary>
    internal string? BootloaderPort => IsCanBridge && Device?.Can is { } can ? can.UsbPort ?? Request.Board.Port : Device?.Port;

    /// <summary>Another bootloader was seen in the place of the stock one: it reads no cards.</summary>
    internal bool HasReplacedStock => Request.Board.Drivers.Any(driver => driver.ReplacesStock
        && ((Device is not null && driver.Shows(Device)) || (Evidence?.Chip is { } chip && driver.IsKnownBelow(chip))));

    /// <summary>
    /// The board did not tell in this flash where its application begins: what it told of itself before may have been overwritten.
    /// </summary>
    internal bool IsStartUntold => Request.AsksStart
        && (Entry == FlashEntry.InBootloader || Profile.ApplicationStart is { Source: not FactSource.Board });

    /// <summary>The fault of a board whose bootloader only an operator can start; null for other boards.</summary>
    internal FlashException? ManualEntry => Entry == FlashEntry.Manual ? BoardPlanner.NeedsOperator(this) : null;

    /// <summary>The manual entry into the bootloader, or the flash from an SD card, in one line.</summary>
    internal Remedy ManualSteps => BoardGuide.Of(Profile) is { Method: FlashMethod.SdCard } guide
        ? guide.Remedy : BoardGuide.EnterInOneLine(Profile);

    /// <summary>The flash from an SD card with the file that was made, in one line.</summary>
    internal Remedy CardSteps =>
        Remedy.Numbered(BoardGuide.CardSteps(Profile.SdCard!, null, "the file of this flash"), OperatorStep.CarryCard);

    /// <summary>The way from the board's state now to the write, for people.</summary>
    public string Route => (Entry, Bootloader) switch
    {
        (FlashEntry.InBootloader, { } driver) => $"waits in {driver.Place} -> write",
        (FlashEntry.CanRequest, { } driver) when !IsCanBridge => $"Klipper on CAN -> {driver.LabelOn(BuildLink.Can)} -> write",
        (FlashEntry.CanRequest, { } driver) => $"bridge's Klipper on CAN -> {driver.LabelOn(BuildLink.Usb)} -> write",
        (FlashEntry.CanRequest, null) => $"bridge's Klipper on CAN -> {AnyOf(BoardPlanner.Candidates(this, BuildLink.Usb))} -> write",
        (FlashEntry.Touch or FlashEntry.UartRequest, { } driver) => $"Klipper -> {driver.Label} -> write",
        (FlashEntry.Touch, null) => $"Klipper -> {AnyOf(BoardPlanner.Candidates(this, BuildLink.Usb))} -> write",
        (FlashEntry.Manual, _) => "the bootloader is started manually -> write",
        _ when TakesCard => $"SD card (manual): {CardRoute} at the next reset",
        (FlashEntry.Replace, _) => "process of this computer -> its program is replaced -> restarted",
        (FlashEntry.OwnUpdater, _) => "its maker's updater, started as a program of this user",
        _ => "no flash method",
    };

    /// <summary>The stock bootloader is to take a file from a card, also where the board is asked before its firmware is built.</summary>
    public bool TakesCard =>
        Entry == FlashEntry.SdCard || (IsAskedFirst && Request.Job == FlashJob.SdCard && Profile.SdCard is not null);

    private string CardRoute => Profile.SdCard switch
    {
        { Source: FactSource.Catalogue, Value.Path: var file } => $"the stock bootloader installs {file}",
        { Value: var file, Where: var where } =>
            $"the stock bootloader, known by {where}, installs {(file.NeedsNewName ? "a file with a new name" : file)}",
        _ => "the stock bootloader installs a file",
    };

    /// <summary>A listed device that is one of this board's bootloaders.</summary>
    internal bool IsBootloader(Device device) => Request.Board.Drivers.Showing(device) is not null;

    /// <summary>Reached through this bridge alone.</summary>
    internal bool IsBehind(BoardPlan bridge) =>
        bridge.IsCanBridge && !IsCanBridge && Device is { Can: not null } device && device.Port == bridge.Request.Board.CanInterface;

    /// <summary>The uuid that follows from its chip's unique id; null while the id is unknown.</summary>
    internal CanUuid? ChipUuid => Evidence?.Chip?.Uid is { } uid ? CanUuid.OfChip(uid.Span) : CanUuid.OfSerial(Device?.Serial);

    /// <summary>The plan of the board once its new firmware speaks over the link that the user named.</summary>
    /// <param name="uuid">Its chip's uuid; null for a board that goes to USB.</param>
    /// <param name="port">Where it was seen last.</param>
    internal BoardPlan AfterLinkChange(CanUuid? uuid, string port) =>
        new(Request with { Board = Request.Board with { CanUuid = uuid } }, Profile)
        {
            Device = LinkChange! switch
            {
                { To: BuildLink.Can } => new Device { Port = Request.Board.CanInterface, Number = 0, Can = new(true, null, null) },
                { From: BuildLink.Can } => new Device { Port = port, Number = 0, Usb = UsbId.Klipper },
                _ => Device,
            },
            Entry = Entry,
            Bootloader = Bootloader,
            Findings = Findings,
            IsCanBridge = LinkChange is { To: BuildLink.UsbCanBridge },
            CanNumber = CanNumber,
        };

    internal BoardPlan Refused(FlashException fault) => this with { Findings = [.. Findings, Finding.Blocker(fault)] };

    private static string AnyOf(List<BootloaderDriver> drivers) =>
        $"{drivers[^1].Label} (or {string.Join(" or ", drivers.SkipLast(1).Select(driver => driver.Label))}, if the board has it)";
}

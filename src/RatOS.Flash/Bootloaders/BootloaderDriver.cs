using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// One kind of bootloader: its names, how a bus shows it, which chips have it, how Klipper starts it, how it is opened, and the operator's
/// part. A driver has no state; its instance in <see cref="Drivers.All"/> is the bootloader's identity.
/// </summary>
/// <remarks>A new bootloader is one subclass and one line in <see cref="Drivers.All"/>: docs/add-a-bootloader.md.</remarks>
public abstract class BootloaderDriver
{
    // ---- names

    /// <summary>The name in JSON and in recordings, kebab-case: <c>dfu-se</c>. Part of the contract.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// The value of <c>--bootloader</c> and of <c>bootloader:</c> in ratos-flash.conf; null where users cannot choose it. Part of the
    /// contract.
    /// </summary>
    public virtual string? Option => Name;

    /// <summary>Its name within a sentence: <c>USB DFU</c>.</summary>
    public abstract string Label { get; }

    /// <summary>Its name at a sentence's beginning: <c>The ROM's USB DFU</c>.</summary>
    public virtual string Title => Label;

    /// <summary>Its name behind "waits in".</summary>
    public virtual string Place => Label;

    /// <summary>Its name with the link that it is reached over: <c>Katapult on CAN</c>.</summary>
    public virtual string LabelOn(BuildLink link) =>
        $"{Label} on {(link == BuildLink.Can ? "CAN" : link == BuildLink.Uart ? "a UART" : "USB")}";

    // ---- which device, chip and board

    /// <summary>True for a listed device that is this bootloader. False for all devices where no bus lists it.</summary>
    public abstract bool Shows(Device device);

    /// <summary>True when the chip can have it.</summary>
    public abstract bool IsOn(Mcu mcu);

    /// <summary>True when it can be reached over this link.</summary>
    public virtual bool IsReachedOver(BuildLink link) => link == BuildLink.Usb;

    /// <summary>False when this device, which it shows, cannot be a board with that chip.</summary>
    /// <param name="device">A device for which <see cref="Shows"/> is true.</param>
    /// <param name="chip">Klipper's name of the chip; null for an unknown one.</param>
    public virtual bool MayHaveChip(Device device, string? chip) => chip is null || (Mcu.Find(chip) is { } mcu && IsOn(mcu));

    /// <summary>The USB serial that follows from the chip's unique id; null where none does.</summary>
    public virtual string? SerialOf(ChipEvidence chip) => null;

    /// <summary>The CAN uuid of the chip behind a USB device that it shows; null where the device does not tell.</summary>
    public virtual CanUuid? UuidOf(Device device) => null;

    // ---- below a running Klipper

    /// <summary>
    /// No bus lists it and Klipper cannot start it: it is used only where the user chose it, and an answer alone shows that it waits.
    /// </summary>
    public virtual bool IsUnlisted => false;

    /// <summary>
    /// True: the running firmware's request leads to it; null: perhaps; false: no. Drivers are asked in the order in which Klipper tries
    /// them.
    /// </summary>
    /// <param name="link">Where the bootloader would be reached; of a USB-CAN bridge it is USB.</param>
    /// <param name="board">The board, with the answers of its running firmware once it was asked.</param>
    public virtual bool? IsStartedByKlipper(BuildLink link, BoardProfile board) => false;

    /// <summary>True when the running firmware has seen it in the boot area.</summary>
    public virtual bool IsKnownBelow(ChipEvidence chip) => false;

    /// <summary>It stands in the place of the bootloader that the board is sold with, so that nothing reads the board's SD slot.</summary>
    public virtual bool ReplacesStock => false;

    /// <summary>Why Klipper cannot start it on this board, as a clause; null where there is nothing to say.</summary>
    public virtual string? WhyNotStarted(BoardProfile board) => null;

    // ---- reading and writing

    /// <summary>Why it is left alone although it waits; null for a bootloader that can be written to.</summary>
    /// <param name="board">The board.</param>
    /// <param name="device">A device for which <see cref="Shows"/> is true.</param>
    public virtual FlashException? Refusal(BoardProfile board, Device device) => null;

    /// <summary>Speed and parity of the serial line that it talks over; null where it is spoken to by USB transfers.</summary>
    public virtual SerialMode? Mode => SerialMode.Klipper;

    /// <summary>
    /// The modes of its builds on a UART, in the order in which they are tried until it answers; <see cref="Mode"/> is one of them.
    /// </summary>
    /// <param name="klipper">The mode of the Klipper above it.</param>
    public virtual ImmutableArray<SerialMode> ModesOnWire(SerialMode klipper) => Mode is { } mode ? [mode] : [];

    /// <summary>
    /// The USB ids under which a chip with it appears when Klipper starts it, where <see cref="Mode"/> is null; else null.
    /// </summary>
    public virtual UsbId? TransferIdOn(Mcu mcu) => null;

    /// <summary>Opens it by USB transfers, where <see cref="Mode"/> is null. It owns the device from then on.</summary>
    /// <exception cref="FlashException">Nothing was touched.</exception>
    public virtual Task<Bootloader> OpenAsync(IUsbDevice usb, BootloaderTarget target) =>
        throw new NotSupportedException($"{Name} has no USB transfers");

    /// <summary>
    /// Opens it on a serial line or a CAN node's line, where <see cref="Mode"/> is not null. It owns the line from then on.
    /// </summary>
    /// <exception cref="FlashException">Nothing was touched.</exception>
    public virtual Task<Bootloader> OpenAsync(ByteLine line, BootloaderTarget target) =>
        throw new NotSupportedException($"{Name} has no serial line");

    /// <summary>On a wire: whether it answers. A running Klipper must be none the worse for the question.</summary>
    /// <exception cref="FlashException">It answers, and cannot be used.</exception>
    public virtual Task<bool> AnswersAsync(ByteLine line, BootloaderTarget target) => Task.FromResult(false);

    /// <summary>Notes for a plan that leads through it.</summary>
    public virtual IEnumerable<Finding> Notes(Mcu mcu) => [];

    // ---- the operator's part

    /// <summary>Two quick presses of the reset button start it.</summary>
    public virtual bool StartsOnDoubleReset => false;

    /// <summary>BOOT0 starts it.</summary>
    public virtual bool StartsOnBoot0 => false;

    /// <summary>The next step of a manual entry, when it waits.</summary>
    /// <param name="board">The board.</param>
    /// <param name="commands">The sentence with the commands that write and start its firmware.</param>
    public virtual string NextStep(BoardProfile board, string commands) => commands;
}

/// <summary>The board that a bootloader is opened for.</summary>
/// <param name="Board">The board's name, for faults.</param>
/// <param name="Mcu">The chip that it should have.</param>
/// <param name="Start">Where its application begins.</param>
/// <param name="FlashEnd">The first address behind its flash.</param>
/// <param name="Polling">Shared by all boards of one run.</param>
/// <param name="Time">The only clock.</param>
public sealed record BootloaderTarget(string Board, Mcu Mcu, uint Start, uint FlashEnd, EarlyPolling Polling, TimeProvider Time)
{
    /// <summary>The node at the end of a line over CAN; null for other lines.</summary>
    public CanUuid? Node { get; init; }
}

/// <summary>
/// Bootloaders (by product and release) that stalled a status request before its announced time: they are not asked early again in this
/// run.
/// </summary>
public sealed class EarlyPolling
{
    private readonly HashSet<(string? Product, ushort Release)> _stalled = [];

    internal bool HasStalled(Device device) => _stalled.Contains((device.Product, device.Release));

    internal void Stalled(Device device) => _stalled.Add((device.Product, device.Release));
}

/// <summary>Every bootloader that the product knows.</summary>
public static class Drivers
{
    /// <summary>In the order in which a running Klipper tries them (Klipper src/stm32/stm32f4.c, bootloader_request).</summary>
    public static readonly ImmutableArray<BootloaderDriver> All =
    [
        new KatapultDriver(),
        new DfuSeDriver(),
        new Stm32UartDriver(),
        new PicobootDriver(),
        new GigaDeviceDriver(),
    ];

    /// <summary>The driver of this name; null where there is none. Recordings of version 0.1 spell <c>dfu-se</c> as <c>DfuSe</c>.</summary>
    public static BootloaderDriver? Find(string? name) => name is null ? null : All.FirstOrDefault(driver =>
        string.Equals(driver.Name.Replace("-", "", StringComparison.Ordinal), name.Replace("-", "", StringComparison.Ordinal),
            StringComparison.OrdinalIgnoreCase));

    /// <summary>The bootloader that a listed device is; null for all other devices.</summary>
    public static BootloaderDriver? Showing(this ImmutableArray<BootloaderDriver> drivers, Device device) =>
        drivers.FirstOrDefault(driver => driver.Shows(device));
}

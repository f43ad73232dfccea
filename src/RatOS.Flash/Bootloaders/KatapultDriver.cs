using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// Katapult, on USB, UART or CAN. Klipper starts it where its boot area carries Katapult's mark (Klipper src/generic/armcm_canboot.c).
/// </summary>
public sealed class KatapultDriver : BootloaderDriver
{
    public static readonly UsbId Id = new(0x1d50, 0x6177);

    // A block of one flash sector cannot be made the last one written.
    private const int LargestSafeSector = 64 * 1024;

    public override string Name => "katapult";

    public override string Label => "Katapult";

    public override bool Shows(Device device) => device.Usb == Id || device.CanNode is { InBootloader: true };

    public override bool IsOn(Mcu mcu) => mcu.MayHaveKatapult;

    public override bool IsReachedOver(BuildLink link) => true;

    /// <summary>Its USB product is the chip's name.</summary>
    public override bool MayHaveChip(Device device, string? chip) =>
        chip is null || Mcu.Find(device.Product ?? "") is null || string.Equals(device.Product, chip, StringComparison.OrdinalIgnoreCase);

    /// <summary>The unique id in memory order, upper-case hex, as Klipper shows it too (Katapult src/generic/usb_cdc.c).</summary>
    public override string? SerialOf(ChipEvidence chip) => chip.Uid is { } uid ? Convert.ToHexString(uid.Span) : null;

    public override CanUuid? UuidOf(Device device) => CanUuid.OfSerial(device.Serial);

    /// <summary>
    /// On a wire nothing tells before it is asked. Elsewhere firmware at the flash's very beginning leaves no room for it.
    /// </summary>
    public override bool? IsStartedByKlipper(BuildLink link, BoardProfile board) =>
        link == BuildLink.Uart ? null : board.Evidence?.Chip?.Katapult ?? (board.Bootloader?.Value == Name ? true
            : board is { Mcu: { } mcu, ApplicationStart.Value: var start } && mcu.ImageStart(start) == mcu.FlashBase ? false : null);

    public override bool IsKnownBelow(ChipEvidence chip) => chip.Katapult == true;

    public override bool ReplacesStock => true;

    public override string? WhyNotStarted(BoardProfile board) =>
        board.Evidence?.Chip?.Katapult == false ? "its boot area holds no Katapult" : null;

    /// <summary>
    /// Its frame at a wrong rate must not arrive as bytes of which one is 01: that wedges it until a reset (Katapult src/command.c). In
    /// samples of the frame at 115200 no other rate finds a 01; at 250000 only 115200 does, at 230400 only 250000, at 500000 only 230400. A
    /// Klipper with the default rate has a Katapult with its default rate.
    /// </summary>
    public override ImmutableArray<SerialMode> ModesOnWire(SerialMode klipper) => klipper == SerialMode.Klipper
        ? [SerialMode.Klipper, new(230_400), new(500_000), new(115_200)]
        : [new(115_200), SerialMode.Klipper, new(230_400), new(500_000)];

    public override async Task<Bootloader> OpenAsync(ByteLine line, BootloaderTarget target)
    {
        var katapult = await Katapult.OpenAsync(line, target.FlashEnd, target.Time);
        if (target.Node is { } uuid)
            await katapult.CheckNodeAsync(target.Board, uuid);
        return katapult;
    }

    /// <summary>
    /// Klipper answers its frame with a NAK and goes on, while Klipper's own frames would wedge Katapult for good: so it is asked first.
    /// </summary>
    public override async Task<bool> AnswersAsync(ByteLine line, BootloaderTarget target)
    {
        try
        {
            await Katapult.OpenAsync(line, target.FlashEnd, target.Time);
            return true;
        }
        catch (FlashException fault) when (fault.Kind == FaultKind.KatapultSilent)
        {
            return false;
        }
    }

    public override IEnumerable<Finding> Notes(Mcu mcu)
    {
        if (mcu is { IsStm32: true, Sectors: [> LargestSafeSector, ..] })
            yield return PlanFindings.NoSafeOrder();
    }

    public override bool StartsOnDoubleReset => true;
}

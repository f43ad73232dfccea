using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>The road of one board.</summary>
public sealed partial record BoardPlan
{
    private BoardPlan(FlashRequest request) => Request = request;

    public FlashRequest Request { get; }

    public string Name => Request.Board.Name;

    public Board Board => Request.Board.Board;

    /// <summary>Where the board is now; null when it was not found.</summary>
    public Device? Device { get; private init; }

    public FlashEntry Entry { get; private init; }

    /// <summary>The bootloader that is there, or that is expected; null while both kinds are possible.</summary>
    public BootloaderKind? Bootloader { get; private init; }

    public BoardEvidence? Evidence { get; private init; }

    public ImmutableArray<Finding> Findings { get; private init; } = [];

    /// <summary>What stands against flashing this board; null when nothing does.</summary>
    public FlashException? Blocker => Findings.FirstOrDefault(finding => finding.Severity == FindingSeverity.Blocker)?.ToFault();

    public bool IsBlocked => Blocker is not null;

    /// <summary>The version that runs before the flash, as far as anybody said.</summary>
    public string? RunningVersion => Request.Job == FlashJob.ConfirmSdCard ? Request.Board.RunningVersion : Evidence?.Version ?? Request.Board.RunningVersion;

    /// <summary>The road as people say it.</summary>
    public string Route => (Entry, Bootloader) switch
    {
        (FlashEntry.InBootloader, BootloaderKind.Stm32Uart) => "waits in its ROM on the UART -> write",
        (FlashEntry.InBootloader, BootloaderKind.Katapult) => "waits in Katapult -> write",
        (FlashEntry.InBootloader, _) => "waits in USB DFU -> write",
        (FlashEntry.CanRequest, _) when !IsCanBridge => "Klipper on CAN -> Katapult on CAN -> write",
        (FlashEntry.CanRequest, BootloaderKind.Katapult) => "bridge's Klipper on CAN -> Katapult on USB -> write",
        (FlashEntry.CanRequest, BootloaderKind.DfuSe) => "bridge's Klipper on CAN -> USB DFU -> write",
        (FlashEntry.CanRequest, _) => "bridge's Klipper on CAN -> USB DFU (or Katapult, if the board has it) -> write",
        (FlashEntry.Touch or FlashEntry.UartRequest, BootloaderKind.Katapult) => "Klipper -> Katapult -> write",
        (FlashEntry.Touch, BootloaderKind.DfuSe) => "Klipper -> USB DFU -> write",
        (FlashEntry.Touch, _) => "Klipper -> USB DFU (or Katapult, if the board has it) -> write",
        (FlashEntry.ByHand, _) => "a person starts the bootloader -> write",
        (FlashEntry.SdCard, _) => "a person carries its firmware on a card into the board's SD slot -> its maker's bootloader writes it",
        (FlashEntry.Replace, _) => "a process of this computer -> its program is replaced -> started anew",
        _ => "no road",
    };

    internal static BoardPlan Create(FlashRequest request, DeviceList seen, BoardEvidence? evidence)
    {
        var plan = Judge(request, seen, evidence);
        if (request.SkipReason is { } reason)
            return plan with { Findings = [new(FindingSeverity.Note, FaultKind.Needless, reason, "Nothing to do; name the board to flash it all the same.")] };
        return plan with
        {
            Findings = [.. request.Findings.Where(told => (plan is { Device: null, Entry: not FlashEntry.SdCard } || !told.Kind.EndsWhenBoardAppears) && plan.Findings.All(found => found.Kind != told.Kind)), .. plan.Findings],
        };
    }

    private static BoardPlan Judge(FlashRequest request, DeviceList seen, BoardEvidence? evidence)
    {
        var findings = ImmutableArray.CreateBuilder<Finding>();
        var plan = new BoardPlan(request) { Evidence = evidence };
        var board = request.Board.Board;
        var guide = BoardGuide.Of(board);
        if (guide.Road == BoardRoad.Process)
            return CreateProcess(request, evidence);
        if (board.Mcu is not { } mcu || board.ApplicationStart is not { } start)
        {
            findings.Add(Finding.Blocker(BoardFaults.NoRoad(request.Board.Name, WhyNoRoad(board, guide.Road), guide.Text)));
            return plan with { Findings = findings.ToImmutable() };
        }

        if (request.UsesSdCard)
            return CreateBySdCard(request, mcu, start, seen, evidence);
        var device = request.Board.CanUuid is { } uuid ? FindOnCan(request.Board, uuid, seen, findings) : FindDevice(request.Board, mcu, seen, findings);
        if (guide.Road is BoardRoad.Uf2 or BoardRoad.DfuUtil && device?.Usb != UsbId.Rp2040Boot && device?.Usb != UsbId.Rp2350Boot)
        {
            // Whether the board is there does not matter: it must not even be sent into its bootloader.
            findings.Insert(0, Finding.Blocker(BoardFaults.NoRoad(request.Board.Name, WhyNoRoad(board, guide.Road), guide.Text)));
            JudgeImage(request, mcu, start, evidence, findings);
            return plan with { Device = device, Findings = findings.ToImmutable() };
        }
        var isBridge = device is not null && IsBridge(request, device, seen, evidence);
        var (entry, kind) = device is null ? (FlashEntry.None, (BootloaderKind?)null) : Road(board, device, isBridge, evidence);
        if (device is not null && request.Board.Bootloader is { } asked)
            (entry, kind) = AskedRoad(request.Board.Name, mcu, device, asked, (entry, kind), findings);
        plan = plan with { Device = device, Entry = entry, Bootloader = kind, IsCanBridge = isBridge };
        if (device is { Can: not null } && entry == FlashEntry.None)
            findings.Add(Finding.Blocker(CanFaults.CanNoKatapult(request.Board.Name)));
        if (device is not null)
            JudgeCanImage(request, device, isBridge, findings);
        if (entry == FlashEntry.ByHand)
            findings.Add(Finding.Of(FindingSeverity.Warning, NeedsHand(request.Board.Name, board, evidence)));
        if (device?.Usb is { } id && (id == UsbId.Rp2040Boot || id == UsbId.Rp2350Boot))
            findings.Add(Finding.Blocker(BoardFaults.NoRoad(request.Board.Name, "it waits in its ROM (BOOTSEL), which takes a .uf2 copied onto its drive", BoardGuide.InBootsel(board))));
        if (device?.Usb == UsbId.GigaDeviceDfu)
            findings.Add(Finding.Blocker(BoardFaults.CloneRefused(device.ToString())));

        JudgeEvidence(request.Board.Name, mcu, evidence, findings);
        JudgeImage(request, mcu, start, evidence, findings);
        JudgeCircumstances(board, entry, kind, mcu, findings);
        return plan with { Findings = findings.ToImmutable() };
    }

    /// <summary>
    /// By its port where that is known, by its serial where it runs Klipper. A bootloader at an unknown port is never taken for the board merely
    /// because it is the only one there.
    /// </summary>
    private static Device? FindDevice(PrinterBoard board, Mcu mcu, DeviceList seen, ImmutableArray<Finding>.Builder findings)
    {
        var wanted = board.Port is { } pinned ? $"at port {pinned}" : $"Klipper with the serial '{board.Serial}'";
        var matches = board.Port is { } port
            ? seen.Devices.Where(device => device.Port == port || device.Node == port).ToList()
            : seen.Devices.Where(device => device.Usb == UsbId.Klipper && device.Serial == board.Serial).ToList();
        // A board that remembers its port may have been plugged in elsewhere since; its Klipper still tells its name.
        if (matches.Count == 0 && board is { Port: not null, Serial: not null, OnlyByPort: false })
            matches = [.. seen.Devices.Where(device => device.Usb == UsbId.Klipper && device.Serial == board.Serial)];
        switch (matches)
        {
            case [var device]:
                // An adapter's own ids say nothing of what is behind it: where a ROM is said to wait there, it is a wire like any other.
                if (board.Bootloader == BootloaderKind.Stm32Uart && device is { Usb: not null, Node: not null } && !IsOurs(device))
                    return device with { Usb = null };
                if (device.Usb is not null && !IsOurs(device))
                    findings.Add(Finding.Blocker(BoardFaults.BoardNotSeen(board.Name, wanted, seen.Description)));
                else if (device.Usb == UsbId.Klipper && board.Serial is { } serial && device.Serial != serial)
                    findings.Add(new(
                        FindingSeverity.Warning, FaultKind.OtherSerial, $"The board at {device.Port} announces the serial '{device.Serial}', not '{serial}'.",
                        "See that this is the right board; firmware with another serial changes its name for Klipper."));
                return device;
            case []:
                var lost = seen.Devices.Where(device => device.Usb == UsbId.StmDfu && mcu.IsStm32 || (device.Usb == UsbId.Katapult && device.Product == mcu.Name)).ToList();
                findings.Add(Finding.Blocker(lost.Count == 0
                    ? BoardFaults.BoardNotSeen(board.Name, wanted, seen.Description)
                    : BoardFaults.WhichBootloader(board.Name, lost.Select(device => device.Port))));
                return null;
            default:
                findings.Add(Finding.Blocker(BoardFaults.BoardsAlike(board.Name, matches.Select(device => device.Port))));
                return null;
        }
    }

    private static bool IsOurs(Device device) => device.Usb is { } id && (id == UsbId.Klipper || id.IsBootloader);

    private static (FlashEntry, BootloaderKind?) Road(Board board, Device device, bool isBridge, BoardEvidence? evidence)
    {
        if (device.IsWired)
            return (FlashEntry.UartRequest, BootloaderKind.Katapult);
        if (device.CanNode is { IsKatapult: true })
            return (FlashEntry.InBootloader, BootloaderKind.Katapult);
        if (device.Usb == UsbId.Katapult)
            return (FlashEntry.InBootloader, BootloaderKind.Katapult);
        if (device.Usb == UsbId.StmDfu)
            return (FlashEntry.InBootloader, BootloaderKind.DfuSe);
        if (device.Usb != UsbId.Klipper && device.Can is null)
            return (FlashEntry.None, null);
        // Klipper tries Katapult first and the ROM second (facts: software entry); only the board itself knows whether Katapult is there.
        var canHaveKatapult = board.ApplicationStart != board.Mcu?.FlashBase;
        if (device.Can is not null && !isBridge)
            return canHaveKatapult && evidence?.Chip?.Katapult != false ? (FlashEntry.CanRequest, BootloaderKind.Katapult) : (FlashEntry.None, null);
        var request = isBridge ? FlashEntry.CanRequest : FlashEntry.Touch;
        return evidence?.Chip?.Katapult switch
        {
            true => (request, BootloaderKind.Katapult),
            false when !board.EntersDfu => (FlashEntry.ByHand, null),
            false => (request, BootloaderKind.DfuSe),
            null when !canHaveKatapult => board.EntersDfu ? (request, BootloaderKind.DfuSe) : (FlashEntry.ByHand, BootloaderKind.DfuSe),
            null when !board.Mcu!.IsStm32 => (request, BootloaderKind.Katapult),
            null => (request, null),
        };
    }

    /// <summary>What somebody named counts where nothing can be seen, and must not contradict what is seen.</summary>
    private static (FlashEntry, BootloaderKind?) AskedRoad(
        string name, Mcu mcu, Device device, BootloaderKind asked, (FlashEntry Entry, BootloaderKind? Kind) road, ImmutableArray<Finding>.Builder findings)
    {
        var contradiction = (device.Usb, asked) switch
        {
            (null, BootloaderKind.Stm32Uart) => mcu.IsStm32 ? null : $"a {mcu.Name} has no such ROM",
            (null, BootloaderKind.DfuSe) => $"{device.Port} is a wire, not USB",
            (not null, BootloaderKind.Stm32Uart) => $"{device} is on USB, not on a UART",
            _ => road.Kind is { } kind && kind != asked ? $"what is at {device.Port} leads to {NameOf(kind)}" : null,
        };
        if (contradiction is not null)
        {
            findings.Add(Finding.Blocker(BoardFaults.OtherBootloader(name, NameOf(asked), contradiction)));
            return road;
        }
        return asked == BootloaderKind.Stm32Uart ? (FlashEntry.InBootloader, asked) : (road.Entry, road.Kind ?? asked);
    }

    private static string NameOf(BootloaderKind kind) => kind switch
    {
        BootloaderKind.DfuSe => "USB DFU",
        BootloaderKind.Katapult => "Katapult",
        _ => "the ROM's UART bootloader",
    };

    private static FlashException NeedsHand(string name, Board board, BoardEvidence? evidence)
    {
        var noRom = $"Klipper on {board.McuName} cannot start the ROM's USB DFU";
        var why = evidence?.Chip?.Katapult == false ? $"its boot area holds no Katapult, and {noRom}" : noRom;
        return FlashFaults.NeedsBootloaderByHand(name, why, Guide(board));
    }

    /// <summary>What a person has to do before this board can be flashed; null when nothing.</summary>
    internal FlashException? ByHand => Entry == FlashEntry.ByHand ? NeedsHand(Name, Board, Evidence) : null;

    /// <summary>The manual way into the bootloader, in the catalogue's words.</summary>
    internal static string Guide(Board board) =>
        BoardGuide.Of(board) is var guide && guide.Road == BoardRoad.SdCard ? guide.Text : (guide with { Steps = BoardGuide.EnterSteps(board) }).Text;

    private static string WhyNoRoad(Board board, BoardRoad road) => road switch
    {
        BoardRoad.Uf2 => $"a {board.McuName} without Katapult takes its firmware as a .uf2, copied onto the drive of its ROM",
        BoardRoad.DfuUtil => $"its firmware begins at {board.ApplicationStart:x8}, inside a flash sector whose other part belongs to its bootloader",
        BoardRoad.Avrdude => $"its chip ({board.McuName}) is an AVR",
        BoardRoad.OwnUpdater => "its firmware is not Klipper's; who made it updates it",
        _ => board.Mcu is null ? $"its chip ({board.McuName ?? "none"}) is not supported" : "its application start is not known",
    };

    private static void JudgeEvidence(string name, Mcu mcu, BoardEvidence? evidence, ImmutableArray<Finding>.Builder findings)
    {
        if (evidence is null)
            return;
        if (!string.Equals(evidence.Mcu, mcu.Name, StringComparison.OrdinalIgnoreCase))
            findings.Add(Finding.Blocker(BoardFaults.WrongMcu(name, mcu.Name, $"its firmware runs on a {evidence.Mcu}")));
        else if (evidence.Chip?.IdCode is { } id && !mcu.IdCodes.Contains(id))
            findings.Add(Finding.Blocker(BoardFaults.WrongMcu(name, mcu.Name, $"its chip id is {id:x3}")));
    }

    private static void JudgeImage(FlashRequest request, Mcu mcu, uint start, BoardEvidence? evidence, ImmutableArray<Finding>.Builder findings)
    {
        if (request.Image is not { } image)
            return;
        var flashEnd = evidence?.Chip?.FlashKib is { } kib and > 0 ? mcu.FlashBase + ((uint)kib * 1024) : mcu.FlashEnd;
        if (image.Misfit(mcu, start, Math.Min(flashEnd, mcu.FlashEnd)) is { } misfit)
            findings.Add(Finding.Blocker(misfit));
        JudgeVersion(request, evidence, findings);
    }

    private static void JudgeVersion(FlashRequest request, BoardEvidence? evidence, ImmutableArray<Finding>.Builder findings)
    {
        if (request.Image is { } image && image.Version == (evidence?.Version ?? request.Board.RunningVersion))
            findings.Add(new(FindingSeverity.Note, FaultKind.SameVersion, $"The board already runs {image.Version}.", "Flashing it again is harmless."));
    }

    private static void JudgeCircumstances(Board board, FlashEntry entry, BootloaderKind? kind, Mcu mcu, ImmutableArray<Finding>.Builder findings)
    {
        if (entry is FlashEntry.Touch or FlashEntry.CanRequest && kind != BootloaderKind.Katapult && board.Preconditions.Contains("sd-slot-empty"))
            findings.Add(new(
                FindingSeverity.Note, FaultKind.SdSlotEmpty, "A card in the board's SD slot can keep the bootloader from showing up, or flash an old file.",
                "If there is a card in the slot, take it out."));
        if (kind == BootloaderKind.Stm32Uart)
            findings.Add(new(
                FindingSeverity.Note, FaultKind.Boot0Jumper, "The flash ends with a reset: with BOOT0 still set the board comes back in its ROM.",
                "Take the jumper off now: the ROM goes on waiting, as BOOT0 counts only at a reset."));
        if (kind == BootloaderKind.Katapult && mcu is { IsStm32: true, Sectors: [> 64 * 1024, ..] })
            findings.Add(new(
                FindingSeverity.Note, FaultKind.NoSafeOrder, "The firmware lies in one flash sector: a power cut during the write needs a double reset afterwards.",
                "Keep the power on during the write."));
    }
}

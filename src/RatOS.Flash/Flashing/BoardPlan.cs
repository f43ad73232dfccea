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

    /// <summary>The bootloader that is there, or that is expected; null while several are possible.</summary>
    public BootloaderDriver? Bootloader { get; private init; }

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
        (FlashEntry.InBootloader, { } driver) => $"waits in {driver.Place} -> write",
        (FlashEntry.CanRequest, { } driver) when !IsCanBridge => $"Klipper on CAN -> {driver.LabelOn(BuildLink.Can)} -> write",
        (FlashEntry.CanRequest, { } driver) => $"bridge's Klipper on CAN -> {driver.LabelOn(BuildLink.Usb)} -> write",
        (FlashEntry.CanRequest, null) => $"bridge's Klipper on CAN -> {AnyOf(Candidates(Request.Board, BuildLink.Usb))} -> write",
        (FlashEntry.Touch or FlashEntry.UartRequest, { } driver) => $"Klipper -> {driver.Label} -> write",
        (FlashEntry.Touch, null) => $"Klipper -> {AnyOf(Candidates(Request.Board, BuildLink.Usb))} -> write",
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
        var refusal = device is null ? null : request.Board.Drivers.Showing(device)?.Refusal(request.Board.Name, board, device);
        if (guide.Road is BoardRoad.Uf2 or BoardRoad.DfuUtil && refusal is null)
        {
            // Whether the board is there does not matter: it must not even be sent into its bootloader.
            findings.Insert(0, Finding.Blocker(BoardFaults.NoRoad(request.Board.Name, WhyNoRoad(board, guide.Road), guide.Text)));
            JudgeImage(request, mcu, start, evidence, findings);
            return plan with { Device = device, Findings = findings.ToImmutable() };
        }
        var isBridge = device is not null && IsBridge(request, device, seen, evidence);
        var (entry, driver) = device is null || refusal is not null ? (FlashEntry.None, null) : Road(request.Board, device, isBridge, evidence?.Chip);
        if (device is not null && request.Board.Bootloader is { } asked)
            (entry, driver) = AskedRoad(request.Board.Name, mcu, device, asked, (entry, driver), findings);
        plan = plan with { Device = device, Entry = entry, Bootloader = driver, IsCanBridge = isBridge };
        if (device is { Can: not null } && entry == FlashEntry.None)
            findings.Add(Finding.Blocker(CanFaults.CanNoKatapult(request.Board.Name)));
        if (device is not null)
            JudgeCanImage(request, device, isBridge, findings);
        if (entry == FlashEntry.ByHand)
            findings.Add(Finding.Of(FindingSeverity.Warning, NeedsHand(request.Board, evidence)));
        if (refusal is not null)
            findings.Add(Finding.Blocker(refusal));

        JudgeEvidence(request.Board.Name, mcu, evidence, findings);
        JudgeImage(request, mcu, start, evidence, findings);
        JudgeCircumstances(board, entry, driver, mcu, findings);
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
                if (board.Bootloader is { IsUnlisted: true } && device is { Usb: not null, Node: not null } && !IsOurs(board, device))
                    return device with { Usb = null };
                if (device.Usb is not null && !IsOurs(board, device))
                    findings.Add(Finding.Blocker(BoardFaults.BoardNotSeen(board.Name, wanted, seen.Description)));
                else if (device.Usb == UsbId.Klipper && board.Serial is { } serial && device.Serial != serial)
                    findings.Add(new(
                        FindingSeverity.Warning, FaultKind.OtherSerial, $"The board at {device.Port} announces the serial '{device.Serial}', not '{serial}'.",
                        "See that this is the right board; firmware with another serial changes its name for Klipper."));
                return device;
            case []:
                var lost = seen.Devices.Where(device => device.Usb is not null && board.Drivers.Showing(device)?.MayHaveChip(device, mcu.Name) == true).ToList();
                findings.Add(Finding.Blocker(lost.Count == 0
                    ? BoardFaults.BoardNotSeen(board.Name, wanted, seen.Description)
                    : BoardFaults.WhichBootloader(board.Name, lost.Select(device => device.Port))));
                return null;
            default:
                findings.Add(Finding.Blocker(BoardFaults.BoardsAlike(board.Name, matches.Select(device => device.Port))));
                return null;
        }
    }

    private static bool IsOurs(PrinterBoard board, Device device) => device.Usb == UsbId.Klipper || (device.Usb is not null && board.Drivers.Showing(device) is not null);

    /// <summary>A bootloader of this board, by what the bus shows.</summary>
    internal bool IsBootloader(Device device) => Request.Board.Drivers.Showing(device) is not null;

    /// <summary>Bootloaders that a running Klipper of this chip may start, in the order in which it tries them.</summary>
    private static List<BootloaderDriver> Candidates(PrinterBoard board, BuildLink link) =>
        [.. board.Drivers.Where(driver => !driver.IsUnlisted && driver.IsReachedOver(link) && board.Board.Mcu is { } mcu && driver.IsOn(mcu))];

    private static string AnyOf(List<BootloaderDriver> drivers) =>
        $"{drivers[^1].Label} (or {string.Join(" or ", drivers.SkipLast(1).Select(driver => driver.Label))}, if the board has it)";

    private static (FlashEntry, BootloaderDriver?) Road(PrinterBoard board, Device device, bool isBridge, ChipEvidence? chip)
    {
        if (board.Drivers.Showing(device) is { } waiting)
            return (FlashEntry.InBootloader, waiting);
        if (device is { IsWired: false, Can: null } && device.Usb != UsbId.Klipper)
            return (FlashEntry.None, null);
        var link = device.IsWired ? BuildLink.Uart : device.Can is not null && !isBridge ? BuildLink.Can : BuildLink.Usb;
        var request = device.IsWired ? FlashEntry.UartRequest : device.Can is not null ? FlashEntry.CanRequest : FlashEntry.Touch;
        var candidates = Candidates(board, link);
        foreach (var driver in candidates)
        {
            switch (driver.IsStartedByKlipper(link, board.Board, chip))
            {
                case true:
                    return (request, driver);
                // Only the board itself knows whether this one is there.
                case null:
                    return (request, candidates.Count == 1 ? driver : null);
            }
        }
        return link == BuildLink.Can ? (FlashEntry.None, null) : (FlashEntry.ByHand, candidates.Find(driver => driver.StartsOnBoot0));
    }

    /// <summary>What somebody named counts where nothing can be seen, and must not contradict what is seen.</summary>
    private static (FlashEntry, BootloaderDriver?) AskedRoad(
        string name, Mcu mcu, Device device, BootloaderDriver asked, (FlashEntry Entry, BootloaderDriver? Driver) road, ImmutableArray<Finding>.Builder findings)
    {
        var link = device.Usb is not null ? BuildLink.Usb : device.Can is not null ? BuildLink.Can : BuildLink.Uart;
        var contradiction = asked switch
        {
            _ when asked.IsReachedOver(link) => asked.IsUnlisted
                ? asked.IsOn(mcu) ? null : $"a {mcu.Name} has no such ROM"
                : road.Driver is { } found && found != asked ? $"what is at {device.Port} leads to {found.Label}" : null,
            _ when link == BuildLink.Usb => $"{device} is on USB, not on a UART",
            _ => $"{device.Port} is {(link == BuildLink.Can ? "a CAN bus" : "a wire")}, not USB",
        };
        if (contradiction is not null)
        {
            findings.Add(Finding.Blocker(BoardFaults.OtherBootloader(name, asked.Label, contradiction)));
            return road;
        }
        return asked.IsUnlisted ? (FlashEntry.InBootloader, asked) : (road.Entry, road.Driver ?? asked);
    }

    private static FlashException NeedsHand(PrinterBoard board, BoardEvidence? evidence)
    {
        var why = Candidates(board, BuildLink.Usb).Select(driver => driver.WhyNotStarted(board.Board, evidence?.Chip)).OfType<string>();
        return FlashFaults.NeedsBootloaderByHand(board.Name, string.Join(", and ", why), Guide(board.Board));
    }

    /// <summary>What a person has to do before this board can be flashed; null when nothing.</summary>
    internal FlashException? ByHand => Entry == FlashEntry.ByHand ? NeedsHand(Request.Board, Evidence) : null;

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

    private static void JudgeCircumstances(Board board, FlashEntry entry, BootloaderDriver? driver, Mcu mcu, ImmutableArray<Finding>.Builder findings)
    {
        if (entry is FlashEntry.Touch or FlashEntry.CanRequest && driver is not { ReplacesVendors: true } && board.Preconditions.Contains("sd-slot-empty"))
            findings.Add(new(
                FindingSeverity.Note, FaultKind.SdSlotEmpty, "A card in the board's SD slot can keep the bootloader from showing up, or flash an old file.",
                "If there is a card in the slot, take it out."));
        if (driver is not null)
            findings.AddRange(driver.Notes(mcu));
    }
}

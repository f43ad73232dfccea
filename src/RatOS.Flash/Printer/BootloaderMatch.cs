using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Printer;

/// <summary>
/// Assigns bootloaders that wait on the buses to absent boards: by proof, or where a bootloader can be one board's alone.
/// </summary>
internal sealed class BootloaderMatch(InventorySources sources, List<InventoryDraft> drafts)
{
    public void Match()
    {
        var waiting = sources.Seen.Devices
            .Where(device => InventorySources.IsBootloader(device) && drafts.TrueForAll(draft => draft.Device != device)).ToList();
        var missing = drafts.FindAll(draft => draft.IsMissing && draft.NotOurs is null
            && draft.Findings.TrueForAll(finding => finding.Kind != FaultKind.BoardsAlike));
        foreach (var draft in missing.ToList())
        {
            if (waiting.FindAll(device => IsProof(draft, device)) is not [var its])
                continue;
            draft.Device = its;
            waiting.Remove(its);
            missing.Remove(draft);
        }
        var fits = missing.ToDictionary(draft => draft, draft => waiting.FindAll(device => MayBe(draft, device)));
        foreach (var draft in missing)
        {
            if (fits[draft] is [var only] && fits.Count(other => other.Value.Contains(only)) == 1)
            {
                draft.Device = only;
                draft.Findings.Add(Finding.Of(FindingSeverity.Warning, BoardFaults.BootloaderAssumed(draft.Name, only.ToString())));
            }
            else
            {
                draft.Findings.Add(fits[draft].Count > 0
                    ? Finding.Blocker(BoardFaults.WhichBootloader(draft.Name, fits[draft].Select(device => device.Port)))
                    : draft.Section.IsNonCritical ? PlanFindings.BoardAway(draft.Name, draft.SectionText)
                    : Finding.Blocker(Absence(draft)));
            }
        }
    }

    private FlashException Absence(InventoryDraft draft)
    {
        // Other power devices switch lights and fans: only the one that the user assigned to the board is its supply.
        var off = sources.Power.Where(device => !device.IsOn && device.Name == draft.Described?.Power)
            .Select(device => $"the power device '{DataDictionary.Clean(device.Name)}'").ToList();
        if (off.Count > 0)
            return BoardFaults.NoPower(draft.Name, off);
        if (sources.Seen.Devices.FirstOrDefault(device => device is { Usb: not null, RunsKlipper: false } && draft.Path.Serial is { } serial
            && PathEvidence.Udev(device.Serial) == serial && !InventorySources.IsBootloader(device)) is { } foreigner)
        {
            return BoardFaults.ForeignFirmware(draft.Name, $"port {foreigner.Port}", foreigner.Identity);
        }
        if (draft.Uuid is not null)
            return CanFaults.CanMissing(draft.Name, draft.Interface, sources.Seen.Description);
        var wanted = $"at {DataDictionary.Clean(draft.Section.Serial ?? "")}";
        return Unnamed(draft) is { Count: > 0 } unnamed
            ? BoardFaults.BoardUnderAnotherSerial(draft.Name, wanted, draft.SectionText,
                unnamed.ConvertAll(device => DataDictionary.Clean($"{device.Product} with serial {device.Serial} at {device.Port}")),
                unnamed.ConvertAll(sources.LinkTo), sources.Seen.Description)
            : BoardFaults.BoardNotSeen(draft.Name, wanted, sources.Seen.Description, BoardGuide.EnterInOneLine(draft.Profile));
    }

    /// <summary>
    /// Boards with Klipper on the chip of an absent one that no section and no description names: the absent one may have got another
    /// serial, by an exchange or by firmware of other options.
    /// </summary>
    private List<Device> Unnamed(InventoryDraft draft) => draft.Path.Chain is not null || draft.Chip is not { } chip ? []
        : [.. sources.Seen.Devices.Where(device => device is { RunsKlipper: true, Can: null, Serial: not null }
                && InventorySources.IsSame(device.Product, chip) && drafts.TrueForAll(other => other.Device != device)
                && sources.OwnUpdaterOf(device) is null && !sources.Described.Any(board => Describes(board, device)))];

    private static bool Describes(PrinterBoard board, Device device) =>
        board.Port is { } port ? port == device.Port || port == device.Node : board.Serial == device.Serial;

    /// <summary>Its port, or a serial that follows from the chip's unique id.</summary>
    private bool IsProof(InventoryDraft draft, Device device)
    {
        var driver = Drivers.All.Showing(device);
        if (draft.Path is { Chain: not null } path && !path.Names(device, sources.ControllerOf(device)))
            return false;
        if (draft.WasAt(device) && Fits(draft, device))
            return true;
        if (draft.Described?.Port is { } port && (port == device.Port || port == device.Node))
            return true;
        if (draft.Uuid is { } uuid)
            return driver?.UuidOf(device) == uuid;
        return draft.Path.Serial is { Length: 24 } serial && serial.All(char.IsAsciiHexDigit)
            && InventorySources.IsSame(device.Serial, driver?.SerialOf(new ChipEvidence { Uid = Convert.FromHexString(serial) }));
    }

    /// <summary>A board that is known by its port is not somewhere else.</summary>
    private static bool MayBe(InventoryDraft draft, Device device) =>
        draft.Described?.Port is null && draft.Path.Chain is null && Fits(draft, device);

    private static bool Fits(InventoryDraft draft, Device device) => Drivers.All.Showing(device)?.MayHaveChip(device, draft.Chip) == true;
}

using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>Builds an inventory: finds the device and the kind of each section's MCU, then looks at what is left over.</summary>
internal sealed class InventoryBuilder(InventorySources sources)
{
    private readonly List<InventoryDraft> _drafts = [.. sources.Sections.Select(section =>
        new InventoryDraft(section, sources.Klippy.Of(section.Name), sources.Ports.GetValueOrDefault(section.Name)))];

    public ImmutableArray<PrinterMcu> Build()
    {
        _drafts.ForEach(Locate);
        _drafts.ForEach(Recall);
        _drafts.ForEach(Describe);
        DescribeTheOnlyOnes();
        foreach (var draft in _drafts)
        {
            draft.Kind = (draft.Described is { Board.IsUnknown: false } described ? described.Board : null) ?? draft.Kind ?? KindOf(draft);
            draft.NotOurs = draft.Described is null ? WhyNotOurs(draft) : null;
        }
        CheckClaims();
        _drafts.ForEach(CheckKind);
        _drafts.ForEach(CheckDriver);
        NameAll();
        new BootloaderMatch(sources, _drafts).Match();
        var mcus = _drafts.ConvertAll(Finish);
        mcus.AddRange(new UnlistedMcus(sources, _drafts).After(mcus));
        return [.. mcus];
    }

    // ---- the device

    private void Locate(InventoryDraft draft)
    {
        if (draft.Section.CanbusUuid is { Length: > 0 } uuid)
        {
            LocateOnCan(draft, uuid);
            return;
        }
        if (draft.Section.Serial is not { Length: > 0 } path)
            return;
        draft.Path = PathEvidence.Of(path);
        if (ProcessAt(path, draft.Klippy?.Chip) is { } process)
        {
            draft.Kind = process;
            return;
        }
        var node = sources.Resolve(path);
        draft.IsByPort = draft.Path is { Serial: null };
        draft.Device = sources.Seen.Devices.FirstOrDefault(device => device.Node == node) is { } there ? Seen(draft, there) : ByPath(draft);
        draft.IsMissing = draft.Device is null;
    }

    /// <summary>A converter is a wire: by its maker, or because Klipper reported a UART's firmware behind it.</summary>
    private static Device Seen(InventoryDraft draft, Device device) => device is { Usb: not null, RunsKlipper: false }
        && (device.IsSerialAdapter || draft.IsToldOnUart) ? device.AsWire : device;

    private void LocateOnCan(InventoryDraft draft, string text)
    {
        if (CanUuid.TryParse(text.Trim()) is not { } uuid)
        {
            draft.Findings.Add(Finding.Blocker(BoardFaults.BadUuid(draft.Section.Name, DataDictionary.Clean(text))));
            return;
        }
        draft.Uuid = uuid;
        var onBus = sources.Seen.Devices.Where(device => device.Can is not null && device.Port == draft.Interface).ToList();
        // A node that has its number does not answer a query: only its interface is visible.
        draft.Device = onBus.Find(device => device.CanNode?.Uuid == uuid) ?? onBus.Find(device => device.CanNode is null);
        draft.IsMissing = draft.Device is null;
    }

    /// <summary>The process that is an MCU, by the name of its pseudo terminal or by the chip in Klipper's report.</summary>
    private Board? ProcessAt(string path, string? chip)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        var hosts = sources.Catalogue.Boards.Where(board => board.Kind == "host").ToList();
        return hosts.Find(board => board.HostPty == name) ?? (chip == "linux" ? hosts.FirstOrDefault() : null);
    }

    /// <summary>No link leads there: parts of the path may still identify the device.</summary>
    private Device? ByPath(InventoryDraft draft)
    {
        var path = draft.Path;
        var found = path switch
        {
            { Serial: { } serial } =>
                sources.Seen.Devices.Where(device => device.RunsKlipper && PathEvidence.Udev(device.Serial) == serial
                && (path.Product is null || PathEvidence.Udev(device.Product) == path.Product)).ToList(),
            { Chain: not null } => [.. sources.Seen.Devices.Where(device =>
                (device.RunsKlipper || InventorySources.IsBootloader(device)) && path.Names(device, sources.ControllerOf(device)))],
            _ => [],
        };
        // Without its controller a device is at the port of every section that names that chain.
        if (found is [var uncertain] && path.Chain is not null && sources.ControllerOf(uncertain) is null
            && _drafts.Exists(other => other.Section.Serial is { } serial && PathEvidence.Of(serial) is { Chain: { } chain } its
                && chain == path.Chain && its.Controller != path.Controller))
            return null;
        if (found.Count > 1)
            draft.Findings.Add(Finding.Blocker(BoardFaults.BoardsAlike(draft.Section.Name, found.Select(device => device.Port))));
        return found is [var one] ? one : null;
    }

    private void Recall(InventoryDraft draft) => draft.Identity = sources.Identities.FirstOrDefault(identity => identity.IsOf(
        draft.Device is { RunsKlipper: true } device ? device.Serial : draft.Path.Serial, draft.Uuid,
        draft.Device is { IsWired: true } wired ? wired.Port : null, draft.Klippy?.Constants ?? ImmutableDictionary<string, string>.Empty));

    // ---- the kind

    private void Describe(InventoryDraft draft) => draft.Described = sources.Described.FirstOrDefault(board =>
        InventorySources.IsSame(board.Name, draft.Section.Name) || InventorySources.IsSame(board.Name, draft.Section.Own)
        || (board.CanUuid is { } uuid && uuid == draft.Uuid)
        || (board.Port is { } port && (port == draft.Section.Serial || port == draft.Device?.Node
            || (draft.Device is { Can: null } device && port == device.Port))));

    /// <summary>A description of no more than a kind means the only board of that kind.</summary>
    private void DescribeTheOnlyOnes()
    {
        foreach (var board in sources.Described.Where(board => board is { Port: null, CanUuid: null } && !IsTaken(board)))
        {
            if (_drafts.FindAll(draft => draft.Described is null && (draft.Kind ?? KindOf(draft)) is { } kind
                && (board.Board.IsUnknown ? InventorySources.IsSame(kind.ShortName, board.Name) : kind.Id == board.Board.Id)) is [var only])
                only.Described = board;
        }
    }

    private bool IsTaken(PrinterBoard described) => _drafts.Exists(draft => draft.Described == described);

    private Board? KindOf(InventoryDraft draft) => sources.Catalogue.FindBySerial(draft.Path.Serial) ?? sources.KindOf(draft.Device)
        ?? (draft.Section.Serial is { } path ? sources.Catalogue.Boards.FirstOrDefault(board => board.Symlinks.Contains(path)) : null);

    /// <summary>Why its firmware is not built here; null where it is.</summary>
    private string? WhyNotOurs(InventoryDraft draft)
    {
        if (draft.Device is { Can: null } device)
        {
            if (sources.OwnUpdaterOf(device) is { } maker)
                return UnlistedMcus.ReasonOf(maker);
            if (IsForeign(draft, device))
                return $"it runs {DataDictionary.Clean(device.Identity)}, which is not Klipper's firmware";
        }
        if ((InventorySources.MakerIn(draft.Path.Maker) ?? InventorySources.MakerIn(draft.Path.Product)) is { } named)
            return UnlistedMcus.ReasonOf(named);
        if (draft.Kind is { } kind)
            return kind.Kind == "probe" ? UnlistedMcus.ReasonOf(kind.ShortName ?? kind.Id) : null;
        return InventorySources.MakerIn(draft.Section.Own) is { } probe ? UnlistedMcus.ReasonOf(probe) : null;
    }

    /// <summary>
    /// Other firmware than Klipper's: by its own manufacturer under Klipper's USB id, or, of a board of no known kind, by any other id.
    /// </summary>
    private static bool IsForeign(InventoryDraft draft, Device device) =>
        device is { IsWired: false, RunsKlipper: false } && !InventorySources.IsBootloader(device)
            && (device.Usb == UsbId.Klipper || draft is { Kind: null, Running: null });

    // ---- checks

    private void CheckClaims()
    {
        foreach (var shared in _drafts.GroupBy(Claim).Where(group => group.Key is not null && group.Count() > 1))
        {
            var names = shared.Select(draft => $"[{draft.SectionText}]").ToList();
            foreach (var draft in shared)
                draft.Findings.Add(Finding.Blocker(BoardFaults.TwoSections(shared.Key!, names)));
        }
    }

    /// <summary>A board of another kind at its port, or another chip by any other source than its kind.</summary>
    private void CheckKind(InventoryDraft draft)
    {
        if (draft.Kind is { } kind && sources.KindOf(draft.Device) is { } there && there.Id != kind.Id)
        {
            var port = draft.Section.Serial ?? draft.Device!.Port;
            draft.Findings.Add(Finding.Blocker(BoardFaults.PortOfAnother(draft.Section.Name, port, kind.Id, draft.Device!.Serial!)));
        }
        else if (draft.Profile.Contradictions.FirstOrDefault(IsOfDeclaredChip) is { } chips)
        {
            var (declared, found) = IsDeclared(chips.Weaker) ? (chips.Weaker, chips.Stronger)
                : (chips.Stronger, chips.Weaker);
            draft.Findings.Add(Finding.Blocker(BoardFaults.WrongMcu(draft.Section.Name, declared.Value, $"it is a {found.Value}")));
        }
    }

    private static void CheckDriver(InventoryDraft draft)
    {
        if (draft.Device is { LacksSerialDriver: true } device)
            draft.Findings.Add(Finding.Blocker(ComputerFaults.NoSerialDriver(device.ToString())));
    }

    private static bool IsOfDeclaredChip(Contradiction contradiction) => contradiction.Fact == BoardFact.Chip
        && (IsDeclared(contradiction.Weaker) || IsDeclared(contradiction.Stronger));

    private static bool IsDeclared(Fact<string> chip) => chip.Source is FactSource.Catalogue or FactSource.User;

    private string? Claim(InventoryDraft draft) => draft switch
    {
        { Uuid: { } uuid } => $"{draft.Interface} {uuid}",
        { Device: { } device } => device.Port,
        { Section.Serial: { Length: > 0 } path } => DataDictionary.Clean(sources.Resolve(path)),
        _ => null,
    };

    // ---- the names

    private void NameAll()
    {
        foreach (var draft in _drafts)
        {
            draft.Name = DataDictionary.Clean(
                draft.Section.Own ?? draft.Described?.Name ?? draft.Kind?.ShortName ?? draft.Kind?.Id ?? draft.Section.Name);
        }
        foreach (var same in _drafts.GroupBy(draft => draft.Name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1)
            .ToList())
        {
            // The board that has the name in the configuration keeps it.
            foreach (var draft in same.OrderByDescending(draft => draft.Section.Own is not null).Skip(1))
            {
                draft.Findings.Add(Finding.Of(FindingSeverity.Note, BoardFaults.NameTaken(draft.SectionText, draft.Name)));
                draft.Name = draft.SectionText;
            }
        }
    }

    public static ImmutableArray<string> Aliases(string name, params IEnumerable<string?> others) =>
    [
        .. others.Where(other => !string.IsNullOrEmpty(other)).Select(other => DataDictionary.Clean(other!))
            .Where(other => !InventorySources.IsSame(other, name)).Distinct(StringComparer.OrdinalIgnoreCase),
    ];

    private static IEnumerable<string?> OtherNames(InventoryDraft draft, string? serial) =>
    [
        draft.Section.Name, draft.Section.Own, draft.Described?.Name, draft.Kind?.Id, draft.Kind?.ShortName, serial,
            ToolHead(serial, draft.Kind),
        draft.Uuid?.ToString(), .. draft.Kind?.Kind == "host" ? ["pi", "rpi", "host"] : (string[])[],
    ];

    /// <summary>The tool head's own part of a serial such as <c>btt-ebb42-12-t0</c>.</summary>
    private static string? ToolHead(string? serial, Board? kind) => serial is not null && kind?.UsbSerial is { } whole
        && serial.Length > whole.Length + 1 && serial.StartsWith(whole + "-", StringComparison.OrdinalIgnoreCase)
            ? serial[(whole.Length + 1)..] : null;

    // ---- the result

    private PrinterMcu Finish(InventoryDraft draft)
    {
        var serial = draft.Device is { RunsKlipper: true } ? draft.Device.Serial : draft.Path.Serial;
        if (draft is { NotOurs: null, Kind: null })
            draft.Findings.Add(Finding.Of(FindingSeverity.Note, BoardFaults.KindUnknown(draft.Name, draft.Chip)));
        var board = draft.NotOurs is null ? BoardOf(draft, serial) : null;
        var match = draft is { NotOurs: null, Kind: null } ? sources.Pins.Match(draft.Section.Name, draft.Chip) : null;
        var description = draft.Described is null ? "" : ", described in ratos-flash.conf";
        return new()
        {
            Name = draft.Name,
            Section = draft.Section.Name,
            Aliases = Aliases(draft.Name, OtherNames(draft, serial)),
            Owner = draft.NotOurs is null ? McuOwner.Ours : McuOwner.OwnUpdater,
            Reason = draft.NotOurs ?? $"[{draft.SectionText}] of printer.cfg{description}",
            Board = board is null ? null
                : board with { Facts = [.. board.Facts, .. RateOfBus(draft), .. sources.Pins.FactsOf(draft.Section.Name, match)] },
            KnownByPins = match,
            Kind = draft.Kind,
            Chip = draft.Chip,
            Device = draft.Device,
            Port = draft.Uuid is { } uuid && draft.Device?.Usb is null ? $"{draft.Interface} {uuid}"
                : draft.Device?.Port ?? (draft.Section.Serial is { } path ? DataDictionary.Clean(path) : null),
            Running = draft.Running is { } version ? DataDictionary.Clean(version) : null,
            Host = sources.Klippy.Host,
            Findings = [.. draft.Findings],
        };
    }

    /// <summary>For a CAN bridge: the bitrate of another board on its bus. A bridge's own firmware has no constant for it.</summary>
    private IEnumerable<BoardFacts> RateOfBus(InventoryDraft draft)
    {
        if (draft.Uuid is null || draft.Klippy?.Constants.ContainsKey("CANBUS_BRIDGE") != true)
            yield break;
        foreach (var node in _drafts.Where(other => other.Uuid is not null && other.Interface == draft.Interface))
        {
            if (int.TryParse(node.Klippy?.Constants.GetValueOrDefault("CANBUS_FREQUENCY"), CultureInfo.InvariantCulture, out var rate))
                yield return new(FactSource.Bus, $"{node.Name} on the same bus") { Link = new(BuildLink.UsbCanBridge, Rate: rate) };
        }
    }

    private PrinterBoard BoardOf(InventoryDraft draft, string? serial)
    {
        var link = draft.Uuid is not null ? "CAN" : draft.Device is { IsWired: true } ? "UART" : "USB";
        var kind = draft.Kind ?? draft.UnknownKind with { McuName = draft.Chip, Comm = link };
        var usb = draft.Device is { Can: null } ? draft.Device.Port : null;
        var isShared = serial is not null
            && sources.Seen.Devices.Count(device => device.RunsKlipper && device.Serial == serial) > 1;
        var isLastPortTaken = sources.Seen.Devices.Any(device => device.Port == draft.LastPort);
        return new PrinterBoard(draft.Name, kind)
        {
            Serial = serial ?? draft.Described?.Serial ?? kind.UsbSerial,
            // The terminal of a process is where Klipper's configuration has it; no bus lists it.
            Port = usb ?? draft.Described?.Port
                ?? (kind.Kind == "host" ? draft.Section.Serial : isLastPortTaken ? null : draft.LastPort),
            OnlyByPort = draft.Described?.OnlyByPort == true || (usb is not null && draft.Uuid is null && (isShared || draft.IsByPort)),
            CanUuid = draft.Uuid ?? draft.Described?.CanUuid,
            CanInterface = draft.Uuid is not null ? draft.Interface : draft.Described?.CanInterface ?? "can0",
            Bootloader = draft.Described?.Bootloader,
            RunningVersion = draft.Running,
            Facts = draft.Facts,
        };
    }
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Printer;

/// <content>How it is made: each section looks for its device, then what is left over is looked at.</content>
public sealed partial record PrinterInventory
{
    /// <summary>Probes and scanners whose makers bring firmware and updater. They announce Klipper's own USB id, or stand in an <c>[mcu]</c> section.</summary>
    private static readonly string[] OwnUpdaters = ["beacon", "cartographer", "scanner", "idm"];

    /// <param name="sections">All <c>[mcu*]</c> sections; empty where the configuration is not known.</param>
    /// <param name="seen">The buses.</param>
    /// <param name="links">Links to ports, as they are at the same moment.</param>
    /// <param name="catalogue">The kinds.</param>
    /// <param name="described">Boards that somebody described: by name, uuid, port, or as the only one of its kind.</param>
    /// <param name="told">What Klipper tells.</param>
    /// <param name="power">Moonraker's power devices.</param>
    /// <param name="ports">By section: the port where its board was last seen.</param>
    public static PrinterInventory Create(
        IReadOnlyList<McuSection> sections, DeviceList seen, IReadOnlyList<DeviceLink> links, BoardCatalogue catalogue, IReadOnlyList<PrinterBoard> described, KlippyTold told,
        IReadOnlyList<PowerDevice>? power = null, IReadOnlyDictionary<string, string>? ports = null) =>
        new(new Maker(sections, seen, links, catalogue, described, told, power ?? [], ports ?? ImmutableDictionary<string, string>.Empty).Make());

    /// <summary>One section while it is looked into.</summary>
    private sealed class Draft(McuSection section, McuTold? told, string? port)
    {
        public McuSection Section { get; } = section;

        public McuTold? Told { get; } = told;

        /// <summary>What Klipper told last is no longer so of a board that waits in a bootloader or is not there.</summary>
        public string? Running => IsMissing || Device is { Usb: not null } device && Drivers.All.Showing(device) is not null ? null : Told?.Version;

        /// <summary>Where it was last seen.</summary>
        public string? LastPort { get; } = port;

        public PathHint Hint { get; set; } = PathHint.None;

        public CanUuid? Uuid { get; set; }

        public Device? Device { get; set; }

        /// <summary>It should be on a bus, and is not.</summary>
        public bool IsMissing { get; set; }

        /// <summary>The configuration names the port and not the board.</summary>
        public bool IsByPort { get; set; }

        public PrinterBoard? Described { get; set; }

        public Board? Kind { get; set; }

        public string? OwnUpdater { get; set; }

        public string Name { get; set; } = "";

        public List<Finding> Findings { get; } = [];

        /// <summary>Statements of its running firmware as Klipper knows it, of its USB descriptors, and of the path in the configuration.</summary>
        public ImmutableArray<BoardFacts> Facts =>
        [
            .. Told is { } told ? [BoardFacts.OfFirmware(told.Chip, told.Constants)] : (ImmutableArray<BoardFacts>)[],
            .. Device is { Can: null } device && device.Usb == UsbId.Klipper
                ? [new BoardFacts(FactSource.Bus, "its USB descriptors") { Chip = KnownChip(device.Product), UsbSerial = device.Serial }] : (ImmutableArray<BoardFacts>)[],
            new BoardFacts(FactSource.KlipperConfig, "printer.cfg")
            {
                Chip = KnownChip(Hint.Product), UsbSerial = Hint.Serial, Link = Uuid is null ? null : new BuildTransport(BuildLink.Can),
            },
        ];

        public BoardProfile Profile => new(Name, Kind ?? UnknownKind, Facts);

        public string? Chip => Profile.Chip?.Value;

        /// <summary>For a board whose kind is not in the catalogue.</summary>
        public Board UnknownKind => new() { Id = Name, Kind = "unknown" };

        public string Interface => Section.CanbusInterface is { Length: > 0 } named ? named : "can0";

        private static string? KnownChip(string? product) => product is null ? null : Mcu.Find(product)?.Name;
    }

    private sealed partial class Maker(
        IReadOnlyList<McuSection> sections, DeviceList seen, IReadOnlyList<DeviceLink> links, BoardCatalogue catalogue, IReadOnlyList<PrinterBoard> described, KlippyTold told,
        IReadOnlyList<PowerDevice> power, IReadOnlyDictionary<string, string> ports)
    {
        private readonly List<Draft> _drafts = [.. sections.Select(section => new Draft(section, ToldOf(told, section.Name), ports.GetValueOrDefault(section.Name)))];

        public ImmutableArray<PrinterMcu> Make()
        {
            _drafts.ForEach(Locate);
            _drafts.ForEach(Describe);
            DescribeTheOnlyOnes();
            foreach (var draft in _drafts)
            {
                draft.Kind = draft.Described?.Board ?? draft.Kind ?? KindOf(draft);
                draft.OwnUpdater = draft.Described is null ? OwnUpdaterOf(draft) : null;
            }
            JudgeClaims();
            NameAll();
            MatchBootloaders();
            var mcus = _drafts.ConvertAll(Finish);
            mcus.AddRange(WithoutSection(mcus));
            return [.. mcus];
        }

        // ---- where it is

        private void Locate(Draft draft)
        {
            if (draft.Section.CanbusUuid is { Length: > 0 } uuid)
            {
                LocateOnCan(draft, uuid);
                return;
            }
            if (draft.Section.Serial is not { Length: > 0 } path)
                return;
            draft.Hint = PathHint.Of(path);
            if (HostOf(path, draft.Told?.Chip) is { } host)
            {
                draft.Kind = host;
                return;
            }
            var node = Resolve(path);
            draft.IsByPort = draft.Hint is { Serial: null };
            draft.Device = seen.Devices.FirstOrDefault(device => device.Node == node) ?? ByHint(draft);
            draft.IsMissing = draft.Device is null;
        }

        private void LocateOnCan(Draft draft, string text)
        {
            if (CanUuid.TryParse(text.Trim()) is not { } uuid)
            {
                draft.Findings.Add(Finding.Blocker(BoardFaults.BadUuid(draft.Section.Name, DataDictionary.Clean(text))));
                return;
            }
            draft.Uuid = uuid;
            var onBus = seen.Devices.Where(device => device.Can is not null && device.Port == draft.Interface).ToList();
            // A node that has its number answers nobody who only looks: the interface is all that can be seen of it.
            draft.Device = onBus.Find(device => device.CanNode?.Uuid == uuid) ?? onBus.Find(device => device.CanNode is null);
            draft.IsMissing = draft.Device is null;
        }

        /// <summary>The process that is an MCU, by the name of its pseudo terminal or by what Klipper says it runs on.</summary>
        private Board? HostOf(string path, string? chip)
        {
            var name = path[(path.LastIndexOf('/') + 1)..];
            return catalogue.Boards.FirstOrDefault(board => board.HostPty == name && board.Kind == "host")
                ?? (chip == "linux" ? catalogue.Boards.FirstOrDefault(board => board.Kind == "host") : null);
        }

        private string Resolve(string path)
        {
            // More steps than any real link has: then it is a circle.
            for (var steps = 0; steps < 8 && links.FirstOrDefault(link => link.Path == path) is { } found; steps++)
                path = found.Target.StartsWith("/dev/", StringComparison.Ordinal) ? found.Target : "/dev/" + found.Target[(found.Target.LastIndexOf('/') + 1)..];
            return path;
        }

        /// <summary>No link leads there: the path's own words may still tell.</summary>
        private Device? ByHint(Draft draft)
        {
            var hint = draft.Hint;
            var found = hint switch
            {
                { Serial: { } serial } => seen.Devices.Where(device => device.Usb == UsbId.Klipper && PathHint.Udev(device.Serial) == serial
                    && (hint.Product is null || PathHint.Udev(device.Product) == hint.Product)).ToList(),
                { Chain: { } chain } => [.. seen.Devices.Where(device => (device.Usb == UsbId.Klipper || IsBootloader(device)) && ChainOf(device) == chain)],
                _ => [],
            };
            if (found.Count > 1)
                draft.Findings.Add(Finding.Blocker(BoardFaults.BoardsAlike(draft.Section.Name, found.Select(device => device.Port))));
            return found is [var one] ? one : null;
        }

        private static bool IsBootloader(Device device) => device.Usb is not null && Drivers.All.Showing(device) is not null;

        private static string? ChainOf(Device device) => device.Port.IndexOf('-', StringComparison.Ordinal) is var at and > 0 ? device.Port[(at + 1)..] : null;

        // ---- which kind it is

        private void Describe(Draft draft) => draft.Described = described.FirstOrDefault(board =>
            IsText(board.Name, draft.Section.Name) || IsText(board.Name, draft.Section.Own)
            || (board.CanUuid is { } uuid && uuid == draft.Uuid)
            || (board.Port is { } port && (port == draft.Section.Serial || port == draft.Device?.Node || (draft.Device is { Can: null } device && port == device.Port))));

        /// <summary>A description that says no more than a kind means the only board of that kind.</summary>
        private void DescribeTheOnlyOnes()
        {
            foreach (var board in described.Where(board => board is { Port: null, CanUuid: null } && _drafts.TrueForAll(draft => draft.Described != board)))
            {
                if (_drafts.FindAll(draft => draft.Described is null && (draft.Kind ?? KindOf(draft))?.Id == board.Board.Id) is [var only])
                    only.Described = board;
            }
        }

        private Board? KindOf(Draft draft) =>
            catalogue.FindBySerial(draft.Hint.Serial) ?? (draft.Device?.Usb == UsbId.Klipper ? catalogue.FindBySerial(draft.Device.Serial) : null)
            ?? (draft.Section.Serial is { } path ? catalogue.Boards.FirstOrDefault(board => board.Symlinks.Contains(path)) : null);

        private string? OwnUpdaterOf(Draft draft)
        {
            if (draft.Device is { Can: null } device && OwnUpdaterOf(device) is { } maker)
                return maker;
            if ((Word(draft.Hint.Maker) ?? Word(draft.Hint.Product)) is { } named)
                return named;
            if (draft.Kind is { } kind)
                return kind.Kind == "probe" ? kind.ShortName ?? kind.Id : null;
            return Word(draft.Section.Own);
        }

        private string? OwnUpdaterOf(Device device)
        {
            var probe = device.Usb is { } id ? catalogue.Boards.FirstOrDefault(board => board.Kind == "probe" && board.UdevUsbId == id.ToString()) : null;
            // A paper scanner is none of them: it has no serial port.
            return probe?.ShortName ?? (device.Node is null ? null : Word(device.Manufacturer) ?? Word(device.Product));
        }

        // One calls itself Cartographer3D.
        private static string? Word(string? text) => text is null ? null : OwnUpdaters.FirstOrDefault(word =>
            text.Split([' ', '-', '_', '.', '3'], StringSplitOptions.RemoveEmptyEntries).Any(part => IsText(part, word)));

        // ---- what speaks against it

        private void JudgeClaims()
        {
            foreach (var shared in _drafts.GroupBy(Claim).Where(group => group.Key is not null && group.Count() > 1))
            {
                var names = shared.Select(draft => $"[{DataDictionary.Clean(draft.Section.Name)}]").ToList();
                foreach (var draft in shared)
                    draft.Findings.Add(Finding.Blocker(BoardFaults.TwoSections(shared.Key!, names)));
            }
            foreach (var draft in _drafts)
            {
                var there = draft.Device?.Usb == UsbId.Klipper ? catalogue.FindBySerial(draft.Device.Serial) : null;
                if (draft.Kind is { } kind && there is not null && there.Id != kind.Id)
                    draft.Findings.Add(Finding.Blocker(BoardFaults.PortOfAnother(draft.Section.Name, draft.Section.Serial ?? draft.Device!.Port, kind.Id, draft.Device!.Serial!)));
                else if (draft.Profile.Contradictions.FirstOrDefault(contradiction => contradiction.Fact == BoardFact.Chip && DeclaredBy(contradiction) is not null) is { } chips)
                    draft.Findings.Add(Finding.Blocker(BoardFaults.WrongMcu(draft.Section.Name, DeclaredBy(chips)!.Value, $"a {(DeclaredBy(chips) == chips.Weaker ? chips.Stronger : chips.Weaker).Value}")));
            }
        }

        /// <summary>The side of a contradiction that the kind declares; null where it is none of both.</summary>
        private static Fact<string>? DeclaredBy(Contradiction contradiction) => contradiction.Weaker.Source == FactSource.Catalogue ? contradiction.Weaker
            : contradiction.Stronger.Source == FactSource.Catalogue ? contradiction.Stronger : null;

        private string? Claim(Draft draft) => draft switch
        {
            { Uuid: { } uuid } => $"{draft.Interface} {uuid}",
            { Device: { } device } => device.Port,
            { Section.Serial: { Length: > 0 } path } => DataDictionary.Clean(Resolve(path)),
            _ => null,
        };

        /// <summary>A bootloader is taken for a board that is missing when something says so, or when it can be that one's alone.</summary>
        private void MatchBootloaders()
        {
            var waiting = seen.Devices.Where(device => IsBootloader(device) && _drafts.TrueForAll(draft => draft.Device != device)).ToList();
            var missing = _drafts.FindAll(draft => draft.IsMissing && draft.OwnUpdater is null && draft.Findings.TrueForAll(finding => finding.Kind != FaultKind.BoardsAlike));
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
                else if (fits[draft].Count > 0)
                {
                    draft.Findings.Add(Finding.Blocker(BoardFaults.WhichBootloader(draft.Name, fits[draft].Select(device => device.Port))));
                }
                else
                {
                    draft.Findings.Add(Finding.Blocker(Absence(draft)));
                }
            }
        }

        private FlashException Absence(Draft draft)
        {
            var off = power.Where(device => !device.IsOn).Select(device => $"the power device '{DataDictionary.Clean(device.Name)}'").ToList();
            if (off.Count > 0)
                return BoardFaults.NoPower(draft.Name, off);
            return draft.Uuid is not null
                ? CanFaults.CanMissing(draft.Name, draft.Interface, seen.Description)
                : BoardFaults.BoardNotSeen(draft.Name, $"at {DataDictionary.Clean(draft.Section.Serial ?? "")}", seen.Description);
        }

        /// <summary>Its port, or a serial that follows from the chip's unique id.</summary>
        private static bool IsProof(Draft draft, Device device)
        {
            if ((draft.LastPort == device.Port && Fits(draft, device)) || (draft.Described?.Port is { } port && (port == device.Port || port == device.Node)))
                return true;
            var driver = Drivers.All.Showing(device);
            if (draft.Uuid is { } uuid)
                return driver?.UuidOf(device) == uuid;
            if (draft.Hint.Serial is not { Length: 24 } serial || !serial.All(char.IsAsciiHexDigit))
                return false;
            var chip = new ChipEvidence { Uid = Convert.FromHexString(serial) };
            return IsText(device.Serial, driver?.SerialOf(chip));
        }

        // A board that is known by its port is not somewhere else.
        private static bool MayBe(Draft draft, Device device) => draft.Described?.Port is null && draft.Hint.Chain is null && Fits(draft, device);

        private static bool Fits(Draft draft, Device device) => Drivers.All.Showing(device)?.MayHaveChip(device, draft.Chip) == true;
    }
}

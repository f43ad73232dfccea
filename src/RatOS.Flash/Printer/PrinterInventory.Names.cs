using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <content>What each is called, and what comes of it.</content>
public sealed partial record PrinterInventory
{
    private sealed partial class Maker
    {
        // ---- what it is called

        private void NameAll()
        {
            foreach (var draft in _drafts)
                draft.Name = DataDictionary.Clean(draft.Section.Own ?? draft.Described?.Name ?? draft.Kind?.ShortName ?? draft.Kind?.Id ?? draft.Section.Name);
            foreach (var same in _drafts.GroupBy(draft => draft.Name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1).ToList())
            {
                // Who bears the name in the configuration keeps it.
                foreach (var draft in same.OrderByDescending(draft => draft.Section.Own is not null).Skip(1))
                {
                    draft.Findings.Add(Finding.Of(FindingSeverity.Note, BoardFaults.NameTaken(DataDictionary.Clean(draft.Section.Name), draft.Name)));
                    draft.Name = DataDictionary.Clean(draft.Section.Name);
                }
            }
        }

        private static ImmutableArray<string> Aliases(string name, params IEnumerable<string?> others) =>
            [.. others.Where(other => !string.IsNullOrEmpty(other)).Select(other => DataDictionary.Clean(other!)).Where(other => !IsText(other, name)).Distinct(StringComparer.OrdinalIgnoreCase)];

        /// <summary>The tool head's own part of a serial such as <c>btt-ebb42-12-t0</c>.</summary>
        private static string? ToolHead(string? serial, Board? kind) =>
            serial is not null && kind?.UsbSerial is { } whole && serial.Length > whole.Length + 1 && serial.StartsWith(whole + "-", StringComparison.OrdinalIgnoreCase) ? serial[(whole.Length + 1)..] : null;

        // ---- what comes of it

        private PrinterMcu Finish(Draft draft)
        {
            var isHost = draft.Kind?.Kind == "host";
            var serial = draft.Device?.Usb == UsbId.Klipper ? draft.Device.Serial : draft.Hint.Serial;
            if (draft is { OwnUpdater: null, Kind: null })
            {
                var candidates = catalogue.Boards.Where(board => draft.Chip is not null && IsText(board.McuName, draft.Chip)).Select(board => board.Id).Take(5).ToList();
                draft.Findings.Add(Finding.Of(FindingSeverity.Note, BoardFaults.KindUnknown(draft.Name, draft.Chip, candidates)));
            }
            return new()
            {
                Name = draft.Name,
                Section = draft.Section.Name,
                Aliases = Aliases(draft.Name, [draft.Section.Name, draft.Section.Own, draft.Described?.Name, draft.Kind?.Id, draft.Kind?.ShortName, serial, ToolHead(serial, draft.Kind), draft.Uuid?.ToString(), .. isHost ? ["pi", "rpi", "host"] : (string[])[]]),
                Owner = draft.OwnUpdater is null ? McuOwner.Ours : McuOwner.OwnUpdater,
                Reason = draft.OwnUpdater is { } maker ? OwnUpdaterReason(maker) : $"[{DataDictionary.Clean(draft.Section.Name)}] of printer.cfg{(draft.Described is null ? "" : ", described in ratos-flash.conf")}",
                Board = draft.OwnUpdater is null ? BoardOf(draft, serial) : null,
                Kind = draft.Kind,
                Chip = draft.Chip,
                Device = draft.Device,
                Port = draft.Uuid is { } uuid && draft.Device?.Usb is null ? $"{draft.Interface} {uuid}" : draft.Device?.Port ?? (draft.Section.Serial is { } path ? DataDictionary.Clean(path) : null),
                Running = draft.Running is { } version ? DataDictionary.Clean(version) : null,
                Host = told.Host,
                Findings = [.. draft.Findings],
            };
        }

        private PrinterBoard BoardOf(Draft draft, string? serial)
        {
            var kind = draft.Kind ?? draft.UnknownKind with { McuName = draft.Chip, Comm = draft.Uuid is not null ? "CAN" : draft.Device is { IsWired: true } ? "UART" : "USB" };
            var usb = draft.Device is { Can: null } ? draft.Device.Port : null;
            var isShared = serial is not null && seen.Devices.Count(device => device.Usb == UsbId.Klipper && device.Serial == serial) > 1;
            return new PrinterBoard(draft.Name, kind)
            {
                Serial = serial ?? draft.Described?.Serial ?? kind.UsbSerial,
                Port = usb ?? draft.Described?.Port ?? (seen.Devices.Any(device => device.Port == draft.LastPort) ? null : draft.LastPort),
                OnlyByPort = draft.Described?.OnlyByPort == true || (usb is not null && draft.Uuid is null && (isShared || draft.IsByPort)),
                CanUuid = draft.Uuid ?? draft.Described?.CanUuid,
                CanInterface = draft.Uuid is not null ? draft.Interface : draft.Described?.CanInterface ?? "can0",
                Bootloader = draft.Described?.Bootloader,
                RunningVersion = draft.Running,
                Facts = draft.Facts,
            };
        }

        /// <summary>Boards that somebody described beside the configuration, MCUs that modules of Klipper bring, and what else is on the buses.</summary>
        private List<PrinterMcu> WithoutSection(List<PrinterMcu> known)
        {
            var more = new List<PrinterMcu>();
            var names = known.Select(mcu => mcu.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
            var left = seen.Devices.Where(device => device is not { Can: not null, CanNode: null } && known.TrueForAll(mcu => mcu.Device != device)).ToList();
            foreach (var board in described.Where(board => _drafts.TrueForAll(draft => draft.Described != board)))
            {
                var device = left.Find(device => board.Port is { } port ? device.Port == port || device.Node == port
                    : board.CanUuid is { } uuid ? device.CanNode?.Uuid == uuid : device.Usb == UsbId.Klipper && device.Serial == board.Serial);
                left.RemoveAll(other => other == device);
                more.Add(Loose(board.Name, McuOwner.Ours, "described in ratos-flash.conf, and in no section of printer.cfg", device, board.Board) with { Board = board });
            }
            // Without the configuration nobody can say which of Klipper's MCUs have no section.
            foreach (var (name, mcu) in sections.Count == 0 ? [] : told.Boards.Where(board => _drafts.TrueForAll(draft => !IsText(draft.Section.Name, board.Key))))
            {
                var own = new McuSection(name).Own ?? name;
                var maker = Word(own);
                var device = left.Find(device => maker is not null && OwnUpdaterOf(device) == maker);
                left.RemoveAll(other => other == device);
                more.Add(Loose(own, McuOwner.OwnUpdater, maker is not null ? OwnUpdaterReason(maker) : "a module of Klipper brings it, and its firmware", device, null) with
                {
                    Aliases = Aliases(own, name),
                    Running = mcu.Version,
                    Chip = mcu.Chip,
                    Host = told.Host,
                });
            }
            foreach (var device in left)
            {
                if (OwnUpdaterOf(device) is { } maker)
                    more.Add(Loose(maker, McuOwner.OwnUpdater, OwnUpdaterReason(maker), device, null));
                else if (device.Usb == UsbId.Klipper || device.CanNode is not null || IsBootloader(device))
                    more.Add(Stranger(device));
            }
            return more.ConvertAll(mcu =>
            {
                var name = Take(mcu.Name);
                return mcu with { Name = name, Aliases = name == mcu.Name ? mcu.Aliases : mcu.Aliases.Add(mcu.Name), Board = mcu.Board is null ? null : mcu.Board with { Name = name } };
            });

            string Take(string name)
            {
                var free = name;
                for (var i = 2; !names.Add(free); i++)
                    free = $"{name} ({i})";
                return free;
            }
        }

        private PrinterMcu Stranger(Device device)
        {
            var kind = device.Usb == UsbId.Klipper ? catalogue.FindBySerial(device.Serial) : null;
            var reason = IsBootloader(device) ? "it waits in a bootloader, and whose it is cannot be seen"
                : sections.Count == 0 ? "which boards this printer has is not known" : "no section of printer.cfg names it";
            return Loose(kind?.Id ?? device.CanNode?.Uuid.ToString() ?? device.Serial ?? device.Port, McuOwner.Stranger, reason, device, kind) with
            {
                Board = kind is null ? null : new PrinterBoard(kind.Id, kind) { Serial = device.Serial, Port = device.Port },
                Chip = Mcu.Find(device.Product ?? "")?.Name ?? kind?.McuName,
            };
        }

        private static PrinterMcu Loose(string name, McuOwner owner, string reason, Device? device, Board? kind) => new()
        {
            Name = DataDictionary.Clean(name),
            Owner = owner,
            Reason = reason,
            Device = device,
            Port = device is { CanNode: { } node } ? $"{device.Port} {node.Uuid}" : device?.Port,
            Kind = kind,
            Chip = kind?.McuName,
            Aliases = Aliases(name, kind?.Id, kind?.ShortName, device?.Serial, device?.Port),
        };

        private static string OwnUpdaterReason(string maker) => $"{maker} brings its own firmware and updater";

        private static McuTold? ToldOf(KlippyTold told, string section) => told.Boards.FirstOrDefault(board => IsText(board.Key, section)).Value;

        private static bool IsText(string? one, string? other) => one is not null && string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
    }
}

using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Printer;

/// <summary>MCUs without a section: boards that the user described, MCUs of Klipper's modules, and other devices on the buses.</summary>
internal sealed class UnlistedMcus(InventorySources sources, List<InventoryDraft> drafts)
{
    public static string ReasonOf(string maker) => $"{maker} brings its own firmware and updater";

    /// <param name="known">The MCUs of the sections; their names are taken.</param>
    public List<PrinterMcu> After(List<PrinterMcu> known)
    {
        var names = known.Select(mcu => mcu.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var left = sources.Seen.Devices
            .Where(device => device is not { Can: not null, CanNode: null } && known.TrueForAll(mcu => mcu.Device != device)).ToList();
        // Each takes its device from those that are left.
        List<PrinterMcu> more = [.. DescribedBoards(left), .. ModulesMcus(left), .. left.Select(OnBus).OfType<PrinterMcu>()];
        return more.ConvertAll(mcu =>
        {
            var name = mcu.Name;
            for (var i = 2; !names.Add(name); i++)
                name = $"{mcu.Name} ({i})";
            return mcu with
            {
                Name = name,
                Aliases = name == mcu.Name ? mcu.Aliases : mcu.Aliases.Add(mcu.Name),
                Board = mcu.Board is null ? null : mcu.Board with { Name = name },
            };
        });
    }

    private List<PrinterMcu> DescribedBoards(List<Device> left) => [.. sources.Described
        .Where(board => drafts.TrueForAll(draft => draft.Described != board)).Select(board =>
        {
            var device = Take(left, device => board.Port is { } port ? device.Port == port || device.Node == port
                : board.CanUuid is { } uuid ? device.CanNode?.Uuid == uuid : device.RunsKlipper && device.Serial == board.Serial);
            const string Reason = "described in ratos-flash.conf, and in no section of printer.cfg";
            return Create(board.Name, McuOwner.Ours, Reason, device, board.Board) with { Board = board };
        })];

    private List<PrinterMcu> ModulesMcus(List<Device> left)
    {
        // Without the configuration it is not known which of Klipper's MCUs have no section.
        if (sources.Sections.Count == 0)
            return [];
        return [.. sources.Klippy.Boards
            .Where(board => drafts.TrueForAll(draft => !InventorySources.IsSame(draft.Section.Name, board.Key))).Select(board =>
            {
                var own = new McuSection(board.Key).Own ?? board.Key;
                var maker = InventorySources.MakerIn(own);
                var device = Take(left, device => maker is not null && sources.OwnUpdaterOf(device) == maker);
                var reason = maker is not null ? ReasonOf(maker) : "a module of Klipper brings it, and its firmware";
                return Create(own, McuOwner.OwnUpdater, reason, device, null) with
                {
                    Aliases = InventoryBuilder.Aliases(own, board.Key),
                    Running = board.Value.Version,
                    Chip = board.Value.Chip,
                    Host = sources.Klippy.Host,
                };
            })];
    }

    private PrinterMcu? OnBus(Device device)
    {
        if (sources.OwnUpdaterOf(device) is { } maker)
            return Create(maker, McuOwner.OwnUpdater, ReasonOf(maker), device, null);
        return device.RunsKlipper || device.CanNode is not null || InventorySources.IsBootloader(device)
            ? ForeignMcu(device) : null;
    }

    private PrinterMcu ForeignMcu(Device device)
    {
        var kind = sources.KindOf(device);
        var reason = InventorySources.IsBootloader(device) ? "it waits in a bootloader, and which board it is cannot be seen"
            : sources.Sections.Count == 0 ? "which boards this printer has is not known" : "no section of printer.cfg names it";
        var name = kind?.Id ?? device.CanNode?.Uuid.ToString() ?? device.Serial ?? device.Port;
        return Create(name, McuOwner.Foreign, reason, device, kind) with
        {
            Board = kind is null ? null : new PrinterBoard(kind.Id, kind) { Serial = device.Serial, Port = device.Port },
            Chip = Mcu.Find(device.Product ?? "")?.Name ?? kind?.McuName,
        };
    }

    private static PrinterMcu Create(string name, McuOwner owner, string reason, Device? device, Board? kind) => new()
    {
        Name = DataDictionary.Clean(name),
        Owner = owner,
        Reason = reason,
        Device = device,
        Port = device is { CanNode: { } node } ? $"{device.Port} {node.Uuid}" : device?.Port,
        Kind = kind,
        Chip = kind?.McuName,
        Aliases = InventoryBuilder.Aliases(name, kind?.Id, kind?.ShortName, device?.Serial, device?.Port),
    };

    private static Device? Take(List<Device> left, Predicate<Device> match)
    {
        var device = left.Find(match);
        left.RemoveAll(other => other == device);
        return device;
    }
}

using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Reads everything that <see cref="DoctorChecks"/> need, and changes nothing.</summary>
internal sealed class SystemProbe
{
    private const string KernelProcesses = "/proc";

    private static readonly TimeSpan PythonLimit = TimeSpan.FromSeconds(20);
    private static readonly string[] KnownGrabbers = ["ModemManager", "brltty"];

    /// <summary>The root folder; another one for tests.</summary>
    public string Root { get; init; } = "";

    public string Home { get; init; } = Environment.GetFolderPath(
        Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);

    public string User { get; init; } = Accounts.UserName;

    /// <summary>The program's folder.</summary>
    public string Folder { get; init; } = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);

    /// <summary>Folders of programs, in the format of PATH.</summary>
    public string SearchPath { get; init; } = Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin";

    public required TimeProvider Time { get; init; }

    /// <summary>The Klipper checkout; null where none is known.</summary>
    public string? Sources { get; init; }

    /// <inheritdoc cref="DoctorFacts.Unconfirmed"/>
    public ImmutableArray<string> Unconfirmed { get; init; } = [];

    /// <inheritdoc cref="DoctorFacts.Skipped"/>
    public ImmutableArray<SkippedDefinition> Skipped { get; init; } = [];

    /// <inheritdoc cref="DoctorFacts.OtherStarts"/>
    public ImmutableArray<Finding> OtherStarts { get; init; } = [];

    /// <summary>Chips of the printer's boards.</summary>
    public IEnumerable<string> Chips { get; init; } = [];

    public IEnumerable<Device> Devices { get; init; } = [];

    /// <summary>The printer's folder and its agent's version; null without a printer.</summary>
    public (DataFolder Folder, string? Agent)? Data { get; init; }

    /// <summary>The probe of a printer's computer, and what could not be read for it.</summary>
    /// <param name="printer">Its buses.</param>
    /// <param name="data">Null for a computer without a printer.</param>
    /// <param name="agent">The running agent's version; null without an agent.</param>
    /// <param name="log">The log.</param>
    public static (SystemProbe Probe, List<FaultReport> Troubles, AgentSettings Settings) Of(
        PrinterAccess printer, DataFolder? data, string? agent, LogFile log)
    {
        var settings = data is null ? new AgentSettings() : ConfirmedSettings.OfValid(data);
        var troubles = new List<FaultReport>();
        IReadOnlyList<PrinterMcu> mcus = [];
        var known = new KnownMcus(printer, settings.Boards, data, log);
        IReadOnlyList<Device> devices = [];
        Try(() => devices = printer.Hardware.Look().Devices);
        if (troubles.Count == 0)
            Try(() => mcus = known.Look().Mcus);
        troubles.AddRange(settings.Faults.Select(FaultReport.Of));
        return (new SystemProbe
        {
            Time = TimeProvider.System,
            Sources = settings.KlipperSources,
            Skipped = known.Catalogue.Skipped,
            OtherStarts = [.. mcus.Where(mcu => mcu is { Owner: McuOwner.Ours, Board: not null })
                .Select(mcu => known.Catalogue.AboutStart(BoardFirmware.AsConfigured(data, mcu.Board!).Profile)).OfType<Finding>()],
            Unconfirmed = [.. settings.Unconfirmed.Select(setting => $"{setting}")],
            Chips = mcus.Where(mcu => mcu.Owner == McuOwner.Ours).Select(mcu => mcu.Board?.Board.McuName ?? mcu.Chip).OfType<string>(),
            Devices = devices,
            Data = data is null ? null : (data, agent),
        }, troubles, settings);

        void Try(Action look)
        {
            try
            {
                look();
            }
            catch (FlashException fault)
            {
                troubles.Add(FaultReport.Of(fault));
            }
        }
    }

    /// <param name="moonraker">Moonraker's answers; null where it was not asked.</param>
    /// <param name="troubles">What could not be read before.</param>
    public async Task<DoctorFacts> ProbeAsync(MoonrakerFacts? moonraker, params ImmutableArray<FaultReport> troubles)
    {
        var (user, groups) = Identity();
        var system = new SystemFacts(Root);
        var installed = File.Exists(Path.Combine(Folder, "install.sh")) ? Folder : null;
        var services = Root + "/etc/systemd/system";
        return new DoctorFacts
        {
            User = User,
            UserId = user,
            GroupIds = groups,
            Groups = Groups(),
            Nodes = [.. Devices.Where(IsBoard).SelectMany(NodesOf).Select(node => NodeOf(system, node.Path, node.Name))
                .OfType<NodeFact>()],
            WithoutDriver = [.. Devices.Where(device => device.LacksSerialDriver)
                .Select(device => $"{device.DisplayName ?? "?"} ({device})")],
            HasModules = HasModules(),
            CanDown = [.. Devices.Where(device => device is { Can.IsUp: false, CanNode: null }).Select(device => device.Port)],
            Rules = SystemFacts.Text(Root + "/etc/udev/rules.d/99-ratos-flash.rules"),
            OwnRules = SystemFacts.Text(Path.Combine(Folder, "99-ratos-flash.rules")),
            RulesFile = Path.Combine(Folder, "99-ratos-flash.rules"),
            Folder = installed,
            OldFiles = installed is null || Data is null ? [] : new InstalledFiles(Root, installed, Data.Value.Folder).FindOld(),
            HasOldSystemd = system.HasOldSystemd(),
            Tools = [.. Chips.Distinct().Select(chip => FirmwareBuilder.MissingTools(chip, SearchPath)).OfType<FlashException>()
                .DistinctBy(fault => fault.Remedy).Select(FaultReport.Of)],
            Python = await PythonAsync(),
            Sources = await SourcesAsync(),
            Troubles = troubles,
            Data = Data is { } data ? DataOf(data.Folder, data.Agent, installed) : null,
            Moonraker = moonraker,
            Grabbers = [.. Programs().Where(name => KnownGrabbers.Contains(name)).Distinct()],
            KernelLog = system.KernelLog(),
            Throttled = system.Throttled(),
            Now = Time.GetUtcNow(),
            RatOsHook = Hook(Path.Combine(Home, "klipper", ".git", "hooks", "post-merge")),
            Skipped = Skipped,
            OtherStarts = OtherStarts,
            Unconfirmed = Unconfirmed,
            HostMcu = (Found(services, "klipper-mcu.service", "klipper_mcu.service"), HostMcuUnits().Any(),
                SystemFacts.Text(Root + MoonrakerHostMcu.Script) is { } script && !MoonrakerHostMcu.IsSafe(script)),
        };
    }

    /// <summary>Asks Moonraker over a connection; the fault where there is none.</summary>
    public static async Task<MoonrakerFacts> AskMoonrakerAsync(MoonrakerConnection moonraker)
    {
        try
        {
            var info = await moonraker.CallAsync("server.info");
            var objects = info.Word("klippy_state") == "ready"
                ? Words(await moonraker.CallAsync("printer.objects.list"), "objects") : null;
            return new MoonrakerFacts
            {
                HasComponent = Words(info, "components").Contains("ratos_flash"),
                ComponentFailed = Words(info, "failed_components").Contains("ratos_flash"),
                Warnings = [.. Words(info, "warnings")],
                HasMacros = objects?.Contains("gcode_macro FLASH_MCU", StringComparer.OrdinalIgnoreCase),
            };
        }
        catch (Exception gone) when (gone is FlashException or MoonrakerException)
        {
            var fault = gone as FlashException ?? PrinterFaults.MoonrakerGone(moonraker.Place.ToString(), gone.Message.TrimEnd('.'));
            return new MoonrakerFacts(FaultReport.Of(fault));
        }
    }

    private static List<string> Words(JsonElement element, string name) =>
        [.. element.Items(name).Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)];

    private DataFacts DataOf(DataFolder folder, string? agent, string? installed)
    {
        var (unit, config) = (folder.Unit, Path.Combine(folder.Root, "config"));
        var components = Path.Combine(Home, "moonraker", "moonraker", "components");
        // install.sh leaves our macros out where the user has a macro of such a name: Klipper would merge both.
        var (printer, link) = (ConfigFiles.Read(folder.PrinterConfig), Path.Combine(config, "ratos_flash.cfg"));
        var isIncluded = printer.Files.Contains(link);
        var isForeign = !isIncluded && installed is not null
            && MacrosIn(printer).Overlaps(MacrosIn(ConfigFiles.Read(Path.Combine(installed, "config", "ratos_flash.cfg"))));
        var macros = isForeign ? null : Link(config, "ratos_flash.cfg", installed, "config");
        var exclude = Path.Combine(Home, "moonraker", ".git", "info", "exclude");
        var isExcluded = installed is null || !Directory.Exists(Path.GetDirectoryName(exclude))
            || SystemFacts.Text(exclude)?.Split('\n').Any(line => line.Trim() == InstallationChecks.Excluded) == true;
        var allowed = SystemFacts.Text(Path.Combine(folder.Root, "moonraker.asvc"))?.Split('\n').Select(line => line.Trim()).ToList();
        return new DataFacts(folder.Root, unit)
        {
            Agent = agent,
            Free = Free(folder.Root),
            IsReadOnly = IsReadOnly(folder.Root),
            NotAllowed = [.. ((string[])[unit, .. HostMcuUnits()]).Where(name => allowed?.Contains(name) == false)],
            Macros = macros,
            WithoutMacros = macros is null || isIncluded || !File.Exists(folder.PrinterConfig) ? null : folder.PrinterConfig,
            WithoutSettings = !File.Exists(Path.Combine(config, "ratos-flash-moonraker.conf")) ? null
                : Without(Path.Combine(config, "moonraker.conf"), "ratos-flash-moonraker.conf"),
            WithoutExclude = isExcluded ? null : exclude,
            Component = Link(components, "ratos_flash.py", installed, "moonraker-component"),
        };
    }

    private static HashSet<string> MacrosIn(ConfigFiles files) =>
        [.. files.Sections.Select(section => section.Name.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(words => words is ["gcode_macro", _]).Select(words => words[1].ToUpperInvariant())];

    /// <returns>The file if it is there, and neither it nor a file that it includes includes the other one.</returns>
    private static string? Without(string file, string included) => File.Exists(file)
        && !ConfigFiles.Read(file).Files.Contains(Path.Combine(Path.GetDirectoryName(file)!, included)) ? file : null;

    /// <summary>The unit that replaces Klipper's process on this computer, for this printer's folder.</summary>
    private IEnumerable<string> HostMcuUnits() =>
        Data?.Folder.HostMcuUnit is { } unit && File.Exists($"{Root}/etc/systemd/system/{unit}.service") ? [unit] : [];

    private static LinkFact? Link(string folder, string name, string? installed, string ours)
    {
        if (installed is null || !Directory.Exists(folder))
            return null;
        var (path, target) = (Path.Combine(folder, name), Path.Combine(installed, ours, name));
        var text = SystemFacts.Text(path);
        var isOwn = File.Exists(path) && new FileInfo(path).LinkTarget is null;
        return new(path, target, text is null ? null : text == SystemFacts.Text(target), isOwn);
    }

    /// <summary>The user and the groups of this process (proc(5), status).</summary>
    private (uint User, ImmutableHashSet<uint> Groups) Identity()
    {
        var (user, groups) = (uint.MaxValue, ImmutableHashSet.CreateBuilder<uint>());
        foreach (var line in (SystemFacts.Text(Root + KernelProcesses + "/self/status") ?? "").Split('\n'))
        {
            var words = line.Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries);
            var numbers = words.Skip(1).Select(Number).ToList();
            if (words.FirstOrDefault() == "Uid:" && numbers.Count > 1)
                user = numbers[1];
            else if (words.FirstOrDefault() is "Gid:" or "Groups:")
                groups.UnionWith(numbers);
        }
        return (user, groups.ToImmutable());
    }

    private static uint Number(string word) =>
        uint.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : uint.MaxValue;

    private ImmutableDictionary<string, uint> Groups() => (SystemFacts.Text(Root + "/etc/group") ?? "").Split('\n')
        .Select(line => line.Split(':')).Where(parts => parts.Length > 2 && uint.TryParse(parts[2], out _)).DistinctBy(parts => parts[0])
            .ToImmutableDictionary(parts => parts[0], parts => uint.Parse(parts[2], CultureInfo.InvariantCulture));

    private static bool IsBoard(Device device) =>
        device.RunsKlipper || device.Usb == UsbId.KlipperCanBridge || Drivers.All.Showing(device) is not null;

    private static NodeFact? NodeOf(SystemFacts system, string path, string name) =>
        system.OwnerOf(path) is { } owner ? new(path, name, owner) : null;

    private IEnumerable<(string Path, string Name)> NodesOf(Device device)
    {
        var what = device.DisplayName ?? device.ToString();
        if (device.Node is { } node)
            yield return (node, what);
        var folder = $"{Root}/sys/bus/usb/devices/{device.Port}";
        if (int.TryParse(SystemFacts.Text(folder + "/busnum"), out var bus)
            && int.TryParse(SystemFacts.Text(folder + "/devnum"), out var number))
            yield return ($"/dev/bus/usb/{bus:000}/{number:000}", what);
    }

    private IEnumerable<string> Programs() =>
        !Directory.Exists(Root + KernelProcesses) ? [] : Directory.EnumerateDirectories(Root + KernelProcesses)
        .Where(folder => Path.GetFileName(folder).All(char.IsAsciiDigit)).Select(folder => SystemFacts.Text(folder + "/comm")?.Trim())
            .OfType<string>();

    /// <summary>Imports the modules of Klipper's build and its menu.</summary>
    private async Task<string?> PythonAsync()
    {
        if (SearchPath.Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, "python3"))
            .FirstOrDefault(File.Exists) is not { } program)
            return null;
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, ["-c", "import curses, json, optparse, subprocess, zlib"])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
            using var limit = new CancellationTokenSource(PythonLimit, TimeProvider.System);
            using var killed = limit.Token.Register(process.Kill);
            var said = await process.StandardError.ReadToEndAsync(CancellationToken.None);
            await process.WaitForExitAsync(CancellationToken.None);
            var last = Contract.Text.Clean(said.Trim().Split('\n')[^1]);
            return process.ExitCode == 0 ? "" : last.Length > 0 ? last : $"it ends with {process.ExitCode}";
        }
        catch (Exception refused) when (refused is Win32Exception or InvalidOperationException)
        {
            return Contract.Text.Clean(refused.Message);
        }
    }

    private async Task<FaultReport?> SourcesAsync()
    {
        try
        {
            if (Sources is null)
                return FaultReport.Of(BuildFaults.NotAKlipperTree("~/klipper", "the folder does not exist"));
            var warning = (await KlipperTree.Open(Sources, SearchPath).LookAsync(CancellationToken.None)).Warning;
            return warning is null ? null : FaultReport.Of(warning);
        }
        catch (FlashException fault)
        {
            return FaultReport.Of(fault);
        }
    }

    private static long? Free(string folder)
    {
        try
        {
            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>By the mount of the folder (proc(5), mounts).</summary>
    private bool IsReadOnly(string folder) =>
        (SystemFacts.Text(Root + KernelProcesses + "/self/mounts") ?? "").Split('\n').Select(line => line.Split(' '))
        .Where(parts => parts.Length > 3
            && (folder == parts[1] || folder.StartsWith(parts[1].TrimEnd('/') + "/", StringComparison.Ordinal)))
        .MaxBy(parts => parts[1].Length) is [_, _, _, var options, ..] && options.Split(',').Contains("ro");

    private static string? Hook(string path)
    {
        if (new FileInfo(path) is not { LinkTarget: { } target })
            return SystemFacts.Text(path)?.Contains("ratos", StringComparison.OrdinalIgnoreCase) == true ? path : null;
        return !target.Contains("ratos", StringComparison.OrdinalIgnoreCase)
            ? null : File.ResolveLinkTarget(path, returnFinalTarget: true)?.Exists == true ? target : "";
    }

    private static bool Found(string folder, params ReadOnlySpan<string> names)
    {
        if (!Directory.Exists(folder))
            return false;
        foreach (var name in names)
        {
            if (File.Exists(Path.Combine(folder, name))
                || Directory.EnumerateDirectories(folder).Any(inner => File.Exists(Path.Combine(inner, name))))
                return true;
        }
        return false;
    }

    /// <summary>False where an update has removed the modules of the kernel that runs.</summary>
    private bool HasModules() => SystemFacts.Text(Root + "/proc/sys/kernel/osrelease")?.Trim() is not { Length: > 0 } release
        || !Directory.Exists(Root + "/lib/modules") || Directory.Exists($"{Root}/lib/modules/{release}");
}

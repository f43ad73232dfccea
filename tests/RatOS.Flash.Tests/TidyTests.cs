using System.Text.RegularExpressions;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using StreamJsonRpc;

namespace RatOS.Flash.Tests;

/// <summary>
/// The shape of the code: dependencies between folders and projects point one way, interfaces are few, a class is one file, and files are
/// short.
/// </summary>
public sealed class TidyTests
{
    private const int LongestLine = 140;
    private const int LongestFile = 400;

    internal static readonly string Root = FindRoot();

    /// <summary>The folders of each project in their order: a folder uses those before it, and the projects before its own.</summary>
    private static readonly Dictionary<string, string[]> Folders = new(StringComparer.Ordinal)
    {
        ["RatOS.Flash"] =
        [
            "Core", "Chips", "Hardware", "Hardware.Linux", "Firmware", "Klipper", "Boards", "Bootloaders", "Printer", "Builds", "Flashing",
        ],
        ["RatOS.Flash.Recording"] = [],
        ["RatOS.Flash.Virtual"] = ["Devices", "Moonraker", "UsbIp", "Trials"],
        ["RatOS.Flash.Agent"] = ["Contract", "Settings", "Moonraker", "Boards", "Jobs", "Migration", "Doctor", "Support", "Service", "Cli"],
    };

    /// <summary>The users of the code for the real system.</summary>
    private static readonly string[] UsersOfLinux = ["RatOS.Flash/Hardware/Linux", "RatOS.Flash/Builds", "RatOS.Flash.Agent"];

    private static readonly Lazy<IReadOnlyList<SourceFile>> Files = new(() =>
        [.. ((string[])["src", "tests"]).SelectMany(folder => SourceFiles(folder)).Select(SourceFile.Read)]);

    public static TheoryData<string> Rules => [.. Breaches().Keys];

    [Theory]
    [MemberData(nameof(Rules))]
    public void Every_file_keeps_the_rule(string rule)
    {
        var broken = Breaches()[rule]().GroupBy(breach => breach.File, breach => breach.What)
            .Select(file => $"{file.Key}: {string.Join("; ", file.Take(3))}").ToList();
        Assert.True(broken.Count == 0, $"The rule '{rule}' is broken:\n  {string.Join("\n  ", broken)}");
    }

    [Fact]
    public void Arrows_between_projects_point_one_way()
    {
        Assert.Equal([], ReferencesOf(typeof(Flasher)));
        Assert.Equal(["RatOS.Flash"], ReferencesOf(typeof(Replay)));
        Assert.Equal(["RatOS.Flash", "RatOS.Flash.Recording"], ReferencesOf(typeof(VirtualPrinter)));
        Assert.Equal(["RatOS.Flash", "RatOS.Flash.Recording", "RatOS.Flash.Virtual"], ReferencesOf(typeof(Agent.Cli.FlashVerbs)));
    }

    [Fact]
    public void The_projects_below_the_agent_know_nothing_but_the_base_library() =>
        // Where the base library keeps the error codes of processes.
        Assert.All(
            ((Type[])[typeof(Flasher), typeof(Replay), typeof(VirtualPrinter)]).SelectMany(type => type.Assembly.GetReferencedAssemblies())
                .Select(name => name.Name!).Except(["Microsoft.Win32.Primitives"]),
            name => Assert.True(name.StartsWith("System.", StringComparison.Ordinal) || Folders.ContainsKey(name), name));

    [Fact]
    public void There_are_just_the_interfaces_with_two_real_implementations()
    {
        var all = ((Type[])[typeof(Flasher), typeof(Replay), typeof(VirtualPrinter), typeof(Agent.Cli.FlashVerbs)])
            .SelectMany(type => type.Assembly.GetTypes()).Where(type => type.IsInterface)
            .Where(type => type.Namespace?.StartsWith("RatOS", StringComparison.Ordinal) == true).ToList();
        var contracts = all.Where(type => type.IsDefined(typeof(JsonRpcContractAttribute), inherit: false)).ToList();
        Assert.Equal(["IHardware", "IKlippy", "IUsbDevice"], all.Except(contracts).Select(type => type.Name).Order());
        Assert.Equal(["IAgentApi", "IAnnouncements", "IFollow", "IFollower"], contracts.Select(type => type.Name).Order());
    }

    [Fact]
    public void Every_fault_has_a_stable_code_a_cause_and_a_remedy()
    {
        var faults = FaultList.All;
        Assert.True(faults.Count > 40, $"only {faults.Count} faults were found");
        Assert.All(faults, fault => Assert.Matches("^[a-z0-9]+(-[a-z0-9]+)*$", fault.Code));
        // A remedy that is a guide of the board's is [guide] here.
        Assert.All(faults, fault => Assert.True(
            (fault.Cause.Length > 10 || fault.Cause is ['[', .., ']'])
            && (fault.CommandLine.Length > 10 || fault.CommandLine is ['[', .., ']'])
            && fault.CommandLine.TrimEnd()[^1] is not ',',
            fault.Code));
    }

    [Fact]
    public void One_file_alone_knows_the_kernels_interface_for_USB() => Assert.Single(
        Sources(), file => File.ReadAllText(file).Contains("USBDEVFS_", StringComparison.Ordinal));

    internal static List<string> Sources() => SourceFiles("src");

    // ---- rules

    private static Dictionary<string, Func<IEnumerable<(string File, string What)>>> Breaches() => new(StringComparer.Ordinal)
    {
        ["arrows"] = Arrows,
        ["file-name"] = static () =>
            from file in Files.Value
            where file.Types.Count > 0 && !file.Types.Contains(Path.GetFileNameWithoutExtension(file.Path))
            select (file.Path, $"it holds {string.Join(", ", file.Types.Take(3))}"),
        ["fact-comments"] = static () =>
            from file in Files.Value
            from line in file.Lines
            where line.IndexOf("//", StringComparison.Ordinal) is >= 0 and var at
                && Matches(line[at..], @"\(facts\b|\bfacts:|\b[Tt]he facts\b(?! (?:of|that))")
            select (file.Path, line.Trim()),
        ["long-file"] = static () =>
            from file in Files.Value
            where file.Lines.Length > LongestFile
            select (file.Path, $"{file.Lines.Length} lines"),
        ["long-line"] = static () =>
            from file in Files.Value
            from line in file.Lines.Select((text, i) => (text.Length, Number: i + 1))
            where line.Length > LongestLine
            select (file.Path, $"line {line.Number} has {line.Length} characters"),
        ["namespace"] = static () =>
            from file in Files.Value
            where file.Namespace is not null && file.Namespace != file.Folder
            select (file.Path, $"its namespace is {file.Namespace}"),
        ["partial"] = static () =>
            from file in Files.Value
            from type in file.PartialTypes
            let same = Files.Value.Where(other => other.Namespace == file.Namespace && other.PartialTypes.Contains(type))
            where !file.IsGenerated || same.Count() > 1
            select (file.Path, type),
    };

    private static IEnumerable<(string File, string What)> Arrows()
    {
        var files = Files.Value.Where(file => file.Path.StartsWith("src/", StringComparison.Ordinal)).ToList();
        var uses = files.ToLookup(file => file.Folder).ToDictionary(
            folder => folder.Key, folder => UseOf(folder.Key, folder.SelectMany(file => file.Types)), StringComparer.Ordinal);
        foreach (var file in files)
        {
            var (project, own) = file.Place;
            if (!Folders.TryGetValue(project, out var order))
                continue;
            if (own.Length > 0 ? !order.Contains(own) : order.Length > 0)
                yield return (file.Path, "its folder stands in no order");
            var later = order.SkipWhile(folder => folder != own).Skip(1).Select(folder => $"{project}.{folder}")
                .Concat(uses.Keys.Where(folder => Folders.Keys.SkipWhile(name => name != project).Skip(1).Any(name => IsIn(folder, name))));
            if (!UsersOfLinux.Any(user => file.Path.StartsWith($"src/{user}/", StringComparison.Ordinal)))
                later = later.Append("RatOS.Flash.Hardware.Linux");
            foreach (var used in later.Where(folder => uses[folder].IsMatch(file.Code)).Distinct())
                yield return (file.Path, used);
        }
    }

    private static bool IsIn(string folder, string project) =>
        folder == project || folder.StartsWith(project + ".", StringComparison.Ordinal);

    /// <summary>Names a namespace whole, or one of its types behind the last part of the namespace's name.</summary>
    private static Regex UseOf(string name, IEnumerable<string> types) => new(
        $@"\b{Regex.Escape(name)}\b(?!\.\w+;)|(?<![\w.]){name.Split('.')[^1]}\.(?:{string.Join('|', types)})\b",
        RegexOptions.None,
        TimeSpan.FromSeconds(10));

    // ---- helpers

    private static IEnumerable<string> ReferencesOf(Type type) => type.Assembly.GetReferencedAssemblies().Select(name => name.Name!)
        .Where(name => name.StartsWith("RatOS", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private static bool Matches(string text, string pattern) => Regex.IsMatch(text, pattern, RegexOptions.None, TimeSpan.FromSeconds(10));

    private static List<string> SourceFiles(string folder) =>
    [
        .. Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Where(file => !Matches(file[Root.Length..], "/(obj|bin)/")),
    ];

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "RatOS.Flash.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("no RatOS.Flash.sln above the tests");
        return folder.FullName;
    }

    /// <summary>A file as the rules see it: text, not a syntax tree.</summary>
    /// <param name="Path">From the root.</param>
    /// <param name="Lines">All.</param>
    /// <param name="Code">Without comments.</param>
    private sealed record SourceFile(string Path, string[] Lines, string Code)
    {
        public string? Namespace { get; } = Found(Code, @"(?m)^namespace ([\w.]+);").FirstOrDefault();

        /// <summary>All types, those within types too.</summary>
        public IReadOnlyList<string> Types { get; } = [.. Found(
            Code,
            "(?m)^ *(?:(?:public|internal|private|protected|file|sealed|static|abstract|partial|readonly|unsafe|ref) )*"
            + @"(?:class|record struct|record|struct|enum|interface) (\w+)")];

        public IReadOnlyList<string> PartialTypes { get; } =
            [.. Found(Code, @"\bpartial (?:class|record struct|record|struct|interface) (\w+)")];

        /// <summary>A source generator adds to its types.</summary>
        public bool IsGenerated { get; } =
            TidyTests.Matches(Code, @"\[(GeneratedRegex|LibraryImport|GenerateShape)|: JsonSerializerContext;");

        /// <summary>The namespace that its folder asks for.</summary>
        public string Folder => System.IO.Path.GetDirectoryName(Path)!.Split('/', 2)[1].Replace('/', '.');

        /// <summary>Project and folder.</summary>
        public (string Project, string Folder) Place =>
            Path.Split('/')[1] is var project && Folder == project ? (project, "") : (project, Folder[(project.Length + 1)..]);

        public static SourceFile Read(string file)
        {
            var text = File.ReadAllText(file);
            return new(
                System.IO.Path.GetRelativePath(Root, file),
                text.Split('\n') is [.. var lines, ""] ? lines : text.Split('\n'),
                Regex.Replace(text, @"(?m)^\s*//.*$|\s//\s.*$", "", RegexOptions.None, TimeSpan.FromSeconds(10)));
        }

        private static IEnumerable<string> Found(string text, string pattern) =>
            Regex.Matches(text, pattern, RegexOptions.None, TimeSpan.FromSeconds(10)).Select(match => match.Groups[1].Value);
    }
}

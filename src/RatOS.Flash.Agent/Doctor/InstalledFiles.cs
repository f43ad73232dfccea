using System.Collections.Immutable;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>
/// Files that <c>install.sh</c> wrote outside of the program's folder. An update through Moonraker replaces that folder alone, and root's
/// files stay as they were.
/// </summary>
/// <param name="Root">The root folder; another one for tests.</param>
/// <param name="Folder">The program's folder, with the files that came with it.</param>
/// <param name="Data">The printer's folder.</param>
internal sealed record InstalledFiles(string Root, string Folder, DataFolder Data)
{
    private static readonly string[] Names = ["@UNIT@", "@SUFFIX@", "@USER@", "@FOLDER@", "@DATA@", "@ARCHITECTURES@"];

    private const string MoonrakerSettings = "ratos-flash-moonraker.conf";

    private IEnumerable<(string Path, string Template)> All =>
    [
        ($"{Root}/etc/systemd/system/{Data.Unit}.service", "ratos-flash.service"),
        ($"{Root}/etc/systemd/system/{Data.HostMcuUnit}.service", "ratos-flash-host-mcu.service"),
        (Root + MoonrakerHostMcu.Script, "ratos-flash-host-mcu"),
        (Path.Combine(Data.Root, "config", MoonrakerSettings), MoonrakerSettings),
    ];

    /// <summary>The files that are there and not of this version.</summary>
    public ImmutableArray<string> FindOld() =>
        [.. All.Where(file => IsOld(Lines(file.Path), Lines(Path.Combine(Folder, "config", file.Template)), file.Template))
            .Select(file => file.Path[Root.Length..])];

    private static bool IsOld(string[]? installed, string[]? template, string name)
    {
        if (installed is null || template is null)
            return false;
        // install.sh leaves out the end of Moonraker's settings where no update manager is used.
        var isShort = installed.Length < template.Length && name == MoonrakerSettings;
        return (installed.Length != template.Length && !isShort) || !installed.Zip(template).All(pair => Fits(pair.First, pair.Second));
    }

    /// <summary>A name between @ signs stands for any text: install.sh fills it in.</summary>
    private static bool Fits(string line, string template)
    {
        var parts = template.Split(Names, StringSplitOptions.None);
        if (parts.Length == 1)
            return line == template;
        if (!line.StartsWith(parts[0], StringComparison.Ordinal) || !line.EndsWith(parts[^1], StringComparison.Ordinal))
            return false;
        var at = parts[0].Length;
        foreach (var part in parts[1..^1])
        {
            var found = line.IndexOf(part, at, StringComparison.Ordinal);
            if (found < 0)
                return false;
            at = found + part.Length;
        }
        return at + parts[^1].Length <= line.Length;
    }

    private static string[]? Lines(string path) => SystemFacts.Text(path)?.TrimEnd().Split('\n');
}

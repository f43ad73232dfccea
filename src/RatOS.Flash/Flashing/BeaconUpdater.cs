using System.Runtime.InteropServices;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Beacon's update_firmware.py, in the checkout whose beacon.py Klipper itself loads, else beside Klipper's checkout. Its install.sh calls
/// it with the Python of Klipper's environment. No setting names it: browsers can write settings, and it is executed.
/// </summary>
/// <param name="klipperPath">The Klipper checkout; null where none is known.</param>
/// <param name="searchPath">Where dfu-util is looked for, in the form of PATH; null for this process's own.</param>
public sealed class BeaconUpdater(string? klipperPath, string? searchPath = null) : ProbeUpdater
{
    private const string Script = "update_firmware.py";

    private readonly Tools _programs = new(searchPath ?? Tools.UsualPath);
    private readonly string _beside = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(klipperPath ?? "")) ?? "";

    private string Python => Path.Combine(_beside, "klippy-env", "bin", "python");

    public override FlashException? Check(string board)
    {
        if (klipperPath is null)
            return ProbeFaults.ProbeUpdaterUnknown(board);
        if (Find() is null)
            return ProbeFaults.ProbeUpdaterMissing(board, Places());
        if (!File.Exists(Python))
            return ProbeFaults.ProbeProgramMissing(board, Python, $"python3 -m venv {Path.Combine(_beside, "klippy-env")}");
        // Without it the probe would be left in its bootloader.
        return _programs.Find("dfu-util") is null ? ProbeFaults.ProbeProgramMissing(board, "dfu-util", "sudo apt-get install dfu-util")
            : null;
    }

    public override string CommandFor(Device probe) => string.Join(' ', [Python, .. Arguments(Find() ?? Script, probe)]);

    public override async Task<int> RunAsync(Device probe, Action<string> line, CancellationToken kill)
    {
        var script = Find() ?? Script;
        try
        {
            return await _programs.RunAsync(
                Python, Arguments(script, probe), Path.GetDirectoryName(script)!,
                new Dictionary<string, string> { ["PYTHONUNBUFFERED"] = "1" },
                text =>
                {
                    line(text);
                    return ValueTask.CompletedTask;
                },
                kill);
        }
        catch (Exception fault) when (fault is FileNotFoundException or ExternalException)
        {
            throw ProbeFaults.ProbeUpdaterNotStarted(probe.DisplayName ?? "the probe", fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>This probe alone. One in its bootloader has no port: the updater finds it among all.</summary>
    private static string[] Arguments(string script, Device probe) => [script, "update", probe.Node ?? "all", "--no-sudo"];

    private string? Find() => Places().FirstOrDefault(File.Exists);

    /// <summary>The checkout that Klipper's link leads to; the maker's name for it; RatOS's name for it.</summary>
    private IEnumerable<string> Places()
    {
        if (LinkedModule() is { } module)
            yield return Path.Combine(Path.GetDirectoryName(module)!, Script);
        yield return Path.Combine(_beside, "beacon_klipper", Script);
        yield return Path.Combine(_beside, "beacon", Script);
    }

    private string? LinkedModule()
    {
        try
        {
            return File.ResolveLinkTarget(Path.Combine(klipperPath!, "klippy", "extras", "beacon.py"), returnFinalTarget: true)?.FullName;
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}

using System.Text.RegularExpressions;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Builds;

/// <summary>The programs to build for a family of chips, and the errors that show that one is missing.</summary>
internal sealed partial class Toolchain
{
    /// <summary>Limit for one line; these expressions are linear in its length.</summary>
    private const int Patience = 1000;

    private readonly string _prefix;
    private readonly string[] _needs;

    private Toolchain(string prefix, string packages, params string[] more)
    {
        _prefix = prefix;
        _needs = ["make", "python3", .. ((string[])["gcc", "as", "ld", "objcopy"]).Select(tool => prefix + tool), .. more];
        Packages = packages;
    }

    /// <summary>Debian's packages, as an apt line names them.</summary>
    public string Packages { get; }

    /// <param name="mcu">As the dictionary names it.</param>
    public static Toolchain For(string mcu) => mcu switch
    {
        "linux" => new("", "gcc libc6-dev make python3"),
        // Its UF2 is made by a small C++ program that is built for this computer first.
        "rp2040" or "rp2350" => new("arm-none-eabi-", "gcc-arm-none-eabi libnewlib-arm-none-eabi make python3 g++", "g++"),
        _ when Mcu.IsAvr(mcu) => new("avr-", "gcc-avr binutils-avr avr-libc make python3"),
        _ => new("arm-none-eabi-", "gcc-arm-none-eabi libnewlib-arm-none-eabi make python3"),
    };

    /// <exception cref="FlashException">A program is missing.</exception>
    public void Require(Tools tools, string board)
    {
        var missing = _needs.Where(name => tools.Find(name) is null).ToList();
        if (missing.Count > 0)
            throw BuildFaults.ToolchainMissing(board, string.Join(", ", missing), Packages);
    }

    /// <summary>
    /// Changes when compiler or linker are replaced. By their files, because running them would take longer than the whole decision that
    /// nothing is to be built.
    /// </summary>
    public string Identity(Tools tools) => string.Join(' ', ((string[])["gcc", "ld"]).Select(name =>
    {
        if (tools.Find(_prefix + name) is not { } path)
            return "-";
        var file = new FileInfo(path);
        file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        return $"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}";
    }));

    /// <summary>The fault behind a build's output.</summary>
    /// <param name="output">All lines, both outputs.</param>
    /// <param name="log">The path of the log.</param>
    public FlashException Explain(BuildRequest request, KlipperSource source, IReadOnlyCollection<string> output, string log, string folder)
    {
        foreach (var line in output)
        {
            if (Overflow().Match(line) is { Success: true } overflow)
                return BuildFaults.FirmwareOutgrewBoard(request.Board, request.Config.Mcu, $"{overflow.Groups["count"]} bytes",
                    source.Version);
            if (line.Contains("No space left on device", StringComparison.Ordinal))
                return BuildFaults.BuildDiskFull(folder, FirmwareBuilder.UsualBytes / 1048576.0);
            if (NotFound().Match(line) is { Success: true } program)
                return BuildFaults.ToolchainMissing(request.Board, program.Groups["program"].Value, Packages);
            if (Library().Match(line) is { Success: true } library)
                return BuildFaults.ToolchainMissing(request.Board, $"its C library ({library.Value.Trim()})", Packages);
            if (line.StartsWith("ModuleNotFoundError", StringComparison.Ordinal))
                return BuildFaults.ToolchainMissing(request.Board, $"a part of Python ({line})", Packages);
        }
        return BuildFaults.BuildFailed(request.Board, Tail(output), log);
    }

    /// <summary>The first error and the last lines, without make's own messages.</summary>
    private static string Tail(IReadOnlyCollection<string> output)
    {
        const int lines = 4, longest = 300;
        var telling =
            output.Where(line => !line.StartsWith("  ", StringComparison.Ordinal) && !MakeTalk().IsMatch(line) && line.Trim().Length > 0)
            .Select(line => string.Concat(line.Trim().Take(longest).Select(c => char.IsControl(c) ? ' ' : c))).ToList();
        var first = telling.FindIndex(line => line.Contains("error", StringComparison.OrdinalIgnoreCase));
        var shown = telling.TakeLast(lines);
        if (first >= 0 && first < telling.Count - lines)
            shown = shown.Prepend(telling[first]);
        var text = string.Join(" | ", shown);
        return text.Length > 0 ? text : output.LastOrDefault()?.Trim() ?? "it said nothing";
    }

    // "region `rom' overflowed by 5628 bytes", of GNU ld.
    [GeneratedRegex("region .* overflowed by (?<count>[0-9]+) bytes", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex Overflow();

    // Of make, and of the shell for the programs in a recipe.
    [GeneratedRegex(
        "^(?:make(?:\\[[0-9]+\\])?|/bin/sh|sh)(?:: [0-9]+)?: (?<program>[A-Za-z0-9.+_-]+): (?:No such file or directory|(?:command )?not "
        + "found|Command not found)", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex NotFound();

    [GeneratedRegex(
        "cannot find -l(?:c_nano|c|gcc|util|rt|pthread)\\b|(?:nano|nosys)\\.specs: No such file|fatal error: "
        + "(?:stdint|stdio|stdlib|string|errno|math|avr/io|sys/types)\\.h: No such file", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex Library();

    // Not that it could not start a program, and why.
    [GeneratedRegex("^make(\\[[0-9]+\\])?: (\\*\\*\\*|Entering|Leaving|Nothing|Warning|warning)", RegexOptions.ExplicitCapture, Patience)]
    private static partial Regex MakeTalk();
}

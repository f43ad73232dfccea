using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Runs the program as a process, with a home folder of its own.</summary>
internal sealed partial class ProgramHome : IDisposable
{
    /// <summary>Words that never come must not be waited for without an end.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "ratos-flash.dll");

    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("rf-");

    /// <summary>Of the virtual printer in <c>v</c>.</summary>
    public string PrinterData => PathOf("v", "printer_data");

    public string PathOf(params ReadOnlySpan<string> names) => Path.Combine([_home.FullName, .. names]);

    public Process Start(params string[] args) => StartOther("env", [DefaultSignals, "dotnet", Program, .. args]);

    /// <summary>A process that was started in the background ignores Ctrl-C and SIGQUIT, and so do its children.</summary>
    private const string DefaultSignals = "--default-signal=INT,QUIT,HUP";

    /// <summary>Starts it from a line of bash, where it is <c>$program</c>.</summary>
    public Process StartByShell(string line) => StartOther("bash", ["-c", $"program='dotnet {Program}'; {line}"]);

    /// <summary>
    /// Starts it at a terminal, which util-linux's script makes: killing the returned process closes that terminal.
    /// </summary>
    public Process StartAtTerminal(params string[] args) =>
        // A shell that stayed would hear Ctrl-C too.
        StartOther("script", ["-qec", $"exec env {DefaultSignals} dotnet {Program} {string.Join(' ', args)}", "/dev/null"]);

    public async Task<(int Exit, string Output)> RunAsync(params string[] args)
    {
        using var process = Start(args);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await error);
    }

    /// <summary>At a terminal, where a user types when the words are there. The exit code, and the whole screen.</summary>
    public async Task<(int Exit, string Screen)> AtTerminalAsync((string When, string Types)[] user, params string[] args)
    {
        using var process = StartAtTerminal(args);
        var screen = "";
        foreach (var (when, types) in user)
        {
            screen += await ReadUntilAsync(process, when);
            await process.StandardInput.WriteAsync(types);
            await process.StandardInput.FlushAsync();
        }
        screen += await ReadUntilAsync(process, null);
        await process.WaitForExitAsync();
        return (process.ExitCode, screen);
    }

    /// <summary>Reads until the words are there, wherever the terminal wraps and colours them; null to the end.</summary>
    public static async Task<string> ReadUntilAsync(Process process, string? words)
    {
        await using var limit = new Timer(_ => process.Kill(entireProcessTree: true), null, Limit, Timeout.InfiniteTimeSpan);
        var (text, buffer) = (new StringBuilder(), new char[4096]);
        while (words is null || !Spaces().Replace(Colours().Replace(text.ToString(), ""), " ")
            .Contains(words, StringComparison.Ordinal))
        {
            var length = await process.StandardOutput.ReadAsync(buffer);
            if (length == 0)
                return words is null ? text.ToString() : throw new InvalidOperationException($"It ended without \"{words}\":\n{text}");
            text.Append(buffer, 0, length);
        }
        return text.ToString();
    }

    [GeneratedRegex(@"\x1b\[[0-9;?]*[A-Za-z]", RegexOptions.None, 1000)]
    private static partial Regex Colours();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Spaces();

    public void Dispose() => _home.Delete(recursive: true);

    private Process StartOther(string file, IEnumerable<string> args)
    {
        var start = new ProcessStartInfo(file, args)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        (start.Environment["HOME"], start.Environment["XDG_STATE_HOME"], start.Environment["TERM"]) =
            (_home.FullName, _home.FullName, "xterm");
        return Process.Start(start)!;
    }
}

using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Builds;

/// <summary>
/// Programs of this computer, always started with an argument list. Each gets a fresh environment: inherited variables (MAKEFLAGS, GIT_DIR,
/// CFLAGS, a language) must not change the result.
/// </summary>
/// <param name="searchPath">In the form of PATH.</param>
internal sealed class Tools(string searchPath)
{
    private const int KillSignal = 9;

    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>Longest part of an output line that is kept.</summary>
    private const int MaxLine = 4096;

    public static string UsualPath =>
        Environment.GetEnvironmentVariable("PATH") is { Length: > 0 } path ? path : "/usr/local/bin:/usr/bin:/bin";

    /// <summary>The full path of a program, or null.</summary>
    public string? Find(string name)
    {
        foreach (var folder in searchPath.Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            var path = Path.Combine(folder, name);
            if (new FileInfo(path) is { Exists: true } file && (file.UnixFileMode & Executable) != UnixFileMode.None)
                return path;
        }
        return null;
    }

    /// <summary>Runs a program to its end, in its own process group and with low priority (nice).</summary>
    /// <param name="line">Called for each line of both outputs, in their order within each, never twice at a time.</param>
    /// <param name="cancel">Kills it and its children, and waits until they are gone.</param>
    /// <returns>Its exit code.</returns>
    /// <exception cref="FileNotFoundException">It is not installed.</exception>
    /// <exception cref="ExternalException">It cannot be started.</exception>
    public async Task<int> RunAsync(
        string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment,
        Func<string, ValueTask> line, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        // setsid makes the group that a cancel kills as a whole; nice keeps printing and the web page first. Both are in every Debian.
        string[] wrapped = ["nice", "-n", "10", Require(program), .. arguments];
        using var process = Start(Require("setsid"), wrapped, folder, environment);
        using var gate = new SemaphoreSlim(1);
        using var killed = cancel.Register(() => Kill(process));
        try
        {
            await Task.WhenAll(Read(process.StandardOutput), Read(process.StandardError));
        }
        finally
        {
            await process.WaitForExitAsync(CancellationToken.None);
        }
        cancel.ThrowIfCancellationRequested();
        return process.ExitCode;

        async Task Read(StreamReader output)
        {
            while (await output.ReadLineAsync(CancellationToken.None) is { } text)
            {
                await gate.WaitAsync(CancellationToken.None);
                try
                {
                    // After a cancel the pipes are only drained.
                    if (!cancel.IsCancellationRequested)
                        await line(text.Length <= MaxLine ? text : text[..MaxLine]);
                }
                catch
                {
                    // An unread pipe would block the program for ever.
                    Kill(process);
                    throw;
                }
                finally
                {
                    gate.Release();
                }
            }
        }
    }

    /// <summary>Runs a short program and returns what it printed (all of it, NULs included) and its exit code.</summary>
    /// <exception cref="FileNotFoundException">It is not installed.</exception>
    /// <exception cref="ExternalException">It cannot be started.</exception>
    public async Task<(int Exit, string Output, string Errors)> AskAsync(
        string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment,
            CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        using var process = Start(Require(program), arguments, folder, environment);
        using var killed = cancel.Register(() => Kill(process));
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        var output = await process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        await process.WaitForExitAsync(CancellationToken.None);
        cancel.ThrowIfCancellationRequested();
        return (process.ExitCode, output, await errors);
    }

    /// <summary>Runs a program that answers one text with another, in its own process group and with low priority.</summary>
    /// <param name="input">All of its input.</param>
    /// <param name="most">Characters of each output that are kept. A program that prints more is killed.</param>
    /// <param name="cancel">As for <see cref="RunAsync"/>.</param>
    /// <exception cref="FileNotFoundException">It is not installed.</exception>
    /// <exception cref="ExternalException">It cannot be started.</exception>
    public async Task<(int Exit, string Output, string Errors)> ExchangeAsync(
        string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment,
        string input, int most, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        string[] wrapped = ["nice", "-n", "10", Require(program), .. arguments];
        using var process = Start(Require("setsid"), wrapped, folder, environment, hasInput: true);
        using var killed = cancel.Register(() => Kill(process));
        var (writing, output, errors) = (Write(), Read(process.StandardOutput), Read(process.StandardError));
        await Task.WhenAll(writing, output, errors);
        await process.WaitForExitAsync(CancellationToken.None);
        cancel.ThrowIfCancellationRequested();
        return (process.ExitCode, await output, await errors);

        async Task Write()
        {
            try
            {
                await process.StandardInput.WriteAsync(input);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading: its errors say why.
            }
        }

        async Task<string> Read(StreamReader from)
        {
            var (text, buffer) = (new StringBuilder(), new char[16 * 1024]);
            for (int came; (came = await from.ReadAsync(buffer, CancellationToken.None)) > 0;)
            {
                if (text.Length + came > most)
                    Kill(process);
                else
                    text.Append(buffer, 0, came);
            }
            return text.ToString();
        }
    }

    /// <summary>Runs a program on this process's terminal, to its end.</summary>
    /// <returns>Its exit code.</returns>
    /// <exception cref="ExternalException">It cannot be started.</exception>
    public async Task<int> ShowAsync(
        string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment)
    {
        var start = Describe(Require(program), arguments, folder, environment);
        // The menu draws its frames with it.
        start.Environment["LC_ALL"] = "C.UTF-8";
        foreach (var name in (string[])["TERM", "TERMINFO"])
        {
            if (Environment.GetEnvironmentVariable(name) is { } value)
                start.Environment[name] = value;
        }
        using var process = Process.Start(start)!;
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private string Require(string program) => Find(program) ?? throw new FileNotFoundException($"{program} is not installed");

    private Process Start(string program, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment,
        bool hasInput = false)
    {
        var start = Describe(program, arguments, folder, environment);
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        var process = Process.Start(start)!;
        if (!hasInput)
            process.StandardInput.Close();
        return process;
    }

    private ProcessStartInfo Describe(string program,
        IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, UseShellExecute = false };
        start.Environment.Clear();
        start.Environment["PATH"] = searchPath;
        start.Environment["LC_ALL"] = "C";
        start.Environment["HOME"] = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return start;
    }

    private static void Kill(Process process)
    {
        try
        {
            if (process.HasExited)
                return;
            // The first signal reaches the group once setsid has run; before that there is only the process itself.
            _ = Libc.Kill(-process.Id, KillSignal);
            process.Kill();
        }
        catch (Exception e) when (e is InvalidOperationException or ExternalException)
        {
            // It ended meanwhile.
        }
    }
}

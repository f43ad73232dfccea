using System.Diagnostics;
using System.Text;
using RatOS.Flash.Tests.Linux;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>The program on a real pseudo terminal of a given size.</summary>
internal sealed class TerminalRun : IDisposable
{
    // Real time, for a machine under load: a program that hangs ends the test.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly Pty _pty = new();
    private readonly FileStream _near;
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly int _columns;
    private readonly Task _reading;
    private event Action? OutputReceived;

    /// <param name="home">HOME and XDG_STATE_HOME.</param>
    /// <param name="columns">Of the terminal.</param>
    /// <param name="environment">More of it; null takes a variable away.</param>
    /// <param name="args">Of the program.</param>
    public TerminalRun(string home, int columns, Dictionary<string, string?> environment, params string[] args)
    {
        _columns = columns;
        // While this side has it open, the terminal does not hang up.
        _near = new FileStream(_pty.Node, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        using (var size = Process.Start("stty", ["-F", _pty.Node, "cols", $"{columns}", "rows", "24"]))
            size.WaitForExit();
        // A program that is started in the background inherits that Ctrl-C is ignored.
        var script = $"exec env --default-signal=INT dotnet \"$@\" < {_pty.Node} > {_pty.Node} 2> {_pty.Node}";
        var program = Path.Combine(AppContext.BaseDirectory, "ratos-flash.dll");
        var start = new ProcessStartInfo("/bin/sh", ["-c", script, "sh", program, .. args]) { UseShellExecute = false };
        (start.Environment["HOME"], start.Environment["XDG_STATE_HOME"]) = (home, home);
        (start.Environment["TERM"], start.Environment["LC_ALL"]) = ("xterm-256color", "C.UTF-8");
        start.Environment.Remove("NO_COLOR");
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        _process = Process.Start(start)!;
        _reading = ReadAsync();
    }

    /// <summary>All that was written to the terminal.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    public TerminalScreen Screen => TerminalScreen.Of(Output, _columns);

    public async Task UntilShownAsync(string text)
    {
        var shown = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Check()
        {
            if (Output.Contains(text, StringComparison.Ordinal))
                shown.TrySetResult();
        }
        OutputReceived += Check;
        Check();
        _ = _reading.ContinueWith(
            _ => shown.TrySetException(new EndOfStreamException($"'{text}' was never shown:\n{Output}")), TaskScheduler.Default);
        await shown.Task.WaitAsync(Patience);
        OutputReceived -= Check;
    }

    /// <summary>Ctrl-C at its keyboard.</summary>
    public void Interrupt()
    {
        using var kill = Process.Start("kill", ["-INT", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    public void Type(string text) => _pty.Far.Write(Encoding.UTF8.GetBytes(text));

    /// <returns>The exit code.</returns>
    public async Task<int> EndAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(Patience);
        await _near.DisposeAsync();
        await _reading.WaitAsync(Patience);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
        _near.Dispose();
        _pty.Dispose();
    }

    private async Task ReadAsync()
    {
        var (buffer, decoder, chars) = (new byte[4096], Encoding.UTF8.GetDecoder(), new char[4096]);
        try
        {
            for (int length; (length = await _pty.Far.ReadAsync(buffer)) > 0;)
            {
                lock (_output)
                    _output.Append(chars, 0, decoder.GetChars(buffer, 0, length, chars, 0));
                OutputReceived?.Invoke();
            }
        }
        catch (Exception over) when (over is IOException or ObjectDisposedException)
        {
            // The last program has closed the terminal.
        }
    }
}

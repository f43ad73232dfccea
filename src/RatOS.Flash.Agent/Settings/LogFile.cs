using System.Globalization;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace RatOS.Flash.Agent.Settings;

/// <summary>The log: a few rolling files, and standard error with <c>--verbose</c>.</summary>
internal sealed class LogFile : IDisposable
{
    private const long FileSize = 2 * 1024 * 1024;
    private const int Files = 3;

    private readonly Logger _logger;

    private readonly LoggingLevelSwitch _level;
    private readonly Loss _loss;

    private LogFile(Logger logger, LoggingLevelSwitch level, Loss loss) => (_logger, _level, _loss) = (logger, level, loss);

    /// <summary>Messages below it are not written.</summary>
    public LogEventLevel Level
    {
        set => _level.MinimumLevel = value;
    }

    /// <param name="path">Null for the default path.</param>
    /// <param name="show">Shows lines to the user: that the file cannot be opened or written.</param>
    /// <param name="isVerbose">And each line of the log.</param>
    public static LogFile Open(string? path, Action<string> show, bool isVerbose = false)
    {
        var level = new LoggingLevelSwitch(LogEventLevel.Debug);
        path ??= Path.Combine(Folders.State(), "ratos-flash.log");
        var loss = new Loss(path, show);
        var configuration = new LoggerConfiguration().MinimumLevel.ControlledBy(level);
        if (isVerbose)
            configuration.WriteTo.Sink(new LineSink(show));
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path) ?? throw new IOException("it is a folder"));
            // Rolling renames and deletes: root would lose /dev/null.
            var rolls = !Path.GetFullPath(path).StartsWith("/dev/", StringComparison.Ordinal);
            if (rolls && File.Exists(path))
                CheckNoPipe(path);
            configuration.WriteTo.Fallible(
                to => to.File(
                    path, formatProvider: CultureInfo.InvariantCulture, fileSizeLimitBytes: rolls ? FileSize : null,
                    rollOnFileSizeLimit: rolls, retainedFileCountLimit: rolls ? Files : null,
                    outputTemplate: "{Timestamp:yyyy-MM-dd HH:mm:ss.fff} [{Level:u3}] {Message:lj}{NewLine}{Exception}"),
                loss);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            loss.Say(fault);
        }
        return new LogFile(configuration.CreateLogger(), level, loss);
    }

    /// <summary>A pipe would wait for a reader for ever. Opened for both it does not, and it has no length.</summary>
    /// <exception cref="NotSupportedException">It is a pipe.</exception>
    private static void CheckNoPipe(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        _ = RandomAccess.GetLength(file);
    }

    /// <summary>
    /// A ring of files for what the flight recorder hears between jobs, with the time before each line. It is opened with the first one;
    /// where it cannot be, nothing is kept.
    /// </summary>
    /// <param name="path">Of the first file; the others have a number behind its name.</param>
    public static LogFile Ring(string path) => new(
        new LoggerConfiguration().WriteTo.File(
            path, formatProvider: CultureInfo.InvariantCulture, fileSizeLimitBytes: FileSize / 2, rollOnFileSizeLimit: true,
            retainedFileCountLimit: Files,
            outputTemplate: "{Timestamp:yyyy-MM-dd'T'HH:mm:ss.fff} {Message:lj}{NewLine}").CreateLogger(),
        new LoggingLevelSwitch(), new Loss(path, static _ => { }));

    public void Event(FlashEvent step)
    {
        if (step.Kind == FlashEventKind.Progress)
            return;
        var level = step.Kind == FlashEventKind.Warning ? LogEventLevel.Warning : LogEventLevel.Information;
        _logger.Write(level, "+{At} {Board} {Phase} {Kind}: {Message}", step.At, step.Board ?? "-", step.Phase, step.Kind, step.Message);
        if (step.Report is { Fault: { } fault } report)
            _logger.Error(
                "{Board} {Condition} [{Code}] {Cause} {Remedy} Notes: {Notes}", report.Board, report.Condition, fault.Code, fault.Cause,
                fault.Remedy, report.Notes);
    }

    public void Say(string text) => _logger.Information("{Text}", text);

    public void Fault(FlashException fault) => _logger.Error("[{Code}] {Cause} {Remedy}", fault.Code, fault.Cause, fault.Remedy);

    public void Bug(Exception bug) => _logger.Fatal(bug, "Internal error");

    public void Dispose()
    {
        try
        {
            _logger.Dispose();
        }
        catch (IOException fault)
        {
            _loss.Say(fault);   // its last lines
        }
    }

    /// <summary>Says once that the log is lost: a flash does not fail for want of a log.</summary>
    private sealed class Loss(string path, Action<string> show) : ILoggingFailureListener
    {
        private bool _isSaid;

        public void OnLoggingFailed(
            object sender, LoggingFailureKind kind, string message, IReadOnlyCollection<LogEvent>? events, Exception? exception) =>
            Say(exception ?? new IOException(message));

        public void Say(Exception fault)
        {
            if (!_isSaid)
                show($"The log {path} is incomplete: {fault.Message}");
            _isSaid = true;
        }
    }

    private sealed class LineSink(Action<string> show) : ILogEventSink
    {
        private readonly MessageTemplateTextFormatter _format =
            new("{Timestamp:HH:mm:ss.fff} {Message:lj}{NewLine}{Exception}", CultureInfo.InvariantCulture);

        public void Emit(LogEvent logEvent)
        {
            var text = new StringWriter();
            _format.Format(logEvent, text);
            show(text.ToString().TrimEnd());
        }
    }
}

/// <summary>The user's own folders.</summary>
internal static class Folders
{
    /// <summary><c>ratos-flash</c> in XDG_STATE_HOME, or in ~/.local/state.</summary>
    public static string State()
    {
        var state = Environment.GetEnvironmentVariable("XDG_STATE_HOME");
        if (string.IsNullOrEmpty(state) || !Path.IsPathRooted(state))
            state = Path.Combine(
                Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".local",
                "state");
        return Path.Combine(state, "ratos-flash");
    }
}

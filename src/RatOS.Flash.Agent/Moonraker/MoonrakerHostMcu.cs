using System.Text.Json;
using System.Threading.Channels;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>
/// Replaces Klipper's process on this computer through Moonraker. The new program and a request are written to the printer's folder,
/// Moonraker starts the root unit that <c>install.sh</c> installs (<c>config/ratos-flash-host-mcu</c>), and the unit writes its answer to
/// the same folder.
/// </summary>
/// <param name="moonraker">The connection.</param>
/// <param name="data">The printer's folder.</param>
/// <param name="time">The only clock.</param>
internal sealed class MoonrakerHostMcu(MoonrakerConnection moonraker, DataFolder data, TimeProvider time) : HostMcu
{
    /// <summary>The script of root's that the unit runs.</summary>
    public const string Script = "/usr/local/lib/ratos-flash/host-mcu";

    private readonly string _folder = data.HostMcu;

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(60);

    /// <summary>Klipper's own name for the service, and that of older installations.</summary>
    private static readonly string[] Processes = ["klipper-mcu", "klipper_mcu"];

    /// <summary>The command that installs the unit.</summary>
    public static string InstallCommand
    {
        get
        {
            var beside = Path.Combine(AppContext.BaseDirectory, "install.sh");
            return $"{(File.Exists(beside) ? beside : "~/ratos-flash/install.sh")} --host-mcu";
        }
    }

    public override async Task<FlashException?> CheckAsync(CancellationToken cancel)
    {
        try
        {
            var (unit, process) = await ServicesAsync(cancel);
            return process is null
                ? HostMcuFaults.HostMcuServiceMissing(Processes[0])
                : unit is null ? HostMcuFaults.HostMcuUnitMissing(InstallCommand)
                : IsOld() ? HostMcuFaults.HostMcuUnitOld(InstallCommand)
                : null;
        }
        catch (FlashException gone)
        {
            return gone;
        }
        catch (MoonrakerException refused)
        {
            return PrinterFaults.MoonrakerRefused("machine.system_info", refused.Message);
        }
    }

    public override Task InstallAsync(ReadOnlyMemory<byte> program) => AskAsync("install", program);

    public override Task RestoreAsync() => AskAsync("restore", null);

    public override async Task RestartAsync() =>
        await CallAsync(
            "machine.services.restart",
            (await ServicesAsync(CancellationToken.None)).Process ?? throw HostMcuFaults.HostMcuServiceMissing(Processes[0]));

    private async Task AskAsync(string order, ReadOnlyMemory<byte>? program)
    {
        // An answer to an earlier request does not count.
        var token = Convert.ToHexStringLower(SecureRandom.Bytes(8));
        var (unit, _) = await ServicesAsync(CancellationToken.None);
        if (IsOld())
            throw HostMcuFaults.HostMcuUnitOld(InstallCommand);
        // Moonraker does not announce the unit's end. Its answer is a file.
        using var watcher = new FileSystemWatcher();
        var changes = Channel.CreateBounded<bool>(1);
        try
        {
            if (program is { } bytes)
                AtomicFile.Write(Path.Combine(_folder, "klipper_mcu.new"), bytes.Span);
            AtomicFile.Write(Path.Combine(_folder, "request"), System.Text.Encoding.ASCII.GetBytes($"{order} {token}\n"));
            watcher.Created += Changed;
            watcher.Changed += Changed;
            watcher.Renamed += Changed;
            (watcher.Path, watcher.Filter) = (_folder, "result");
            watcher.EnableRaisingEvents = true;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw HostMcuFaults.HostMcuStaging(_folder, fault.Message.TrimEnd('.'));
        }
        var begin = time.GetTimestamp();
        await CallAsync("machine.services.start", unit ?? throw HostMcuFaults.HostMcuUnitMissing(InstallCommand));
        string? said;
        while ((said = AnswerTo(token)) is null)
        {
            var left = AnswerLimit - time.GetElapsedTime(begin);
            if (left <= TimeSpan.Zero || !await changes.Reader.ReadAsync().AsTask().WaitUpToAsync(left, time, CancellationToken.None))
                throw HostMcuFaults.HostMcuUnitSilent(AnswerLimit.TotalSeconds);
        }
        const string refused = "refused: ";
        File.Delete(Path.Combine(_folder, "klipper_mcu.new"));
        File.Delete(Path.Combine(_folder, "request"));
        if (said != "done")
            throw HostMcuFaults.HostMcuRefused(
                Text.Clean(said.StartsWith(refused, StringComparison.Ordinal) ? said[refused.Length..] : said));

        void Changed(object sender, FileSystemEventArgs change) => changes.Writer.TryWrite(true);
    }

    /// <summary>The script hands no file of root's to the user; the first version did.</summary>
    /// <param name="script">Its text.</param>
    public static bool IsSafe(string script) => script.Contains("(format 2;", StringComparison.Ordinal);

    /// <summary>An update of this program does not renew the script: only root can write there.</summary>
    private static bool IsOld()
    {
        try
        {
            return File.Exists(Script) && !IsSafe(File.ReadAllText(Script));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    private string? AnswerTo(string token)
    {
        try
        {
            var text = File.ReadAllText(Path.Combine(_folder, "result"));
            return text.StartsWith($"{token} ", StringComparison.Ordinal) && text.EndsWith('\n')
                ? text[(token.Length + 1)..].Trim() : null;
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The services that Moonraker can start. It reads them at its own start.</summary>
    private async Task<(string? Unit, string? Process)> ServicesAsync(CancellationToken cancel)
    {
        var names = (await moonraker.CallAsync("machine.system_info", cancel: cancel)).Items("system_info", "available_services")
            .Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!).ToList();
        return (names.Find(name => name == data.HostMcuUnit), Processes.FirstOrDefault(names.Contains));
    }

    private async Task CallAsync(string method, string service)
    {
        try
        {
            await moonraker.CallAsync(method, new() { ["service"] = service });
        }
        catch (MoonrakerException refused)
        {
            throw PrinterFaults.MoonrakerRefused($"{method} {service}", refused.Message);
        }
    }
}

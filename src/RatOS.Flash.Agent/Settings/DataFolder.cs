using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Settings;

/// <summary>One printer's folder, as Klipper's installers lay it out (<c>~/printer_data</c>, <c>~/printer_1_data</c>), and what of it is ours.</summary>
internal sealed record DataFolder(string Root)
{
    public static DataFolder Default => new(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), "printer_data"));

    public string Settings => Path.Combine(Root, "config", "ratos-flash.conf");

    public string Moonraker => Path.Combine(Root, "comms", "moonraker.sock");

    /// <summary>Where the command line and the agent meet.</summary>
    public string Socket => Path.Combine(Root, "comms", "ratos-flash.sock");

    public string Jobs => Path.Combine(Root, "ratos-flash", "jobs");

    /// <summary>What happened on the buses and with Klipper while no job ran: the first file of a ring.</summary>
    public string Between => Path.Combine(Root, "ratos-flash", "between", "between.log");

    /// <summary>Firmware by the name of its board or kind: <c>octopus.bin</c>, <c>btt-octopus-11.bin</c>.</summary>
    public string Firmware => Path.Combine(Root, "ratos-flash", "firmware");

    /// <summary>Firmware that was built, and what building takes.</summary>
    public string Builds => Path.Combine(Root, "ratos-flash", "builds");

    /// <summary>Firmware that boards have run, for a way back.</summary>
    public string Good => Path.Combine(Root, "ratos-flash", "good");

    /// <summary>What Klipper told of its boards.</summary>
    public string Mcus => Path.Combine(Root, "ratos-flash", "mcus.json");

    /// <summary>The definitions of boards of an installed RatOS.</summary>
    public string RatOsBoards => Path.Combine(Root, "config", "RatOS", "boards");

    /// <summary>Where the unit that replaces the process of this computer takes its program from.</summary>
    public string HostMcu => Path.Combine(Root, "ratos-flash", "host-mcu");

    /// <summary>Build configurations that somebody chose, by the board's name.</summary>
    public string Configs => Path.Combine(Root, "ratos-flash", "configs");

    /// <summary>What people were asked already.</summary>
    public string Told => Path.Combine(Root, "ratos-flash", "told");

    /// <summary>In the folder that Mainsail shows; null where there is none.</summary>
    public string? LogIfThere => Directory.Exists(Path.Combine(Root, "logs")) ? Path.Combine(Root, "logs", "ratos-flash.log") : null;

    /// <summary>Lays a file where Mainsail and Fluidd offer it for download: among the configuration files.</summary>
    /// <param name="board">Whose it is.</param>
    /// <param name="name">Its name.</param>
    /// <param name="file">All of it.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="FlashException">It cannot be written.</exception>
    public string Offer(string board, string name, ReadOnlyMemory<byte> file)
    {
        var path = Path.Combine(Root, "config", "firmware_binaries", Text.FileName(board), name);
        try
        {
            AtomicFile.Write(path, file.Span);
            return path;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw FirmwareFaults.FileNotOffered(path, fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>Held by whoever works on the boards; nobody else does meanwhile.</summary>
    /// <exception cref="FlashException">Somebody else holds it, or the folder cannot be written.</exception>
    public IDisposable Lock()
    {
        var path = Path.Combine(Root, "ratos-flash", "lock");
        try
        {
            foreach (var folder in (string[])[Path.GetDirectoryName(path)!, Jobs, Firmware])
                Directory.CreateDirectory(folder);
            // .NET's sharing is the kernel's flock: it ends with its process, however that ends.
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            using var writer = new StreamWriter(file, leaveOpen: true);
            file.SetLength(0);
            writer.Write(string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId}"));
            return file;
        }
        catch (IOException) when (File.Exists(path))
        {
            throw AgentFaults.AgentElsewhere(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.JournalUnwritable(Path.GetDirectoryName(path)!, fault.Message);
        }
    }
}

using System.Globalization;
using System.Text;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Settings;

/// <summary>
/// The data folder of one printer, as Klipper's installers create it (<c>~/printer_data</c>, <c>~/printer_1_data</c>), and our files in
/// it.
/// </summary>
/// <param name="Root">Its path.</param>
internal sealed record DataFolder(string Root)
{
    public static DataFolder Default
    {
        get
        {
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
            return new(Path.Combine(home, "printer_data"));
        }
    }

    /// <summary>The agent's unit, named after this folder as install.sh does.</summary>
    public string Unit => "ratos-flash" + Suffix;

    /// <summary>The unit that replaces Klipper's process on this computer, of this printer alone.</summary>
    public string HostMcuUnit => "ratos-flash-host-mcu" + Suffix;

    private string Suffix
    {
        get
        {
            var name = Path.GetFileName(Root);
            if (name == "printer_data")
                return "";
            var isOneOfSeveral = name.Length > 13 && name.StartsWith("printer_", StringComparison.Ordinal)
                && name.EndsWith("_data", StringComparison.Ordinal);
            return "-" + (isOneOfSeveral ? name[8..^5]
                : string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '-')));
        }
    }

    public string Settings => Path.Combine(Root, "config", "ratos-flash.conf");

    public string PrinterConfig => Path.Combine(Root, "config", "printer.cfg");

    public string Moonraker => Path.Combine(Root, "comms", "moonraker.sock");

    /// <summary>The agent's own socket.</summary>
    public string Socket => Path.Combine(Root, "comms", "ratos-flash.sock");

    public string Jobs => Path.Combine(Root, "ratos-flash", "jobs");

    /// <summary>What happened on the buses and with Klipper between jobs: the first file of a ring.</summary>
    public string Between => Path.Combine(Root, "ratos-flash", "between", "between.log");

    /// <summary>Firmware with the name or the id of its board: <c>octopus.bin</c>, <c>btt-octopus-11.bin</c>.</summary>
    public string Firmware => Path.Combine(Root, "ratos-flash", "firmware");

    /// <summary>Built firmware, and the folders of builds.</summary>
    public string Builds => Path.Combine(Root, "ratos-flash", "builds");

    /// <summary>Firmware that boards have run, for a rollback.</summary>
    public string Good => Path.Combine(Root, "ratos-flash", "good");

    /// <summary>A copy of the last version of this program that ran.</summary>
    public string LastVersion => Path.Combine(Root, "ratos-flash", "last-version");

    /// <summary>Klipper's last report of its boards.</summary>
    public string Mcus => Path.Combine(Root, "ratos-flash", "mcus.json");

    /// <summary>The board definitions of an installed RatOS.</summary>
    public string RatOsBoards => Path.Combine(Root, "config", "RatOS", "boards");

    /// <summary>Where the unit that replaces Klipper's process on this computer finds the new program.</summary>
    public string HostMcu => Path.Combine(Root, "ratos-flash", "host-mcu");

    /// <summary>The user's build options, by the board's name.</summary>
    public string Configs => Path.Combine(Root, "ratos-flash", "configs");

    /// <summary>The last announcement of boards with older firmware.</summary>
    public string UpdateNotice => Path.Combine(Root, "ratos-flash", "told");

    /// <summary>The last announcement of an update that boards will need new firmware after.</summary>
    public string OfferNotice => Path.Combine(Root, "ratos-flash", "told-before");

    /// <summary>Checksums of the settings that were confirmed on the command line.</summary>
    public string Confirmed => Path.Combine(Root, "ratos-flash", "confirmed");

    /// <summary>The buttons of the prompt that is shown.</summary>
    public string Buttons => Path.Combine(Root, "ratos-flash", "buttons");

    /// <summary>The log in the folder that Mainsail shows; null where that folder is missing.</summary>
    public string? LogIfThere => Directory.Exists(Path.Combine(Root, "logs")) ? Path.Combine(Root, "logs", "ratos-flash.log") : null;

    /// <summary>Writes a file where Mainsail and Fluidd offer it for download: among the configuration files.</summary>
    /// <param name="board">The board that it is for.</param>
    /// <param name="name">Its name.</param>
    /// <param name="file">Its content.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="FlashException"><c>file-not-offered</c>.</exception>
    public string Offer(string board, string name, ReadOnlyMemory<byte> file) =>
        WriteTo(Path.Combine(Root, "config", "firmware_binaries", Text.FileName(board)), name, file);

    /// <summary>Writes a file for the user, whole or not at all.</summary>
    /// <param name="folder">Is made.</param>
    /// <param name="name">Its name.</param>
    /// <param name="file">Its content.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="FlashException"><c>file-not-offered</c>.</exception>
    public static string WriteTo(string folder, string name, ReadOnlyMemory<byte> file)
    {
        var path = Path.Combine(folder, name);
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

    /// <summary>Takes the lock of this printer's boards, until it is disposed.</summary>
    /// <exception cref="FlashException">Another process holds it, or the folder cannot be written.</exception>
    public IDisposable Lock()
    {
        var path = LockFile;
        FileStream file;
        try
        {
            foreach (var folder in (string[])[Path.GetDirectoryName(path)!, Jobs, Firmware])
                Directory.CreateDirectory(folder);
            // FileShare.None is flock(2): it ends with the process, however that ends.
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException held) when (held.HResult == WouldBlock)
        {
            throw AgentFaults.AgentElsewhere(path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw AgentFaults.JournalUnwritable(Path.GetDirectoryName(path)!, fault.Message);
        }
        try
        {
            file.SetLength(0);
            file.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId}")));
        }
        catch (IOException)
        {
            // The disk is full. The lock holds without the name of its process.
        }
        return file;
    }

    /// <summary>A process works on this printer's boards.</summary>
    public bool IsLocked
    {
        get
        {
            try
            {
                using var file = new FileStream(LockFile, FileMode.Open, FileAccess.Read, FileShare.None);
                return false;
            }
            catch (Exception held) when (held is IOException or UnauthorizedAccessException)
            {
                return held.HResult == WouldBlock;
            }
        }
    }

    private string LockFile => Path.Combine(Root, "ratos-flash", "lock");

    private const int WouldBlock = 11;   // EWOULDBLOCK of flock(2)
}

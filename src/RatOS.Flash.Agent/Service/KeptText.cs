using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Service;

/// <summary>What was announced last, in a file: a new agent does not announce it again.</summary>
/// <param name="file">The file.</param>
/// <param name="log">The log.</param>
internal sealed class KeptText(string file, LogFile log)
{
    private const int Longest = 64 * 1024;

    /// <summary>Null for nothing.</summary>
    public string? Text
    {
        get;
        set
        {
            field = value;
            Write(value);
        }
    } = Read(file);

    private static string? Read(string file)
    {
        try
        {
            return Path.Exists(file) ? TextFile.Read(file, Longest) : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return null;   // it is announced again
        }
    }

    private void Write(string? text)
    {
        try
        {
            if (text is null)
                File.Delete(file);
            else
                File.WriteAllText(file, text);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Cannot keep the last announcement: {fault.Message}");
        }
    }
}

using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Service;

/// <summary>What was announced last, in a file: a new agent does not announce it again.</summary>
/// <param name="file">The file.</param>
/// <param name="log">The log.</param>
internal sealed class KeptText(string file, LogFile log)
{
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
            return File.Exists(file) ? File.ReadAllText(file) : null;
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

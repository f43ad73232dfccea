namespace RatOS.Flash.Agent.Doctor;

/// <summary>A repair that the printer's user can do without root.</summary>
/// <param name="Path">A file of the user's.</param>
/// <param name="Target">Where a link at the path leads; null where a line is added.</param>
/// <param name="Line">The line.</param>
internal sealed record DoctorFix(string Path, string? Target = null, string? Line = null)
{
    /// <summary>Repairs it. A file that is no link is never replaced.</summary>
    /// <returns>False where the file system refused.</returns>
    public bool TryApply()
    {
        try
        {
            if (Line is not null)
            {
                // Above the others: the last line may lack its end.
                var text = File.ReadAllText(Path);
                File.WriteAllText(Path + ".ratos-flash-new", $"{Line}\n{text}");
                File.Move(Path + ".ratos-flash-new", Path, overwrite: true);
                return true;
            }
            if (new FileInfo(Path) is { LinkTarget: not null } link)
                link.Delete();
            File.CreateSymbolicLink(Path, Target!);
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}

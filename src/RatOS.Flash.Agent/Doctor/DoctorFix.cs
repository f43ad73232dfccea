namespace RatOS.Flash.Agent.Doctor;

/// <summary>A repair that the printer's user can do without root.</summary>
/// <param name="Path">A file of the user's.</param>
/// <param name="Target">Where a link at the path leads; null where a line is added.</param>
/// <param name="Line">The line.</param>
/// <param name="HasBackup">A copy of the file is kept beside it, as install.sh does.</param>
internal sealed record DoctorFix(string Path, string? Target = null, string? Line = null, bool HasBackup = false)
{
    /// <summary>Repairs it. A file that is no link is never replaced.</summary>
    /// <returns>False where the file system refused.</returns>
    public bool TryApply()
    {
        try
        {
            if (Line is not null)
            {
                // A link stays one.
                var real = new FileInfo(Path).LinkTarget is null ? Path : File.ResolveLinkTarget(Path, returnFinalTarget: true)!.FullName;
                var isThere = File.Exists(real);
                var text = isThere ? File.ReadAllText(real) : "";
                if (HasBackup && isThere && !File.Exists(real + ".ratos-flash-backup"))
                    File.Copy(real, real + ".ratos-flash-backup");
                // Above the others: the last line may lack its end.
                File.WriteAllText(real + ".ratos-flash-new", $"{Line}\n{text}");
                if (isThere && !OperatingSystem.IsWindows())
                    File.SetUnixFileMode(real + ".ratos-flash-new", File.GetUnixFileMode(real));
                File.Move(real + ".ratos-flash-new", real, overwrite: true);
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

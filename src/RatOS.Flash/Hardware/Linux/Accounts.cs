using System.Runtime.InteropServices;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>How names of users and computers are found.</summary>
public static partial class Accounts
{
    /// <summary>The user that this process runs as; its number where <c>/etc/passwd</c> has no such line.</summary>
    public static string UserName
    {
        get
        {
            try
            {
#pragma warning disable RS0030
                if (Environment.UserName is { Length: > 0 } name)
                    return name;
#pragma warning restore RS0030
            }
            catch (IOException)
            {
                // No line, or no such file.
            }
            return $"{Libc.EffectiveUser()}";
        }
    }

    /// <summary>
    /// Names come from files and DNS alone. <c>/etc/nsswitch.conf</c> may name plug-ins: shared libraries of this system's C library, which
    /// a program with a C library of its own must not load. Call it before the first name is asked for.
    /// </summary>
    public static void UseFilesAndDns()
    {
        foreach (var (database, sources) in ((string, string)[])[("hosts", "files dns"), ("passwd", "files"), ("group", "files"),
            ("initgroups", "files"), ("services", "files"), ("protocols", "files"), ("networks", "files")])
            _ = ConfigureLookup(database, sources);
    }

    // nss.h of glibc
    [LibraryImport("libc", EntryPoint = "__nss_configure_lookup", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ConfigureLookup(string database, string sources);
}

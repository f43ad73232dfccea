using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// The lock of one board on this computer, whatever user, data folder or program works on it. It ends with the process that holds it
/// (flock(2)); its file stays.
/// </summary>
/// <remarks>
/// The file lies in a folder where anyone may create files, so nothing in it is believed but the lock itself: links are not followed, and
/// only a plain file with one name is written. Its text merely names the holder.
/// </remarks>
public static class BoardLock
{
    private const int Create = 0x40, Exclusive = 0x80, NoFollow = 0x20000;   // the same on x86 and arm but NoFollow
    private const int NoFollowOnArm = 0x8000;
    private const int LongestText = 200;
    private const UnixFileMode Everyone = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
        | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    // Root and users must meet: the first folder that is there counts, not the first that this user may write.
    private static readonly string[] Folders = ["/run/lock", "/var/lock", "/tmp"];

    /// <summary>Takes the lock until it is disposed. Null where this computer has no folder for it.</summary>
    /// <param name="place">The board's USB port, node or CAN uuid.</param>
    /// <param name="board">Its name, for others.</param>
    /// <param name="folder">For tests.</param>
    /// <exception cref="FlashException"><c>board-in-use</c>: another process flashes the board.</exception>
    public static IDisposable? Take(string place, string board, string? folder = null)
    {
        folder ??= Folders.FirstOrDefault(Directory.Exists);
        if (folder is null)
            return null;
        // A port may be named by a link.
        if (place.StartsWith('/') && File.Exists(place))
            place = File.ResolveLinkTarget(place, returnFinalTarget: true)?.FullName ?? place;
        var path = Path.Combine(folder, $"ratos-flash.{FileName(place)}.lock");
        var file = Open(path, Libc.ReadWrite | Create | Exclusive);
        var isNew = !file.IsInvalid;
        // The kernel refuses O_CREAT for a file of another user here (fs.protected_regular); a read-only one can be locked as well.
        foreach (var flags in (int[])[Libc.ReadWrite, 0])
        {
            if (file.IsInvalid)
                file = Open(path, flags);
        }
        if (file.IsInvalid || !IsPlain(file))
        {
            file.Dispose();
            return null;
        }
        if (Libc.Flock(file, Libc.LockExclusive | Libc.LockNonBlocking) < 0)
        {
            var (process, name) = HolderOf(file);
            file.Dispose();
            throw ComputerFaults.BoardInUse(board, process, name);
        }
        if (isNew && !OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, Everyone);   // whatever the umask
        Write(file, board);
        return new Held(file);
    }

    private sealed class Held(SafeFileHandle file) : IDisposable
    {
        /// <summary>A process that is being started has the file until it is replaced by its program: closing is not enough.</summary>
        public void Dispose()
        {
            if (!file.IsClosed)
                Libc.Flock(file, Libc.Unlock);
            file.Dispose();
        }
    }

    private static SafeFileHandle Open(string path, int flags)
    {
        var isArm = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture
            is System.Runtime.InteropServices.Architecture.Arm or System.Runtime.InteropServices.Architecture.Arm64;
        return new(Libc.Open(path, flags | Libc.CloseOnExec | Libc.NonBlocking | (isArm ? NoFollowOnArm : NoFollow), 0x1B6), true);
    }

    /// <summary>A file with one name: neither a link to another one, nor a pipe, nor a device.</summary>
    private static bool IsPlain(SafeFileHandle file)
    {
        Span<byte> stat = stackalloc byte[256];
        const int emptyPath = 0x1000;
        const uint basicStats = 0x7FF, kindMask = 0xF000, plain = 0x8000;
        return Libc.StatX((int)file.DangerousGetHandle(), "", emptyPath, basicStats, stat) == 0
            && (BitConverter.ToUInt16(stat[28..]) & kindMask) == plain && BitConverter.ToUInt32(stat[16..]) == 1;
    }

    private static void Write(SafeFileHandle file, string board)
    {
        try
        {
            RandomAccess.SetLength(file, 0);
            var text = string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {board}");
            RandomAccess.Write(file, Encoding.UTF8.GetBytes(text), 0);
        }
        catch (Exception readOnly) when (readOnly is IOException or UnauthorizedAccessException)
        {
            // The lock counts; without the text others name its holder less well.
        }
    }

    /// <summary>The process that holds the lock, by its own text; null where that is none.</summary>
    private static (int? Process, string? Board) HolderOf(SafeFileHandle file)
    {
        try
        {
            var bytes = new byte[LongestText];
            var text = Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(file, bytes, 0)).Split(' ', 2);
            return text is [var id, var board] && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var process)
                ? (process, string.Concat(board.Where(c => !char.IsControl(c)))) : default;
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    private static string FileName(string place) =>
        string.Concat(place.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' ? $"{c}" : $"%{(int)c:x2}"));
}

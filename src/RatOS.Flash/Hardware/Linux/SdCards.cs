using System.Globalization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// The card in this computer: a FAT file system on a removable disk, mounted below /media or /mnt. A disk that this computer runs from is
/// never used: a Raspberry Pi's own card is FAT too, and removable.
/// </summary>
/// <param name="root">What stands for <c>/</c>.</param>
internal sealed class SdCards(string root = "")
{
    private static readonly string[] Places = ["/media/", "/mnt", "/run/media/"];

    private static readonly string[] Fat = ["vfat", "msdos"];

    /// <param name="MountPoint">Where it is.</param>
    /// <param name="Disk">The disk's name below /sys/block.</param>
    /// <param name="FileSystem">As the kernel calls it.</param>
    private sealed record Mount(string MountPoint, string? Disk, string FileSystem);

    /// <inheritdoc cref="IHardware.PutOnCardAsync"/>
    public string? Put(string path, ReadOnlySpan<byte> file, Func<ReadOnlyMemory<byte>, bool> holds)
    {
        string? card = null;
        try
        {
            card = Find();
            if (card is not null)
                Write(card, path, file, holds);
            return card;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // It may be pulled at any moment.
            throw SdCardFaults.SdCardUnwritable(card ?? "the card in this computer", fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>Its mount point; null when there is none.</summary>
    private string? Find()
    {
        var mounts = Mounts();
        // In a sandboxed service, mounts below /media are listed twice.
        var cards = mounts.Where(mount =>
            mount.Disk is { } disk && (IsCard(disk) || IsOnUsb(disk))
            && mounts.Where(other => other.Disk == disk).All(other => IsPlace(other.MountPoint))).Distinct().ToList();
        var fat = cards.FindAll(card => Fat.Contains(card.FileSystem));
        if (fat is [var card])
            return card.MountPoint;
        if (fat.Count > 1)
            throw SdCardFaults.SdCardSeveral(fat.Select(one => one.MountPoint));
        if (cards is [var other, ..])
            throw SdCardFaults.SdCardNotFat(other.MountPoint, other.FileSystem);
        return Unmounted(mounts) is { } disk
            ? throw SdCardFaults.SdCardNotMounted($"/dev/{disk}")
            : null;
    }

    private void Write(string card, string name, ReadOnlySpan<byte> file, Func<ReadOnlyMemory<byte>, bool> holds)
    {
        var path = Path.Combine(root + card, name);
        // The bootloader would write its file again at every reset, over any firmware that was flashed since.
        if (File.Exists(Path.Combine(root + card, "admin.txt")))
            throw SdCardFaults.SdCardWritesAlways(card);
        var half = path + "~";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using (var written = new FileStream(half, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                written.Write(file);
                written.Flush(flushToDisk: true);
                // From here on reads come from the card, not from memory.
                _ = Libc.Advise(written.SafeFileHandle, 0, 0, Libc.AdviseDontNeed);
            }
            if (!holds(File.ReadAllBytes(half)))
                throw new IOException("what was read back is not the firmware");
            File.Move(half, path, overwrite: true);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            TryDelete(half);
            throw;
        }
        using var there = File.OpenHandle(path);
        if (Libc.SyncFileSystem(there) != 0)
            throw new IOException(Libc.ErrorText(Libc.Errno));
    }

    private static void TryDelete(string half)
    {
        try
        {
            File.Delete(half);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // No bootloader reads this file, and the fault names the cause already.
        }
    }

    private static bool IsPlace(string mountPoint) => Places.Any(place => mountPoint.StartsWith(place, StringComparison.Ordinal));

    /// <summary>What is mounted from a disk: proc(5), /proc/[pid]/mountinfo.</summary>
    private List<Mount> Mounts()
    {
        var mounts = new List<Mount>();
        foreach (var line in File.ReadLines(root + "/proc/self/mountinfo"))
        {
            var words = line.Split(' ');
            var dash = Array.IndexOf(words, "-");
            if (dash < 6 || words.Length < dash + 3 || !words[2].Contains(':', StringComparison.Ordinal)
                || words[2].StartsWith("0:", StringComparison.Ordinal))
                continue;
            mounts.Add(new(Plain(words[4]), DiskOf(words[2]), words[dash + 1]));
        }
        return mounts;
    }

    /// <summary>Blanks are escaped as octal there.</summary>
    private static string Plain(string path)
    {
        for (int at; (at = path.IndexOf('\\', StringComparison.Ordinal)) >= 0 && at + 4 <= path.Length
            && path.AsSpan(at + 1, 3).IndexOfAnyExceptInRange('0', '7') < 0;)
            path = path[..at] + (char)Convert.ToInt32(path.Substring(at + 1, 3), 8) + path[(at + 4)..];
        return path;
    }

    /// <summary>A partition's folder is inside its disk's.</summary>
    private string? DiskOf(string number)
    {
        var link = $"{root}/sys/dev/block/{number}";
        if (!Directory.Exists(link) || Directory.ResolveLinkTarget(link, returnFinalTarget: true)?.FullName is not { } folder)
            return null;
        return Path.GetFileName(File.Exists(Path.Combine(folder, "partition")) ? Path.GetDirectoryName(folder) : folder);
    }

    /// <summary>
    /// In a slot of this computer, where what is soldered has another type; or in a reader. An optical drive looks the same.
    /// </summary>
    private bool IsCard(string disk) => Text($"{root}/sys/block/{disk}/device/type") == "SD"
        || (disk.StartsWith("sd", StringComparison.Ordinal) && Text($"{root}/sys/block/{disk}/removable") == "1");

    private bool IsOnUsb(string disk) =>
        Directory.ResolveLinkTarget($"{root}/sys/block/{disk}", returnFinalTarget: true)?.FullName.Contains("/usb",
        StringComparison.Ordinal) == true;

    /// <summary>The first partition of a disk that can be taken out and has nothing mounted, or that disk itself.</summary>
    private string? Unmounted(List<Mount> mounts)
    {
        if (!Directory.Exists(root + "/sys/block"))
            return null;
        var disk = Directory.EnumerateDirectories(root + "/sys/block").Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
            .FirstOrDefault(name =>
            IsCard(name) && mounts.TrueForAll(mount => mount.Disk != name)
                && long.TryParse(Text($"{root}/sys/block/{name}/size"), CultureInfo.InvariantCulture, out var sectors) && sectors > 0);
        return disk is null ? null
            : Directory.EnumerateDirectories($"{root}/sys/block/{disk}").Where(path => File.Exists(Path.Combine(path, "partition")))
            .Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal).FirstOrDefault() ?? disk;
    }

    private static string? Text(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : null;
}

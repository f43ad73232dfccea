using System.Globalization;

namespace RatOS.Flash.Boards;

/// <summary>The file that a stock bootloader looks for on a card.</summary>
/// <param name="Name">Its name; null where any name ending in <c>.bin</c> will do.</param>
public sealed record CardFile(string? Name)
{
    private const string Digits = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// <summary>The folder of the card that it must be in; null for the top.</summary>
    public string? Folder { get; init; }

    /// <summary>The bootloader passes over a file with the name of the last one.</summary>
    public bool NeedsNewName { get; init; }

    /// <summary>How the build must be changed before.</summary>
    public CardEncoding Encoding { get; init; }

    /// <summary>The application start that firmware in it must be built for; null where no source says it.</summary>
    public uint? ApplicationStart { get; init; }

    /// <summary>Its name after the installation; null where no source says it, or it keeps its name.</summary>
    public string? RenamedTo { get; init; }

    /// <summary>Its place on the card: <c>STM32F4_UPDATE/firmware.bin</c>.</summary>
    public string Path => $"{(Folder is null ? "" : Folder + "/")}{Name ?? "*.bin"}";

    /// <summary>What a person reads: <c>STM32F4_UPDATE/firmware.bin</c>.</summary>
    public override string ToString() =>
        $"{Path}{(NeedsNewName ? ", another name each time" : "")}{Encoding switch
        {
            CardEncoding.MksRobin => " (encoded for MKS Robin)",
            CardEncoding.Chitu => " (encoded for Chitu)",
            CardEncoding.SRecord => " (Motorola S-records)",
            _ => "",
        }}";

    /// <summary>
    /// A name for a bootloader that wants another one each time: 8.3, as every FAT reader knows it, with three digits of the content and
    /// four of the second. It repeats for the same content in the same second of every 19th day at most.
    /// </summary>
    /// <param name="sha256">Of the firmware, as hex.</param>
    /// <param name="now">The time.</param>
    public static string NewName(string sha256, DateTimeOffset now) => string.Concat(
        "k", Base36(long.Parse(sha256.AsSpan(0, 12), NumberStyles.HexNumber, CultureInfo.InvariantCulture), 3),
        Base36(now.ToUnixTimeSeconds(), 4), ".bin");

    private static string Base36(long number, int digits) =>
        digits == 0 ? "" : Base36(number / Digits.Length, digits - 1) + Digits[(int)(number % Digits.Length)];
}

/// <summary>A maker's own form of a firmware file.</summary>
public enum CardEncoding
{
    None,

    /// <summary>MKS Robin: Klipper's <c>scripts/update_mks_robin.py</c>.</summary>
    MksRobin,

    /// <summary>Chitu: Klipper's <c>scripts/update_chitu.py</c>.</summary>
    Chitu,

    /// <summary>Motorola S-records, by <c>objcopy -O srec</c>.</summary>
    SRecord,
}

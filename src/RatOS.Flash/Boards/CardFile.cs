namespace RatOS.Flash.Boards;

/// <summary>The file that a stock bootloader looks for on a card.</summary>
/// <param name="Name">Its name; null where any name ending in <c>.bin</c> will do.</param>
public sealed record CardFile(string? Name)
{
    /// <summary>The folder of the card that it must be in; null for the top.</summary>
    public string? Folder { get; init; }

    /// <summary>The bootloader passes over a file with the name of the last one.</summary>
    public bool NeedsNewName { get; init; }

    /// <summary>How the build must be changed before.</summary>
    public CardEncoding Encoding { get; init; }

    /// <summary>What a person reads: <c>STM32F4_UPDATE/firmware.bin</c>.</summary>
    public override string ToString() => $"{(Folder is null ? "" : Folder + "/")}{Name ?? "*.bin"}"
        + $"{(NeedsNewName ? ", another name each time" : "")}{(Encoding == CardEncoding.None ? "" : $", encoded ({Encoding})")}";
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

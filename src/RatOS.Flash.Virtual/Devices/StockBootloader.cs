using RatOS.Flash.Boards;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Which file of a card a maker's bootloader takes, and what becomes of it: BTT's firmware.bin, MKS Robin's, Chitu's and TH3D's names and
/// forms, Creality's new name each time (Klipper's config/*.cfg and scripts/spi_flash/board_defs.py).
/// </summary>
internal static class StockBootloader
{
    /// <summary>
    /// The file and its firmware; null where none is of the name and the form that it knows. The form of an MKS Robin has no mark: any file
    /// of the name is taken.
    /// </summary>
    public static (string Path, byte[] Firmware)? Find(VirtualBoard board)
    {
        foreach (var (path, file) in board.SdCard)
        {
            if (IsWanted(board, path) && CardEncoder.Decode(board.Setup.CardFile.Encoding, file) is var (start, firmware)
                && (start ?? board.ApplicationStart) == board.ApplicationStart)
                return (path, firmware);
        }
        return null;
    }

    /// <summary>The file is installed.</summary>
    public static void Finish(VirtualBoard board, string path)
    {
        board.LastCardFile = path;
        if (board.Setup.CardFile.RenamedTo is not { } name || board.SdFileStays || !board.SdCard.Remove(path, out var file))
            return;
        board.SdCard[path[..(path.LastIndexOf('/') + 1)] + name] = file;
    }

    private static bool IsWanted(VirtualBoard board, string path) => board.Setup.CardFile is { NeedsNewName: true } card
        ? string.Equals(Path.GetDirectoryName(path), card.Folder ?? "", StringComparison.OrdinalIgnoreCase)
            && path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase)
            && !string.Equals(path, board.LastCardFile, StringComparison.OrdinalIgnoreCase)
        : string.Equals(path, board.Setup.CardFile.Path, StringComparison.OrdinalIgnoreCase);
}

using RatOS.Flash.Core;

namespace RatOS.Flash.Flashing;

/// <summary>The locks of a flash's boards: no other process of this computer writes them until the flash is over.</summary>
internal sealed class BoardLocks(FlashServices services) : IDisposable
{
    private readonly Dictionary<string, IDisposable?> _held = [];

    /// <summary>Takes the lock of a board, unless the flash has it.</summary>
    /// <returns>Why the board cannot be flashed now; null when it can.</returns>
    public FlashException? Take(BoardPlan board)
    {
        try
        {
            if (PlaceOf(board) is { } place && !_held.ContainsKey(place))
                _held[place] = services.LockBoard(place, board.Name);
            return null;
        }
        catch (FlashException inUse)
        {
            return inUse;
        }
    }

    public void Dispose()
    {
        foreach (var held in _held.Values)
            held?.Dispose();
        _held.Clear();
    }

    /// <summary>The same for every process, in Klipper and in a bootloader: its uuid on CAN, else its port.</summary>
    private static string? PlaceOf(BoardPlan board) => board switch
    {
        { Entry: FlashEntry.Replace } => "host-mcu",
        { Request.Board.CanUuid: { } uuid } => $"{uuid}",
        { Device: { Usb: null, Node: { } node } } => node,
        _ => board.Device?.Port,
    };
}

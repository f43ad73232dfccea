using System.Collections.Immutable;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Counts transfers and injects the faults that are planned for them.</summary>
internal sealed class FaultInjector(VirtualPrinter printer)
{
    private ImmutableDictionary<int, TransferFault> _planned =
        printer.Faults.Transfers.GroupBy(fault => fault.Index).ToImmutableDictionary(group => group.Key, group => group.First());

    private Action? _owed;   // strikes that found no work in flash and wait for the next transfer
    private bool _hasHung;
    private int _reads;
    private bool _isHealed;
    private readonly HashSet<VirtualBoard> _swapped = [];

    /// <summary>Transfers so far: what <see cref="TransferFault.Index"/> counts.</summary>
    public int Transfers { get; private set; }

    /// <summary>Called with each transfer: whether it is a control transfer to a bootloader.</summary>
    public Action<bool>? OnTransfer { get; set; }

    /// <summary>Counts a transfer to a board, and returns its fault; null for none.</summary>
    public TransferFault? Next(VirtualBoard board)
    {
        Count(board);
        StrikeOwed();
        HangIfDue(board);
        if (!_planned.TryGetValue(Transfers, out var fault))
            return null;
        switch (fault.Kind)
        {
            case TransferFaultKind.Unplug:
                Strike(fault, board, board.Unplug, () => board.Plug());
                break;
            case TransferFaultKind.PowerCut:
                Strike(fault, board, board.PowerOff, board.PowerOn);
                break;
            case TransferFaultKind.ForeignKlipper:
                printer.Klippy.StartFromOutside();
                break;
        }
        return fault;
    }

    /// <summary>Counts a transfer that has no faults.</summary>
    public void Count(VirtualBoard board)
    {
        Transfers++;
        OnTransfer?.Invoke(board.Function?.IsRom == true);
    }

    /// <summary>A board's firmware is asked for memory: how that fails, or not.</summary>
    public ReadFault NextRead(VirtualBoard board)
    {
        var faults = printer.Faults;
        _reads++;
        if (faults.SwappedAfter is { } after && _swapped.Add(board))
        {
            printer.Time.Schedule(after, () =>
            {
                if (!_isHealed)
                    board.Swap();
            });
        }
        return faults.ReadsShutDown ? ReadFault.ShutsDown : _reads == faults.HangsAtRead ? ReadFault.Hangs : ReadFault.None;
    }

    /// <summary>Ends the faults that are still to come.</summary>
    public void Heal() => (_planned, _owed, _isHealed) = (ImmutableDictionary<int, TransferFault>.Empty, null, true);

    /// <summary>Strikes now, or after a delay in the middle of an erase or a write; without one by then, at the next transfer.</summary>
    private void Strike(TransferFault fault, VirtualBoard board, Action strike, Action heal)
    {
        if (fault.After == TimeSpan.Zero)
        {
            Now();
            return;
        }
        printer.Time.Schedule(fault.After, () =>
        {
            if (board.Flash.IsBusy(printer.Time.Now))
                Now();
            else
                _owed += Now;
        });

        void Now()
        {
            strike();
            if (fault.Time >= TimeSpan.Zero)
                printer.Time.Schedule(fault.Time, heal);
        }
    }

    private void StrikeOwed()
    {
        var owed = _owed;
        _owed = null;
        owed?.Invoke();
    }

    private void HangIfDue(VirtualBoard board)
    {
        if (_hasHung || printer.Faults.HangsAt is not { } at || Transfers < at || board.State != BoardState.Rom)
            return;
        _hasHung = board.IsUsbHung = true;
    }
}

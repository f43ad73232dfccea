using System.Collections.Immutable;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Virtual.Devices;

/// <content>Hub ports and supplies that can be switched, a card that a person carries, and faults that strike in the middle of the work.</content>
public sealed partial class VirtualPrinter
{
    private static readonly TimeSpan OffTime = TimeSpan.FromSeconds(3);

    private bool _hasHung;
    private string? _cardName;

    /// <summary>A port that its hub can switch: what lives from it is without power, anything else is unplugged.</summary>
    public async Task<bool> CyclePortAsync(string port)
    {
        if (!Scenario.SwitchedPorts.Contains(port))
            return false;
        var boards = Boards.Where(board => board.Port == port).ToList();
        boards.ForEach(board => board.Unplug());
        await Task.Delay(OffTime, Time);
        boards.ForEach(board => board.Plug());
        return true;
    }

    /// <summary>A card in this computer, where the scenario has one; the virtual person carries it into the slot of the first board then, and presses reset.</summary>
    public Task<string?> PutOnCardAsync(string name, ReadOnlyMemory<byte> file)
    {
        if (!Scenario.HasCard)
            return Task.FromResult<string?>(null);
        (_cardName, Card) = (name, file.ToArray());
        if (Faults.PersonAfter is { } after)
            Time.Schedule(after, () => Carry(Boards[0]));
        return Task.FromResult<string?>("/media/card");
    }

    private void Carry(VirtualBoard board)
    {
        board.SdFirmware = _cardName == SdCardBootloader.FileName ? Card : null;
        board.PressReset();
    }

    /// <summary>The file on the card that is in this computer, or was; null before there was one.</summary>
    public byte[]? Card { get; private set; }

    /// <summary>Switches boards' supplies. What lives from its cable is not concerned.</summary>
    public void SetPower(IEnumerable<string> boards, bool isOn)
    {
        foreach (var board in Boards.Where(board => boards.Contains(board.Name) && !board.Setup.IsBusPowered))
        {
            if (isOn)
                board.PowerOn();
            else
                board.PowerOff();
        }
    }

    private void HangIfDue(VirtualBoard board)
    {
        if (_hasHung || Faults.HangsAt is not { } at || _transfers < at || board.State != BoardState.Rom)
            return;
        _hasHung = board.IsUsbHung = true;
    }

    /// <summary>Strikes now, or after a delay in the middle of the flash's work; where there is none by then, at the next transfer.</summary>
    private void Strike(TransferFault fault, VirtualBoard board, Action strike, Action heal)
    {
        if (fault.After == TimeSpan.Zero)
        {
            Now();
            return;
        }
        Time.Schedule(fault.After, () =>
        {
            if (board.Flash.IsBusy(Time.Now))
                Now();
            else
                _owed += Now;
        });

        void Now()
        {
            strike();
            if (fault.Time >= TimeSpan.Zero)
                Time.Schedule(fault.Time, heal);
        }
    }

    /// <summary>Whatever was wrong with printer and computer is over from now on; what it did to the boards stays.</summary>
    public void Heal()
    {
        (Faults, _transferFaults, _nextPort, _owed) = (Faultiness.None, ImmutableDictionary<int, TransferFault>.Empty, null, null);
        foreach (var board in Boards)
            board.Heal();
        Can?.GoOff(TimeSpan.Zero);
        if (_present.Exists(present => present.Device.Can is { IsUp: false }))
            SetCanUp(true);
    }

    private void StrikeOwed()
    {
        var owed = _owed;
        _owed = null;
        owed?.Invoke();
    }
}

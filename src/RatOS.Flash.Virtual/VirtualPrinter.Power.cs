namespace RatOS.Flash.Virtual;

/// <content>Hub ports and supplies that can be switched.</content>
public sealed partial class VirtualPrinter
{
    private static readonly TimeSpan OffTime = TimeSpan.FromSeconds(3);

    private bool _hasHung;

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
}

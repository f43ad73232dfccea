using System.Collections.Immutable;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <content>The printer's CAN bus and the interface to it: an adapter's, or the one that a board's Klipper is.</content>
public sealed partial class VirtualPrinter
{
    private const string CanInterface = "can0";

    // From the driver's interface until the system has brought it up (allow-hotplug, systemd-networkd).
    private static readonly TimeSpan BringUp = TimeSpan.FromMilliseconds(200);

    /// <summary>The bus; null in a printer without CAN.</summary>
    public VirtualCanBus? Can { get; }

    public async Task<CanPort> OpenCanAsync(Device device)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(1), Time);
        var present = _present.FirstOrDefault(candidate => candidate.Device.IsSameStay(device) && candidate.Device.Can is not null && !candidate.IsOver);
        if (present is null || Can is null)
            throw new DeviceGoneException(device.ToString());
        if (!present.Device.Can!.IsUp)
            throw CanFaults.CanDown(device.Port);
        return new VirtualCanPort(this, present, Can);
    }

    /// <summary>Somebody brings the interface up, or down.</summary>
    public void SetCanUp(bool isUp)
    {
        foreach (var present in _present.Where(candidate => candidate.Device.Can is not null))
            present.Device = present.Device with { Can = present.Device.Can! with { IsUp = isUp } };
        Changed();
    }

    /// <summary>Pulls the adapter's cable; the nodes fall silent and keep their state.</summary>
    public void UnplugCanAdapter()
    {
        foreach (var present in _present.Where(candidate => candidate.Device.Can is not null).ToList())
        {
            present.End();
            Remove(present);
        }
    }

    /// <summary>Puts it back.</summary>
    public void PlugCanAdapter() => AddCanInterface(null, Scenario.CanAdapterPort, isUp: true);

    private VirtualCanBus? CreateCan()
    {
        if (!Scenario.Boards.Any(board => board.IsCan || board.IsCanBridge))
            return null;
        if (Scenario.CanAdapterPort is { } adapter)
            AddCanInterface(null, adapter, isUp: true);
        return new VirtualCanBus(Time) { HostBitrate = Faults.CanBitrate ?? VirtualCanBus.Bitrate };
    }

    private void AddCanInterface(VirtualBoard? bridge, string? usbPort, bool isUp)
    {
        var device = new Device { Port = CanInterface, Number = ++_number, Can = new CanLink(isUp, Faults.CanBitrate ?? VirtualCanBus.Bitrate, usbPort) };
        var present = new Present(device, bridge, null);
        _present.Add(present);
        Changed();
        if (!isUp && !Faults.CanStaysDown)
        {
            Time.Schedule(BringUp, () =>
            {
                if (!present.IsOver)
                    SetCanUp(true);
            });
        }
    }

    /// <summary>A board's firmware is on USB now; if it is a bridge, its interface comes with it.</summary>
    private void AddCanInterfaceOf(VirtualBoard board, UsbFunction function)
    {
        if (function is GsUsb && !(Faults.CanStaysAway && _returnsLate))
            AddCanInterface(board, board.Port, isUp: !_returnsLate);
    }

    /// <summary>Counts a frame as a transfer to the node that it is for, and tells what goes wrong with it.</summary>
    internal TransferFault? NextCanFrame(CanFrame frame)
    {
        var node = Boards.FirstOrDefault(board => board.CanNode is { } node && node.AssignedId == frame.Id) ?? Boards.First(board => board.Setup.IsCan || board.Setup.IsCanBridge);
        return NextTransfer(node);
    }

    /// <summary>Klipper's host process gives its boards their numbers: from 4 on, in the order of its configuration.</summary>
    internal void AssignByKlippy()
    {
        foreach (var (index, board) in Boards.Where(board => board.State == BoardState.Klipper).Index())
        {
            if (board.CanNode is { } node && IsCanReached(board))
                node.AssignedId = 0x108 + (2 * index);
        }
    }

    private bool IsCanReached(VirtualBoard board) => board.CanNode is { } node && Can?.Reaches(node) == true
        && _present.Exists(present => present.Device.Can is { IsUp: true } && !present.IsOver);
}

/// <summary>Klipper's USB-CAN bridge on USB: the protocol of candleLight adapters, of which only the descriptors are here.</summary>
internal sealed class GsUsb(string product, string serial) : UsbFunction
{
    // One interface of the vendor's own class, with a bulk endpoint each way.
    private static readonly byte[] Descriptor = Convert.FromHexString("09022000010100C032" + "0904000002FFFFFF00" + "07058102400000" + "07050202400000");

    public override UsbId Id => UsbId.KlipperCanBridge;

    public override ImmutableArray<string> Strings { get; } = ["Klipper", product, serial];

    public override ReadOnlyMemory<byte> Configuration => Descriptor;

    protected override UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now) => UsbAnswer.Stall;
}

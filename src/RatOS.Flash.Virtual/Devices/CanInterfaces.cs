using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The computer's interface to the printer's CAN bus: an adapter's, or that of a board whose Klipper is a bridge.</summary>
internal sealed class CanInterfaces(VirtualPrinter printer)
{
    private const string Name = "can0";

    // From the driver's interface until the system has brought it up (allow-hotplug, systemd-networkd).
    private static readonly TimeSpan BringUp = TimeSpan.FromMilliseconds(200);

    /// <summary>Lists an interface. One that is down is brought up by the system.</summary>
    public void Add(VirtualBoard? bridge, string? usbPort, bool isUp)
    {
        var link = new CanLink(isUp, printer.Faults.CanBitrate ?? printer.Scenario.CanBitrate, usbPort);
        var session = printer.Bus.Add(new Device { Port = Name, Number = 0, Can = link }, bridge);
        printer.Bus.Update();
        if (!isUp && !printer.Faults.CanStaysDown)
        {
            printer.Time.Schedule(BringUp, () =>
            {
                if (!session.IsOver)
                    SetUp(true);
            });
        }
    }

    /// <summary>A board's firmware is on USB now; the interface of a bridge comes with it.</summary>
    public void AddOf(VirtualBoard board, UsbFunction function)
    {
        var hasReturned = printer.Bus.HasReturns;
        if (function is GsUsb && !(printer.Faults.CanStaysAway && hasReturned))
            Add(board, board.Port, isUp: !hasReturned);
    }

    public void SetUp(bool isUp)
    {
        foreach (var session in Sessions)
            session.Device = session.Device with { Can = session.Device.Can! with { IsUp = isUp } };
        printer.Bus.Update();
    }

    public void Unplug()
    {
        foreach (var session in Sessions.ToList())
        {
            session.End();
            printer.Bus.Remove(session);
        }
    }

    /// <summary>Ends the faults that are still to come.</summary>
    public void Heal()
    {
        if (Sessions.Any(session => session.Device.Can is { IsUp: false }))
            SetUp(true);
    }

    /// <summary>The host can exchange frames with a board.</summary>
    public bool Reaches(VirtualBoard board) => board.CanNode is { } node && printer.Can?.Reaches(node) == true
        && Sessions.Any(session => session.Device.Can is { IsUp: true } && !session.IsOver);

    private IEnumerable<DeviceSession> Sessions => printer.Bus.Sessions.Where(session => session.Device.Can is not null);
}

using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Virtual.Devices;

/// <content>The process on the printer's own computer.</content>
public sealed partial class VirtualPrinter
{
    /// <summary>Who may replace the process that is an MCU; null where there is none.</summary>
    public HostMcu? HostMcu => Process is { } process ? new VirtualBoard.Unit(this, process) : null;

    internal VirtualBoard? Process => Boards.FirstOrDefault(board => board.Setup.IsProcess);

    /// <summary>A process's terminal is in no list: it is there while the process is.</summary>
    private Present TakeTerminal(Device device)
    {
        if (Process is not { State: BoardState.Klipper } process || process.Setup.Port != device.Port)
            throw new DeviceGoneException(device.ToString());
        return Klippy.IsRunning ? throw ComputerFaults.PortHeld(device.Port, "Klipper (klippy.py, process 612)") : new Present(device, process, null);
    }
}

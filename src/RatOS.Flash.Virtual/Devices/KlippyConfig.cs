using System.Globalization;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The sections of the virtual printer's configuration that name its boards.</summary>
public sealed class KlippyConfig
{
    private readonly VirtualPrinter _printer;

    internal KlippyConfig(VirtualPrinter printer) => _printer = printer;

    /// <summary>A board's section as printer.cfg has it.</summary>
    public McuSection Section(VirtualBoard board) => board.Setup.Link == McuLink.Can
        ? new McuSection(SectionOf(board)) { CanbusUuid = CanUuid.Read(board.CanUuidBytes).ToString(), CanbusInterface = "can0" }
        : new McuSection(SectionOf(board)) { Serial = SerialOf(board), Baud = BaudOf(board), RestartMethod = "command" };

    /// <summary>The section's name: <c>mcu</c> for the first board, <c>mcu NAME</c> for the others.</summary>
    internal string SectionOf(VirtualBoard board) => IsFirst(board) ? "mcu" : $"mcu {board.Name}";

    /// <summary>The board's name in Klipper's messages: <c>mcu</c> for the first board.</summary>
    internal string NameOf(VirtualBoard board) => IsFirst(board) ? "mcu" : board.Name;

    private static string? BaudOf(VirtualBoard board) =>
        board.Setup.IsUart ? board.Setup.HostBaud.ToString(CultureInfo.InvariantCulture) : null;

    private bool IsFirst(VirtualBoard board) => board == _printer.Boards[0];

    /// <summary>The link that udev makes from a USB board's serial; from its port where two boards have the same serial.</summary>
    private string SerialOf(VirtualBoard board)
    {
        if (board.Setup.IsUart || board.Setup.IsProcess)
            return board.Setup.IsUart ? $"/dev/{board.Setup.Port}" : board.Setup.Port;
        var isAmbiguous = _printer.Boards.Count(other => other.Serial == board.Serial && other.Chip == board.Chip) > 1;
        return isAmbiguous
            ? $"/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:{board.Setup.Port.Split('-')[^1]}:1.0"
            : $"/dev/serial/by-id/usb-Klipper_{board.Chip.Name}_{board.Serial}-if00";
    }
}

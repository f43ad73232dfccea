using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>What can run in the chip, and what the host sees of it.</summary>
public sealed partial class VirtualBoard
{
    /// <summary>How a story begins, or goes on after a folder was read: without waiting for a boot.</summary>
    internal void Begin(BoardState state)
    {
        switch (state)
        {
            case BoardState.Off:
                Silence(BoardState.Off, "");
                break;
            case BoardState.Dfu or BoardState.DeafRom when Chip.Rom is not null:
                EnterRom(bySoftware: true);
                break;
            case BoardState.Katapult:
                EnterKatapult();
                break;
            case BoardState.LoopsInBootloader:
                Silence(state, "the stock bootloader found no application");
                break;
            default:
                StartApplication(Setup.Start);
                break;
        }
    }

    private void Run(VirtualFirmware firmware)
    {
        (State, Reason, Running) = (BoardState.Klipper, "", firmware);
        if (Uart is { } uart)
        {
            Serve(uart, (send, reset) => new KlipperProgram(firmware, Chip, Flash, Setup.ChipId, uart: true) { Send = send, Reset = reset });
            return;
        }
        var port = new CdcAcm(UsbId.Klipper)
        {
            Strings = ["Klipper", Chip.Name, Setup.Serial],
            Touched = () => Later(ResetTime, RequestBootloader),
        };
        Serve(port.Wire, (send, reset) => new KlipperProgram(firmware, Chip, Flash, Setup.ChipId) { Send = send, Reset = reset });
        Show(port);
    }

    private void EnterKatapult()
    {
        (State, Reason) = (BoardState.Katapult, "");
        var traits = Setup.Katapult with { Uart = Setup.OverUart };
        if (Uart is { } uart)
        {
            Serve(uart, (send, reset) => new KatapultProgram(Flash, Chip, Setup.Start, traits) { Send = send, Reset = reset });
            return;
        }
        var port = new CdcAcm(UsbId.Katapult) { Strings = ["katapult", Chip.Name, Convert.ToHexString(Setup.ChipId)] };
        Serve(port.Wire, (send, reset) => new KatapultProgram(Flash, Chip, Setup.Start, traits) { Send = send, Reset = reset });
        Show(port);
    }

    private void EnterRom(bool bySoftware)
    {
        if (bySoftware && ((Card is not null && Setup.CardDeafensRom && Setup.Boot == BootStage.StockSd) || _printer.DeafensRom()))
        {
            Silence(BoardState.DeafRom, Card is null ? "the ROM took another interface" : "the SD card made the ROM take another interface");
            return;
        }
        (State, Reason) = (BoardState.Dfu, "");
        var faults = _printer.Faults;
        Show(new RomDfu(Chip, Flash, new RomTraits
        {
            ErrFirmware = bySoftware && faults.ErrFirmware,
            PollTimes = faults.PollTimes,
            Leave = faults.Leave,
            StallsEarlyStatus = faults.StallsEarlyStatus,
            ReadProtected = Setup.ReadProtected,
            SitsInBusy = Setup.RomSitsInBusy,
        })
        {
            Strings = RomDfu.StringsOf(Chip.Rom!, Setup.ChipId, Setup.DeadDfuSerial),
            Illegal = _illegal,
            Scandals = _scandals,
            Reset = delay => Later(delay, () => Boot(ResetRequest.Plain, isPowerOn: false)),
            Leave = (address, delay) =>
            {
                if (_printer.IgnoresLeave())
                    return false;
                // A jump: no reset, no boot stage, and BOOT0 is not looked at.
                Later(delay, () =>
                {
                    Silence(BoardState.Booting, "");
                    StartApplication(address);
                });
                return true;
            },
        });
    }

    private void Show(UsbFunction function)
    {
        Function = function;
        if (IsPlugged)
            _printer.Attach(this, function);
    }

    private void Serve(SerialWire wire, Func<Action<ReadOnlyMemory<byte>, TimeSpan>, Action<ResetRequest, TimeSpan>, SerialProgram> create)
    {
        SerialProgram? program = null;
        program = create(
            (bytes, delay) =>
            {
                // What a program of the past still had to say is lost with it.
                if (wire.Program == program)
                    wire.Answer(bytes, delay);
            },
            (request, delay) => Later(delay, () => Reset(request)));
        wire.Program = program;
    }
}

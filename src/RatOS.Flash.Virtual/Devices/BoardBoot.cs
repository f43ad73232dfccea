using System.Buffers.Binary;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// A board's boot sequence: chip ROM, bootloader, application (AN2606, "STM32 microcontroller system memory boot mode"; Katapult's
/// src/bootentry.c), and the reset requests that start it again.
/// </summary>
internal sealed class BoardBoot(VirtualPrinter printer, VirtualBoard board, RomRecord rom)
{
    private static readonly TimeSpan SdMount = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan SdModule = TimeSpan.FromMilliseconds(1210);   // F4 only
    private static readonly TimeSpan RomStart = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan ProgramStart = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan DoubleResetMin = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan DoubleResetMax = TimeSpan.FromMilliseconds(500);   // Katapult waits so long for the second one

    private object? _pending;          // the next start
    private bool _emptyMark;
    private bool _hadPower;            // switched on since the beginning
    private int _touchesIgnored = printer.Faults.TouchesIgnored;
    private int _touchesInVain = printer.Faults.TouchesInVain;
    private int _resetsIgnored = printer.Faults.ResetsIgnored;
    private (long Version, uint Start, VirtualFirmware? Firmware) _known = (-1, 0, null);
    private string? _taken;            // of the card's files, by the stock bootloader
    private bool _isFrozen;            // after a fault, until the watchdog
    private TimeSpan _lastReset = TimeSpan.MinValue / 2;

    private BoardSetup Setup => board.Setup;

    private VirtualFlash Flash => board.Flash;

    private uint ApplicationStart => board.ApplicationStart;

    /// <summary>Puts the board into a state without the way there.</summary>
    public void Begin(BoardState state)
    {
        switch (state)
        {
            case BoardState.Klipper:
                StartApplication(ApplicationStart, wantsRom: false, TimeSpan.Zero);
                break;
            case BoardState.Katapult:
                StartKatapult();
                break;
            case BoardState.Rom:
                StartRom(afterJump: false);
                break;
            case BoardState.Off:
                board.Stop(BoardState.Off);
                break;
            default:
                board.Hang("it hung before");
                break;
        }
    }

    /// <summary>Starts what was about to start.</summary>
    public void SettleNow()
    {
        while (_pending is { } pending && board.State == BoardState.Starting)
        {
            _pending = null;
            VirtualTime.RunNow(pending);
        }
    }

    /// <summary>Ends the faults that are still to come.</summary>
    public void Heal() => (_touchesIgnored, _touchesInVain, _resetsIgnored) = (0, 0, 0);

    /// <summary>The board is reset, or gets power.</summary>
    public void Reset(ResetRequest request, bool isPowerOn = false)
    {
        board.Stop(BoardState.Starting);
        _isFrozen = false;
        _hadPower |= isPowerOn;
        var sinceReset = printer.Time.Now - _lastReset;
        _lastReset = isPowerOn ? TimeSpan.MinValue / 2 : printer.Time.Now;
        var isEmpty = Flash.Read(Flash.Base, 4).IndexOfAnyExcept((byte)0xFF) < 0;
        if (isPowerOn || !printer.Faults.EmptyMarkSticks)
            _emptyMark = isEmpty && isPowerOn;
        if (board.Chip.Bootsel is { } bootsel && ((bootsel.IsRp2350 ? isEmpty : !BootArea.IsStarted(Flash))
            || (request == ResetRequest.Bootloader && Setup.Stage != BootStage.Katapult)))
            StartRom(afterJump: false);
        else if (board.Boot0 || (board.Chip.EmptyCheck && _emptyMark && (isEmpty || printer.Faults.EmptyMarkSticks)))
            StartRom(afterJump: false);
        else if (!board.IsBootAreaIntact)
            board.Hang("its bootloader is destroyed");
        else
            StartStage(request, sinceReset);
    }

    /// <summary>The application is started again, after a delay.</summary>
    public void Restart(TimeSpan delay)
    {
        board.Stop(BoardState.Starting);
        Later(delay, () => StartApplication(ApplicationStart, wantsRom: false, ProgramStart));
    }

    /// <summary>Klipper is asked for the bootloader.</summary>
    public void RequestBootloader() => ResetLater(ResetRequest.Bootloader, default);

    /// <summary>Schedules what happens next, instead of what was scheduled before.</summary>
    public void Later(TimeSpan delay, Action action)
    {
        if (_pending is not null)
            VirtualTime.Unschedule(_pending);
        _pending = printer.Time.Schedule(delay, action);
    }

    /// <summary>Nothing happens next.</summary>
    public void Cancel()
    {
        if (_pending is not null)
            VirtualTime.Unschedule(_pending);
        _pending = null;
    }

    private void StartStage(ResetRequest request, TimeSpan sinceReset)
    {
        if (request == ResetRequest.Bootloader && Setup.OtherBootloader is { } make)
        {
            Later(RomStart, () => board.RunRom(make(board, () => Reset(ResetRequest.Plain))));
            return;
        }
        switch (Setup.Stage)
        {
            case BootStage.StockSd:
                Later(
                    SdMount,
                    () => Later(FlashFromCard() + (board.Chip.IsF4 ? SdModule : TimeSpan.Zero), () => LeaveSdBootloader(request)));
                break;
            case BootStage.Hid when request == ResetRequest.Bootloader:
                board.Hang("its HID bootloader waits, which is not modelled");
                break;
            case BootStage.Katapult:
                var first = BinaryPrimitives.ReadUInt32LittleEndian(Flash.Read(ApplicationStart, 4));
                var isDouble = request == ResetRequest.Plain && sinceReset >= DoubleResetMin && sinceReset <= DoubleResetMax;
                if (request == ResetRequest.Bootloader || isDouble || (request == ResetRequest.Plain && first is 0 or uint.MaxValue))
                    StartKatapult();
                else if (request == ResetRequest.SkipKatapult)
                    StartApplication(ApplicationStart, wantsRom: false, ProgramStart);
                else
                    Later(DoubleResetMax, () => StartApplication(ApplicationStart, wantsRom: false, ProgramStart));
                break;
            default:
                StartApplication(ApplicationStart, request == ResetRequest.Bootloader, ProgramStart);
                break;
        }
    }

    /// <summary>
    /// The stock bootloader flashes the file on the card. It renames the file last: after a power cut it flashes it once more.
    /// </summary>
    private TimeSpan FlashFromCard()
    {
        _taken = null;
        if (StockBootloader.Find(board) is not var (path, file))
            return TimeSpan.Zero;
        _taken = path;
        var (now, time) = (printer.Time.Now, TimeSpan.Zero);
        for (var sector = Flash.SectorAt(ApplicationStart); Flash.SectorStart(sector) < ApplicationStart + file.Length; sector++)
            time += Flash.Erase(sector, now + time);
        for (var at = 0; at < file.Length; at += 512)
            time += Flash.Program(ApplicationStart + (uint)at, file.AsSpan(at, Math.Min(512, file.Length - at)), now + time).Time;
        return time;
    }

    /// <summary>The stock bootloader looks at one byte of the application's reset vector only: the flash's, 08 on STM32.</summary>
    private void LeaveSdBootloader(ResetRequest request)
    {
        if (_taken is not null)
            StockBootloader.Finish(board, _taken);
        if (Flash.Read(ApplicationStart + 7, 1)[0] != (byte)(Flash.Base >> 24))
            board.Hang("the stock bootloader found no firmware and waits for ever");
        else
            StartApplication(ApplicationStart, request == ResetRequest.Bootloader, ProgramStart);
    }

    private void StartApplication(uint address, bool wantsRom, TimeSpan delay)
    {
        if (_known.Version != Flash.Version || _known.Start != address)
        {
            var (firmware, reason) = board.Process?.WouldRun() ?? VirtualFirmware.WouldStart(Flash, board.Chip, address);
            if (firmware is not null && !Setup.IsProcess && Setup.MisfitOf(firmware, Setup.BuildOf(firmware)) is { } misfit)
                (firmware, reason) = (null, misfit);
            (_known, board.HangReason) = ((Flash.Version, address, firmware), reason);
        }
        if (_known.Firmware is not { } running)
            board.Hang(board.HangReason ?? "it does not start");
        else if (wantsRom)
            StartRom(afterJump: true);   // Klipper checks for this request first
        else
            Later(delay, () => RunKlipper(running));
    }

    private void RunKlipper(VirtualFirmware firmware)
    {
        var started = printer.Time.Now - (Setup.IsProcess ? VirtualHostProcess.Clock : TimeSpan.Zero);
        var (build, faults) = (Setup.BuildOf(firmware), printer.Faults);
        if (faults.DictionaryMcu is { } mcu && firmware.Version == Setup.Version)
            firmware = firmware.WithDictionary(VirtualDictionary.WithMcu(firmware.CompressedDictionary, mcu));
        var registers = faults.RegistersOf is { } machine ? new FirmwareBuild(KconfigChips.Find(machine), build.Start) : build;
        board.RunKlipper(firmware, build, new KlipperProgram(firmware, board.Chip, Flash, board.Uid.ToArray(), LinkOf(firmware), started)
        {
            Send = firmware.Version == faults.MuteVersion ? static (_, _) => { } : board.Send,
            Reset = ResetLater,
            HearsReset = () => _resetsIgnored-- <= 0,
            Memory = new ChipMemory(Flash, board.Uid, registers) { VectorTable = faults.VectorTable },
            OnRead = () => printer.Injector.NextRead(board),
        });
    }

    private static McuLink LinkOf(VirtualFirmware firmware) => firmware.Link.Kind switch
    {
        FirmwareLinkKind.Uart => McuLink.Uart,
        FirmwareLinkKind.Usb => McuLink.Usb,
        _ => McuLink.Can,
    };

    private void StartKatapult() => Later(ProgramStart, () =>
    {
        var traits = new KatapultTraits
        {
            Link = Setup.IsCanBridge ? McuLink.Usb : Setup.Link,
            Protocol = Setup.OldKatapult ? 0x0001_0000u : 0x0001_0100u,
            Baud = Setup.KatapultBaud,
            CanUuid = Setup.IsCan ? board.CanUuidBytes.ToArray() : null,
        };
        board.RunKatapult(new KatapultProgram(Flash, board.Chip, ApplicationStart, traits) { Send = board.Send, Reset = ResetLater });
    });

    private void StartRom(bool afterJump)
    {
        var missesUsb = printer.Faults.RomMissesUsb || (printer.Faults.RomNeedsPower && !_hadPower);
        var hasUsb = board.Chip.Bootsel is not null || board.Chip.Rom is { HasUsb: true };
        if (board.Chip is { Rom: null, Bootsel: null } || (!Setup.IsUart && ((missesUsb && !board.Boot0) || !hasUsb)))
            board.Hang("its ROM listens to another interface than USB");
        else
            Later(RomStart, () => RunRom(afterJump));
    }

    private void RunRom(bool afterJump)
    {
        var faults = printer.Faults;
        var behaviour = new RomBehaviour
        {
            AfterJump = afterJump,
            IsReadProtected = faults.IsReadProtected,
            CountsInRequests = faults.CountsInRequests,
            LeaveIsSilent = faults.LeaveIsSilent,
            PollTime = faults.PollTime,
            StuckInBusy = faults.StuckInBusy,
        };
        if (board.Chip.Bootsel is not null)
            board.RunRom(new RomBootsel(Flash, board.Chip, rom, delay => Later(delay, () => Reset(ResetRequest.Plain))));
        else if (Setup.IsUart)
            board.RunRom(new RomUart(Flash, board.Chip, behaviour, rom, Jump) { Send = board.Send, Reset = ResetLater });
        else
            board.RunRom(new RomDfu(Flash, board.Chip, faults.RomSerial ?? DfuSerial(), behaviour, rom, Jump));
    }

    /// <summary>The ROM jumps. This is no reset: BOOT0 and the bootloader are not involved.</summary>
    private void Jump(uint address)
    {
        board.Stop(BoardState.Starting);
        StartApplication(address, wantsRom: false, ProgramStart);
    }

    private void ResetLater(ResetRequest request, TimeSpan delay)
    {
        if (_isFrozen)
            return;
        if (request == ResetRequest.Bootloader && board.State == BoardState.Klipper)
        {
            if (_touchesIgnored > 0)
            {
                _touchesIgnored--;
                return;
            }
            var entersRom = (board.Chip.EntersRom && !Setup.IsUart && !Setup.IsCan) || board.Chip.Bootsel is not null;
            var hasBootloader = Setup.Stage is BootStage.Katapult or BootStage.Hid || entersRom;
            if (_touchesInVain > 0 || !hasBootloader)
            {
                _touchesInVain--;
                request = ResetRequest.Plain;
            }
        }
        if (request == ResetRequest.Crash)
            Later(delay, () => board.Hang("the bus faulted"));
        else if (request == ResetRequest.Watchdog)
            Later(delay, Freeze);
        else
            Later(delay, () => Reset(request));
    }

    /// <summary>
    /// The firmware faulted and spins (Klipper src/generic/armcm_boot.c, DefaultHandler). USB keeps its pull-up: the computer lists the
    /// board until the watchdog resets it.
    /// </summary>
    private void Freeze()
    {
        if (board.Chip.Watchdog is not { } time)
        {
            board.Hang("the bus faulted, and no watchdog runs");
            return;
        }
        _isFrozen = true;
        board.Freeze();
        Later(time, () => Reset(ResetRequest.Plain));
    }

    /// <summary>The ROM's serial (AN2606 and Klipper's src/stm32/chipid.c): hex8(w0 + w2) and hex4(w1 >> 16).</summary>
    private string DfuSerial()
    {
        var words = Enumerable.Range(0, 3).Select(i => BitConverter.ToUInt32(board.Uid.Span[(i * 4)..])).ToArray();
        return (words[0] + words[2]).ToString("X8") + (words[1] >> 16).ToString("X4");
    }
}

using System.Buffers.Binary;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>What starts what in a board: ROM, boot stage, application (facts: "Katapult: how it starts", "Stock SD bootloaders", AN2606).</summary>
public sealed partial class VirtualBoard
{
    private static readonly TimeSpan SdMount = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan SdModule = TimeSpan.FromMilliseconds(1210);   // F4 only
    private static readonly TimeSpan RomStart = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan ProgramStart = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan DoubleResetMin = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan DoubleResetMax = TimeSpan.FromMilliseconds(500);   // Katapult waits so long for the second one

    private byte[] _bootImage = [];    // what lies below the application when the story begins
    private object? _pending;          // what starts next
    private bool _emptyMark;
    private bool _hadPower;            // switched on since the story began
    private readonly List<string> _illegal = [];
    private bool _wasMassErased;
    private int _touchesIgnored;
    private int _touchesInVain;
    private int _leavesIgnored;
    private int _resetsIgnored;
    private (long Version, uint Start, VirtualFirmware? Firmware) _known = (-1, 0, null);
    private TimeSpan _lastReset = TimeSpan.MinValue / 2;

    /// <summary>Begins a story in a state, without the way there.</summary>
    internal void Begin(BoardState state)
    {
        State = BoardState.Starting;
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
                Stop(BoardState.Off);
                break;
            default:
                Hang("it hung before");
                break;
        }
    }

    /// <summary>Skips the way: what was to start next has started.</summary>
    internal void SettleNow()
    {
        while (_pending is { } pending && State == BoardState.Starting)
        {
            _pending = null;
            VirtualTime.RunNow(pending);
        }
    }

    internal StoredBoard Store() => new(Name, State, Port, Boot0, SdFirmware is not null, [.. Flash.UnsoundRanges()]);

    internal void Restore(byte[] flash, StoredBoard stored)
    {
        Flash.Preset(Flash.Base, flash);
        foreach (var range in stored.Unsound)
            Flash.Spoil(range);
        (Port, Boot0) = (stored.Port, stored.Boot0);
        if (!stored.HasSdFirmware)
            SdFirmware = null;
        State = BoardState.Starting;
        Begin(stored.State == BoardState.Starting ? BoardState.Hung : stored.State);
    }

    internal void Heal()
    {
        (_touchesIgnored, _touchesInVain, _leavesIgnored, _resetsIgnored) = (0, 0, 0, 0);
        if (Function is RomDfu dfu)
            dfu.LeavesIgnored = 0;
        if (Program is RomUart uart)
            uart.LeavesIgnored = 0;
    }

    private void Boot(ResetRequest request, bool isPowerOn = false)
    {
        Stop(BoardState.Starting);
        _hadPower |= isPowerOn;
        var sinceReset = _printer.Time.Now - _lastReset;
        _lastReset = isPowerOn ? TimeSpan.MinValue / 2 : _printer.Time.Now;
        var isEmpty = Flash.Read(Flash.Base, 4).IndexOfAnyExcept((byte)0xFF) < 0;
        if (isPowerOn || !_printer.Faults.EmptyMarkSticks)
            _emptyMark = isEmpty && isPowerOn;
        if (Boot0 || (Chip.EmptyCheck && _emptyMark && (isEmpty || _printer.Faults.EmptyMarkSticks)))
        {
            StartRom(afterJump: false);
            return;
        }
        if (!IsBootAreaIntact)
        {
            Hang("its bootloader is destroyed");
            return;
        }
        var wantsRom = request == ResetRequest.Bootloader && Setup.Stage != BootStage.Katapult;
        switch (Setup.Stage)
        {
            case BootStage.StockSd:
                var isF4 = Chip.Name.StartsWith("stm32f4", StringComparison.Ordinal);
                Later(SdMount, () =>
                {
                    var flashing = FlashFromCard();
                    Later(flashing + (isF4 ? SdModule : TimeSpan.Zero), () => LeaveSdBootloader(wantsRom));
                });
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
                StartApplication(ApplicationStart, wantsRom, ProgramStart);
                break;
        }
    }

    /// <summary>The stock bootloader flashes a file that is on the card. It is renamed last, so a power cut only means that it is flashed once more.</summary>
    private TimeSpan FlashFromCard()
    {
        if (SdFirmware is not { } file)
            return TimeSpan.Zero;
        var (now, time) = (_printer.Time.Now, TimeSpan.Zero);
        for (var sector = Flash.SectorAt(ApplicationStart); Flash.SectorStart(sector) < ApplicationStart + file.Length; sector++)
            time += Flash.Erase(sector, now + time);
        for (var at = 0; at < file.Length; at += 512)
            time += Flash.Program(ApplicationStart + (uint)at, file.AsSpan(at, Math.Min(512, file.Length - at)), now + time).Time;
        return time;
    }

    /// <summary>A byte of the application's reset vector decides whether the stock bootloader starts it.</summary>
    private void LeaveSdBootloader(bool wantsRom)
    {
        if (!SdFileStays)
            SdFirmware = null;   // renamed to FIRMWARE.CUR
        if (Flash.Read(ApplicationStart + 7, 1)[0] != 0x08)
            Hang("the stock bootloader found no firmware and waits for ever");
        else
            StartApplication(ApplicationStart, wantsRom, ProgramStart);
    }

    private void StartApplication(uint address, bool wantsRom, TimeSpan delay)
    {
        if (_known.Version != Flash.Version || _known.Start != address)
        {
            var (firmware, reason) = Setup.IsProcess ? WouldRun() : VirtualFirmware.WouldStart(Flash, Chip, address);
            (_known, HangReason) = ((Flash.Version, address, firmware), reason);
        }
        if (_known.Firmware is not { } running)
            Hang(HangReason ?? "it does not start");
        else if (wantsRom)
            StartRom(afterJump: true);   // the very first thing that Klipper looks at
        else
            Later(delay, () => RunKlipper(running));
    }

    private void RunKlipper(VirtualFirmware firmware)
    {
        RunningFirmware = firmware;
        var program = new KlipperProgram(firmware, Chip, Flash, _uid, Setup.Link, _printer.Time.Now - (Setup.IsProcess ? ProcessClock : TimeSpan.Zero))
        {
            Send = firmware.Version == _printer.Faults.MuteVersion ? static (_, _) => { } : Send,
            Reset = ResetLater,
            HearsReset = () => _resetsIgnored-- <= 0,
        };
        Run(BoardState.Klipper, program, Setup.IsCanBridge ? new GsUsb(Chip.Name, Setup.Serial) : new CdcAcm(UsbId.Klipper, "Klipper", Chip.Name, Setup.Serial, program, () => ResetLater(ResetRequest.Bootloader, default)));
    }

    private void StartKatapult() => Later(ProgramStart, () =>
    {
        var traits = new KatapultTraits
        {
            Link = Setup.IsCanBridge ? McuLink.Usb : Setup.Link,
            Protocol = Setup.OldKatapult ? 0x0001_0000u : 0x0001_0100u,
            CanUuid = Setup.IsCan ? CanUuidBytes.ToArray() : null,
        };
        var program = new KatapultProgram(Flash, Chip, ApplicationStart, traits) { Send = Send, Reset = ResetLater };
        Run(BoardState.Katapult, program, new CdcAcm(KatapultDriver.Id, "katapult", Chip.Name, Convert.ToHexString(_uid), program, touched: null));
    });

    private void StartRom(bool afterJump)
    {
        // H2: another of the interfaces that the ROM watches spoke first.
        if (Chip.Rom is null || (!Setup.IsUart && (_printer.Faults.RomMissesUsb || (_printer.Faults.RomNeedsPower && !_hadPower)) && !Boot0))
        {
            Hang("its ROM listens to another interface than USB");
            return;
        }
        Later(RomStart, () =>
        {
            var faults = _printer.Faults;
            var behaviour = new RomBehaviour
            {
                AfterJump = afterJump,
                IsReadProtected = faults.IsReadProtected,
                LeavesIgnored = _leavesIgnored,
                LeaveIsSilent = faults.LeaveIsSilent,
                PollTime = faults.PollTime,
                StuckInBusy = faults.StuckInBusy,
            };
            (State, Program) = (BoardState.Rom, null);
            if (Setup.IsUart)
            {
                Program = new RomUart(Flash, Chip, behaviour, Jump) { Send = Send, Reset = ResetLater };
                return;
            }
            Attach(new RomDfu(Flash, Chip, faults.RomSerial ?? DfuSerial(), behaviour, Jump));
        });
    }

    /// <summary>The ROM jumps: no reset, so neither BOOT0 nor the boot stage is looked at.</summary>
    private void Jump(uint address)
    {
        Stop(BoardState.Starting);
        StartApplication(address, wantsRom: false, ProgramStart);
    }

    private void Run(BoardState state, SerialProgram program, UsbFunction function)
    {
        (State, Program) = (state, program);
        if (Setup.IsCan || function is GsUsb)
        {
            CanNode = new VirtualCanNode(_printer.Time, _printer.Can!, CanUuidBytes, program, () => ResetLater(ResetRequest.Bootloader, default));
            Answered = CanNode.Send;
            JoinCan();
        }
        if (Setup.IsUart || Setup.IsCan || Setup.IsProcess)
            Function = null;
        else
            Attach(function);
    }

    private void JoinCan()
    {
        if (CanNode is not null && Port is not null)
            _printer.Can!.Join(CanNode);
    }

    private void LeaveCan()
    {
        if (CanNode is not null)
            _printer.Can!.Leave(CanNode);
    }

    private void Attach(UsbFunction function)
    {
        // On a CAN cable alone there is no USB: a ROM waits there in vain.
        if (Setup.IsCan && Setup.RescuePort is null)
            return;
        Function = function;
        if (Port is not null)
            _printer.Attach(this, function);
    }

    private void Hang(string reason)
    {
        Stop(BoardState.Hung);
        HangReason = reason;
        if (_printer.Faults.PersonAfter is { } after)
            _pending = _printer.Time.Schedule(after, SetJumper);
    }

    private void SetJumper()
    {
        Boot0 = true;
        PressReset();
        Boot0 = false;
    }

    /// <summary>Everything volatile ends: what ran, and its stay on the bus.</summary>
    private void Stop(BoardState state)
    {
        IsUsbHung = false;
        if (Function is RomDfu dfu)
        {
            Remember(dfu.WasMassErased, dfu.Illegal, dfu.LeavesIgnored);
            BootloaderAsked = dfu.Asked ?? BootloaderAsked;
        }
        if (Program is KatapultProgram katapult)
            BootloaderAsked = katapult.Asked ?? BootloaderAsked;
        if (Program is RomUart uart)
            Remember(uart.WasMassErased, uart.Illegal, uart.LeavesIgnored);
        if (_pending is not null)
            VirtualTime.Unschedule(_pending);
        LeaveCan();
        if (CanNode is not null)
            (CanNode, Answered) = (null, null);
        (_pending, State, Function, Program, RunningFirmware) = (null, state, null, null, null);
        _printer.Detach(this, _printer.Faults.Lingers);
    }

    /// <summary>What a ROM that ends would say of its visitor.</summary>
    private void Remember(bool wasMassErased, IEnumerable<string> illegal, int leavesIgnored)
    {
        _wasMassErased |= wasMassErased;
        _illegal.AddRange(illegal);
        _leavesIgnored = leavesIgnored;
    }

    private void Later(TimeSpan delay, Action action)
    {
        if (_pending is not null)
            VirtualTime.Unschedule(_pending);
        _pending = _printer.Time.Schedule(delay, action);
    }

    private void Send(ReadOnlyMemory<byte> bytes, TimeSpan delay) => Answered?.Invoke(bytes, delay);

    private void ResetLater(ResetRequest request, TimeSpan delay)
    {
        if (request == ResetRequest.Bootloader && State == BoardState.Klipper)
        {
            if (_touchesIgnored > 0)
            {
                _touchesIgnored--;
                return;
            }
            var hasRoad = Setup.Stage == BootStage.Katapult || (Board.EntersDfu && !Setup.IsUart && !Setup.IsCan);
            if (_touchesInVain > 0 || !hasRoad)
            {
                _touchesInVain--;
                request = ResetRequest.Plain;
            }
        }
        if (request == ResetRequest.Crash)
            Later(delay, () => Hang("the bus faulted"));
        else
            Later(delay, () => Boot(request));
    }

    /// <summary>facts 3.1: hex8(w0 + w2) and hex4(w1 >> 16).</summary>
    private string DfuSerial()
    {
        var words = Enumerable.Range(0, 3).Select(i => BitConverter.ToUInt32(_uid, i * 4)).ToArray();
        return (words[0] + words[2]).ToString("X8") + (words[1] >> 16).ToString("X4");
    }

    private void PresetFlash()
    {
        var below = (int)(ApplicationStart - Flash.Base);
        if (below > 0)
            _bootImage = BootImage(below);
        Flash.Preset(Flash.Base, _bootImage);
        var image = BuildFirmware(Setup.Version);
        Flash.Preset(ApplicationStart, Setup.State == BoardState.Hung ? image[..(image.Length / 2)] : image);
    }

    /// <summary>A bootloader to look at: vectors, noise, and Katapult's signature where Klipper looks for it (facts: "Software entry per MCU").</summary>
    private byte[] BootImage(int size)
    {
        var image = new byte[size];
        new Random(size).NextBytes(image.AsSpan(0, Math.Min(size, 6 * 1024)));
        image.AsSpan(Math.Min(size, 6 * 1024)).Fill(0xFF);
        // The RP2040's second-stage boot code comes before the vectors.
        var vectors = Chip.Rom is null ? 0x100 : 0;
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(vectors), Chip.RamEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(vectors + 4), Flash.Base + 0x200 + 9);
        "CanBoot!"u8.CopyTo(image.AsSpan(0x200));
        if (Setup.Stage != BootStage.Katapult)
            image.AsSpan(0x200, 8).Reverse();
        return image;
    }
}

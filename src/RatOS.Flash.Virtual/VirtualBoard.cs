using System.Buffers.Binary;
using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>One board: chip, flash, the chain of what starts what, and its place on the bus.</summary>
public sealed class VirtualBoard
{
    private static readonly TimeSpan SdMount = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan SdModule = TimeSpan.FromMilliseconds(1210);   // F4 only
    private static readonly TimeSpan RomStart = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan ProgramStart = TimeSpan.FromMilliseconds(20);

    private readonly VirtualPrinter _printer;
    private readonly byte[] _uid;
    private object? _pending;          // what starts next
    private bool _emptyMark;
    private int _touchesIgnored;
    private int _touchesInVain;
    private int _leavesIgnored;
    private (long Version, uint Start, VirtualFirmware? Firmware) _known = (-1, 0, null);

    internal VirtualBoard(VirtualPrinter printer, BoardSetup setup)
    {
        (_printer, Setup, Port) = (printer, setup, setup.Port);
        Board = (BoardCatalogue.BuiltIn.Find(setup.BoardId) ?? throw new ArgumentException($"no board {setup.BoardId} in the catalogue", nameof(setup)))
            with
        { FlashStartEffective = $"0x{setup.ApplicationStart:x}" };
        Flash = new VirtualFlash(setup.Chip, printer.Faults.WornAt);
        // Twelve bytes that look like those of a real lot, different for each port.
        _uid = Convert.FromHexString("2B0007000C50425539393020");
        BinaryPrimitives.WriteUInt16LittleEndian(_uid, (ushort)setup.Port.Aggregate(17, (hash, c) => (hash * 31) + c));
        (_touchesIgnored, _touchesInVain, _leavesIgnored) = (printer.Faults.TouchesIgnored, printer.Faults.TouchesInVain, printer.Faults.LeavesIgnored);
        if (setup.HasSdCard)
            SdFirmware = VirtualFirmware.Build(setup.Chip, setup.ApplicationStart, setup.Version);
        PresetFlash();
    }

    public BoardSetup Setup { get; }

    public string Name => Setup.Name;

    public VirtualChip Chip => Setup.Chip;

    public uint ApplicationStart => Setup.ApplicationStart;

    public VirtualFlash Flash { get; }

    /// <summary>Unique id, 12 bytes in memory order.</summary>
    public ReadOnlyMemory<byte> Uid => _uid;

    public BoardState State { get; private set; }

    /// <summary>The port it is plugged into now; null while its cable is out.</summary>
    public string? Port { get; private set; }

    /// <summary>The BOOT0 jumper is on, or the button held.</summary>
    public bool Boot0 { get; set; }

    /// <summary>A firmware file on the card in its SD slot; null for no card or no file.</summary>
    public byte[]? SdFirmware { get; set; }

    /// <summary>The firmware that runs now; null while none does.</summary>
    public VirtualFirmware? RunningFirmware { get; private set; }

    /// <summary>Why nothing runs.</summary>
    public string? HangReason { get; private set; }

    /// <summary>Somebody mass erased the chip: nobody may.</summary>
    public bool WasMassErased { get; private set; }

    /// <summary>Requests to its ROM that no document allows.</summary>
    public ImmutableArray<string> IllegalRequests { get; private set; } = [];

    /// <summary>The catalogue's entry, with the application start that its owner knows.</summary>
    public Board Board { get; }

    /// <summary>The image that this printer's Klipper would build for it.</summary>
    public byte[] BuildFirmware() => VirtualFirmware.Build(Chip, ApplicationStart, VirtualPrinter.HostVersion);

    internal UsbFunction? Function { get; private set; }

    internal SerialProgram? Program { get; private set; }

    /// <summary>Answers of the running program, and when they are ready.</summary>
    internal Action<ReadOnlyMemory<byte>, TimeSpan>? Answered { get; set; }

    // ---- what a person does

    public void PowerOn()
    {
        if (State == BoardState.Off && !(Setup.IsBusPowered && Port is null))
            Boot(ResetRequest.Plain, isPowerOn: true);
    }

    public void PowerOff()
    {
        Flash.CutPower(_printer.Time.Now);
        Stop(BoardState.Off);
    }

    /// <summary>An erase or a write that was under way stays half done.</summary>
    public void PressReset()
    {
        if (State == BoardState.Off)
            return;
        Flash.CutPower(_printer.Time.Now);
        Boot(ResetRequest.Plain);
    }

    /// <summary>Katapult takes the second reset within half a second as a request to stay.</summary>
    public void DoublePressReset()
    {
        if (State != BoardState.Off)
            Boot(Setup.Stage == BootStage.Katapult ? ResetRequest.Bootloader : ResetRequest.Plain);
    }

    public void Unplug()
    {
        Port = null;
        _printer.Detach(this, lingers: TimeSpan.Zero);
        if (Setup.IsBusPowered)
            PowerOff();
    }

    /// <param name="port">Another port than before; null for the same.</param>
    public void Plug(string? port = null)
    {
        if (Port is not null)
            return;
        Port = port ?? Setup.Port;
        if (State == BoardState.Off && Setup.IsBusPowered)
            PowerOn();
        else if (Function is not null)
            _printer.Attach(this, Function);
    }

    // ---- what starts what

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

    private void Boot(ResetRequest request, bool isPowerOn = false)
    {
        Stop(BoardState.Starting);
        var isEmpty = Flash.Read(Flash.Base, 4).IndexOfAnyExcept((byte)0xFF) < 0;
        if (isPowerOn || !_printer.Faults.EmptyMarkSticks)
            _emptyMark = isEmpty && isPowerOn;
        if (Boot0 || (Chip.EmptyCheck && _emptyMark && isEmpty | _printer.Faults.EmptyMarkSticks))
        {
            StartRom(afterJump: false);
            return;
        }
        var wantsRom = request == ResetRequest.Bootloader && Setup.Stage != BootStage.Katapult;
        switch (Setup.Stage)
        {
            case BootStage.StockSd:
                var isF4 = Chip.Name.StartsWith("stm32f4", StringComparison.Ordinal);
                Later(SdMount + (isF4 ? SdModule : TimeSpan.Zero), () => LeaveSdBootloader(wantsRom));
                break;
            case BootStage.Katapult:
                var first = BinaryPrimitives.ReadUInt32LittleEndian(Flash.Read(ApplicationStart, 4));
                if (request == ResetRequest.Bootloader || (request != ResetRequest.SkipKatapult && first is 0 or uint.MaxValue))
                    StartKatapult();
                else
                    StartApplication(ApplicationStart, wantsRom: false, ProgramStart);
                break;
            default:
                StartApplication(ApplicationStart, wantsRom, ProgramStart);
                break;
        }
    }

    /// <summary>The stock bootloader: a file on the card is flashed, then a word of the application decides whether it starts.</summary>
    private void LeaveSdBootloader(bool wantsRom)
    {
        if (SdFirmware is { } file)
        {
            var now = _printer.Time.Now;
            for (var sector = Flash.SectorAt(ApplicationStart); Flash.SectorStart(sector) < ApplicationStart + file.Length; sector++)
                now += Flash.Erase(sector, now);
            Flash.Program(ApplicationStart, file, now);
            SdFirmware = null;   // renamed to FIRMWARE.CUR
        }
        if (Flash.Read(ApplicationStart + 7, 1)[0] != 0x08)
            Hang("the stock bootloader found no firmware and waits for ever");
        else
            StartApplication(ApplicationStart, wantsRom, ProgramStart);
    }

    private void StartApplication(uint address, bool wantsRom, TimeSpan delay)
    {
        if (_known.Version != Flash.Version || _known.Start != address)
        {
            var (firmware, reason) = VirtualFirmware.WouldStart(Flash, Chip, address);
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
        var program = new KlipperProgram(firmware, Chip, Flash, _uid, Setup.IsUart, _printer.Time.Now) { Send = Send, Reset = ResetLater };
        Run(BoardState.Klipper, program, new CdcAcm(UsbId.Klipper, "Klipper", Chip.Name, Setup.Serial, program, () => ResetLater(ResetRequest.Bootloader, default)));
    }

    private void StartKatapult() => Later(ProgramStart, () =>
    {
        var traits = new KatapultTraits { Uart = Setup.IsUart, Protocol = Setup.OldKatapult ? 0x0001_0000u : 0x0001_0100u };
        var program = new KatapultProgram(Flash, Chip, ApplicationStart, traits) { Send = Send, Reset = ResetLater };
        Run(BoardState.Katapult, program, new CdcAcm(UsbId.Katapult, "katapult", Chip.Name, Convert.ToHexString(_uid), program, touched: null));
    });

    private void StartRom(bool afterJump)
    {
        // H2: another of the interfaces that the ROM watches spoke first.
        if (Chip.Rom is null || (_printer.Faults.RomMissesUsb && !Boot0))
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
        if (Setup.IsUart)
            Function = null;
        else
            Attach(function);
    }

    private void Attach(UsbFunction function)
    {
        Function = function;
        if (Port is not null)
            _printer.Attach(this, function);
    }

    private void Hang(string reason)
    {
        Stop(BoardState.Hung);
        HangReason = reason;
    }

    /// <summary>Everything volatile ends: what ran, and its stay on the bus.</summary>
    private void Stop(BoardState state)
    {
        if (Function is RomDfu rom)
        {
            WasMassErased |= rom.WasMassErased;
            IllegalRequests = [.. IllegalRequests, .. rom.Illegal];
            _leavesIgnored = rom.LeavesIgnored;
        }
        if (_pending is not null)
            VirtualTime.Unschedule(_pending);
        (_pending, State, Function, Program, RunningFirmware) = (null, state, null, null, null);
        _printer.Detach(this, _printer.Faults.Lingers);
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
            var hasRoad = Setup.Stage == BootStage.Katapult || (Board.EntersDfu && !Setup.IsUart);
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
            Flash.Preset(Flash.Base, BootImage(below));
        var image = VirtualFirmware.Build(Chip, ApplicationStart, Setup.Version);
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

using System.Buffers.Binary;
using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// One board: chip, flash, jumper and card, what runs on it, and its place on the buses. <see cref="BoardBoot"/> decides what runs.
/// </summary>
public sealed class VirtualBoard
{
    private readonly VirtualPrinter _printer;
    private readonly BoardBoot _boot;
    private readonly RomRecord _rom;
    private readonly byte[] _uid;
    private readonly byte[] _bootArea;

    internal VirtualBoard(VirtualPrinter printer, BoardSetup setup)
    {
        (_printer, Setup, Port, Boot0) = (printer, setup, setup.Port, setup.Boot0);
        if (setup.BoardId.Length == 0)
        {
            Board = Board.Unknown(setup.Name);
        }
        else
        {
            var board = BoardCatalogue.BuiltIn.Find(setup.BoardId)
                ?? throw new ArgumentException($"no board {setup.BoardId} in the catalogue", nameof(setup));
            Board = board with { FlashStartEffective = setup.IsProcess ? null : $"0x{setup.ApplicationStart:x}" };
        }
        Flash = new VirtualFlash(setup.Chip, printer.Faults.WornAt);
        // Bytes like those of a real lot, different for each port.
        _uid = setup.Uid?.ToArray() ?? Convert.FromHexString("2B0007000C5042553939302031323334")[..UidLength(setup.Chip)];
        var place = setup.IsCan ? $"{setup.Port} {setup.Name}" : setup.Port;
        if (setup.Uid is null)
            BinaryPrimitives.WriteUInt16LittleEndian(_uid, (ushort)place.Aggregate(17, (hash, c) => (hash * 31) + c));
        CanUuidBytes = VirtualCanNode.UuidOf(_uid);
        _rom = new RomRecord { LeavesIgnored = printer.Faults.LeavesIgnored, Partitions = printer.Faults.Partitions };
        _boot = new BoardBoot(printer, this, _rom);
        Process = setup.IsProcess ? new VirtualHostProcess(printer, this, _boot) : null;
        if (setup.HasSdCard)
            SdFirmware = BuildFirmware(setup.Version);
        _bootArea = BootArea.Create(Chip, setup.Stage, (int)(ImageStart - Flash.Base));
        Flash.Preset(Flash.Base, _bootArea);
        var image = BuildFirmware(setup.Version);
        Flash.Preset(ImageStart, setup.State == BoardState.Hung ? image[..(image.Length / 2)] : image);
    }

    public BoardSetup Setup { get; }

    public string Name => Setup.Name;

    public VirtualChip Chip => Setup.Chip;

    public uint ApplicationStart => Setup.ApplicationStart;

    /// <summary>Where its firmware's file begins: on an RP2040 without a bootloader at the boot code in front of the application.</summary>
    public uint ImageStart => HasSecondStage ? Flash.Base : ApplicationStart;

    private bool HasSecondStage => Chip.Bootsel is { IsRp2350: false } && Setup.Stage == BootStage.None;

    public VirtualFlash Flash { get; }

    /// <summary>Unique id, 12 bytes in memory order.</summary>
    public ReadOnlyMemory<byte> Uid => _uid;

    public BoardState State { get; private set; }

    /// <summary>The port it is plugged into now; null while it is unplugged.</summary>
    public string? Port { get; private set; }

    /// <summary>The BOOT0 jumper is on, or the button is held.</summary>
    public bool Boot0 { get; set; }

    /// <summary>The files on the card in its SD slot, by their path; none without a card.</summary>
    public IDictionary<string, byte[]> SdCard { get; } = new Dictionary<string, byte[]>(StringComparer.OrdinalIgnoreCase);

    /// <summary>The one of them that its stock bootloader takes next; null for none.</summary>
    public byte[]? SdFirmware
    {
        get => StockBootloader.Find(this) is { } found ? SdCard[found.Path] : null;
        set
        {
            SdCard.Clear();
            if (value is not null)
                SdCard[Setup.CardFile.Path.Replace('*', 'x')] = value;
        }
    }

    /// <summary>The name of the file that it installed last.</summary>
    public string? LastCardFile { get; internal set; }

    /// <summary>The card also has an <c>admin.txt</c>: the stock bootloader flashes the file again at each reset.</summary>
    public bool SdFileStays { get; set; }

    /// <summary>The firmware that runs now; null while none does.</summary>
    public VirtualFirmware? RunningFirmware { get; private set; }

    /// <summary>Why nothing runs.</summary>
    public string? HangReason { get; internal set; }

    /// <summary>The flash below the application is as it was at the beginning. A board that lost it starts nothing but its ROM.</summary>
    public bool IsBootAreaIntact =>
        Flash.IsSound(Flash.Base, _bootArea.Length) && Flash.Read(Flash.Base, _bootArea.Length).SequenceEqual(_bootArea);

    /// <summary>The whole chip was erased, which a flash must never do.</summary>
    public bool WasMassErased => _rom.WasMassErased;

    /// <summary>Requests to its ROM that no document allows.</summary>
    public ImmutableArray<string> IllegalRequests => [.. _rom.Illegal];

    /// <summary>
    /// First and last request to its USB ROM or to its Katapult, by the printer's clock, and their number, in the last session that had
    /// any; null before such a session has ended.
    /// </summary>
    public (TimeSpan First, TimeSpan Last, int Count)? BootloaderCommands { get; private set; }

    /// <summary>The catalogue's entry, with the application start that the board's owner knows.</summary>
    public Board Board { get; }

    /// <summary>With <see cref="BoardSetup.IsProcess"/>: the process and its unit; else null.</summary>
    public VirtualHostProcess? Process { get; }

    /// <summary>The image that this printer's Klipper would build for it.</summary>
    public byte[] BuildFirmware() => BuildFirmware(VirtualPrinter.HostVersion);

    private byte[] BuildFirmware(string version)
    {
        var application = VirtualFirmware.Build(Setup.Build, version);
        return HasSecondStage ? [.. Boot2.StandIn(Setup.Build.Boot2), .. application] : application;
    }

    internal UsbFunction? Function { get; private set; }

    /// <summary>Its USB answers nothing until the hub resets it.</summary>
    internal bool IsUsbHung { get; set; }

    internal SerialProgram? Program { get; private set; }

    /// <summary>Its uuid in Klipper and Katapult on CAN.</summary>
    internal byte[] CanUuidBytes { get; private set; }

    /// <summary>Its node on the CAN bus since the last reset; null while nothing runs, and for boards without CAN.</summary>
    internal VirtualCanNode? CanNode { get; private set; }

    /// <summary>Takes answers of the running program, and the delay until they are ready.</summary>
    internal Action<ReadOnlyMemory<byte>, TimeSpan>? Answered { get; set; }

    // ---- what an operator does

    public void PowerOn()
    {
        if (State == BoardState.Off && !(Setup.IsBusPowered && Port is null))
            _boot.Reset(ResetRequest.Plain, isPowerOn: true);
    }

    public void PowerOff()
    {
        Flash.CutPower(_printer.Time.Now);
        Stop(BoardState.Off);
    }

    /// <summary>An erase or a write that is under way stays half done.</summary>
    public void PressReset()
    {
        if (State == BoardState.Off)
            return;
        Flash.CutPower(_printer.Time.Now);
        _boot.Reset(ResetRequest.Plain);
    }

    /// <summary>Twice, quickly: Katapult takes the second reset as a request to stay.</summary>
    public void DoublePressReset()
    {
        PressReset();
        _printer.Time.Schedule(TimeSpan.FromMilliseconds(200), PressReset);
    }

    public void Unplug()
    {
        Port = null;
        LeaveCan();
        _printer.Bus.Detach(this);
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
            _printer.Bus.Attach(this, Function);
        JoinCan();
    }

    /// <summary>Another board of the same kind, with the same firmware, in its place: only its chip's id differs.</summary>
    public void Swap()
    {
        Unplug();
        PowerOff();
        _uid[^1] ^= 0x55;
        CanUuidBytes = VirtualCanNode.UuidOf(_uid);
        Plug();
        PowerOn();
    }

    /// <summary>Bytes of a chip's unique id: the chipid.c of each family in Klipper's sources.</summary>
    private static int UidLength(VirtualChip chip) => chip.IsRp ? 8 : chip.IsStm32 || chip == VirtualChip.Linux ? 12 : 16;

    /// <summary>Its USB serial, as the printer's configuration has it.</summary>
    public string Serial => Setup.Serial.Length > 0 ? Setup.Serial : Convert.ToHexString(_uid);

    /// <summary>The serial that the running firmware shows on USB: the image's, where it names one.</summary>
    private string SerialOf(FirmwareBuild build) => build.UsbSerial switch
    {
        null => Serial,
        "" => Convert.ToHexString(_uid),
        var text => text,
    };

    // ---- what the printer does at its beginning, and at its end

    /// <summary>Puts the board into a state without the way there.</summary>
    internal void Begin(BoardState state)
    {
        State = BoardState.Starting;
        _boot.Begin(state);
    }

    /// <summary>Starts what was about to start.</summary>
    internal void SettleNow() => _boot.SettleNow();

    internal StoredBoard Store() => new(Name, State, Port, Boot0, SdFirmware is not null, [.. Flash.UnsoundRanges()])
    {
        LastCardFile = LastCardFile,
    };

    internal void Restore(byte[] flash, StoredBoard stored)
    {
        Flash.Preset(Flash.Base, flash);
        foreach (var range in stored.Unsound)
            Flash.Spoil(range);
        (Port, Boot0, LastCardFile) = (stored.Port, stored.Boot0, stored.LastCardFile);
        if (!stored.HasSdFirmware)
            SdFirmware = null;
        Begin(stored.State == BoardState.Starting ? BoardState.Hung : stored.State);
    }

    /// <summary>Ends the faults that are still to come.</summary>
    internal void Heal()
    {
        _boot.Heal();
        _rom.LeavesIgnored = 0;
    }

    // ---- what the boot sequence does

    /// <summary>Klipper runs now. It is reachable if the board is wired for its link.</summary>
    internal void RunKlipper(VirtualFirmware firmware, FirmwareBuild build, KlipperProgram program)
    {
        RunningFirmware = firmware;
        if (Setup.IsWiredFor(build))
            Run(BoardState.Klipper, program, firmware.Link.Kind, firmware.Link.Kind == FirmwareLinkKind.CanBridge
                ? new GsUsb(Chip.Name, SerialOf(build))
                : new CdcAcm(UsbId.Klipper, "Klipper", Chip.Name, SerialOf(build), program, _boot.RequestBootloader));
        else
            State = BoardState.Klipper;
    }

    /// <summary>The running program stands still: nothing answers, on no bus.</summary>
    internal void Freeze()
    {
        IsUsbHung = true;
        LeaveCan();
    }

    /// <summary>Katapult runs now.</summary>
    internal void RunKatapult(KatapultProgram program) => Run(
        BoardState.Katapult, program, Setup.IsUart ? FirmwareLinkKind.Uart : Setup.IsCan ? FirmwareLinkKind.Can : FirmwareLinkKind.Usb,
        new CdcAcm(KatapultDriver.Id, "katapult", Chip.Name, Convert.ToHexString(_uid), program, touched: null));

    /// <summary>The chip's ROM runs now, and listens to its UART.</summary>
    internal void RunRom(RomUart rom) => (State, Program) = (BoardState.Rom, rom);

    /// <summary>The chip's ROM runs now, or a bootloader in its place, and listens to USB.</summary>
    internal void RunRom(UsbFunction rom)
    {
        (State, Program) = (BoardState.Rom, null);
        Attach(rom);
    }

    /// <summary>Nothing runs.</summary>
    internal void Hang(string reason)
    {
        Stop(BoardState.Hung);
        HangReason = reason;
        if (_printer.Faults.OperatorAfter is { } after)
            _boot.Later(after, ResetWithBoot0);
    }

    /// <summary>Ends what is volatile: the running program, and the board's session on the bus.</summary>
    internal void Stop(BoardState state)
    {
        IsUsbHung = false;
        BootloaderCommands = Function?.Commands ?? (Program as KatapultProgram)?.Commands ?? BootloaderCommands;
        _boot.Cancel();
        LeaveCan();
        if (CanNode is not null)
            (CanNode, Answered) = (null, null);
        (State, Function, Program, RunningFirmware) = (state, null, null, null);
        _printer.Bus.Detach(this);
    }

    internal void Send(ReadOnlyMemory<byte> bytes, TimeSpan delay) => Answered?.Invoke(bytes, delay);

    private void Run(BoardState state, SerialProgram program, FirmwareLinkKind link, UsbFunction function)
    {
        (State, Program) = (state, program);
        if (link is FirmwareLinkKind.Can or FirmwareLinkKind.CanBridge)
        {
            CanNode = new VirtualCanNode(_printer.Time, _printer.Can!, CanUuidBytes, program, _boot.RequestBootloader);
            Answered = CanNode.Send;
            JoinCan();
        }
        if (link is FirmwareLinkKind.Uart or FirmwareLinkKind.Can || Setup.IsProcess)
            Function = null;
        else
            Attach(function);
    }

    private void Attach(UsbFunction function)
    {
        // On a wire, or a CAN cable alone, there is no USB: no host sees a ROM there.
        if (Setup.IsUart || (Setup.IsCan && Setup.RescuePort is null))
            return;
        Function = function;
        if (Port is not null)
            _printer.Bus.Attach(this, function);
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

    /// <summary>The operator step that starts the ROM: BOOT0 set, reset pressed, BOOT0 taken off again.</summary>
    public void ResetWithBoot0()
    {
        Boot0 = true;
        PressReset();
        Boot0 = false;
    }
}

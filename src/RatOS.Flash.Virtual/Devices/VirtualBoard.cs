using System.Buffers.Binary;
using System.Collections.Immutable;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>One board: chip, flash, the chain of what starts what, and its place on the bus.</summary>
public sealed partial class VirtualBoard
{
    private readonly VirtualPrinter _printer;
    private readonly byte[] _uid;

    internal VirtualBoard(VirtualPrinter printer, BoardSetup setup)
    {
        (_printer, Setup, Port, Boot0) = (printer, setup, setup.Port, setup.Boot0);
        Board = (BoardCatalogue.BuiltIn.Find(setup.BoardId) ?? throw new ArgumentException($"no board {setup.BoardId} in the catalogue", nameof(setup)))
            with
        { FlashStartEffective = setup.IsProcess ? null : $"0x{setup.ApplicationStart:x}" };
        Flash = new VirtualFlash(setup.Chip, printer.Faults.WornAt);
        // Twelve bytes that look like those of a real lot, different for each port.
        _uid = Convert.FromHexString("2B0007000C50425539393020");
        var place = setup.IsCan ? $"{setup.Port} {setup.Name}" : setup.Port;
        BinaryPrimitives.WriteUInt16LittleEndian(_uid, (ushort)place.Aggregate(17, (hash, c) => (hash * 31) + c));
        CanUuidBytes = VirtualCanNode.UuidOf(_uid);
        (_touchesIgnored, _touchesInVain, _leavesIgnored, _resetsIgnored) =
            (printer.Faults.TouchesIgnored, printer.Faults.TouchesInVain, printer.Faults.LeavesIgnored, printer.Faults.ResetsIgnored);
        if (setup.HasSdCard)
            SdFirmware = BuildFirmware(setup.Version);
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

    /// <summary>The card also has an <c>admin.txt</c>: the stock bootloader flashes the file again at each reset.</summary>
    public bool SdFileStays { get; set; }

    /// <summary>The firmware that runs now; null while none does.</summary>
    public VirtualFirmware? RunningFirmware { get; private set; }

    /// <summary>Why nothing runs.</summary>
    public string? HangReason { get; private set; }

    /// <summary>What lies below the application is as it was when the story began. A board that lost it starts nothing but its ROM.</summary>
    public bool IsBootAreaIntact =>
        Flash.IsSound(Flash.Base, _bootImage.Length) && Flash.Read(Flash.Base, _bootImage.Length).SequenceEqual(_bootImage);

    /// <summary>Somebody mass erased the chip: nobody may.</summary>
    public bool WasMassErased => _wasMassErased || Function is RomDfu { WasMassErased: true } || Program is RomUart { WasMassErased: true };

    /// <summary>Requests to its ROM that no document allows.</summary>
    public ImmutableArray<string> IllegalRequests => [.. _illegal, .. (Function as RomDfu)?.Illegal ?? (Program as RomUart)?.Illegal ?? []];

    /// <summary>
    /// From the first request to its ROM by USB, or to its Katapult, to the last one, by the printer's clock, and how many there were, in the latest stay there
    /// in which it was asked anything; null before one was over.
    /// </summary>
    public (TimeSpan First, TimeSpan Last, int Count)? BootloaderAsked { get; private set; }

    /// <summary>The catalogue's entry, with the application start that its owner knows.</summary>
    public Board Board { get; }

    /// <summary>The image that this printer's Klipper would build for it.</summary>
    public byte[] BuildFirmware() => BuildFirmware(VirtualPrinter.HostVersion);

    private byte[] BuildFirmware(string version) => VirtualFirmware.Build(Chip, ApplicationStart, version, link: FirmwareLink);

    private FirmwareLink FirmwareLink => Setup.IsCanBridge ? FirmwareLink.CanBridge : Setup.IsCan ? FirmwareLink.Can : FirmwareLink.Serial;

    internal UsbFunction? Function { get; private set; }

    /// <summary>Its USB answers nothing until the hub resets it.</summary>
    internal bool IsUsbHung { get; set; }

    internal SerialProgram? Program { get; private set; }

    /// <summary>What Klipper and Katapult know it by on CAN.</summary>
    internal byte[] CanUuidBytes { get; }

    /// <summary>What it is on the CAN bus, since its last reset; null while nothing runs, and for boards without CAN.</summary>
    internal VirtualCanNode? CanNode { get; private set; }

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

    /// <summary>Twice, quickly: Katapult takes the second one as a request to stay.</summary>
    public void DoublePressReset()
    {
        PressReset();
        _printer.Time.Schedule(TimeSpan.FromMilliseconds(200), PressReset);
    }

    public void Unplug()
    {
        Port = null;
        LeaveCan();
        _printer.Detach(this, _printer.Faults.Lingers);
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
        JoinCan();
    }
}

using System.Buffers.Binary;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>One board of the virtual printer: a chip, what boots in it, its cable, its jumper and its SD card slot.</summary>
public sealed partial class VirtualBoard
{
    // Facts, "Stock SD bootloaders": before the card is read, and the pins and the USART that F4 builds set up afterwards.
    private static readonly TimeSpan StockStart = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan StockEnd = TimeSpan.FromMilliseconds(1210);
    private static readonly TimeSpan DoubleResetMin = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan DoubleResetMax = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ResetTime = TimeSpan.FromMilliseconds(1);

    private readonly VirtualPrinter _printer;
    private readonly byte[] _bootImage;
    private readonly List<string> _scandals = [];
    private readonly List<string> _illegal = [];
    private int _epoch;                     // counts what ends everything that is under way in the chip
    private bool _dfuFlag;                  // Klipper's word in RAM: the next application start jumps to the ROM
    private bool _emptyAtPowerOn;
    private TimeSpan? _lastReset;
    private (long Version, uint Address, VirtualFirmware? Firmware, string Reason) _verdict = (-1, 0, null, "");

    internal VirtualBoard(VirtualPrinter printer, BoardSetup setup)
    {
        _printer = printer;
        Setup = setup;
        Port = setup.Port;
        Flash = new VirtualFlash(setup.Chip, () => printer.Time.Now);
        _bootImage = setup.BootImage();
        Flash.Preset(Flash.Base, _bootImage);
        if (setup.OverUart)
            Uart = new SerialWire { Baud = SerialMode.Klipper.Baud };
    }

    public BoardSetup Setup { get; }

    public string Name => Setup.Name;

    /// <summary>Id in the catalogue.</summary>
    public string BoardId => Setup.BoardId;

    public VirtualChip Chip => Setup.Chip;

    public VirtualFlash Flash { get; }

    /// <summary>Where its cable is plugged in now.</summary>
    public string Port { get; private set; }

    public BoardState State { get; private set; }

    /// <summary>Why it is in this state, when it is one that nobody wants.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>The firmware that runs; null when none does.</summary>
    public VirtualFirmware? Running { get; private set; }

    /// <summary>The BOOT0 jumper or button.</summary>
    public bool Boot0 { get; private set; }

    public bool IsPowered => State != BoardState.Off;

    public bool IsPlugged { get; private set; } = true;

    /// <summary>Files on the card in the slot; null when there is no card.</summary>
    public IDictionary<string, byte[]>? Card { get; private set; }

    /// <summary>Nobody has touched what lies below the application.</summary>
    public bool IsBootAreaIntact =>
        Flash.IsSound(Flash.Base, _bootImage.Length) && Flash.Read(Flash.Base, _bootImage.Length).SequenceEqual(_bootImage);

    /// <summary>What destroyed something that was not the host's: mass erase, read unprotect. Empty in every good story.</summary>
    public IReadOnlyCollection<string> Scandals => _scandals;

    /// <summary>Requests that the protocol forbids. Empty in every good story.</summary>
    public IReadOnlyCollection<string> IllegalRequests => _illegal;

    /// <summary>The function on its USB connector; null when there is none.</summary>
    internal UsbFunction? Function { get; private set; }

    /// <summary>Its serial wires; null for a board on USB.</summary>
    internal SerialWire? Uart { get; }

    /// <summary>What the application area would run, and if nothing, why.</summary>
    public (VirtualFirmware? Firmware, string Reason) Application => WouldStart(Setup.Start);

    private TimeSpan Now => _printer.Time.Now;

    // ---- what a person does

    /// <summary>Presses the reset button. An erase or a write that was under way stays half done.</summary>
    public void PressReset()
    {
        if (!IsPowered)
            return;
        Flash.CutPower(Now);
        Reset(ResetRequest.Plain);
    }

    /// <summary>Presses the reset button twice, quickly: Katapult stays (if it was built so).</summary>
    public void DoublePressReset()
    {
        PressReset();
        _printer.Time.Schedule(TimeSpan.FromMilliseconds(200), PressReset);
    }

    /// <summary>Sets or removes the BOOT0 jumper, or holds and releases the button: it is looked at on the next reset.</summary>
    public void SetBoot0(bool on) => Boot0 = on;

    /// <summary>Power fails, or is switched off.</summary>
    public void PowerOff()
    {
        if (!IsPowered)
            return;
        Flash.CutPower(Now);
        Silence(BoardState.Off, "");
        _dfuFlag = false;
        _lastReset = null;
    }

    public void PowerOn()
    {
        if (IsPowered || !(IsPlugged || Setup.SelfPowered))
            return;
        _emptyAtPowerOn = Chip.EmptyCheck && Word(Flash.Base) == uint.MaxValue;
        Boot(ResetRequest.Plain, isPowerOn: true);
    }

    /// <summary>Pulls the USB cable. A board with a supply of its own runs on, also in its bootloader.</summary>
    public void Unplug()
    {
        if (!IsPlugged || Setup.OverUart)
            return;
        IsPlugged = false;
        _printer.Detach(this);
        if (!Setup.SelfPowered)
            PowerOff();
    }

    /// <param name="otherPort">Another port than the one it was in.</param>
    public void Plug(string? otherPort = null)
    {
        if (IsPlugged)
            return;
        IsPlugged = true;
        Port = otherPort ?? Port;
        if (!Setup.SelfPowered && !IsPowered)
            PowerOn();
        else if (Function is { } function)
            _printer.Attach(this, function);
    }

    /// <param name="files">Names and contents, such as <c>firmware.bin</c>; none for an empty card.</param>
    public void InsertSdCard(params ReadOnlySpan<(string Name, byte[] Content)> files)
    {
        Card = new Dictionary<string, byte[]>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, content) in files)
            Card[name] = content;
    }

    public void RemoveSdCard() => Card = null;

    // ---- how it boots

    /// <summary>The chip resets and boots.</summary>
    internal void Reset(ResetRequest request)
    {
        if (request == ResetRequest.Crash)
            Crash();
        else if (request == ResetRequest.Bootloader)
            RequestBootloader();
        else
            Boot(request, isPowerOn: false);
    }

    private void Boot(ResetRequest request, bool isPowerOn)
    {
        var sinceLast = isPowerOn ? null : Now - _lastReset;
        _lastReset = Now;
        Silence(BoardState.Booting, "");
        if (Boot0 && Chip.Rom is not null)
        {
            EnterRom(bySoftware: false);
            return;
        }
        if (_emptyAtPowerOn && (isPowerOn || Setup.EmptyCheckSticks))
        {
            EnterRom(bySoftware: false);
            return;
        }
        if (!IsBootAreaIntact)
        {
            Silence(BoardState.Hung, "its bootloader is destroyed");
            return;
        }
        switch (Setup.Boot)
        {
            case BootStage.None:
                StartApplication(Setup.Start);
                break;
            case BootStage.StockSd:
                Later(StockStart, ReadCard);
                break;
            default:
                StartKatapult(request, sinceLast);
                break;
        }
    }

    private void StartKatapult(ResetRequest request, TimeSpan? sinceLast)
    {
        var isTwice = Setup.DoubleReset && request == ResetRequest.Plain && sinceLast >= DoubleResetMin && sinceLast <= DoubleResetMax;
        if (request == ResetRequest.SkipKatapult)
            StartApplication(Setup.Start); // unchecked: the bypass word
        else if (request == ResetRequest.Bootloader || isTwice || Word(Setup.Start) is 0 or uint.MaxValue)
            EnterKatapult();
        else if (Setup.DoubleReset)
            Later(DoubleResetMax, () => StartApplication(Setup.Start));
        else
            StartApplication(Setup.Start);
    }

    private void ReadCard()
    {
        const string File = "firmware.bin";
        var flashing = TimeSpan.Zero;
        if (Card is { } card && card.TryGetValue(File, out var image) && Flash.Contains(Setup.Start, image.Length))
        {
            flashing = FlashFromCard(image);
            // Renamed last: a power cut before leaves the file, and it is flashed once more. With admin.txt it always is.
            if (!card.ContainsKey("admin.txt"))
            {
                Later(flashing, () =>
                {
                    card.Remove(File);
                    card["FIRMWARE.CUR"] = image;
                });
            }
        }
        var isF4 = Chip.Name.StartsWith("stm32f4", StringComparison.Ordinal);
        Later(flashing + (isF4 ? StockEnd : TimeSpan.Zero), () =>
        {
            if ((Word(Setup.Start + 4) & 0xFF00_0000) == 0x0800_0000)
                StartApplication(Setup.Start);
            else
                Silence(BoardState.LoopsInBootloader, "the stock bootloader found no application");
        });
    }

    private TimeSpan FlashFromCard(byte[] image)
    {
        var time = TimeSpan.Zero;
        for (var sector = Flash.SectorAt(Setup.Start); sector <= Flash.SectorAt(Setup.Start + (uint)image.Length - 1); sector++)
            time += Flash.Erase(sector, Now + time);
        for (var at = 0; at < image.Length; at += 512)
            time += Flash.Program(Setup.Start + (uint)at, image.AsSpan(at, Math.Min(512, image.Length - at)), Now + time).Time;
        return time;
    }

    /// <summary>The CPU jumps to an application: after a boot stage, or from the ROM without one.</summary>
    private void StartApplication(uint address)
    {
        var (firmware, reason) = WouldStart(address);
        if (firmware is null)
        {
            Silence(BoardState.Hung, reason);
            return;
        }
        // The first thing that Klipper does, before any clock: so a broken application never reaches the ROM by software.
        if (_dfuFlag)
        {
            _dfuFlag = false;
            EnterRom(bySoftware: true);
            return;
        }
        Run(firmware);
    }

    /// <summary>Klipper was asked for its bootloader: Katapult if its signature stands where it must, else the ROM (facts: "Software entry per MCU").</summary>
    private void RequestBootloader()
    {
        if (_printer.IgnoresTouch())
            return;
        var entersRom = Chip.Rom is not null && !Setup.OverUart && Chip.Name is not ("stm32f429xx" or "stm32f042x6");
        if (HasKatapult)
        {
            Boot(ResetRequest.Bootloader, isPowerOn: false);
        }
        else if (entersRom || !Setup.OverUart)
        {
            _dfuFlag = entersRom;
            Boot(ResetRequest.Plain, isPowerOn: false);
        }
    }

    private bool HasKatapult
    {
        get
        {
            if (Setup.Start == Flash.Base)
                return false;
            var vectors = Chip.FlashBase == 0x1000_0000 ? 0x100u : 0;
            var at = Word(Flash.Base + vectors + 4) - 9;
            return at % 8 == 0 && Flash.Contains(at, 8) && at < Setup.Start && Flash.Read(at, 8).SequenceEqual(BoardSetup.KatapultSignature);
        }
    }

    private (VirtualFirmware? Firmware, string Reason) WouldStart(uint address)
    {
        if (_verdict.Version != Flash.Version || _verdict.Address != address)
        {
            var (firmware, reason) = VirtualFirmware.WouldStart(Flash, Chip, address);
            _verdict = (Flash.Version, address, firmware, reason);
        }
        return (_verdict.Firmware, _verdict.Reason);
    }

    private uint Word(uint address) => BinaryPrimitives.ReadUInt32LittleEndian(Flash.Read(address, 4));

    /// <summary>A bus fault: the chip stays on the bus and no longer answers.</summary>
    private void Crash()
    {
        _epoch++;
        (State, Reason, Running) = (BoardState.Hung, "a bus fault", null);
        if (Function is { } function)
            function.Hangs = true;
        if ((Uart ?? (Function as CdcAcm)?.Wire) is { } wire)
            wire.Program = null;
    }

    /// <summary>It turns up at another port, as when somebody moved its cable.</summary>
    internal void MoveTo(string port) => Port = port;

    /// <summary>Whatever the chip did ends here: nothing on USB, nothing under way.</summary>
    private void Silence(BoardState state, string reason)
    {
        _epoch++;
        (State, Reason, Running) = (state, reason, null);
        if (Uart is { } uart)
            uart.Program = null;
        if (Function is not null)
        {
            Function = null;
            _printer.Detach(this);
        }
    }

    /// <summary>Does something after a delay, unless the chip was reset or lost its power meanwhile.</summary>
    private void Later(TimeSpan delay, Action action)
    {
        var epoch = _epoch;
        _printer.Time.Schedule(delay, () =>
        {
            if (_epoch == epoch)
                action();
        });
    }
}

using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Virtual.Devices;

/// <content>The host process as Moonraker and its clients see it: by its API socket, whose states and words are the facts' ("Life cycle of klippy").</content>
public sealed partial class VirtualKlippy
{
    // From its start until its API socket is there; and from a board's last word until it is missed.
    private static readonly TimeSpan ListenTime = TimeSpan.FromSeconds(1.2);
    private static readonly TimeSpan MissTime = TimeSpan.FromSeconds(4.2);
    private static readonly TimeSpan RestartTime = TimeSpan.FromSeconds(0.8);   // it ends what it was doing first
    private static readonly TimeSpan ResetTime = TimeSpan.FromSeconds(0.03);

    private const string Startup = "Printer is not ready\nThe klippy host software is attempting to connect.  Please\nretry in a few moments.\n";
    private const string Advice = "\nOnce the underlying issue is corrected, use the\n\"FIRMWARE_RESTART\" command to reset the firmware, reload the\nconfig, and restart the host software.\n";

    private readonly Dictionary<VirtualBoard, VirtualFirmware> _identified = [];
    private bool _isMissingBoards;
    private bool _isListening = true;
    private bool _isSettled = true;
    private bool _isShut;
    private string? _words;   // why it is in error or shut down; null while it is neither, as far as it says

    /// <summary>What happened to the process, for Moonraker.</summary>
    internal Action<KlippyMoment>? Happened { get; set; }

    /// <summary>
    /// The host's message protocol has changed: it refuses each board that runs another version than its own (<see cref="VirtualPrinter.HostVersion"/>)
    /// and is in error, as after a breaking update. Set while it runs, it is at once what it would be after a start.
    /// </summary>
    public bool ProtocolDiffers
    {
        get;
        set
        {
            field = value;
            if (IsRunning && _isSettled)
                SettleNow();
        }
    }

    /// <summary>As its API tells: <c>startup</c>, <c>ready</c>, <c>error</c>, <c>shutdown</c>; null while nothing answers there.</summary>
    internal string? ApiState => !IsRunning || !_isListening ? null : !_isSettled ? "startup" : _words is null ? "ready" : _isShut ? "shutdown" : "error";

    /// <summary>It was ready in this run: the boards are configured and tell their statistics.</summary>
    internal bool HasConfigured { get; private set; }

    /// <summary>The text beside it, one or more lines.</summary>
    internal string ApiMessage => !_isSettled ? Startup : _words ?? "Printer is ready";

    /// <summary>What a board said it runs when the host connected to it; null for one that it never reached.</summary>
    internal VirtualFirmware? FirmwareOf(VirtualBoard board) => _identified.GetValueOrDefault(board);

    /// <summary>The board's section of the configuration: <c>mcu</c> for the first, <c>mcu NAME</c> for the others.</summary>
    internal string SectionOf(VirtualBoard board) => board == printer.Boards[0] ? "mcu" : $"mcu {board.Name}";

    /// <summary>What printer.cfg says of it.</summary>
    public McuSection Section(VirtualBoard board) => board.Setup.Link == McuLink.Can
        ? new McuSection(SectionOf(board)) { CanbusUuid = CanUuid.Read(board.CanUuidBytes).ToString(), CanbusInterface = "can0" }
        : new McuSection(SectionOf(board)) { Serial = SerialOf(board), RestartMethod = "command" };

    /// <summary>The link that names a USB board by its serial, as udev makes it; by its port where two have the same serial.</summary>
    private string SerialOf(VirtualBoard board)
    {
        if (board.Setup.IsUart || board.Setup.IsProcess)
            return board.Setup.IsUart ? $"/dev/{board.Setup.Port}" : board.Setup.Port;
        var isAmbiguous = printer.Boards.Count(other => other.Setup.Serial == board.Setup.Serial && other.Chip == board.Chip) > 1;
        return isAmbiguous
            ? $"/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:{board.Setup.Port.Split('-')[^1]}:1.0"
            : $"/dev/serial/by-id/usb-Klipper_{board.Chip.Name}_{board.Setup.Serial}-if00";
    }

    /// <summary>RESTART or FIRMWARE_RESTART: the process stays, everything else begins anew. Returns when it has let go.</summary>
    /// <param name="resetsBoards">FIRMWARE_RESTART: the boards are reset, which alone brings them out of a shutdown.</param>
    internal async Task RestartAsync(bool resetsBoards)
    {
        var start = _starts;
        var wait = ApiState == "ready" ? RestartTime : TimeSpan.Zero;
        await Task.Delay(resetsBoards ? wait + ResetTime : wait, printer.Time);
        if (!IsRunning || start != _starts)
            return;
        if (resetsBoards)
        {
            foreach (var program in Programs)
                program.Revive();
        }
        Happened?.Invoke(KlippyMoment.Restarting);
        Leave(KlippyMoment.Left);
        _ = ConnectAsync();
    }

    /// <summary>An emergency stop, by whatever way: the boards stay shut down until they are reset.</summary>
    internal void Shut(string why)
    {
        if (!IsRunning || _isShut)
            return;
        foreach (var program in Programs)
            program.Stop("Command request");
        ShutFor(why);
    }

    private IEnumerable<KlipperProgram> Programs => printer.Boards.Select(board => board.Program).OfType<KlipperProgram>();

    private void ShutFor(string why)
    {
        var wasReady = _isSettled && _words is null;
        // In error the words stay: they say what is wrong.
        _words ??= $"{why}{Advice}Printer is shutdown\n";
        (_isShut, _isSettled) = (true, true);
        _state = new(KlippyActivity.Shutdown, why);
        if (wasReady)
            Happened?.Invoke(KlippyMoment.Stopping);
        Happened?.Invoke(KlippyMoment.Shutdown);
    }

    private void Begin()
    {
        (_isListening, _isSettled, _isShut, _words, HasConfigured) = (false, false, false, null, false);
        _identified.Clear();
        Happened?.Invoke(KlippyMoment.Started);
    }

    private void Listen()
    {
        _isListening = true;
        Happened?.Invoke(KlippyMoment.Listening);
    }

    /// <summary>Skips the way to where it ends up.</summary>
    internal void SettleNow()
    {
        Settle();
        Settled();
    }

    private void Settled()
    {
        (_isSettled, _isShut) = (true, false);
        _words = _state switch
        {
            { Activity: KlippyActivity.Ready } => null,
            { Message: var text } when text.StartsWith("MCU Protocol", StringComparison.Ordinal) => text,
            { Message: var text } => $"{text}{Advice}Error configuring printer\n",
        };
        HasConfigured = _words is null;
        if (HasConfigured)
            Happened?.Invoke(KlippyMoment.Ready);
    }

    private void Leave(KlippyMoment moment)
    {
        (_isListening, _isSettled) = (false, false);
        Happened?.Invoke(moment);
    }

    /// <summary>A board left while the host was ready. It is known at once to whoever looks at the boards; the host itself misses it later.</summary>
    private void LoseLater(VirtualBoard board)
    {
        _state = new(KlippyActivity.Shutdown, $"Lost communication with MCU '{board.Name}'");
        var start = _starts;
        printer.Time.Schedule(MissTime, () =>
        {
            if (start == _starts && IsRunning && !_isShut)
                ShutFor($"Lost communication with MCU '{ShortName(board)}'");
        });
    }

    private void Identify()
    {
        foreach (var board in printer.Boards)
        {
            if (board.RunningFirmware is { } firmware && printer.IsListed(board))
                _identified[board] = firmware;
        }
    }

    /// <summary>Why it will not work with boards that are all there; null when it will.</summary>
    private string? Refusal()
    {
        var old = printer.Boards.Where(board => FirmwareOf(board)?.Version != VirtualPrinter.HostVersion).ToList();
        if (ProtocolDiffers && old.Count > 0)
            return ProtocolError(old);
        return printer.Boards.FirstOrDefault(board => board.Program is KlipperProgram { IsShutdown: true }) is { } shut
            ? $"Can not update MCU '{ShortName(shut)}' config as it is shutdown"
            : null;
    }

    /// <summary>klipper: klippy/extras/error_mcu.py, word for word.</summary>
    private string ProtocolError(List<VirtualBoard> old) =>
        $"""
        MCU Protocol error

        This is frequently caused by running an older version of the
        firmware on the MCU(s). Fix by recompiling and flashing the
        firmware.

        Your Klipper version is: {VirtualPrinter.HostVersion}
        MCU(s) which should be updated:
        {Lines(old)}
        Up-to-date MCU(s):
        {Lines(printer.Boards.Except(old))}

        Once the underlying issue is corrected, use the "RESTART"
        command to reload the config and restart the host software.

        mcu '{ShortName(old[0])}': Unable to encode: allocate_oids
        """.ReplaceLineEndings("\n");

    private string Lines(IEnumerable<VirtualBoard> boards)
    {
        var lines = string.Join('\n', boards.Select(board => $"{ShortName(board)}: Current version {FirmwareOf(board)?.Version}"));
        return lines.Length == 0 ? "<none>" : lines;
    }

    private string ShortName(VirtualBoard board) => board == printer.Boards[0] ? "mcu" : board.Name;
}

/// <summary>What happens to Klipper's host process.</summary>
internal enum KlippyMoment
{
    /// <summary>The process runs, or begins anew.</summary>
    Started,

    /// <summary>Its API can be reached.</summary>
    Listening,
    Ready,

    /// <summary>It says that it shuts down; it does not when it was in error before.</summary>
    Stopping,
    Shutdown,

    /// <summary>It says that it is about to begin anew.</summary>
    Restarting,

    /// <summary>Its API is gone; the process stays.</summary>
    Left,

    /// <summary>The process is gone.</summary>
    Stopped,
}

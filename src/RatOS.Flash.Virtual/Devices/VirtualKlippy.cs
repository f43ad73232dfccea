using RatOS.Flash.Core;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The virtual printer's Klipper host process, seen from outside: it holds the boards' ports, prints, stops and starts, and has an API
/// socket with the states and words of klippy/klippy.py. It connects to boards once: a board that returns later does not make it ready,
/// and one that leaves shuts it down until it is restarted.
/// </summary>
public sealed class VirtualKlippy : IKlippy
{
    private const int Retries = 10;
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(0.6);
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan ListenTime = TimeSpan.FromSeconds(1.2);    // from its start to its API socket
    private static readonly TimeSpan MissTime = TimeSpan.FromSeconds(4.2);      // from a board's last message to the shutdown
    private static readonly TimeSpan RestartTime = TimeSpan.FromSeconds(0.8);   // it first ends what it was doing
    private static readonly TimeSpan ResetTime = TimeSpan.FromSeconds(0.03);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private const string Startup =
        "Printer is not ready\nThe klippy host software is attempting to connect.  Please\nretry in a few moments.\n";

    private const string Advice = "\nOnce the underlying issue is corrected, use the\n\"FIRMWARE_RESTART\" command to reset the firmware, "
        + "reload the\nconfig, and restart the host software.\n";

    private readonly VirtualPrinter _printer;
    private readonly Dictionary<VirtualBoard, VirtualFirmware> _identified = [];
    private KlippyState _state = new(KlippyActivity.Ready);
    private int _starts;
    private bool _isMissingBoards;
    private bool _isListening = true;
    private bool _isSettled = true;
    private bool _isShutdown;
    private string? _message;   // of its error or shutdown; null without

    internal VirtualKlippy(VirtualPrinter printer) => (_printer, Config) = (printer, new KlippyConfig(printer));

    public KlippyConfig Config { get; }

    public bool IsRunning { get; private set; } = true;

    /// <summary>The printer's activity; null while it is idle.</summary>
    public string? Busy { get; set; }

    /// <summary>Why it will not stop; null when it will.</summary>
    public string? WillNotStop { get; set; }

    /// <summary>Why it will not start; null when it will.</summary>
    public string? WillNotStart { get; set; }

    /// <summary>Times it was stopped.</summary>
    public int Stops { get; private set; }

    /// <summary>By an MCU's name: the feature that its firmware lacks and that the host will soon insist on.</summary>
    public IDictionary<string, string> Deprecated { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// The host's message protocol has changed, as after a breaking update: it refuses each board whose version is not its own
    /// (<see cref="VirtualPrinter.HostVersion"/>). Set while it runs, it has the effect of a restart at once.
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

    public KlippyState State =>
        !IsRunning ? new(KlippyActivity.Stopped) : Busy is { } activity ? new(KlippyActivity.Busy, activity) : _state;

    /// <summary>Called for each moment in the life of the process.</summary>
    internal Action<KlippyMoment>? OnMoment { get; set; }

    /// <summary>
    /// Its state by its API: <c>startup</c>, <c>ready</c>, <c>error</c>, <c>shutdown</c>; null while nothing answers there.
    /// </summary>
    internal string? ApiState => !IsRunning || !_isListening ? null
        : !_isSettled ? "startup"
        : _message is null ? "ready"
        : _isShutdown ? "shutdown" : "error";

    /// <summary>The message beside the state, one or more lines.</summary>
    internal string ApiMessage => !_isSettled ? Startup : _message ?? "Printer is ready";

    /// <summary>It was ready in this run: the boards are configured and send their statistics.</summary>
    internal bool HasConfigured { get; private set; }

    public Task<KlippyState> LookAsync(CancellationToken cancel) => Task.FromResult(State);

    public async Task StopAsync(CancellationToken cancel)
    {
        if (WillNotStop is { } why)
            throw PrinterFaults.KlipperWouldNotStop(why);
        await Task.Delay(StopTime, _printer.Time, cancel);
        IsRunning = false;
        _starts++;
        Stops++;
        Disconnect(KlippyMoment.Stopped);
    }

    public async Task<KlippyState> StartAsync()
    {
        if (WillNotStart is { } why)
            throw PrinterFaults.KlipperNotStarted(why);
        await ConnectAsync();
        return State;
    }

    /// <summary>Another program starts it in the middle of a flash, such as an update.</summary>
    public void StartFromOutside()
    {
        if (!IsRunning)
            _ = ConnectAsync();
    }

    /// <summary>RESTART or FIRMWARE_RESTART: the process stays and begins again. Returns when it has released its boards.</summary>
    /// <param name="resetsBoards">FIRMWARE_RESTART: it resets the boards, which ends a shutdown.</param>
    internal async Task RestartAsync(bool resetsBoards)
    {
        var start = _starts;
        var wait = ApiState == "ready" ? RestartTime : TimeSpan.Zero;
        await Task.Delay(resetsBoards ? wait + ResetTime : wait, _printer.Time);
        if (!IsRunning || start != _starts)
            return;
        if (resetsBoards)
        {
            foreach (var program in Programs)
                program.Revive();
        }
        OnMoment?.Invoke(KlippyMoment.Restarting);
        Disconnect(KlippyMoment.Disconnected);
        _ = ConnectAsync();
    }

    /// <summary>An emergency stop: the boards stay shut down until they are reset.</summary>
    internal void ShutDown(string why)
    {
        if (!IsRunning || _isShutdown)
            return;
        foreach (var program in Programs)
            program.Stop("Command request");
        EnterShutdown(why);
    }

    /// <summary>A board left. <see cref="State"/> shows it at once; the API shows it when the host misses the board.</summary>
    internal void Lost(VirtualBoard board)
    {
        if (!IsRunning || _state.Activity != KlippyActivity.Ready)
            return;
        _state = new(KlippyActivity.Shutdown, $"Lost communication with MCU '{board.Name}'");
        var start = _starts;
        _printer.Time.Schedule(MissTime, () =>
        {
            if (start == _starts && IsRunning && !_isShutdown)
                EnterShutdown($"Lost communication with MCU '{Config.NameOf(board)}'");
        });
    }

    /// <summary>Ends a start at once.</summary>
    internal void SettleNow()
    {
        Connect();
        Settle();
    }

    /// <summary>The firmware that a board reported when the host connected to it; null for one that it never reached.</summary>
    internal VirtualFirmware? FirmwareOf(VirtualBoard board) => _identified.GetValueOrDefault(board);

    private IEnumerable<KlipperProgram> Programs => _printer.Boards.Select(board => board.Program).OfType<KlipperProgram>();

    /// <summary>It holds the ports from the first moment on, and looks for its boards for a while.</summary>
    private async Task ConnectAsync()
    {
        var start = ++_starts;
        IsRunning = true;
        _state = new(KlippyActivity.Error, "Printer is not ready: the klippy host software is attempting to connect");
        (_isListening, _isSettled, _isShutdown, _message, HasConfigured) = (false, false, false, null, false);
        _identified.Clear();
        OnMoment?.Invoke(KlippyMoment.Started);
        await Task.Delay(ListenTime, _printer.Time);
        if (start == _starts)
        {
            _isListening = true;
            OnMoment?.Invoke(KlippyMoment.Listening);
        }
        await Task.Delay(StartTime - ListenTime, _printer.Time);
        for (var tries = 0; start == _starts; tries++)
        {
            Connect();
            if (!_isMissingBoards || tries == Retries)
            {
                Settle();
                return;
            }
            await Task.Delay(Retry, _printer.Time);
        }
    }

    /// <summary>Ready with all of its boards, in error without.</summary>
    private void Connect()
    {
        var missing = _printer.Boards.Where(board => board.State != BoardState.Klipper || !IsReached(board))
            .Select(board => board.Name).ToList();
        AssignCanNumbers();
        foreach (var board in _printer.Boards)
        {
            if (board.RunningFirmware is { } firmware && IsReached(board))
                _identified[board] = firmware;
        }
        _isMissingBoards = missing.Count > 0;
        var error = _isMissingBoards ? $"mcu '{string.Join("', '", missing)}': Unable to connect" : Refusal();
        _state = error is null ? new(KlippyActivity.Ready) : new(KlippyActivity.Error, error);
    }

    /// <summary>On a UART it opens the port at the baud of its configuration, and hears only firmware of that baud.</summary>
    private bool IsReached(VirtualBoard board) => _printer.IsListed(board)
        && (!board.Setup.IsUart || board.RunningFirmware?.Link.Rate is not { } baud || baud == board.Setup.HostBaud);

    private void Settle()
    {
        (_isSettled, _isShutdown) = (true, false);
        _message = _state switch
        {
            { Activity: KlippyActivity.Ready } => null,
            { Message: var text } when text.StartsWith("MCU Protocol", StringComparison.Ordinal) => text,
            { Message: var text } => $"{text}{Advice}Error configuring printer\n",
        };
        HasConfigured = _message is null;
        if (HasConfigured)
            OnMoment?.Invoke(KlippyMoment.Ready);
    }

    private void EnterShutdown(string why)
    {
        var wasReady = _isSettled && _message is null;
        // A message of an error stays: it says what is wrong.
        _message ??= $"{why}{Advice}Printer is shutdown\n";
        (_isShutdown, _isSettled) = (true, true);
        _state = new(KlippyActivity.Shutdown, why);
        if (wasReady)
            OnMoment?.Invoke(KlippyMoment.ShuttingDown);
        OnMoment?.Invoke(KlippyMoment.Shutdown);
    }

    private void Disconnect(KlippyMoment moment)
    {
        (_isListening, _isSettled) = (false, false);
        OnMoment?.Invoke(moment);
    }

    /// <summary>It gives the CAN nodes their numbers: from 4 on, in the order of its configuration.</summary>
    private void AssignCanNumbers()
    {
        foreach (var (index, board) in _printer.Boards.Where(board => board.State == BoardState.Klipper).Index())
        {
            if (board.CanNode is { } node && _printer.CanInterfaces.Reaches(board))
                node.AssignedId = 0x108 + (2 * index);
        }
    }

    /// <summary>Why it refuses boards that are all present; null when it accepts them.</summary>
    private string? Refusal()
    {
        var old = _printer.Boards.Where(board => FirmwareOf(board)?.Version != VirtualPrinter.HostVersion).ToList();
        if (ProtocolDiffers && old.Count > 0)
            return ProtocolError(old);
        return _printer.Boards.FirstOrDefault(board => board.Program is KlipperProgram { IsShutdown: true }) is { } shutDown
            ? $"Can not update MCU '{Config.NameOf(shutDown)}' config as it is shutdown"
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
        {Lines(_printer.Boards.Except(old))}

        Once the underlying issue is corrected, use the "RESTART"
        command to reload the config and restart the host software.

        mcu '{Config.NameOf(old[0])}': Unable to encode: allocate_oids
        """.ReplaceLineEndings("\n");

    private string Lines(IEnumerable<VirtualBoard> boards)
    {
        var lines = string.Join('\n', boards.Select(board => $"{Config.NameOf(board)}: Current version {FirmwareOf(board)?.Version}"));
        return lines.Length == 0 ? "<none>" : lines;
    }
}

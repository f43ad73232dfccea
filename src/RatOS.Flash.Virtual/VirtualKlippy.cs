using RatOS.Flash.Klipper;

namespace RatOS.Flash.Virtual;

/// <summary>Klipper's host process beside a virtual printer: it holds its boards' ports while it runs, and is ready only with all of them.</summary>
public sealed class VirtualKlippy : IKlippy
{
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(1.2);
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
    private const int Retries = 12;

    // The first identify request that klippy sends to any board.
    private static readonly byte[] Identify = [0x08, 0x10, 0x01, 0x00, 0x28, 0x5e, 0x9f, 0x7e];

    private readonly VirtualPrinter _printer;
    private KlippyState _state = new(KlippyActivity.Ready, "Printer is ready");
    private int _starts;

    internal VirtualKlippy(VirtualPrinter printer)
    {
        _printer = printer;
        Busy = printer.Faults.KlippyBusy;
    }

    public bool IsRunning { get; private set; } = true;

    /// <summary>What it prints, homes or heats; null for nothing.</summary>
    public string? Busy { get; set; }

    public bool WillNotStop => _printer.Faults.KlippyWillNotStop;

    /// <summary>State at this moment.</summary>
    public KlippyState State => !IsRunning ? new(KlippyActivity.Stopped)
        : _state.Activity == KlippyActivity.Ready && Busy is { } busy ? new(KlippyActivity.Busy, busy) : _state;

    public Task<KlippyState> LookAsync(CancellationToken cancel) => Task.FromResult(State);

    public async Task StopAsync(CancellationToken cancel)
    {
        await Task.Delay(StopTime, _printer.Time, cancel);
        if (WillNotStop)
            throw Faults.KlipperWouldNotStop("klipper.service is still active");
        IsRunning = false;
        _starts++;
    }

    public async Task<KlippyState> StartAsync()
    {
        if (_printer.Faults.KlippyWillNotStart)
        {
            await Task.Delay(StartTime, _printer.Time);
            throw Faults.KlipperNotStarted("klipper.service failed (exit code 1)");
        }
        if (IsRunning && _state.Activity == KlippyActivity.Ready)
            return State;
        await ConnectAsync();
        return State;
    }

    /// <summary>Somebody else starts it, whoever needs it stopped (H4). On a UART that nobody has open its first words reach the board.</summary>
    public void StartByOthers()
    {
        if (IsRunning)
            return;
        _ = ConnectAsync();
        foreach (var stay in _printer.Stays.Where(stay => stay.Device.Usb is null && stay.Opener is null))
            stay.Wire?.Receive(Identify, _printer.Time.Now);
    }

    private async Task ConnectAsync()
    {
        var start = ++_starts;
        IsRunning = true;
        _state = new(KlippyActivity.Error, "Printer is not ready: the klippy host software is attempting to connect");
        await Task.Delay(StartTime, _printer.Time);
        for (var tries = 0; start == _starts; tries++)
        {
            if (Missing() is not { } missing)
            {
                _state = new(KlippyActivity.Ready, "Printer is ready");
                return;
            }
            if (tries == Retries)
            {
                _state = new(KlippyActivity.Error, $"mcu '{NameOf(missing)}': Unable to connect");
                return;
            }
            await Task.Delay(Retry, _printer.Time);
        }
    }

    private VirtualBoard? Missing() =>
        _printer.Boards.FirstOrDefault(board => board.State != BoardState.Klipper || !_printer.IsListed(board));

    private string NameOf(VirtualBoard board) => board == _printer.Boards[0] ? "mcu" : board.Name;

    /// <summary>A board left: a running Klipper shuts down.</summary>
    internal void Lost(VirtualBoard board)
    {
        if (IsRunning && _state.Activity == KlippyActivity.Ready)
            _state = new(KlippyActivity.Shutdown, $"Lost communication with MCU '{NameOf(board)}'");
    }

    /// <summary>How it was when the story began: Klipper without one of its boards did not get ready.</summary>
    internal void Begin()
    {
        if (Missing() is { } missing)
            _state = new(KlippyActivity.Error, $"mcu '{NameOf(missing)}': Unable to connect");
    }

    /// <summary>It has the serial ports of its boards open, as long as Klipper runs in them (a UART: whatever runs).</summary>
    internal bool Holds(Stay stay) => IsRunning && stay.Board is { } board && (stay.Device.Usb is null || board.State == BoardState.Klipper);
}

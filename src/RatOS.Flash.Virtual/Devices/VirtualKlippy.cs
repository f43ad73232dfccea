using RatOS.Flash.Core;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Klipper's host process of the virtual printer: it holds the boards' ports, prints, stops and starts. It connects once: a board that comes back later
/// does not make it ready, and one that leaves shuts it down, until it is started anew.
/// </summary>
public sealed partial class VirtualKlippy(VirtualPrinter printer) : IKlippy
{
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(0.6);
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);
    private const int Retries = 10;

    private KlippyState _state = new(KlippyActivity.Ready);
    private int _starts;

    public bool IsRunning { get; private set; } = true;

    /// <summary>What the printer is busy with; null while it is idle.</summary>
    public string? Busy { get; set; }

    /// <summary>Why it will not stop; null when it will.</summary>
    public string? WillNotStop { get; set; }

    /// <summary>Why it will not start; null when it will.</summary>
    public string? WillNotStart { get; set; }

    /// <summary>Times it was stopped.</summary>
    public int Stops { get; private set; }

    public KlippyState State => !IsRunning ? new(KlippyActivity.Stopped) : Busy is { } activity ? new(KlippyActivity.Busy, activity) : _state;

    public Task<KlippyState> LookAsync(CancellationToken cancel) => Task.FromResult(State);

    public async Task StopAsync(CancellationToken cancel)
    {
        if (WillNotStop is { } why)
            throw PrinterFaults.KlipperWouldNotStop(why);
        await Task.Delay(StopTime, printer.Time, cancel);
        IsRunning = false;
        _starts++;
        Stops++;
        Leave(KlippyMoment.Stopped);
    }

    public async Task<KlippyState> StartAsync()
    {
        if (WillNotStart is { } why)
            throw PrinterFaults.KlipperNotStarted(why);
        await ConnectAsync();
        return State;
    }

    /// <summary>A hook or an update starts it in the middle of somebody's flash.</summary>
    public void StartedBySomebody()
    {
        if (!IsRunning)
            _ = ConnectAsync();
    }

    /// <summary>It holds the ports from the first moment on, and looks for its boards for a while.</summary>
    private async Task ConnectAsync()
    {
        var start = ++_starts;
        (IsRunning, _state) = (true, new(KlippyActivity.Error, "Printer is not ready: the klippy host software is attempting to connect"));
        Begin();
        await Task.Delay(ListenTime, printer.Time);
        if (start == _starts)
            Listen();
        await Task.Delay(StartTime - ListenTime, printer.Time);
        for (var tries = 0; start == _starts; tries++)
        {
            Settle();
            if (!_isMissingBoards || tries == Retries)
            {
                Settled();
                return;
            }
            await Task.Delay(Retry, printer.Time);
        }
    }

    /// <summary>Ready with all of its boards, in error without.</summary>
    private void Settle()
    {
        var missing = printer.Boards.Where(board => board.State != BoardState.Klipper || !printer.IsListed(board)).Select(board => board.Name).ToList();
        printer.AssignByKlippy();
        Identify();
        _isMissingBoards = missing.Count > 0;
        var error = _isMissingBoards ? $"mcu '{string.Join("', '", missing)}': Unable to connect" : Refusal();
        _state = error is null ? new(KlippyActivity.Ready) : new(KlippyActivity.Error, error);
    }

    /// <summary>A board left.</summary>
    internal void Lost(VirtualBoard board)
    {
        if (IsRunning && _state.Activity == KlippyActivity.Ready)
            LoseLater(board);
    }
}

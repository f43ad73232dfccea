using RatOS.Flash.Klipper;

namespace RatOS.Flash.Virtual;

/// <summary>Klipper's host process of the virtual printer: it holds the boards' ports, prints, stops and starts.</summary>
public sealed class VirtualKlippy(VirtualPrinter printer) : IKlippy
{
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(0.6);
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(2.5);

    public bool IsRunning { get; private set; } = true;

    /// <summary>What the printer is busy with; null while it is idle.</summary>
    public string? Busy { get; set; }

    /// <summary>Why it will not stop; null when it will.</summary>
    public string? WillNotStop { get; set; }

    /// <summary>Why it will not start; null when it will.</summary>
    public string? WillNotStart { get; set; }

    /// <summary>Times it was stopped.</summary>
    public int Stops { get; private set; }

    public Task<KlippyState> LookAsync(CancellationToken cancel) => Task.FromResult(State);

    private KlippyState State
    {
        get
        {
            if (!IsRunning)
                return new(KlippyActivity.Stopped);
            if (Busy is { } activity)
                return new(KlippyActivity.Busy, activity);
            var missing = printer.Boards.Where(board => board.State != BoardState.Klipper || (board.Port is null && !board.Setup.IsUart)).Select(board => board.Name).ToList();
            return missing.Count == 0 ? new(KlippyActivity.Ready) : new(KlippyActivity.Error, $"mcu '{string.Join("', '", missing)}': Unable to connect");
        }
    }

    public async Task StopAsync(CancellationToken cancel)
    {
        if (WillNotStop is { } why)
            throw Faults.KlipperWouldNotStop(why);
        await Task.Delay(StopTime, printer.Time, cancel);
        IsRunning = false;
        Stops++;
    }

    public async Task<KlippyState> StartAsync()
    {
        if (WillNotStart is { } why)
            throw Faults.KlipperNotStarted(why);
        await Task.Delay(StartTime, printer.Time);
        IsRunning = true;
        return State;
    }

    /// <summary>A hook or an update starts it in the middle of somebody's flash.</summary>
    public void StartedBySomebody() => IsRunning = true;
}

namespace RatOS.Flash.Klipper;

/// <summary>Klipper's host process, as far as a flash is concerned. Two implementations exist: none at all, and the virtual printer's.</summary>
public interface IKlippy
{
    /// <summary>What the printer is doing now.</summary>
    Task<KlippyState> LookAsync(CancellationToken cancel);

    /// <summary>Stops Klipper and returns when it is truly gone and its ports are free.</summary>
    /// <exception cref="FlashException">It would not stop.</exception>
    Task StopAsync(CancellationToken cancel);

    /// <summary>Starts Klipper and waits until it is ready, in error or shut down.</summary>
    /// <exception cref="FlashException">It would not start.</exception>
    Task<KlippyState> StartAsync();
}

/// <param name="Activity">What the printer does.</param>
/// <param name="Message">Klipper's own words for it, one or more lines; empty when it has none.</param>
public sealed record KlippyState(KlippyActivity Activity, string Message = "")
{
    /// <summary>A flash may begin: nobody prints, pauses, homes or heats.</summary>
    public bool AllowsFlash => Activity is not KlippyActivity.Busy;

    public bool HoldsPorts => Activity is not (KlippyActivity.Absent or KlippyActivity.Stopped);
}

public enum KlippyActivity
{
    /// <summary>There is no Klipper here, or it is none of our business.</summary>
    Absent,
    Stopped,
    Ready,

    /// <summary>Printing, paused, homing, heating: the message says what.</summary>
    Busy,
    Error,
    Shutdown,
}

/// <summary>No Klipper: for <c>--no-klipper</c> and for boards on a bench.</summary>
public sealed class NoKlippy : IKlippy
{
    public Task<KlippyState> LookAsync(CancellationToken cancel) => Task.FromResult(new KlippyState(KlippyActivity.Absent));

    public Task StopAsync(CancellationToken cancel) => Task.CompletedTask;

    public Task<KlippyState> StartAsync() => Task.FromResult(new KlippyState(KlippyActivity.Absent));
}

using RatOS.Flash.Core;

namespace RatOS.Flash.Klipper;

/// <summary>Klipper's host process: reached through Moonraker, simulated, or absent.</summary>
public interface IKlippy
{
    /// <summary>The printer's activity now. If it cannot be found out, that is a state too: <see cref="KlippyActivity.Unknown"/>.</summary>
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
    /// <summary>Why no flash may begin, where that is more than a busy printer.</summary>
    public FlashException? Refusal { get; init; }

    /// <summary>Why a flash is refused now; null when it may begin: the printer is known not to print, pause, home or heat.</summary>
    public FlashException? Blocker => Refusal ?? (Activity == KlippyActivity.Busy ? PrinterFaults.PrinterBusy(Message) : null);

    public bool HoldsPorts => Activity is not (KlippyActivity.Absent or KlippyActivity.Stopped or KlippyActivity.Unknown);
}

public enum KlippyActivity
{
    /// <summary>There is no Klipper here, or it is not to be touched.</summary>
    [ContractName("absent")] Absent,
    [ContractName("stopped")] Stopped,
    [ContractName("ready")] Ready,

    /// <summary>Printing, paused, homing, heating: the message says what.</summary>
    [ContractName("busy")] Busy,
    [ContractName("error")] Error,
    [ContractName("shutdown")] Shutdown,

    /// <summary>It could not be found out; always with a refusal.</summary>
    [ContractName("unknown")] Unknown,
}

/// <summary>No Klipper: for <c>--no-klipper</c> and for boards on a bench.</summary>
public sealed class NoKlippy : IKlippy
{
    public Task<KlippyState> LookAsync(CancellationToken cancel) => Task.FromResult(new KlippyState(KlippyActivity.Absent));

    public Task StopAsync(CancellationToken cancel) => Task.CompletedTask;

    public Task<KlippyState> StartAsync() => Task.FromResult(new KlippyState(KlippyActivity.Absent));
}

using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Boards;

/// <summary>One flash of this printer's boards, and what of the agent it may use.</summary>
/// <param name="Requests">The boards, 1 or more.</param>
/// <param name="Options">What was asked for.</param>
/// <param name="Klippy">Klipper, as this flash may use it.</param>
internal sealed record FlashWork(IReadOnlyList<FlashRequest> Requests, FlashOptions Options, IKlippy Klippy)
{
    /// <summary>Runs a long wait beside the queue, so that other jobs have their turn; null where there is no queue.</summary>
    public Func<Func<Task>, Task>? Aside { get; init; }

    /// <summary>Completes with Moonraker's next notification; null where there is none.</summary>
    public Func<CancellationToken, Task>? Change { get; init; }

    /// <summary>The job's recording; null where nothing is recorded.</summary>
    public JobRecorder? Recorder { get; init; }
}

using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Boards;

/// <summary>What can be asked about a printer's boards: of the boards themselves, or of the agent that works on them.</summary>
internal abstract class BoardService
{
    /// <summary>Which printer this is, in a few words.</summary>
    public abstract string Description { get; }

    public abstract Task<IReadOnlyList<JsonBoard>> ListAsync();

    /// <exception cref="FlashException">A board or a port is not known, or the firmware is none.</exception>
    public abstract Task<PlanView> PlanAsync(FlashOptions options);

    /// <param name="options">What to flash.</param>
    /// <param name="tell">Called for each event, on this thread.</param>
    /// <param name="cancel">Heeded until the point of no return.</param>
    /// <exception cref="FlashException">As for <see cref="PlanAsync"/>, or somebody else works on the boards.</exception>
    public abstract Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel);
}

using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Boards;

/// <summary>A printer's boards: flashed by this process, or by the agent that runs already.</summary>
internal abstract class BoardService
{
    /// <summary>Which printer this is, in a few words.</summary>
    public abstract string Description { get; }

    /// <summary>The printer's boards.</summary>
    public abstract Task<BoardList> ListAsync();

    /// <summary>What <see cref="FlashAsync"/> would do. Nothing is touched.</summary>
    /// <exception cref="FlashException">A board or a port is unknown, or the firmware file is no firmware.</exception>
    public abstract Task<PlanView> PlanAsync(FlashOptions options);

    /// <summary>The files of the firmware folder, at most 64, by name: what each holds, and which boards it fits.</summary>
    public abstract Task<IReadOnlyList<JsonFile>> FilesAsync();

    /// <summary>Keeps a fact that the user told about a board.</summary>
    /// <inheritdoc cref="KnownMcus.Answer"/>
    public abstract Task AnswerAsync(string board, string fact, string? value);

    /// <summary>Flashes boards.</summary>
    /// <param name="options">Which boards, and how.</param>
    /// <param name="tell">Called for each event, on this thread.</param>
    /// <param name="cancel">Ends the flash until its point of no return.</param>
    /// <exception cref="FlashException">As for <see cref="PlanAsync"/>, or another program uses the boards.</exception>
    public abstract Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel);
}

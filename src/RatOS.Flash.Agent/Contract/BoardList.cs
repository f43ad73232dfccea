namespace RatOS.Flash.Agent.Contract;

/// <summary>A printer's boards for front ends.</summary>
/// <param name="Boards">Its boards, then the other devices on its buses.</param>
/// <param name="Skipped">Definitions of an installed RatOS that are not used.</param>
internal sealed record BoardList(IReadOnlyList<JsonBoard> Boards, IReadOnlyList<JsonSkipped> Skipped)
{
    public JsonAnswer ToAnswer() => new(true) { Boards = [.. Boards], Skipped = Skipped.Count == 0 ? null : [.. Skipped] };
}

using RatOS.Flash.Boards;

namespace RatOS.Flash.Agent.Contract;

/// <summary>A definition of an installed RatOS that is not used.</summary>
/// <param name="Folder">Its folder in <c>config/RatOS/boards</c>; empty where all of them are passed over.</param>
/// <param name="Reason">In a sentence.</param>
internal sealed record JsonSkipped(string Event, string Folder, string Reason)
{
    public static JsonSkipped Of(SkippedDefinition definition) => new("skipped", definition.Folder, definition.ToFinding().Text);
}

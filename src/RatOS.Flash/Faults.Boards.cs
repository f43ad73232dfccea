namespace RatOS.Flash;

/// <content>Which boards there are, and what is said of them.</content>
public static partial class Faults
{
    public static FlashException BadBoardDefinition(string folder, string why) => new(
        "bad-board-definition", $"RatOS's definition in boards/{folder} was passed over: {why}.",
        "If it is yours, correct it; if it came with RatOS, update RatOS. Other boards are not touched by it.");
}

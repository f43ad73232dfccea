using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>The exit codes of the program.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;

    /// <summary>The plan refused; nothing was touched.</summary>
    public const int Refused = 3;

    /// <summary>For a fault outside of a flash.</summary>
    public static int Of(FlashException fault) => fault.Kind.Origin switch
    {
        FaultOrigin.Request => Usage,
        FaultOrigin.Program => Failed,
        _ => Refused,
    };

    public static int Of(FlashReport report)
    {
        if (report.Ok)
            return Done;
        return report.Klippy is null && report.Boards.Where(board => !board.Ok).All(board => board.Refused) ? Refused : Failed;
    }
}

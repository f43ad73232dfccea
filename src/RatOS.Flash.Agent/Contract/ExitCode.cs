using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>What the process tells its caller.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;

    /// <summary>The plan refused; nothing was touched.</summary>
    public const int Refused = 3;

    /// <summary>For a fault outside a flash: what the caller typed, or what the world is like.</summary>
    public static int Of(FlashException fault) => fault.Code switch
    {
        "unknown-board" or "unknown-scenario" or "firmware-unreadable" or "bad-option" or "bad-request" or "bad-settings" or "unknown-job" or "bundle-unreadable" or "bundle-version" => Usage,
        "internal-error" or "virtual-folder" or "agent-gone" or "no-agent" or "bundle-unwritable" or "replay-impossible" => Failed,
        _ => Refused,
    };

    public static int Of(FlashReport report)
    {
        if (report.Ok)
            return Done;
        return report.Klippy is null && report.Boards.Where(board => !board.Ok).All(board => board.Refused) ? Refused : Failed;
    }
}

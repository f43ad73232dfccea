using System.Reflection;
using RatOS.Flash.Agent;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

// `--version` is asked by installers and by Moonraker at every start: it answers before anything is built up.
if (args is ["--version"])
{
    Console.WriteLine(Product.Version);
    return 0;
}
return CommandLine.Run(args);

namespace RatOS.Flash.Agent
{
    internal static class Product
    {
        public const string Url = "https://github.com/Rat-OS/RatOS.Flash";

        public static string Version { get; } =
            typeof(Product).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
    }

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
}

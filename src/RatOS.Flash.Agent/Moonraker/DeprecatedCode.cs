using System.Text.Json;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Moonraker;

/// <summary>Klipper's warnings about firmware that it will soon not support (Klipper klippy/configfile.py, deprecate_mcu_code).</summary>
internal static class DeprecatedCode
{
    private const int MostFeatures = 16;

    /// <param name="section"><c>mcu</c> or <c>mcu NAME</c>. A warning has the name alone.</param>
    /// <param name="warnings"><c>configfile.warnings</c>.</param>
    /// <returns>The features that the firmware of this MCU lacks.</returns>
    public static string[] Of(string section, IEnumerable<JsonElement> warnings) =>
        [.. warnings.Where(warning => warning.Word("type") == "deprecated_mcu_code" && warning.Word("mcu") is { } name
            && section == (name == "mcu" ? name : $"mcu {name}")).Select(warning => warning.Word("feature")).OfType<string>()
            .Distinct().Take(MostFeatures)];
}

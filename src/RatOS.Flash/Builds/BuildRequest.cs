using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Builds;

/// <param name="Board">The board's name on this printer.</param>
/// <param name="Config">What is to be built.</param>
public sealed record BuildRequest(string Board, BuildConfig Config);

public enum BuildStep
{
    /// <summary>Klipper completes the configuration.</summary>
    Configure,

    /// <summary>Objects are compiled; the only step with progress.</summary>
    Compile,

    /// <summary>All objects are there: linking and making the image.</summary>
    Link,

    /// <summary>The firmware is there, built or from the cache.</summary>
    Done,
}

/// <summary>Where a build is: a whole snapshot, a few a second at most, in order.</summary>
/// <param name="Board">As in the request.</param>
/// <param name="Step">What is being done.</param>
/// <param name="Done">Objects compiled so far, 0..<paramref name="Total"/>.</param>
/// <param name="Total">Objects that the last such build had; before the first one a guess, which grows when it was too small.</param>
public sealed record BuildProgress(string Board, BuildStep Step, int Done, int Total);

/// <summary>A firmware that Klipper's own build made, checked.</summary>
/// <param name="Image">Its bytes and dictionary.</param>
/// <param name="File">The file that the board takes, in the cache: a .bin, .uf2, .elf or (AVR) .elf.hex. It may go with later
/// builds.</param>
/// <param name="ConfigText">The .config as Klipper completed it.</param>
/// <param name="ConfigHash">Equal for equal configurations, comments and order aside; 24 hex digits. Two configurations can give one
/// version.</param>
/// <param name="SourceId">The sources, as <see cref="KlipperSource.SourceId"/>.</param>
/// <param name="IsFromCache">Nothing was built.</param>
/// <param name="Elapsed">From the request to the image.</param>
public sealed record BuiltFirmware(
    FirmwareImage Image, string File, string ConfigText, string ConfigHash, string SourceId, bool IsFromCache, TimeSpan Elapsed);

/// <summary>Firmware, or the reason why there is none.</summary>
public readonly record struct BuiltOrNot(BuiltFirmware? Firmware, FlashException? Fault);

/// <summary>One of several builds: firmware, or the reason why there is none.</summary>
public sealed record BuildOutcome(BuildRequest Request, BuiltFirmware? Firmware, FlashException? Fault);

using System.Collections.Immutable;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>
/// What a caller asks for. Each front end parses its own words into it once; it is passed unchanged to plan and flash.
/// </summary>
/// <param name="Boards">Names of boards, at least one. <c>all</c>, in any case, stands for every board of the printer.</param>
public sealed record FlashOptions(ImmutableArray<string> Boards)
{
    /// <summary>The name that stands for every board.</summary>
    public const string All = "all";

    /// <summary>The job for every board; never <see cref="FlashJob.ConfirmSdCard"/>, which follows <see cref="FlashJob.SdCard"/>.</summary>
    public FlashJob Job { get; init; }

    /// <summary>The firmware that each board ran before, instead of its own.</summary>
    public bool RollsBack { get; init; }

    /// <summary>The firmware file that the caller named; null for each board's own firmware.</summary>
    public GivenFirmware? Firmware { get; init; }

    /// <summary>
    /// The SHA-256 that the file must have, itself or its image, in lower-case hex; null for any. A caller that knows it has confirmed the
    /// file.
    /// </summary>
    public string? FirmwareSha256 { get; init; }

    /// <summary>The sha256 of firmware from elsewhere that the user has confirmed.</summary>
    public ImmutableArray<string> Confirmed { get; init; } = [];

    /// <summary>
    /// USB port path (<c>1-1.3</c>), device node or CAN interface of the one board; null where the printer's configuration says it.
    /// </summary>
    public string? Port { get; init; }

    /// <summary>The one board's <c>canbus_uuid</c>; null where the printer's configuration says it.</summary>
    public CanUuid? Uuid { get; init; }

    /// <summary>The bootloader that the boards have; null where it is found out.</summary>
    public BootloaderDriver? Bootloader { get; init; }

    /// <summary>The change of link that the firmware makes; null where it must speak over the link that the board has.</summary>
    public LinkChange? LinkChange { get; init; }

    /// <summary>Flash despite warnings in the plan. Blockers stay blockers.</summary>
    public bool AcceptsWarnings { get; init; }

    /// <summary>With <see cref="All"/>: also boards that are up to date. A board that is named is flashed anyway.</summary>
    public bool IncludesUpToDate { get; init; }

    /// <summary>Also boards that are named are skipped while they are up to date.</summary>
    public bool OnlyIfNeeded { get; init; }

    /// <summary>Flash although heaters are hot: their fans stop while Klipper is stopped.</summary>
    public bool AllowsHotHeaters { get; init; }

    /// <summary>Wait for an idle printer; without it a busy printer refuses the flash.</summary>
    public bool WhenIdle { get; init; }

    /// <summary>The longest such wait; null for any.</summary>
    public TimeSpan? IdleLimit { get; init; }

    /// <summary>An operator is there: an operator step is waited for, where it fails otherwise.</summary>
    public bool OperatorPresent { get; init; }

    /// <summary>The job is to write: a recovery writes only if nothing less helps, and an identification only asks.</summary>
    public bool Writes => Job is not (FlashJob.Recover or FlashJob.Identify);

    /// <summary>Some name stands for every board.</summary>
    public bool NamesAll => Boards.Any(name => string.Equals(name, All, StringComparison.OrdinalIgnoreCase));

    /// <summary>The place of the board is named too, so the options are about one board.</summary>
    public bool NamesPlace => Port is not null || Uuid is not null;
}

/// <summary>A firmware file as the front end read it.</summary>
/// <param name="Name">Its path or name, for messages.</param>
/// <param name="Bytes">All of it.</param>
public sealed record GivenFirmware(string Name, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>The caller gave only the name of a file that anyone may have put there.</summary>
    public bool IsUploaded { get; init; }

    /// <summary>Its firmware, parsed when it is first asked for.</summary>
    /// <exception cref="FlashException">It is none.</exception>
    public FirmwareImage Image => field ??= FirmwareImage.Parse(Bytes, Name);
}

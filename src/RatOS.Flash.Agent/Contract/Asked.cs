using System.Collections.Immutable;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Agent.Contract;

/// <summary>What a caller named, at whichever door.</summary>
/// <param name="Boards">Names; <c>all</c> stands for all of the printer's boards that there is firmware for.</param>
internal sealed record Asked(ImmutableArray<string> Boards)
{
    public GivenFirmware? Firmware { get; init; }

    public string? Port { get; init; }

    public CanUuid? Uuid { get; init; }

    public BootloaderKind? Bootloader { get; init; }

    /// <summary>Where the board is was named too: it stands for one board.</summary>
    public bool HasPlace => Port is not null || Uuid is not null;

    /// <summary>Flash despite warnings. It overrides no refusal.</summary>
    public bool Force { get; init; }

    /// <summary>Hot heaters are the caller's responsibility, for this one flash.</summary>
    public bool Hot { get; init; }

    /// <summary>Somebody is there who can set a jumper.</summary>
    public bool HasPerson { get; init; }

    /// <summary>The boards are to run again, whatever they run then; they are flashed only where nothing less helps.</summary>
    public bool Recover { get; init; }

    /// <summary>The firmware that the board ran before.</summary>
    public bool Rollback { get; init; }

    /// <summary>A person carries the firmware on a card into the board's SD slot.</summary>
    public bool SdCard { get; init; }

    /// <summary>With <c>all</c>: also boards that need none.</summary>
    public bool Needless { get; init; }
}

/// <summary>A firmware file as it was read by whoever named it.</summary>
internal sealed record GivenFirmware(string Name, ReadOnlyMemory<byte> Bytes);

using RatOS.Flash.Boards;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Printer;

/// <summary>
/// What a running board told of itself when it was asked. It is recognised by its chip's unique id where its serial or its CAN uuid follows
/// from that, else by what its section names.
/// </summary>
/// <param name="Evidence">Its answers.</param>
/// <param name="At">When it was asked.</param>
public sealed record BoardIdentity(BoardEvidence Evidence, DateTimeOffset At)
{
    /// <summary>USB serial that its Klipper announced; null for a board that is not on USB.</summary>
    public string? Serial { get; init; }

    /// <summary>Its uuid on CAN; null for a board that is not there.</summary>
    public CanUuid? Uuid { get; init; }

    /// <summary>Its serial port; null for a board that is not on a UART.</summary>
    public string? Port { get; init; }

    /// <summary>The constants that tell how a firmware was built. Where one differs, the answers are out of date.</summary>
    private static readonly string[] Telling =
    [
        "MCU", "CLOCK_FREQ", "SERIAL_BAUD", "CANBUS_FREQUENCY", "CANBUS_BRIDGE", "INITIAL_PINS", "RESERVE_PINS_serial",
        "RESERVE_PINS_USB", "RESERVE_PINS_USB1", "RESERVE_PINS_CAN", "RESERVE_PINS_crystal",
    ];

    /// <summary>A constant of a firmware tells how it was built.</summary>
    public static bool IsTelling(string constant) => Telling.Contains(constant);

    /// <summary>What it told, as statements about the board.</summary>
    public BoardFacts Facts => PrinterBoard.FactsOf(Evidence) with { Where = $"its running firmware, asked on {At:yyyy-MM-dd}" };

    /// <summary>It was this board.</summary>
    /// <param name="serial">USB serial; null for a board that is not on USB.</param>
    /// <param name="uuid">CAN uuid; null for a board that is not there.</param>
    /// <param name="port">Serial port; null for a board that is not on a UART.</param>
    /// <param name="constants">Klipper's report of its firmware now; empty where there is none.</param>
    public bool IsOf(string? serial, CanUuid? uuid, string? port, IReadOnlyDictionary<string, string> constants) =>
        (uuid is not null ? uuid == Uuid || (Evidence.Chip?.Uid is { } uid && CanUuid.OfChip(uid.Span) == uuid)
            : serial is not null ? serial == Serial
            : port is not null && port == Port)
        && (constants.Count == 0 || Telling.All(name => constants.GetValueOrDefault(name) == Evidence.Constants.GetValueOrDefault(name)));

    /// <summary>It takes the place of what was known of the same board.</summary>
    public bool Replaces(BoardIdentity older) => older.Evidence.Chip?.Uid is { } before && Evidence.Chip?.Uid is { } now
        ? before.Span.SequenceEqual(now.Span) : (older.Serial, older.Uuid, older.Port) == (Serial, Uuid, Port);
}

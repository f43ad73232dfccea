using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Tests.Scenarios;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Corpus;

/// <summary>
/// What becomes of the boards of real printers without one line of configuration. The corpus has their sections; bootloader, start and
/// crystal are those that the chip's boards are sold with. Two columns: Katapult on CAN alone, and below every CAN and UART board and
/// every F103.
/// </summary>
[VirtualOnly("boards that are in no list of scenarios")]
public sealed class CoverageTests
{
    private const string Page = "coverage.md";

    private static readonly string[] ChipsOnCan = ["STM32G0B1", "RP2040", "STM32F072"], ChipsOnWires = ["STM32F103", "atmega2560"],
        ChipsOnUsb = ["STM32F446", "RP2040", "LPC1769", "STM32H723"];

    /// <summary>The chips of a kind, as Klipper's configurations and RatOS's boards have them.</summary>
    private static readonly Dictionary<string, string[]> ChipsOfKind = new(StringComparer.Ordinal)
    {
        ["btt-ebb"] = ["STM32G0B1", "STM32F072"],
        ["btt-ebb36"] = ["STM32G0B1", "STM32F072"],
        ["btt-ebb-sb2240"] = ["STM32G0B1"],
        ["btt-eddy"] = ["RP2040"],
        ["btt-manta-m8p"] = ["STM32G0B1", "STM32H723"],
        ["btt-octopus"] = ["STM32F446", "STM32F429"],
        ["btt-octopus-pro"] = ["STM32F446", "STM32F429", "STM32H723"],
        ["btt-skr-2"] = ["STM32F407", "STM32F429"],
        ["btt-skr-mini-e3"] = ["STM32F103", "STM32G0B1"],
        ["creality-4.2.2"] = ["STM32F103"],
        ["einsy"] = ["atmega2560"],
        ["elegoo-neptune3"] = ["STM32F401"],
        ["ldo-leviathan"] = ["STM32F446"],
        ["mks-robin-nano"] = ["STM32F103", "STM32F407"],
        ["prusa-buddy"] = ["STM32F407"],
        ["sovol-sv06"] = ["STM32F103"],
    };

    private static readonly List<(CorpusMcu Mcu, int Number)> Boards =
        [.. CorpusPrinter.All.SelectMany(printer => printer.Mcus).Where(mcu => mcu.IsBoard).Select((mcu, number) => (mcu, number))];

    [Fact]
    public void Most_boards_of_the_corpus_are_flashed_without_configuration_and_none_is_built_wrong()
    {
        var lines = new List<string>();
        var least = new Dictionary<bool, double> { [false] = Least, [true] = LeastWithKatapult };
        foreach (var hasKatapult in (bool[])[false, true])
        {
            var outcomes = new Dictionary<CorpusBoard, (FaultReport? Fault, IReadOnlyList<string> Wrong, bool IsBuilt)>();
            var counted = new List<(CorpusBoard Board, bool IsDrawn, FaultReport? Fault, IReadOnlyList<string> Wrong, bool IsBuilt)>();
            foreach (var (mcu, number) in Boards)
            {
                var board = BoardOf(mcu, number, hasKatapult);
                if (!outcomes.TryGetValue(board, out var outcome))
                    outcomes[board] = outcome = board.Flash();
                counted.Add((board, MachineOf(mcu.Chip) is null, outcome.Fault, outcome.Wrong, outcome.IsBuilt));
            }
            Assert.All(counted, board => Assert.Empty(board.Wrong));
            lines.Add(hasKatapult ? "## Katapult below every CAN and UART board and every F103" : "## Katapult on CAN boards alone");
            lines.Add("");
            lines.Add("| chip | link | boards | `by itself` | otherwise |");
            lines.Add("|---|---|---|---|---|");
            lines.AddRange(counted.GroupBy(board => (board.Board.Truth.Machine, Link: LinkOf(board.Board)))
                .OrderByDescending(group => group.Count()).ThenBy(group => $"{group.Key}", StringComparer.Ordinal).Select(group =>
                $"| {group.Key.Machine} | {group.Key.Link} | {group.Count()} | {group.Count(board => board.Fault is null)} | "
                + $"{Faults(group.Select(board => board.Fault?.Code))} |"));
            var (done, built) = (counted.Count(board => board.Fault is null), counted.Count(board => board.IsBuilt));
            lines.Add("");
            lines.Add($"`by itself: {done} of {counted.Count} ({100 * done / counted.Count} %)`");
            lines.Add("");
            foreach (var isDrawn in (bool[])[false, true])
            {
                var part = counted.Where(board => board.IsDrawn == isDrawn).ToList();
                var alone = part.Count(board => board.Fault is null);
                lines.Add($"- chip {(isDrawn ? "drawn" : "known")}: {alone} of {part.Count} ({100 * alone / part.Count} %)");
            }
            lines.Add("");
            lines.Add($"with the right build configuration: {built} of {counted.Count} ({100 * built / counted.Count} %)");
            lines.Add("");
            Assert.True(done >= least[hasKatapult] * counted.Count, string.Join('\n', lines));
        }
        Docs.Check(Page, "coverage", string.Concat(lines.Select(line => line + "\n")));
    }

    private static string Faults(IEnumerable<string?> codes) =>
        string.Join(", ", codes.OfType<string>().Distinct().Order(StringComparer.Ordinal).Select(code => $"`{code}`"));

    private static string LinkOf(CorpusBoard board) => board.Truth.Link?.Kind switch
    {
        FirmwareLinkKind.Can => "CAN",
        FirmwareLinkKind.Uart => "UART",
        _ => "USB",
    };

    private static CorpusBoard BoardOf(CorpusMcu mcu, int number, bool hasKatapult)
    {
        var isCan = mcu.Link == "can";
        var isWire = mcu.Link is "uart-usb-adapter" or "uart-host-pins" or "by-path-adapter";
        var named = mcu.ChipCandidates.Select(MachineOf).OfType<string>().ToArray();
        var drawn = named.Length > 0 ? named : ChipsOfKind.GetValueOrDefault(mcu.Kind ?? "")
            ?? (isCan ? ChipsOnCan : isWire ? ChipsOnWires : ChipsOnUsb);
        var machine = MachineOf(mcu.Chip) ?? drawn[number % drawn.Length];
        isWire |= !isCan && machine is "atmega2560" or "atmega328p" or "atmega1284p" or "STM32G070" or "HC32F460";
        var mayHaveIt = Mcu.Find(KconfigChips.Find(machine).Name)?.MayHaveKatapult == true;
        var hasBootloader = isCan || (hasKatapult && mayHaveIt && (isWire || machine == "STM32F103"));
        var chip = KconfigChips.Find(machine);
        return new(new BoardTruth
        {
            Machine = machine,
            Start = StartOf(machine, hasBootloader) is { } offset ? chip.FlashBase + offset : null,
            Clock = machine switch
            {
                "STM32F446" => ClockSource.Crystal(12),
                _ when machine.StartsWith("STM32H7", StringComparison.Ordinal) => ClockSource.Crystal(25),
                _ when machine.StartsWith("STM32", StringComparison.Ordinal) => ClockSource.Crystal(8),
                _ => null,
            },
            Link = isCan ? new(FirmwareLinkKind.Can, CanPins(machine), 1_000_000)
                : isWire ? new(FirmwareLinkKind.Uart, SerialPins(machine), 250_000) : null,
            Bootloader = hasBootloader ? BootStage.Katapult : null,
        }, isCan ? "can0" : isWire ? "ttyAMA0" : "1-1.1");
    }

    private static string? MachineOf(string? chip) => chip is null ? null : KconfigChips.All.FirstOrDefault(known =>
        known.Name == chip || string.Equals(known.Machine, chip, StringComparison.OrdinalIgnoreCase)
        || (chip.Length >= 9 && string.Equals(known.Machine, chip[..9], StringComparison.OrdinalIgnoreCase)))?.Machine;

    /// <summary>The offset that boards with this chip are sold with, or behind Katapult; null for the chip's only one.</summary>
    private static uint? StartOf(string machine, bool hasKatapult) => machine switch
    {
        "STM32F103" => hasKatapult ? 0x2000u : 0x7000u,
        "STM32F446" or "STM32F407" or "STM32F405" or "STM32F401" or "STM32F429" => 0x8000,
        "STM32H723" or "STM32H743" => 0x2_0000,
        "STM32G0B1" or "STM32G0B0" or "STM32G070" => 0x2000,
        "STM32F072" or "STM32F042" or "STM32G431" or "STM32G474" or "STM32F070" => hasKatapult ? 0x2000u : 0,
        "RP2040" => hasKatapult ? 0x4000u : null,
        "LPC1768" or "LPC1769" => 0x4000,
        "HC32F460" => 0x8000,
        _ => null,
    };

    private static string CanPins(string machine) => machine switch
    {
        "STM32G0B1" => "PB0,PB1",
        "RP2040" => "gpio4,gpio5",
        _ when machine.StartsWith("STM32F4", StringComparison.Ordinal) => "PD0,PD1",
        _ => "PB8,PB9",
    };

    private static string SerialPins(string machine) => machine switch
    {
        "RP2040" => "gpio1,gpio0",
        "atmega2560" => "PE0,PE1",
        "HC32F460" => "PA7,PA8",
        _ when machine.StartsWith("at", StringComparison.Ordinal) => "PD0,PD1",
        _ when machine.StartsWith("LPC", StringComparison.Ordinal) => "P0.3,P0.2",
        _ => "PA10,PA9",
    };

    private const double Least = 0.76, LeastWithKatapult = 0.9;
}

using System.Text;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Tests.Pure;

/// <summary><c>docs/boards.md</c> says what the catalogue says. <c>RATOS_FLASH_WRITE_DOCS=1</c> updates it.</summary>
public sealed class BoardTableTests
{
    [Fact]
    public void The_table_of_boards_matches_the_catalogue() => Docs.Check("boards.md", Text(BoardCatalogue.BuiltIn));

    [Fact]
    public void The_table_has_every_board_just_once()
    {
        var rows = Text(BoardCatalogue.BuiltIn).Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(rows);
        Assert.Equal(BoardCatalogue.BuiltIn.Boards.Length, rows.Count);
        Assert.All(BoardCatalogue.BuiltIn.Boards, board =>
            Assert.Single(rows, row => row.StartsWith($"| `{board.Id}` |", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData(""" "boards":[{"id":"new","kind":"mainboard","mcu":"stm32f446xx","flashStartEffective":"0x8008000"}] """, 1)]
    [InlineData(""" "boards":[{"id":"new","kind":"mainboard","mcu":"stm32f446xx","flashStartEffective":"0x8008000","dfu":{}}] """, 1)]
    public void A_catalogue_may_leave_out_its_lists(string members, int boards)
    {
        var json = $"{{{members}}}";
        var catalogue = BoardCatalogue.Read(new MemoryStream(Encoding.UTF8.GetBytes(json)));
        Assert.Equal(boards, catalogue.Boards.Length);
        Assert.Equal("boot0-jumper-on", catalogue.StepText("boot0-jumper-on"));
        Assert.Equal(boards, Text(catalogue).Split('\n').Count(line => line.StartsWith("| `new`", StringComparison.Ordinal)));
    }

    private static string Text(BoardCatalogue catalogue)
    {
        var text = new StringBuilder();
        text.Append("""
            # Is my board supported?

            - This table lists the boards that RatOS.Flash knows. If RatOS is installed, its own board definitions are read too, and
              boards that are missing here are added.
            - Your board is not listed: see [add-a-board.md](add-a-board.md).
            - This page is [generated](testing.md#generated-documents) from the catalogue of boards.

            | flash method | meaning |
            |---|---|
            | **automatic** | Klipper starts the bootloader: Katapult if installed, else the chip's USB DFU. |
            | **manual bootloader** | You start the chip's ROM bootloader. RatOS.Flash shows the steps and waits. Automatic with Katapult. |
            | **service** | Klipper's process on this computer, see [install.md](install.md#the-raspberry-pi-as-mcu). |
            | **SD card** | Manual: RatOS.Flash builds the file, puts it onto a card or offers it, and waits for the board. |
            | other | Manual: `plan` and `flash` refuse, and show the steps that are listed below the table. |

            | board | name | short name | chip | application start | link | flash method | condition |
            |---|---|---|---|---|---|---|---|

            """);
        foreach (var board in catalogue.Boards)
        {
            text.Append(
                $"| `{board.Id}` | {(board.Name is null ? "" : board.DisplayName)} | {board.ShortName} | {board.McuName} | "
                + $"{(board.ApplicationStart is { } start ? $"{start:x8}" : "")} | "
                + $"{board.Comm} | {Method(board)} | {string.Join(" ", board.Preconditions.Select(catalogue.PreconditionText))} |\n");
        }
        text.Append("\n## Manual flash methods\n");
        foreach (var board in catalogue.Boards.Where(board =>
                BoardGuide.Of(board) is { Steps.Length: > 0, Method: not (FlashMethod.EngineManual or FlashMethod.Process) }))
        {
            text.Append($"\n### {board.Id}\n\n");
            foreach (var (step, i) in BoardGuide.Of(board).Steps.Select((step, i) => (step, i)))
                text.Append($"{i + 1}. {step}\n");
        }
        text.Append("""

            ## Errors in RatOS's definitions

            These errors are in RatOS's configuration of October 2024. RatOS.Flash does not run its scripts or need its udev rules. Where
            the chip, the application start or the build configuration is wrong, RatOS.Flash uses its own data and reports a finding.


            """);
        foreach (var board in catalogue.Boards.Where(board => board.Issues.Length > 0))
            text.Append($"- `{board.Id}`: {string.Join("; ", board.Issues)}.\n");
        return text.ToString();
    }

    private static string Method(Board board) => BoardGuide.Of(board) switch
    {
        { Method: FlashMethod.Engine } => "automatic",
        { Method: FlashMethod.EngineManual } => "manual bootloader",
        { Method: FlashMethod.Uf2, FileName: var file } => $"UF2 drive (`{file}`)",
        { Method: FlashMethod.SdCard, FileName: var file } => $"SD card (`{file}`)",
        { Method: FlashMethod.Avrdude } => "avrdude",
        { Method: FlashMethod.DfuUtil } => "dfu-util",
        { Method: FlashMethod.Process } => "service",
        { Method: FlashMethod.OwnUpdater } => "its own updater",
        var guide => throw new InvalidOperationException($"{board.Id}: {guide.Method}"),
    };
}

using System.Text;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Tests.Pure;

/// <summary><c>docs/boards.md</c> says what the catalogue says. <c>RATOS_FLASH_WRITE_DOCS=1</c> writes it anew.</summary>
public sealed class BoardTableTests
{
    [Fact]
    public void The_table_of_boards_is_what_the_catalogue_says() => Docs.Check("boards.md", Text(BoardCatalogue.BuiltIn));

    [Fact]
    public void The_table_has_every_board_just_once()
    {
        var rows = Text(BoardCatalogue.BuiltIn).Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal)).ToList();
        Assert.Equal(46, rows.Count);
        Assert.All(BoardCatalogue.BuiltIn.Boards, board => Assert.Single(rows, row => row.StartsWith($"| `{board.Id}` |", StringComparison.Ordinal)));
    }

    private static string Text(BoardCatalogue catalogue)
    {
        var text = new StringBuilder();
        text.Append("""
            # Boards

            What RatOS.Flash knows of RatOS's boards. Where RatOS is installed, its own definitions are read as well, and boards that are not here are added. This table is made
            from the catalogue by a test, which fails when the two differ and, with `RATOS_FLASH_WRITE_DOCS=1`, writes it anew.

            Road: **itself** - Klipper starts the bootloader (Katapult, if the board has it, else the chip's USB DFU), and RatOS.Flash writes. **by hand** - RatOS.Flash writes, but
            without Katapult a person has to start the chip's ROM: it says how, waits, and goes on by itself. **a unit of root's** - a process of this computer. All others are refused by `plan` and `flash` with the
            steps below the table, written for the board.

            | board | name | known as | chip | start | link | road | before |
            |---|---|---|---|---|---|---|---|

            """);
        foreach (var board in catalogue.Boards)
        {
            text.Append($"| `{board.Id}` | {(board.Name is null ? "" : board.DisplayName)} | {board.ShortName} | {board.McuName} | {(board.ApplicationStart is { } start ? $"{start:x8}" : "")} | "
                + $"{board.Comm} | {Road(board)} | {string.Join(" ", board.Preconditions.Select(catalogue.PreconditionText))} |\n");
        }
        text.Append("\n## Those that RatOS.Flash does not write\n");
        foreach (var board in catalogue.Boards.Where(board => BoardGuide.Of(board) is { Steps.Length: > 0, Road: not (BoardRoad.EngineByHand or BoardRoad.Process) }))
        {
            text.Append($"\n### {board.Id}\n\n");
            foreach (var (step, i) in BoardGuide.Of(board).Steps.Select((step, i) => (step, i)))
                text.Append($"{i + 1}. {step}\n");
        }
        text.Append("\n## What RatOS's definitions say wrongly\n\nFound in RatOS's configuration of October 2024. RatOS.Flash runs none of its scripts and needs none of its rules; where a chip, a start or a build configuration is concerned, ours is taken and that is noted.\n\n");
        foreach (var board in catalogue.Boards.Where(board => board.Issues.Length > 0))
            text.Append($"- `{board.Id}`: {string.Join("; ", board.Issues)}.\n");
        return text.ToString();
    }

    private static string Road(Board board) => BoardGuide.Of(board) switch
    {
        { Road: BoardRoad.Engine } => "itself",
        { Road: BoardRoad.EngineByHand } => "by hand",
        { Road: BoardRoad.Uf2, FileName: var file } => $"`{file}` onto its drive",
        { Road: BoardRoad.SdCard, FileName: var file } => $"`{file}` on an SD card",
        { Road: BoardRoad.Avrdude } => "avrdude",
        { Road: BoardRoad.DfuUtil } => "dfu-util",
        { Road: BoardRoad.Process } => "a unit of root's",
        { Road: BoardRoad.OwnUpdater } => "its maker's updater",
        var guide => throw new InvalidOperationException($"{board.Id}: {guide.Road}"),
    };
}

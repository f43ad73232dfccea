using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Text and tables fit any terminal.</summary>
public sealed class LineTests
{
    [Fact]
    public void A_line_is_broken_between_words_and_goes_on_below_its_text() => Assert.Equal(
        ["Next step:  Take any SD card", "            out of the board."],
        Line.Of("Next step:  ", "Take any SD card out of the board.").Wrap(30));

    [Fact]
    public void A_command_stays_in_one_row_if_a_row_can_hold_it()
    {
        Assert.Equal(["First run", "`ratos-flash boards` now."], new Line("First run `ratos-flash boards` now.").Wrap(26));
        Assert.Equal(
            ["First run `ratos-flash", "boards --catalogue` now."], new Line("First run `ratos-flash boards --catalogue` now.").Wrap(26));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(80)]
    public void No_row_is_longer_than_the_terminal_and_nothing_is_lost(int columns)
    {
        var text = "    note: " + new string('x', 200) + " and `a command that is long --with options` or so.\nA second line\x1b[31m.";
        var rows = new Line(text, Indent: 10).Wrap(columns).ToList();
        Assert.All(rows, row => Assert.InRange(row.Length, 0, columns));
        Assert.Equal(
            text.Replace(" ", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal).Replace('\x1b', '?'),
            string.Concat(rows).Replace(" ", "", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(100, "Board    Kind        Port", "octopus  Octopus V1  1-1.1", "ebb      EBB42       1-1.3")]
    [InlineData(20, "Board    Kind", "octopus  Octopus V1", "  1-1.1", "ebb      EBB42", "  1-1.3")]
    [InlineData(12, "Board", "octopus", "  Octopus V1, 1-1.1", "ebb", "  EBB42, 1-1.3")]
    public void A_table_moves_columns_below_until_it_fits(int columns, params string[] expected) => Assert.Equal(
        expected,
        new Table(new("Board"), new("Kind", Rank: 1), new("Port", Rank: 2))
            .Lines([(["octopus", "Octopus V1", "1-1.1"], Tone.Normal), (["ebb", "EBB42", "1-1.3"], Tone.Normal)], columns)
            .Select(line => line.Text));

    [Fact]
    public void A_column_that_may_wrap_becomes_narrower_first() => Assert.Equal(
        ["Id  Board", "a   BIGTREETECH", "    Octopus"],
        new Table(new("Id"), new("Board", Rank: 1, Least: 8)).Lines([(["a", "BIGTREETECH Octopus"], Tone.Normal)], 17)
            .Select(line => line.Text));
}

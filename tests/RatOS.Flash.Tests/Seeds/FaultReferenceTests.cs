using System.Text;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Tests.Seeds;

/// <summary><c>docs/faults.md</c> says what the catalogue of faults says, and what was seen of the boards with it.</summary>
[Collection(WholeMachine.Name)]
public sealed class FaultReferenceTests
{
    [Fact]
    public void The_reference_of_faults_matches_the_code() => Docs.Check("faults.md", Text());

    private static string Text()
    {
        var conditions = SeedTests.All.SelectMany(flash => flash.Trial.Report.Boards).Where(board => board.Fault is not null)
            .GroupBy(board => board.Fault!.Code)
                .ToDictionary(group => group.Key, group => group.Select(board => board.Condition).Distinct().Order().ToList());
        var text = new StringBuilder("""
            # What does this fault mean, and what do I do?

            - Every fault by its code: its cause, and your next step. Words in brackets stand for values of a real fault.
            - *Board afterwards*: the board's condition in the ten thousand seeded flashes of the tests that ended with this fault.
              The report of a flash names the one that applies. An empty cell: no seeded flash ended so; most of these faults are
              found before anything is touched.
            - *In a browser*: the next step in the words of Mainsail, Fluidd and KlipperScreen, where they differ from those of a
              terminal.
            - A test makes this page from the code and fails when the two differ. `RATOS_FLASH_WRITE_DOCS=1` updates it.

            | condition | the board |
            |---|---|

            """);
        foreach (var condition in Enum.GetValues<BoardCondition>())
            text.Append($"| `{JsonContract.Name(condition)}` | {Agent.Contract.Text.Condition(condition)} |\n");
        foreach (var topic in FaultList.All.GroupBy(fault => fault.Topic).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            text.Append($"\n## {topic.Key}\n\n| code | cause | what to do now | board afterwards |\n|---|---|---|---|\n");
            foreach (var fault in topic.OrderBy(fault => fault.Code, StringComparer.Ordinal)
                .ThenBy(fault => fault.Method, StringComparer.Ordinal))
            {
                var after = conditions.GetValueOrDefault(fault.Code, []).Select(condition => $"`{JsonContract.Name(condition)}`");
                text.Append($"| `{fault.Code}` | {Cell(fault.Cause)} | {Remedy(fault)} | {string.Join(", ", after)} |\n");
            }
        }
        return text.ToString();
    }

    private static string Remedy(FaultList.Entry fault) =>
        Cell(fault.CommandLine) + (fault.Browser == fault.CommandLine ? "" : $"<br>*In a browser:* {Cell(fault.Browser)}");

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ").Trim();
}

using System.Text;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Tests.Seeds;

/// <summary><c>docs/faults.md</c> says what <see cref="Faults"/> says, and what was seen of the boards with it.</summary>
[Collection(WholeMachine.Name)]
public sealed class FaultReferenceTests
{
    [Fact]
    public void The_reference_of_faults_is_what_the_code_says() => Docs.Check("faults.md", Text());

    private static string Text()
    {
        var conditions = SeedTests.All.SelectMany(flash => flash.Trial.Report.Boards).Where(board => board.Fault is not null)
            .GroupBy(board => board.Fault!.Code).ToDictionary(group => group.Key, group => group.Select(board => board.Condition).Distinct().Order().ToList());
        var text = new StringBuilder("""
            # Faults

            Every fault that RatOS.Flash can tell, by its code: what was seen, and what the reader does now. Words in brackets stand for what only a real fault has. This list is
            made from the code by a test, which fails when the two differ and, with `RATOS_FLASH_WRITE_DOCS=1`, writes it anew.

            *Board afterwards* is what the board was in the ten thousand seeded flashes of the tests (`ratos-flash seeds`) that ended with this fault; the report of each flash says
            which of them it is. Where nothing stands none ended so: most of those faults are told before anything is touched.

            | condition | the board |
            |---|---|

            """);
        foreach (var condition in Enum.GetValues<BoardCondition>())
            text.Append($"| `{JsonContract.Name(condition)}` | {Agent.Contract.Text.Condition(condition)} |\n");
        foreach (var topic in FaultList.All.GroupBy(fault => fault.Topic).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            text.Append($"\n## {topic.Key}\n\n| code | cause | what to do now | board afterwards |\n|---|---|---|---|\n");
            foreach (var fault in topic.OrderBy(fault => fault.Code, StringComparer.Ordinal).ThenBy(fault => fault.Method, StringComparer.Ordinal))
                text.Append($"| `{fault.Code}` | {Cell(fault.Cause)} | {Cell(fault.Remedy)} | {string.Join(", ", conditions.GetValueOrDefault(fault.Code, []).Select(condition => $"`{JsonContract.Name(condition)}`"))} |\n");
        }
        return text.ToString();
    }

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ").Trim();
}

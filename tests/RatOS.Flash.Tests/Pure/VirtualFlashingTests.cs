using RatOS.Flash.Tests.Scenarios;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A flash without faults makes only legal requests: the virtual ROM records the others.</summary>
public sealed class VirtualFlashingTests
{
    [Fact]
    public void A_flash_without_faults_sends_a_ROM_no_request_that_its_documents_forbid()
    {
        var flashed = 0;
        foreach (var scenario in VirtualPrinter.Scenarios.Where(scenario => scenario.Faults == InjectedFaults.None))
        {
            Story.Of(scenario.Name, async story =>
            {
                var report = await story.FlashAsync([.. story.Printer.Boards.Select(board => board.Name)]);
                flashed += report.Boards.Count(board => board.Ok);
                Assert.All(story.Printer.Boards, board => Assert.True(
                    board.IllegalRequests.IsEmpty && board.IsBootAreaIntact,
                    $"{scenario.Name}, {board.Name}: {string.Join("; ", board.IllegalRequests)}"));
            });
        }
        Assert.True(flashed > 12, $"only {flashed} boards were flashed");
    }
}

using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Write protection and read protection, and troubles that look like them.</summary>
public sealed class ProtectionStories
{
    /// <summary>The ROM's USB DFU reports it, its UART does not: the old firmware is whole, and runs again where it ran.</summary>
    [Theory]
    [InlineData("octopus", BoardCondition.Unchanged)]
    [InlineData("ebb42", BoardCondition.Unchanged)]
    [InlineData("octopus-in-dfu", BoardCondition.Unknown)]
    [InlineData("uart-rom", BoardCondition.Unknown)]
    public void A_write_protected_first_sector_is_found_before_anything_is_changed(string scenario, BoardCondition condition) =>
        Story.Of(scenario, async story =>
    {
        story.Board.Flash.Protect(story.Board.Flash.SectorAt(story.Board.ApplicationStart));
        var report = await story.FailedAsync(story.Board.Name, "write-protected", condition);
        Assert.Contains("STM32CubeProgrammer", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Contains("Write Unprotect", report.Fault.Remedy.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(story.Events, step => step is { Phase: FlashPhase.Write, Kind: FlashEventKind.Begin });
        Assert.All(story.Board.Flash.Erases, count => Assert.Equal(0, count));
    });

    /// <summary>A sector that was blank before tells nothing until it is written.</summary>
    [Fact]
    public void A_protected_sector_that_was_blank_is_found_by_the_read_back() => Story.Of("uart-rom", async story =>
    {
        story.Board.Flash.Erase(0, story.Time.Now);
        story.Board.Flash.Protect(0);
        await story.PassAsync(TimeSpan.FromSeconds(2));
        await story.FailedAsync("octopus", "write-protected", BoardCondition.InBootloaderWithoutFirmware);
    });

    [Fact]
    [VirtualOnly("a real kernel delivers whole answers")]
    public void Answers_of_half_their_length_are_not_called_read_protection()
    {
        var begin = 0;
        Story.Of("octopus-in-dfu", async story =>
        {
            story.OnEvent = step =>
                begin = step is { Phase: FlashPhase.Identify, Kind: FlashEventKind.Begin } ? story.Printer.Transfers : begin;
            await story.FlashedAsync("octopus");
        });
        var every = Enumerable.Range(begin + 1, 400).Select(index => new TransferFault(index, TransferFaultKind.Short, TimeSpan.Zero));
        Story.Of("octopus-in-dfu", new InjectedFaults { Transfers = [.. every] }, async story =>
        {
            var report = (await story.FlashAsync("octopus")).Boards.Single();
            Assert.NotEqual("read-protected", report.Fault?.Code);
            Assert.NotNull(report.Fault);
        });
    }

    /// <summary>Firmware that could not be written is not started by the next reset.</summary>
    [Theory]
    [InlineData("octopus-katapult", BoardState.Katapult)]
    [InlineData("manta-m8p", BoardState.Katapult)]
    [InlineData("sb2209-rp2040", BoardState.Katapult)]
    [InlineData("ebb42", BoardState.Rom)]
    public void After_a_final_difference_a_power_cycle_starts_the_bootloader(string scenario, BoardState state)
    {
        var worn = 0u;
        Story.Of(scenario, story =>
        {
            // A cell of which the firmware wants the lowest bit set.
            var at = story.Build(story.Board).Bytes.Span[0x4001..].IndexOfAny((byte)0x01, (byte)0x47, (byte)0x4B) + 0x4001;
            worn = story.Board.ApplicationStart + (uint)at;
            return Task.CompletedTask;
        });
        Story.Of(scenario, new InjectedFaults { WornAt = worn }, async story =>
        {
            var report = (await story.FlashAsync(story.Board.Name)).Boards.Single();
            Assert.Equal(BoardCondition.InBootloaderWithoutFirmware, report.Condition);
            story.Board.PowerOff();
            story.Board.PowerOn();
            await story.PassAsync(TimeSpan.FromSeconds(3));
            Assert.Equal(state, story.Board.State);
        });
    }
}

using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Write protection and read protection, troubles that look like them, and bootloaders that no option byte protects.</summary>
public sealed class ProtectionStories
{
    /// <summary>A flash of firmware for a start that the board does not have, which its kind is declared with.</summary>
    private static async Task<BoardReport> FlashAtAsync(Story story, uint start)
    {
        var known = story.Known(story.Board.Name);
        var image = FirmwareImage.Parse(VirtualFirmware.Build(story.Board.Setup.Build with { Start = start }, "v0.13.0"), "klipper.bin");
        var request = new FlashRequest(known with { Board = known.Board with { FlashStartEffective = $"0x{start:x}" } }, image);
        var report = (await story.FlashAsync(CancellationToken.None, request)).Boards.Single();
        Assert.Equal("wrong-start", report.Fault?.Code);
        return report;
    }

    /// <summary>Nothing tells the start of a board that waits in its ROM, but its flash.</summary>
    [Theory]
    [InlineData("octopus-in-dfu", "08008000")]
    [InlineData("uart-rom-g0b1", "08002000")]
    public void A_ROM_does_not_write_over_a_bootloader(string scenario, string found) => Story.Of(scenario, async story =>
    {
        var report = await FlashAtAsync(story, story.Board.Flash.Base);
        Assert.Contains($"room for an application at {found}", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.All(story.Board.Flash.Erases, count => Assert.Equal(0, count));
    });

    /// <summary>What an interrupted flash leaves: the bootloader, and no beginning of an application.</summary>
    [Theory]
    [InlineData("octopus-in-dfu")]
    [InlineData("octopus-half-written")]
    public void Nor_over_one_whose_application_is_half_written(string scenario)
    {
        var board = Scenario.Find(scenario).Boards[0] with { State = BoardState.Rom };
        Story.Of(new Scenario("half written", "one board", board), InjectedFaults.None, async story =>
        {
            story.Board.Flash.Erase(story.Board.Flash.SectorAt(story.Board.ApplicationStart), story.Time.Now);
            await story.PassAsync(TimeSpan.FromSeconds(3));
            await FlashAtAsync(story, story.Board.Flash.Base);
            Assert.True(story.Board.IsBootAreaIntact);
        });
    }

    /// <summary>The catalogue's board has a bootloader, this one has none: Klipper would start itself, half overwritten.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_Klipper_without_a_bootloader_is_not_half_overwritten(bool isCutOff)
    {
        var board = Scenario.Find("octopus-in-dfu").Boards[0] with { ApplicationStart = 0x0800_0000, Stage = BootStage.None };
        Story.Of(new Scenario("replaced bootloader", "one board", board), InjectedFaults.None, async story =>
        {
            if (isCutOff)   // what an earlier flash of this kind left
                story.Board.Flash.Preset(0x0800_8000, VirtualFirmware.Build(board.Build with { Start = 0x0800_8000 }, "v0.13.0"));
            var report = await FlashAtAsync(story, 0x0800_8000);
            Assert.Contains("begins with Klipper, at 08000000", report.Fault!.Cause, StringComparison.Ordinal);
            Assert.All(story.Board.Flash.Erases, count => Assert.Equal(0, count));
        });
    }

    [Fact]
    public void Firmware_that_nothing_would_start_is_not_written() => Story.Of("octopus-in-dfu", async story =>
    {
        story.Board.Flash.Erase(0, story.Time.Now);
        await story.PassAsync(TimeSpan.FromSeconds(3));
        var report = await story.FailedAsync("octopus", "wrong-start", BoardCondition.Unknown);
        Assert.Contains("no program at 08000000", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal(1, story.Board.Flash.Erases.Sum());
    });

    /// <summary>The bootloader is gone; what it started is still there, behind the Klipper that took its place, whole or cut off.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(20 * 1024)]
    public void What_is_left_of_an_earlier_application_is_no_reason_to_refuse(int length)
    {
        var board = Scenario.Find("octopus-in-dfu").Boards[0] with { ApplicationStart = 0x0800_0000, Stage = BootStage.None };
        Story.Of(new Scenario("replaced bootloader", "one board", board), InjectedFaults.None, async story =>
        {
            story.Board.Flash.Preset(0x0801_0000, VirtualFirmware.Build(board.Build with { Start = 0x0801_0000 }, "v0.11.0"));
            if (length > 0)
                story.Board.Flash.Preset(0x0800_0000 + (uint)length, Enumerable.Repeat((byte)0xFF, 0x8000 - length).ToArray());
            await story.FlashedAsync("octopus");
        });
    }

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

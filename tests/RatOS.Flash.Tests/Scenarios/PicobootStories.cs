using RatOS.Flash.Bootloaders;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Boards with an RP2040 that are flashed in the chip's ROM (BOOTSEL).</summary>
public sealed class PicobootStories
{
    [Fact]
    public void An_RP2040_without_Katapult_is_flashed_without_a_button_and_without_its_drive() => Story.Of("rp2040", async story =>
    {
        var report = await story.FlashedAsync("sb2209");
        Assert.Empty(report.Notes);
        Assert.Equal("Klipper -> BOOTSEL -> write", report.Route);
        Assert.Equal(BoardState.Klipper, story.Board.State);
        Assert.Empty(story.Board.IllegalRequests);
    });

    [Fact]
    public void One_that_was_left_in_BOOTSEL_is_flashed_where_it_is() => Story.Of("rp2040-in-bootsel", async story =>
    {
        var report = await story.FlashedAsync("sb2209");
        Assert.Equal("waits in BOOTSEL -> write", report.Route);
        Assert.Empty(story.Board.IllegalRequests);
    });

    [Fact]
    public void Behind_Katapult_only_the_application_is_written_also_in_BOOTSEL() => Story.Of("rp2040-katapult-in-bootsel", async story =>
    {
        await story.FlashedAsync("sb2209");
        Assert.True(story.Board.IsBootAreaIntact);
        Assert.Equal(0, story.Board.Flash.Erases.Take(4).Sum());
    });

    [Fact]
    public void Klippers_request_leads_to_Katapult_where_it_is_below() => Story.Of("sb2209-rp2040", async story =>
    {
        var report = await story.FlashedAsync("sb2209");
        Assert.Equal("Klipper -> Katapult -> write", report.Route);
        Assert.Empty(report.Notes);
    });

    /// <summary>Their serials in BOOTSEL are the same: only the port tells one from the other.</summary>
    [Fact]
    public void Two_boards_in_BOOTSEL_at_the_same_time_are_told_apart_by_their_ports() => Story.Of("two-rp2040", async story =>
    {
        await story.AllFlashedAsync("sb2209", "sb2209-2");
        Assert.All(story.Printer.Boards, board => Assert.Equal(VirtualPrinter.HostVersion, board.RunningFirmware?.Version));
    });

    [Fact]
    public void One_of_two_is_flashed_and_the_other_is_left_alone() => Story.Of("two-rp2040", async story =>
    {
        await story.FlashedAsync("sb2209-2");
        Assert.Equal(0, story.Find("sb2209").Flash.Erases.Sum());
    });

    /// <summary>The ROM acknowledges such an erase: reading alone shows that nothing happened.</summary>
    [Fact]
    public void An_erase_that_was_acknowledged_and_did_nothing_is_found_before_anything_is_written() => Story.Of("rp2040", async story =>
    {
        story.Board.Flash.Protect(0);
        var report = await story.FailedAsync("sb2209", "write-protected", BoardCondition.Unchanged);
        Assert.Equal(BoardState.Klipper, story.Board.State);
        Assert.Equal(0, story.Board.Flash.Erases.Sum());
        Assert.DoesNotContain("STM32", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
    });

    [Fact]
    public void A_worn_page_is_found_by_reading_back_and_the_board_stays_in_BOOTSEL() =>
        Story.Of("rp2040", new InjectedFaults { WornAt = 0x1000_5000 }, async story =>
    {
        await story.FailedAsync("sb2209", "verify-failed", BoardCondition.InBootloaderWithoutFirmware);
        story.Board.PressReset();
        await story.PassAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(BoardState.Rom, story.Board.State);
    });

    [Theory]
    [InlineData(TransferFaultKind.Stall)]
    [InlineData(TransferFaultKind.Timeout)]
    [InlineData(TransferFaultKind.AnswerLost)]
    [InlineData(TransferFaultKind.BusError)]
    [InlineData(TransferFaultKind.Short)]
    [InlineData(TransferFaultKind.Late)]
    [InlineData(TransferFaultKind.WrongReadBack)]
    public void A_fault_at_any_transfer_costs_another_try_and_no_more(TransferFaultKind kind)
    {
        // Behind a real kernel each flash takes seconds: there one among the erases and one among the pages.
        var every = Enumerable.Range(1, 39).Concat(Enumerable.Range(8, 30).Select(fifth => fifth * 5));
        foreach (var index in Rig.IsHere ? [20, 120] : every)
        {
            var fault = new TransferFault(index, kind, TimeSpan.FromSeconds(3));
            Story.Of("rp2040-in-bootsel", new InjectedFaults { Transfers = [fault] }, async story =>
            {
                var report = (await story.FlashAsync("sb2209")).Boards.Single();
                Assert.True(report.Ok, $"{fault}: [{report.Fault?.Code}] {report.Fault?.Cause}\n{story.Transcript}");
                Assert.Empty(story.Board.IllegalRequests);
            });
        }
    }

    /// <summary>
    /// The page with the boot code is erased first and written last, so the ROM starts nothing in between: every cut ends in BOOTSEL.
    /// </summary>
    [Fact]
    [VirtualOnly("hundreds of flashes")]
    public void After_a_power_cut_at_any_moment_of_a_write_the_board_is_flashed_again_without_a_person()
    {
        var scenario = Scenario.Find("rp2040");
        var transfers = FaultTrial.Without(scenario).Transfers;
        for (var i = 0; i < transfers.Length - 1; i++)
        {
            if (transfers[i].Phase is not (FlashPhase.Erase or FlashPhase.Write))
                continue;
            foreach (var part in (double[])[0.1, 0.5, 0.95])
            {
                var cut = new TransferFault(i + 1, TransferFaultKind.PowerCut, TimeSpan.FromSeconds(-1))
                {
                    After = (transfers[i + 1].At - transfers[i].At) * part,
                };
                var trial = FaultTrial.Run(scenario, new InjectedFaults { Transfers = [cut] });
                Assert.True(trial.Problems.IsEmpty, $"{cut}: {string.Join('\n', trial.Problems)}");
                Assert.True(trial.Outcome == TrialOutcome.Flashed || trial.Step is SimulatedStep.Power or SimulatedStep.FlashAgain,
                    $"{cut}: {trial.Outcome}, {trial.Step}");
            }
        }
    }

    /// <summary>43 KiB in at most 1.25 times what the flash chip takes for its erases and its pages.</summary>
    [Fact]
    [VirtualOnly("times count on the virtual bus alone")]
    public void Erase_write_and_read_back_take_little_more_than_the_flash_chip_itself() => Story.Of("rp2040", async story =>
    {
        var (begin, end) = (TimeSpan.Zero, TimeSpan.Zero);
        story.OnEvent = step =>
        {
            begin = step.Kind == FlashEventKind.PointOfNoReturn ? step.At : begin;
            end = step is { Phase: FlashPhase.Verify, Kind: FlashEventKind.End } ? step.At : end;
        };
        await story.FlashedAsync("sb2209");
        var size = story.Build("sb2209").Bytes.Length;
        var chip = VirtualChip.Rp2040;
        var floor = ((size + 4095) / 4096 * chip.Sectors[0].EraseTime) + ((size + 255) / 256 * chip.ProgramTime);
        Assert.InRange((end - begin) / floor, 1, 1.25);
    });

    /// <summary>Another ROM, other commands; no boot code in front of the application.</summary>
    [Theory]
    [InlineData(0x1000_0000u, BootStage.None, "bootsel")]
    [InlineData(0x1000_4000u, BootStage.Katapult, "katapult")]
    public void An_RP2350_is_flashed_as_its_datasheet_says(uint start, BootStage stage, string bootloader) =>
        Story.Of(Rp2350(start, stage), InjectedFaults.None, async story =>
    {
        var report = (await story.FlashAsync(CancellationToken.None, Rp2350Request(story))).Boards.Single();
        Assert.True(report.Ok, $"[{report.Fault?.Code}] {report.Fault?.Cause}\n{story.Transcript}");
        Assert.Contains(Drivers.Find(bootloader)!.Label, report.Route, StringComparison.Ordinal);
        Assert.Empty(story.Board.IllegalRequests);
    });

    [Fact]
    public void An_RP2350_with_a_partition_table_is_left_as_it_is() =>
        Story.Of(Rp2350(0x1000_0000, BootStage.None), new InjectedFaults { Partitions = 2 }, async story =>
    {
        var report = (await story.FlashAsync(CancellationToken.None, Rp2350Request(story))).Boards.Single();
        Assert.Equal(("bootsel-closed", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
        Assert.Contains("a table of 2 partitions", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal(0, story.Board.Flash.Erases.Sum());
        Assert.Equal(BoardState.Klipper, story.Board.State);
    });

    private static Scenario Rp2350(uint start, BootStage stage) => new("rp2350", "an RP2350",
        new BoardSetup("it", "btt-sb-2209-10-rp", KconfigChips.All.Single(chip => chip.Name == "rp2350"), start, "1-1.3")
        {
            Stage = stage,
            IsBusPowered = true,
        });

    private static FlashRequest Rp2350Request(Story story)
    {
        var known = story.Known("it");
        return new(known with { Board = known.Board with { McuName = "rp2350" } }, story.Build("it"));
    }

    [Fact]
    public void A_board_that_runs_is_recovered_from_BOOTSEL_without_a_flash() => Story.Of("rp2040-in-bootsel", async story =>
    {
        var report = await story.RecoverAsync("sb2209", hasFirmware: false);
        Assert.Equal(BoardCondition.Running, report.Condition);
        Assert.Equal(BoardState.Klipper, story.Board.State);
    });
}

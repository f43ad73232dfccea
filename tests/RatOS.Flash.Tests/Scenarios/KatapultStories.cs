using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>What people live through with boards that carry Katapult.</summary>
public sealed class KatapultStories
{
    [Theory]
    [InlineData("octopus-katapult", "octopus")]
    [InlineData("octopus-half-written", "octopus")]
    [InlineData("h723-katapult", "octopus-pro")]
    [InlineData("manta-m8p", "manta-m8p")]      // holds its first answer back until a second one is queued
    [InlineData("sb2209-rp2040", "sb2209")]     // buffers pages, writes nothing before the end
    [InlineData("uart-katapult", "octopus")]
    [InlineData("old-katapult", "octopus")]     // protocol 1.0
    public void A_board_with_Katapult_is_flashed_and_proven_by_a_reset(string scenario, string board) => Story.Of(scenario, async story =>
    {
        var report = await story.FlashedAsync(board);
        Assert.Empty(report.Notes);
        Assert.Equal(BoardState.Klipper, story.Board.State);
    });

    /// <summary>A block of ones leaves it blank; where they cannot be written over, zeros cost an erase more.</summary>
    [Theory]
    [InlineData("octopus-katapult", 1)]
    [InlineData("manta-m8p", 2)]
    public void The_first_sector_is_erased_as_often_as_its_chip_needs(string scenario, int times) => Story.Of(scenario, async story =>
    {
        await story.FlashedAsync(story.Board.Name);
        var erases = story.Board.Flash.Erases;
        Assert.Equal(times, erases[story.Board.Flash.SectorAt(story.Board.ApplicationStart)]);
        Assert.Equal(1, erases[story.Board.Flash.SectorAt(story.Board.ApplicationStart) + 1]);
    });

    [Fact]
    public void A_board_that_Katapult_starts_elsewhere_than_declared_is_refused_and_runs_its_old_firmware_again() =>
        Story.Of("octopus-katapult", async story =>
    {
        var known = story.Known("octopus");
        var wrong = known with { Board = known.Board with { FlashStartEffective = "0x8010000" } };
        var image = Firmware.FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0801_0000, "v0.13.0"), "klipper.bin");
        var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(wrong, image))).Boards.Single();
        Assert.Equal(("wrong-start", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
        Assert.Equal("v0.12.0-10-g1f2a9e1c", story.Board.RunningFirmware?.Version);
    });

    /// <summary>Every kind of trouble on the wire, at every tenth frame: retried, or told; never taken for another answer.</summary>
    [VirtualOnly("hundreds of flashes")]
    [Theory]
    [InlineData("octopus-katapult")]
    [InlineData("manta-m8p")]
    [InlineData("sb2209-rp2040")]
    [InlineData("uart-katapult")]
    public void Answers_lost_doubled_or_late_at_any_frame_do_not_fool_the_flash(string scenario)
    {
        foreach (var kind in new[] { TransferFaultKind.Lost, TransferFaultKind.Doubled, TransferFaultKind.Late })
        {
            for (var index = 1; index < 1800; index += 97)
            {
                var fault = new TransferFault(index, kind, TimeSpan.FromSeconds(2.5));
                Story.Of(scenario, new InjectedFaults { Transfers = [fault] }, async story =>
                {
                    var report = (await story.FlashAsync(story.Board.Name)).Boards.Single();
                    Assert.True(report.Ok, $"{fault}: {report.Fault?.Cause}");
                });
            }
        }
    }

    [Fact]
    public void A_damaged_frame_on_a_wire_wedges_Katapult_and_the_fault_says_what_cures_it() =>
        Story.Of("uart-katapult", new InjectedFaults { Transfers = [new(400, TransferFaultKind.Damaged, TimeSpan.Zero)] }, async story =>
        {
            var report = await story.FailedAsync("octopus", "katapult-wedged", BoardCondition.InBootloaderWithoutFirmware);
            Assert.Contains("twice", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
            // The person does it, and flashes again: the order of the write kept Katapult in charge.
            story.Board.DoublePressReset();
            await story.PassAsync(TimeSpan.FromSeconds(1));
            await story.FlashedAsync("octopus");
        });

    [Fact]
    public void A_board_on_a_wire_whose_power_fails_in_mid_write_is_never_called_unchanged() =>
        Story.Of("uart-katapult", new InjectedFaults { Transfers = [new(400, TransferFaultKind.PowerCut, TimeSpan.FromSeconds(-1))] },
            async story =>
            await story.FailedAsync("octopus", "katapult-silent", BoardCondition.InBootloaderWithoutFirmware));

    [Fact]
    public void A_damaged_answer_on_a_wire_is_asked_for_again() =>
        Story.Of("uart-katapult", new InjectedFaults { Transfers = [new(400, TransferFaultKind.AnswerDamaged, TimeSpan.Zero)] },
            async story => await story.FlashedAsync("octopus"));

    [Fact]
    public void A_worn_cell_is_refused_by_Katapult_itself_and_the_half_written_firmware_is_never_started() =>
        Story.Of("octopus-katapult", new InjectedFaults { WornAt = 0x0801_0001 }, async story =>
        {
            await story.FailedAsync("octopus", "katapult-refused", BoardCondition.InBootloaderWithoutFirmware);
            Assert.Equal(BoardState.Katapult, story.Board.State);
        });

    [Fact]
    public void Klipper_is_never_spoken_to_a_board_in_Katapult() => Story.Of("octopus-half-written", async story =>
    {
        await story.FlashedAsync("octopus");
        Assert.DoesNotContain(story.Events, step => step.Phase == FlashPhase.Ask);
    });
}

/// <summary>Cables that are pulled and power that fails, at every single transfer.</summary>
public sealed class CutStories
{
    private static int TransfersOf(string scenario)
    {
        var transfers = 0;
        Story.Of(scenario, async story =>
        {
            await story.FlashedAsync(story.Board.Name);
            transfers = story.Printer.Transfers;
        });
        return transfers;
    }

    /// <summary>A mainboard has power of its own: with the cable back the flash goes on and ends well, wherever it was pulled.</summary>
    [VirtualOnly("hundreds of flashes")]
    [Theory]
    [InlineData("octopus", 1)]
    [InlineData("octopus-katapult", 7)]
    [InlineData("octopus-pro-h723", 1)]
    public void A_cable_pulled_at_any_transfer_and_put_back_does_not_end_the_flash(string scenario, int step)
    {
        var transfers = TransfersOf(scenario);
        Assert.True(transfers > 100);
        for (var index = 1; index <= transfers; index += step)
        {
            var fault = new TransferFault(index, TransferFaultKind.Unplug, TimeSpan.FromSeconds(3));
            Story.Of(scenario, new InjectedFaults { Transfers = [fault] }, async story =>
            {
                var report = (await story.FlashAsync(story.Board.Name)).Boards.Single();
                Assert.True(report.Ok,
                    $"{fault}: [{report.Fault?.Code}] {report.Fault?.Cause} "
                    + $"{string.Join('\n', story.Events.Select(e => $"{e.At.TotalSeconds:0.00} {e.Phase} {e.Kind} {e.Message}"))}");
            });
        }
    }

    /// <summary>Everything behind a hub drops at once and returns, at any moment of a flash of three boards.</summary>
    [VirtualOnly("hundreds of flashes")]
    [Fact]
    public void A_hub_that_drops_at_any_moment_and_returns_does_not_end_the_flash()
    {
        for (var moment = TimeSpan.FromSeconds(0.601); moment < TimeSpan.FromSeconds(12); moment += TimeSpan.FromSeconds(0.037))
        {
            Story.Of("voron", async story =>
            {
                story.Time.Schedule(moment, () =>
                {
                    foreach (var board in story.Printer.Boards)
                        board.Unplug();
                });
                story.Time.Schedule(moment + TimeSpan.FromSeconds(4), () =>
                {
                    foreach (var board in story.Printer.Boards)
                        board.Plug();
                });
                var report = await story.FlashAsync("octopus", "ebb42", "octopus-pro");
                Story.CheckAfterDrop(report, $"{moment}");
            });
        }
    }

    /// <summary>
    /// Power fails at any transfer and returns; then the same flash is started again, after BOOT0 or a double reset where a person is
    /// needed. In the end the board runs; and where the chip or Katapult can see that there is no firmware, no operator is needed.
    /// </summary>
    [VirtualOnly("hundreds of flashes")]
    [Theory]
    [InlineData("octopus", 1, 0.5)]
    [InlineData("octopus-katapult", 5, 0.75)]
    [InlineData("ebb42", 1, 0.99)]
    [InlineData("manta-m8p", 5, 0.95)]
    public void Power_cut_at_any_transfer_leaves_a_board_that_can_be_flashed(string scenario, int step, double leastAlone)
    {
        var transfers = TransfersOf(scenario);
        var (cuts, alone) = (0, 0);
        for (var index = 1; index <= transfers; index += step)
        {
            var fault = new TransferFault(index, TransferFaultKind.PowerCut, TimeSpan.FromSeconds(2));
            Story.Of(scenario, new InjectedFaults { Transfers = [fault] }, async story =>
            {
                cuts++;
                var report = (await story.FlashAsync(story.Board.Name)).Boards.Single();
                if (report.Ok)
                {
                    alone++;
                    return;
                }
                Assert.True(report.Condition.MayLackFirmware(), $"{report.Condition}");
                story.Board.Boot0 = story.Board.Setup.Stage != BootStage.Katapult;
                story.Board.DoublePressReset();
                await story.PassAsync(TimeSpan.FromSeconds(3));
                story.Board.Boot0 = false;
                await story.FlashedAsync(story.Board.Name);
            });
        }
        Assert.True(alone >= leastAlone * cuts, $"only {alone} of {cuts} came back without a person");
    }
}

/// <summary>Refusals, people who change their mind, and computers that stand in the way.</summary>
public sealed class RefusalStories
{
    [Fact]
    public void A_printing_printer_is_left_alone() => Story.Of("octopus", async story =>
    {
        story.Printer.Klippy.Busy = "printing benchy.gcode, 37 %";
        var report = await story.FailedAsync("octopus", "printer-busy", BoardCondition.Unchanged);
        Assert.True(report.Refused);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void A_print_that_begins_between_the_plan_and_the_stop_is_seen() => Story.Of("octopus", async story =>
    {
        story.OnEvent = step =>
        {
            if (step.Phase == FlashPhase.Plan)
                story.Printer.Klippy.Busy = "homing";
        };
        await story.FailedAsync("octopus", "printer-busy", BoardCondition.Unchanged);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [Fact]
    public void Klipper_that_will_not_stop_ends_the_flash_before_it_began() => Story.Of("octopus", async story =>
    {
        story.Printer.Klippy.WillNotStop = "systemd said no";
        Assert.False((await story.FailedAsync("octopus", "klipper-would-not-stop", BoardCondition.Unchanged)).Refused);
    });

    [Fact]
    public void Klipper_that_does_not_start_again_is_reported_beside_the_boards_success() => Story.Of("octopus", async story =>
    {
        story.Printer.Klippy.WillNotStart = "systemd said no";
        var report = await story.FlashAsync("octopus");
        Assert.Equal((true, "klipper-not-started", false), (report.Boards[0].Ok, report.Klippy?.Code, report.Ok));
    });

    [Theory]
    [InlineData(FlashPhase.Look)]
    [InlineData(FlashPhase.Stop)]
    [InlineData(FlashPhase.Ask)]
    [InlineData(FlashPhase.Enter)]
    [InlineData(FlashPhase.Identify)]
    public void A_cancel_before_the_point_of_no_return_leaves_the_board_on_its_old_firmware(FlashPhase phase)
    {
        foreach (var scenario in new[] { "octopus", "octopus-katapult", "uart-katapult" })
        {
            Story.Of(scenario, async story =>
            {
                using var cancel = new CancellationTokenSource();
                story.OnEvent = step =>
                {
                    if (step.Phase == phase)
                        cancel.Cancel();
                };
                var report =
                    (await story.FlashAsync(cancel.Token,
                        new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Boards.Single();
                if (scenario == "uart-katapult" && phase == FlashPhase.Ask)
                {
                    Assert.True(report.Ok);   // a board on a wire is not asked: there is no such phase to cancel in
                    return;
                }
                Assert.Equal(("cancelled", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
                Assert.Equal("v0.12.0-10-g1f2a9e1c", story.Board.RunningFirmware?.Version);
                Assert.True(story.Printer.Klippy.IsRunning);
            });
        }
    }

    [Theory]
    [InlineData(FlashPhase.Erase)]
    [InlineData(FlashPhase.Write)]
    [InlineData(FlashPhase.Verify)]
    [InlineData(FlashPhase.Prove)]
    public void A_cancel_after_it_is_heeded_when_the_board_is_whole(FlashPhase phase) => Story.Of("octopus", async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (step.Phase == phase && step.Kind == FlashEventKind.Begin)
                cancel.Cancel();
        };
        var report = await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")));
        Assert.True(report.Ok);
    });

    [Fact]
    [VirtualOnly("the cable is pulled between two transfers")]
    public void A_cancel_does_not_end_the_wait_for_a_half_written_board() => Story.Of("octopus-katapult", async story =>
    {
        using var cancel = new CancellationTokenSource();
        story.OnEvent = step =>
        {
            if (cancel.IsCancellationRequested || step is not { Phase: FlashPhase.Write, Kind: FlashEventKind.Begin })
                return;
            cancel.Cancel();
            story.Board.Unplug();
            story.Time.Schedule(TimeSpan.FromSeconds(20), () => story.Board.Plug());
        };
        Assert.True((await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("octopus"), story.Build("octopus")))).Ok);
    });

    [Fact]
    public void Another_chip_in_the_bootloader_is_found_before_a_byte_is_written() => Story.Of("octopus-in-dfu", async story =>
    {
        var known = story.Known("octopus");
        foreach (var (id, chip) in new[] { ("btt-octopus-11-407", VirtualChip.F407), ("btt-octopus-pro-429", VirtualChip.F429),
                ("btt-manta-m8p", VirtualChip.G0B1) })
        {
            var board = known with { Board = BoardCatalogueOf(id) };
            var image = Firmware.FirmwareImage.Parse(VirtualFirmware.Build(chip, board.Board.ApplicationStart!.Value, "v0.13.0"),
                "klipper.bin");
            var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(board, image))).Boards.Single();
            Assert.Equal(("wrong-mcu", BoardCondition.Unknown), (report.Fault?.Code, report.Condition));
            Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
        }
    });

    [VirtualOnly("a real process holds a real port in the tests of the rig")]
    [Fact]
    public void A_port_that_another_program_holds_is_named_with_the_program() =>
        Story.Of("octopus", new InjectedFaults { PortsHeldBy = "ModemManager (process 812)" }, async story =>
        {
            var report = await story.FailedAsync("octopus", "port-held", BoardCondition.Unchanged);
            Assert.Contains("ModemManager", report.Fault!.Cause, StringComparison.Ordinal);
        });

    [VirtualOnly("a real process holds a real port in the tests of the rig")]
    [Fact]
    public void A_program_that_only_looks_at_a_new_port_is_waited_for() =>
        Story.Of("octopus", new InjectedFaults { PortsHeldBy = "ModemManager (process 812)", PortsHeldUntil = TimeSpan.FromSeconds(8) },
            async story =>
        {
            await story.FlashedAsync("octopus");
            Assert.Contains(story.Events, step => step.Message.Contains("Waiting until it closes the port", StringComparison.Ordinal));
        });

    [VirtualOnly("a real user without rights is in the tests of the rig")]
    [Fact]
    public void Missing_permission_is_reported_with_the_rule_and_the_groups() =>
        Story.Of("octopus", new InjectedFaults { NoPermission = true }, async story =>
    {
        var report = await story.FailedAsync("octopus", "no-permission", BoardCondition.Unchanged);
        Assert.Contains("dialout", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
    });

    [VirtualOnly("a real user without rights is in the tests of the rig")]
    [Fact]
    public void Klipper_is_not_stopped_to_ask_a_board_that_may_not_be_opened() =>
        Story.Of("octopus", new InjectedFaults { NoPermission = true }, async story =>
    {
        var request = new FlashRequest(story.Known("octopus"), null) { Job = FlashJob.Identify };
        var report = (await story.FlashAsync(CancellationToken.None, request)).Boards.Single();
        Assert.Equal("no-permission", report.Fault?.Code);
        Assert.Equal(0, story.Printer.Klippy.Stops);
    });

    [VirtualOnly("a real computer without the rule is in the tests of the rig")]
    [Fact]
    public void Without_the_rule_for_its_ROM_a_running_board_is_not_sent_into_it() =>
        Story.Of("octopus", new InjectedFaults { HasNoRomRule = true }, async story =>
    {
        var report = await story.FailedAsync("octopus", "no-permission", BoardCondition.Unchanged);
        Assert.True(report.Refused);
        Assert.Contains("99-ratos-flash.rules", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(story.Events, step => step.Phase == FlashPhase.Enter);
        Assert.Contains(story.Events, step => step is { Phase: FlashPhase.Plan, Kind: FlashEventKind.Note }
            && step.Message.Contains("No permission to open 0483:df11", StringComparison.Ordinal));
    });

    [VirtualOnly("a real computer without the rule is in the tests of the rig")]
    [Fact]
    public void A_board_with_Katapult_needs_no_rule_for_its_ROM() =>
        Story.Of("octopus-katapult", new InjectedFaults { HasNoRomRule = true }, async story => await story.FlashedAsync("octopus"));

    [VirtualOnly("the kernel's udev sets its own pace")]
    [Theory]
    [InlineData("octopus")]
    [InlineData("octopus-katapult")]
    public void A_permission_that_arrives_late_is_waited_for(string scenario) =>
        Story.Of(scenario, new InjectedFaults { PermissionDelay = TimeSpan.FromSeconds(3) },
            async story => await story.FlashedAsync("octopus"));

    private static Boards.Board BoardCatalogueOf(string id) => Boards.BoardCatalogue.BuiltIn.Find(id)!;
}

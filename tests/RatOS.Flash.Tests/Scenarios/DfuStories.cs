using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Flashes through the ROM's USB DFU, each checked by <see cref="FlashInvariants"/>.</summary>
public sealed class DfuStories
{
    [Theory]
    [InlineData("octopus", "octopus")]
    [InlineData("octopus-407", "octopus")]
    [InlineData("octopus-pro-h723", "octopus-pro")]
    [InlineData("ebb42", "ebb42")]
    [InlineData("ebb36-f072", "ebb36")]
    [InlineData("stranger", "octopus")]
    public void A_board_that_runs_an_old_Klipper_is_flashed_and_proven_by_a_reset(string scenario, string board) =>
        Story.Of(scenario, async story =>
    {
        var report = await story.FlashedAsync(board);
        Assert.Equal(("v0.12.0-10-g1f2a9e1c", VirtualPrinter.HostVersion), (report.OldVersion, report.NewVersion));
        Assert.Equal("Klipper -> USB DFU -> write", report.Route);
        Assert.Empty(report.Notes);
        Assert.Equal(BoardState.Klipper, story.Board.State);
        Assert.Empty(story.Board.IllegalRequests);
        Assert.Equal(1, story.Printer.Klippy.Stops);
        // Each sector once, and only those that the image touches.
        Assert.All(story.Board.Flash.Erases, count => Assert.InRange(count, 0, 1));
    });

    /// <summary>A kind whose firmware owns the whole flash: it would have the stock bootloader erased.</summary>
    [Fact]
    public void A_board_that_runs_at_another_start_than_its_kind_has_is_not_written() => Story.Of("octopus", async story =>
    {
        var kind = Boards.BoardCatalogue.BuiltIn.Find("ldo-leviathan-12")!;
        var image = Firmware.FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_0000, "v0.13.0"), "klipper.bin");
        var report = (await story.FlashAsync(CancellationToken.None,
            new FlashRequest(story.Known("octopus") with { Board = kind }, image))).Boards.Single();
        Assert.Equal(("wrong-start", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
        Assert.Contains("08008000 according to its running firmware", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Contains("08000000 according to the catalogue", report.Fault.Cause, StringComparison.Ordinal);
    });

    [Fact]
    public void The_phases_come_in_their_order_and_the_point_of_no_return_before_the_first_erase() => Story.Of("octopus", async story =>
    {
        await story.FlashedAsync("octopus");
        var begun = story.Events.Where(step => step.Kind == FlashEventKind.Begin).Select(step => step.Phase).Distinct();
        Assert.Equal(
            [FlashPhase.Look, FlashPhase.Stop, FlashPhase.Ask, FlashPhase.Enter, FlashPhase.Identify, FlashPhase.Erase,
                FlashPhase.Write, FlashPhase.Verify,
                FlashPhase.Leave, FlashPhase.Confirm, FlashPhase.Prove, FlashPhase.Start], begun);
        var commit = story.Events.Single(step => step.Kind == FlashEventKind.PointOfNoReturn);
        Assert.True(commit.Sequence < story.Events.First(step =>
                step.Phase == FlashPhase.Erase && step.Kind == FlashEventKind.Begin).Sequence);
        Assert.All(story.Events.Where(step => step.Kind == FlashEventKind.Progress), step => Assert.InRange(step.Done, 1, step.Total));
    });

    [Fact]
    public void A_board_left_in_DFU_by_a_flash_that_died_is_flashed_from_there() => Story.Of("octopus-in-dfu", async story =>
        Assert.Equal("waits in USB DFU -> write", (await story.FlashedAsync("octopus")).Route));

    [Fact]
    public void H1_a_board_that_answers_as_Katapult_is_flashed_through_Katapult() => Story.Of("h1-katapult-unexpected", async story =>
        Assert.Equal("Klipper -> Katapult -> write", (await story.FlashedAsync("octopus")).Route));

    [Fact]
    public void H2_a_rom_that_takes_eight_seconds_is_waited_for() =>
        Story.Of("h2-slow-enumeration", async story => await story.FlashedAsync("octopus"));

    [Fact]
    public void H2_a_rom_that_never_comes_is_reported_with_its_cause_and_power_brings_the_board_back() =>
        Story.Of("h2-no-enumeration", async story =>
    {
        var report = await story.FailedAsync("octopus", "bootloader-not-seen", BoardCondition.Unchanged);
        Assert.Contains("SD slot", report.Fault!.Cause, StringComparison.Ordinal);
        story.Board.PowerOff();
        story.Board.PowerOn();
        await story.PassAsync(TimeSpan.FromSeconds(3));
        Assert.Equal(BoardState.Klipper, story.Board.State);
    });

    [VirtualOnly("a real kernel takes what has left off its list")]
    [Fact]
    public void H3_a_device_node_that_stays_for_three_seconds_is_never_taken_for_the_new_board() =>
        Story.Of("h3-old-node-stays", async story =>
    {
        await story.FlashedAsync("octopus");
        Assert.DoesNotContain(story.Events, step => step.Message.Contains("came back as Klipper", StringComparison.Ordinal));
    });

    [VirtualOnly("a real kernel takes what has left off its list")]
    [Fact]
    public void H3_a_lingering_node_is_not_opened_again_when_a_cable_was_pulled() =>
        Story.Of("octopus",
            new InjectedFaults
            {
                Lingers = TimeSpan.FromSeconds(3),
                Transfers = [new(180, TransferFaultKind.Unplug, TimeSpan.FromSeconds(5))]
            }, async story =>
        {
            await story.FlashedAsync("octopus");
            Assert.Single(story.Events, step => step.Message.Contains("left the bus while", StringComparison.Ordinal));
        });

    /// <summary>
    /// A card whose file is never renamed brings the old firmware back at every reset: also one of the same version text is found out.
    /// </summary>
    [Theory]
    [InlineData("v0.12.0-10-g1f2a9e1c", null)]
    [InlineData(VirtualPrinter.HostVersion, "gcc: another compiler")]
    public void Firmware_that_a_card_brings_back_at_the_reset_is_never_taken_for_ours(string version, string? compiler) =>
        Story.Of("octopus", async story =>
    {
        story.Board.SdFirmware = VirtualFirmware.Build(story.Board.Chip, story.Board.ApplicationStart, version, compiler: compiler);
        story.Board.SdFileStays = true;
        await story.FailedAsync("octopus", "other-firmware-runs", BoardCondition.Unconfirmed);
    });

    [VirtualOnly("the Klipper of the virtual printer holds no real port")]
    [Fact]
    public void H4_Klipper_that_is_started_during_the_flash_is_stopped_again() => Story.Of("h4-foreign-start", async story =>
    {
        await story.FlashedAsync("octopus");
        Assert.Equal(2, story.Printer.Klippy.Stops);
    });

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_request_for_the_bootloader_that_is_ignored_is_made_again_under_other_conditions(int times) =>
        Story.Of("octopus", new InjectedFaults { TouchesIgnored = times }, async story => await story.FlashedAsync("octopus"));

    [Fact]
    public void A_board_that_never_leaves_Klipper_is_untouched_and_says_so() =>
        Story.Of("octopus", new InjectedFaults { TouchesIgnored = 99 }, async story =>
    {
        var report = await story.FailedAsync("octopus", "touch-ignored", BoardCondition.Unchanged);
        // It was reset before the second request, and left the bus then.
        Assert.StartsWith("octopus was asked 3 times for its bootloader and stayed in Klipper.",
            report.Fault!.Cause, StringComparison.Ordinal);
        Assert.True(story.Printer.Klippy.IsRunning);
    });

    [Fact]
    public void A_board_that_comes_back_as_Klipper_twice_is_flashed_the_third_time() =>
        Story.Of("octopus", new InjectedFaults { TouchesInVain = 2 }, async story => await story.FlashedAsync("octopus"));

    [Fact]
    public void A_board_that_always_comes_back_as_Klipper_is_untouched_and_says_so() =>
        Story.Of("octopus", new InjectedFaults { TouchesInVain = 99 }, async story =>
        await story.FailedAsync("octopus", "came-back-as-klipper", BoardCondition.Unchanged));

    [Fact]
    public void A_leave_answered_by_silence_is_no_failure() =>
        Story.Of("octopus", new InjectedFaults { LeaveIsSilent = true }, async story =>
            Assert.Empty((await story.FlashedAsync("octopus")).Notes));

    [Fact]
    public void A_rom_that_does_not_leave_is_asked_again() => Story.Of("octopus", new InjectedFaults { LeavesIgnored = 2 }, async story =>
        Assert.NotEmpty((await story.FlashedAsync("octopus")).Notes));

    [Fact]
    public void A_cable_pulled_instead_of_the_reset_is_not_taken_for_one() => Story.Of("octopus", async story =>
    {
        var pulled = false;
        story.OnEvent = step =>
        {
            if (step is not { Phase: FlashPhase.Prove, Kind: FlashEventKind.Begin } || pulled)
                return;
            pulled = true;
            story.Board.Unplug();
            story.Time.Schedule(TimeSpan.FromSeconds(2), () => story.Board.Plug());
        };
        Assert.Contains((await story.FlashedAsync("octopus")).Notes, note =>
            note.Contains("left the bus without a reset", StringComparison.Ordinal));
    });

    [Fact]
    public void A_reset_command_without_effect_is_sent_again() =>
        Story.Of("octopus", new InjectedFaults { ResetsIgnored = 2 }, async story =>
        Assert.Equal(2,
            (await story.FlashedAsync("octopus")).Notes.Count(note => note.Contains("sending it again", StringComparison.Ordinal))));

    [VirtualOnly("a real kernel takes a device off its list as soon as it knows")]
    [Fact]
    public void A_reset_whose_departure_is_listed_late_is_not_taken_for_none() =>
        Story.Of("octopus", new InjectedFaults { Lingers = TimeSpan.FromSeconds(12) }, async story =>
        Assert.DoesNotContain((await story.FlashedAsync("octopus")).Notes, note =>
            note.Contains("left the bus without a reset", StringComparison.Ordinal)));

    [Fact]
    public void A_firmware_that_cannot_be_reset_is_unconfirmed() =>
        Story.Of("octopus", new InjectedFaults { ResetsIgnored = 99 }, async story =>
        await story.FailedAsync("octopus", "klipper-silent", BoardCondition.Unconfirmed));

    [Fact]
    public void A_rom_that_never_leaves_is_unconfirmed_and_power_starts_the_new_firmware() =>
        Story.Of("octopus", new InjectedFaults { LeavesIgnored = 99 }, async story =>
    {
        await story.FailedAsync("octopus", "did-not-leave", BoardCondition.Unconfirmed);
        story.Board.PowerOff();
        story.Board.PowerOn();
        await story.PassAsync(TimeSpan.FromSeconds(3));
        Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
    });

    [VirtualOnly("a dozen flashes, and nothing of a kernel in them")]
    [Fact]
    public void Poll_times_that_lie_change_nothing()
    {
        foreach (var poll in new[] { 0, 1, 5_000, 16_000_000 })
        {
            foreach (var scenario in new[] { "octopus", "ebb42", "ebb36-f072" })
                Story.Of(scenario, new InjectedFaults { PollTime = TimeSpan.FromMilliseconds(poll) }, async story =>
                    await story.FlashedAsync(story.Board.Name));
        }
    }

    [VirtualOnly("it counts the bus's own time")]
    [Fact]
    public void Where_nothing_is_announced_nothing_is_waited_for() =>
        Story.Of(WithErase("octopus-in-dfu", TimeSpan.Zero), new InjectedFaults { PollTime = TimeSpan.Zero }, async story =>
    {
        var (begin, end) = ((TimeSpan.Zero, 0), (TimeSpan.Zero, 0));
        story.OnEvent = step =>
        {
            if (step is { Phase: FlashPhase.Write, Kind: FlashEventKind.Begin })
                begin = (step.At, story.Printer.Transfers);
            if (step is { Phase: FlashPhase.Write, Kind: FlashEventKind.End })
                end = (step.At, story.Printer.Transfers);
        };
        var report = await story.FlashedAsync("octopus");
        var transfers = end.Item2 - begin.Item2;
        Assert.InRange(transfers, 60, 100);
        // The bytes of the image, and of each answer; not one wait between them.
        var bus = (transfers * VirtualPrinter.ControlOverhead) + ((report.Size + (transfers * 6)) * VirtualPrinter.ControlByte);
        Assert.InRange(end.Item1 - begin.Item1, bus / 2, bus);
    });

    /// <summary>A second of erase, or five until it is cleared, in questions of a third of a millisecond would be thousands.</summary>
    [VirtualOnly("it counts questions")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_chip_that_is_busy_and_announces_nothing_is_asked_now_and_then(bool isStuck) =>
        Story.Of("octopus-pro-h723", new InjectedFaults { PollTime = TimeSpan.Zero, StuckInBusy = isStuck }, async story =>
        {
            var (begin, end) = (0, 0);
            story.OnEvent = step =>
            {
                begin = step is { Phase: FlashPhase.Erase, Kind: FlashEventKind.Begin } ? story.Printer.Transfers : begin;
                end = step is { Phase: FlashPhase.Erase, Kind: FlashEventKind.End } ? story.Printer.Transfers : end;
            };
            await story.FlashedAsync("octopus-pro");
            Assert.InRange(end - begin, 20, isStuck ? 400 : 100);
        });

    [VirtualOnly("it is the engine's clock that ends it")]
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public void A_chip_that_is_busy_for_ever_ends_with_a_fault(int poll) =>
        Story.Of(WithErase("octopus-pro-h723", TimeSpan.FromHours(3)),
            new InjectedFaults { PollTime = TimeSpan.FromMilliseconds(poll) }, async story =>
        {
            var report = await story.FailedAsync("octopus-pro", "dfu-stuck", BoardCondition.Unknown);
            Assert.InRange(report.Elapsed, TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(2));
            Assert.InRange(story.Printer.Transfers, 100, 5000);
        });

    private static Scenario WithErase(string scenario, TimeSpan erase)
    {
        var known = Scenario.Find(scenario);
        var chip = known.Boards[0].Chip;
        return known with
        {
            Boards = [known.Boards[0] with
            {
                Chip = chip with
                {
                    ProgramTime = TimeSpan.Zero,
                    Sectors = [.. chip.Sectors.Select(sector => sector with { EraseTime = erase })],
                },
            }],
        };
    }

    [Fact]
    public void A_chip_that_sits_in_busy_until_cleared_twice_is_flashed() =>
        Story.Of("octopus-pro-h723", new InjectedFaults { StuckInBusy = true }, async story => await story.FlashedAsync("octopus-pro"));

    [Fact]
    public void A_rom_with_a_dead_serial_is_taken_at_its_port_with_a_note() =>
        Story.Of("octopus", new InjectedFaults { RomSerial = "STM32FxSTM32" }, async story =>
        Assert.Contains((await story.FlashedAsync("octopus")).Notes, note => note.Contains("STM32FxSTM32", StringComparison.Ordinal)));

    [Fact]
    public void A_board_that_comes_back_at_another_port_is_known_by_its_unique_id() =>
        Story.Of("octopus", new InjectedFaults { ReturnsAt = "2-1" }, async story =>
    {
        await story.FlashedAsync("octopus");
        Assert.Equal("2-1", story.Board.Port);
    });

    [Fact]
    public void A_bootloader_elsewhere_with_an_unknown_serial_is_left_alone_and_named() =>
        Story.Of("octopus", new InjectedFaults { ReturnsAt = "2-1", RomSerial = "200364500000" }, async story =>
        {
            var report = await story.FailedAsync("octopus", "bootloader-not-seen", BoardCondition.Unchanged);
            Assert.Contains("2-1 appeared meanwhile", report.Fault!.Cause, StringComparison.Ordinal);
            Assert.Contains("add `--port 2-1`", report.Fault.Remedy.In(FrontEnd.CommandLine), StringComparison.Ordinal);
            Assert.Contains("`port: 2-1`", report.Fault.Remedy.In(FrontEnd.Browser), StringComparison.Ordinal);
        });

    /// <summary>AN3156 can be read in two ways about the address of a block; the last one is a short one.</summary>
    [Theory]
    [InlineData("octopus", false)]
    [InlineData("octopus", true)]
    [InlineData("ebb42", true)]
    [InlineData("octopus-pro-h723", true)]
    public void A_short_last_block_lies_where_it_should_by_either_reading_of_the_document(string scenario, bool countsInRequests) =>
        Story.Of(scenario, new InjectedFaults { CountsInRequests = countsInRequests }, async story =>
    {
        var image = story.Build(story.Board);
        Assert.NotEqual(0, image.Bytes.Length % story.Board.Chip.Rom!.TransferSize);
        await story.FlashedAsync(story.Board.Name);
        Assert.Equal(1, story.Board.Flash.Erases[story.Board.Flash.SectorAt(story.Board.ApplicationStart)]);
    });

    [Fact]
    public void Read_protection_is_found_before_anything_is_erased_and_the_old_firmware_runs_again() =>
        Story.Of("octopus", new InjectedFaults { IsReadProtected = true }, async story =>
        {
            var report = await story.FailedAsync("octopus", "read-protected", BoardCondition.InBootloaderUnchanged);
            Assert.Contains("Nothing was touched", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
        });

    [Fact]
    public void A_worn_cell_is_found_by_reading_back_and_never_called_a_success() =>
        Story.Of("octopus", new InjectedFaults { WornAt = 0x0800_9001 }, async story =>
        {
            var report = await story.FailedAsync("octopus", "verify-failed", BoardCondition.InBootloaderWithoutFirmware);
            Assert.Contains("08009001", report.Fault!.Cause, StringComparison.Ordinal);
            Assert.Equal(BoardState.Rom, story.Board.State);   // never started: it stays where it can be flashed again
        });

    [Fact]
    public void A_G0_that_keeps_its_empty_mark_is_a_success_with_a_note() =>
        Story.Of("ebb42", new InjectedFaults { EmptyMarkSticks = true }, async story =>
    {
        // The mark is set when power comes to an empty chip.
        story.Board.Flash.Erase(0, story.Time.Now);
        await story.PassAsync(TimeSpan.FromSeconds(1));
        story.Board.PowerOff();
        story.Board.PowerOn();
        await story.PassAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(BoardState.Rom, story.Board.State);
        Assert.Contains((await story.FlashedAsync("ebb42")).Notes, note => note.Contains("G0", StringComparison.Ordinal));
    });

    [Fact]
    public void A_jumper_left_on_is_no_success_and_is_named() => Story.Of("octopus-in-dfu", async story =>
    {
        story.Board.Boot0 = true;
        var report = await story.FailedAsync("octopus", "bootloader-after-reset", BoardCondition.Unconfirmed);
        Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
        Assert.True(report.IsConfirmed);
        Assert.DoesNotContain("did not confirm", Text.Condition(report), StringComparison.Ordinal);
    });

    [Fact]
    public void An_F429_is_refused_with_its_guide_when_no_operator_is_there() => Story.Of("octopus-pro-429", async story =>
    {
        var report = await story.FailedAsync("octopus-pro", "needs-bootloader-by-hand", BoardCondition.Unchanged);
        Assert.True(report.Refused);
        Assert.Contains("BOOT0", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
    });
}

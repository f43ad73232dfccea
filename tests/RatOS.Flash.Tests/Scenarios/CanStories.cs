using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>What people live through with boards on CAN.</summary>
[VirtualOnly("USB/IP carries no CAN bus")]
public sealed class CanStories
{
    private static readonly CanFrame Query = new(0x3F0, 0x00);

    private static InjectedFaults At(int index, TransferFaultKind kind, double seconds) =>
        new() { Transfers = [new(index, kind, TimeSpan.FromSeconds(seconds))] };

    private static int IndexOf(Story story, string board, FlashPhase phase, FlashEventKind kind) =>
        story.Events.Single(step => step.Board == board && step.Phase == phase && step.Kind == kind).Sequence;

    [Theory]
    [InlineData("can-toolhead", "ebb42")]
    [InlineData("can-toolheads", "ebb42-2")]
    [InlineData("can-rescue", "ebb42")]
    [InlineData("can-bridge", "ebb42")]
    [InlineData("can-bridge", "octopus")]
    [InlineData("can-bridge-dfu", "octopus")]
    public void A_board_on_CAN_is_flashed_and_proven_by_a_reset(string scenario, string board) => Story.Of(scenario, async story =>
    {
        var report = await story.FlashedAsync(board);
        Assert.Empty(report.Notes);
        Assert.InRange(report.Elapsed.TotalSeconds, 2, 12);
        Assert.Equal("Klipper is ready", story.Events[^1].Message);
    });

    [Fact]
    public void The_running_firmware_is_asked_for_its_chip_before_anything_is_touched() => Story.Of("can-toolhead", async story =>
    {
        await story.FlashedAsync("ebb42");
        Assert.Contains(story.Events, step => step is { Phase: FlashPhase.Ask, Kind: FlashEventKind.End }
            && step.Message.Contains("v0.12.0", StringComparison.Ordinal));
    });

    [Fact]
    public void A_board_that_a_dead_flash_left_in_Katapult_with_a_number_is_found_there() => Story.Of("can-toolhead", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        story.Board.DoublePressReset();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        story.Board.CanNode!.AssignedId = 0x202;   // flashtool's
        await story.FlashedAsync("ebb42");
        Assert.Equal("waits in Katapult -> write", story.Events.First(step => step.Phase == FlashPhase.Enter).Message);
        Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.Begin && step.Phase is FlashPhase.Ask or FlashPhase.Enter);
    });

    [Fact]
    public void Two_tool_heads_of_one_bus_are_written_at_the_same_time() => Story.Of("can-toolheads", async story =>
    {
        var report = await story.FlashAsync("ebb42", "ebb42-2");
        Assert.True(report.Ok, string.Join(", ", report.Boards.Select(board => board.Fault?.Cause)));
        Assert.True(IndexOf(story, "ebb42-2", FlashPhase.Write, FlashEventKind.Begin) < IndexOf(story, "ebb42", FlashPhase.Write,
                FlashEventKind.End));
    });

    [Theory]
    [InlineData("can-bridge")]
    [InlineData("can-bridge-dfu")]
    public void The_bridge_comes_last_and_its_interface_is_back_before_its_proof(string scenario) => Story.Of(scenario, async story =>
    {
        var report = await story.FlashAsync("octopus", "ebb42");
        Assert.True(report.Ok, string.Join(", ", report.Boards.Select(board => board.Fault?.Cause)));
        var proven = IndexOf(story, "ebb42", FlashPhase.Done, FlashEventKind.Verdict);
        Assert.True(proven < story.Events.First(step =>
                step is { Board: "octopus", Phase: FlashPhase.Enter, Kind: FlashEventKind.Begin }).Sequence);
        Assert.Contains(story.Printer.Look().Devices, device => device is { Port: "can0", Can.IsUp: true });
    });

    [Fact]
    public void A_bridge_is_left_alone_when_the_tool_head_behind_it_waits_half_written() =>
        Story.Of("can-bridge", new InjectedFaults { WornAt = 0x0800_3001 }, async story =>
        {
            var report = await story.FlashAsync("octopus", "ebb42");
            Assert.Equal(("can-bridge-kept", BoardCondition.Unchanged), (report.Boards[0].Fault?.Code, report.Boards[0].Condition));
            Assert.Equal(BoardCondition.InBootloaderWithoutFirmware, report.Boards[1].Condition);
        });

    [Fact]
    public void A_bridge_that_waits_in_its_Katapult_is_known_by_its_chip_at_whatever_port() => Story.Of("can-bridge", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        story.Board.DoublePressReset();
        await Task.Delay(TimeSpan.FromSeconds(2), story.Time);
        var known = story.Known("octopus") with { Port = null };
        var report = await story.FlashAsync(CancellationToken.None, new FlashRequest(known, story.Build("octopus")));
        Assert.True(report.Ok, report.Boards[0].Fault?.Cause);
    });

    [Fact]
    public void Another_board_in_Katapult_at_the_bridges_port_is_not_written() => Story.Of("can-bridge", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        story.Board.DoublePressReset();
        await Task.Delay(TimeSpan.FromSeconds(2), story.Time);
        var known = story.Known("octopus") with { CanUuid = CanUuid.TryParse("0123456789ab") };
        var report = await story.FlashAsync(CancellationToken.None, new FlashRequest(known, story.Build("octopus")));
        Assert.Equal("wrong-board", report.Boards[0].Fault?.Code);
        Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
    });

    [Fact]
    public void An_interface_that_does_not_come_back_with_the_bridge_ends_in_a_fault_and_nothing_is_claimed() =>
        Story.Of("can-bridge", new InjectedFaults { CanStaysAway = true }, async story =>
            await story.FailedAsync("octopus", "not-back", BoardCondition.Unconfirmed));

    [Fact]
    public void An_interface_that_stays_down_is_reported_with_the_command_that_brings_it_up() =>
        Story.Of("can-bridge", new InjectedFaults { CanStaysDown = true }, async story =>
        {
            var report = await story.FailedAsync("octopus", "can-down", BoardCondition.Unconfirmed);
            Assert.Contains("ip link set can0 up", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        });

    [Fact]
    public void A_board_without_power_on_an_empty_bus_is_refused_because_no_device_acknowledges() => Story.Of("can-toolhead", async story =>
    {
        story.Board.PowerOff();
        await story.FailedAsync("ebb42", "can-not-acknowledged", BoardCondition.Unknown);
        Assert.DoesNotContain(story.Events, step => step.Phase == FlashPhase.Enter);
    });

    [Fact]
    public void A_silent_board_is_reported_with_the_nodes_that_answer_instead() => Story.Of("can-toolheads", async story =>
    {
        story.Board.PowerOff();
        story.Printer.Boards[1].PressReset();   // it has no number since
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        var report = await story.FailedAsync("ebb42", "can-node-silent", BoardCondition.Unknown);
        Assert.Contains($"{story.Known("ebb42-2").CanUuid}", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.InRange(report.Elapsed.TotalSeconds, 1, 30);
    });

    [Fact]
    public void A_wrong_uuid_is_a_silent_board() => Story.Of("can-toolhead", async story =>
    {
        var known = story.Known("ebb42") with { CanUuid = CanUuid.TryParse("0123456789ab") };
        var report = await story.FlashAsync(CancellationToken.None, new FlashRequest(known, story.Build("ebb42")));
        Assert.Equal(("can-node-silent", BoardCondition.Unchanged), (report.Boards[0].Fault?.Code, report.Boards[0].Condition));
        Assert.Equal("Klipper is ready", story.Events[^1].Message);
    });

    [Fact]
    public void A_wrong_bitrate_is_found_before_anything_is_touched() =>
        Story.Of("can-toolhead", new InjectedFaults { CanBitrate = 500_000 }, async story =>
    {
        var plan = await story.FailedAsync("ebb42", "can-firmware-bitrate", BoardCondition.Unchanged);
        Assert.True(plan.Refused);
    });

    [Fact]
    public void With_a_wrong_bitrate_no_node_acknowledges_frames() => Story.Of("can-toolhead", async story =>
    {
        story.Printer.Can!.HostBitrate = 500_000;   // and the interface does not say
        await story.FailedAsync("ebb42", "can-not-acknowledged", BoardCondition.Unchanged);
    });

    [Fact]
    public void An_interface_that_is_down_and_one_that_is_missing_are_refused_by_the_plan() => Story.Of("can-toolhead", async story =>
    {
        story.Printer.SetCanUp(false);
        Assert.True((await story.FailedAsync("ebb42", "can-down", BoardCondition.Unchanged)).Refused);
        story.Printer.UnplugCanAdapter();
        Assert.True((await story.FailedAsync("ebb42", "can-missing", BoardCondition.Unknown)).Refused);
    });

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    [InlineData(1000)]
    [InlineData(5000)]
    [InlineData(12000)]
    public void A_bus_that_goes_off_for_a_while_and_comes_back_does_not_end_the_flash(int frame) =>
        Story.Of("can-toolhead", At(frame, TransferFaultKind.BusError, 2), async story => await story.FlashedAsync("ebb42"));

    [Fact]
    public void A_bus_that_stays_off_in_mid_write_leaves_the_board_in_Katapult_and_the_next_flash_ends_well() =>
        Story.Of("can-toolhead", At(3000, TransferFaultKind.BusError, 300), async story =>
        {
            await story.FailedAsync("ebb42", "can-bus-off", BoardCondition.InBootloaderWithoutFirmware);
            await Task.Delay(TimeSpan.FromMinutes(5), story.Time);
            story.Board.DoublePressReset();   // it may hold half a frame
            await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
            await story.FlashedAsync("ebb42");
        });

    [Theory]
    [InlineData(FlashPhase.Write)]
    [InlineData(FlashPhase.Verify)]
    [InlineData(FlashPhase.Confirm)]
    [InlineData(FlashPhase.Prove)]
    public void An_adapter_that_is_pulled_and_put_back_does_not_end_the_flash(FlashPhase phase) => Story.Of("can-toolhead", async story =>
    {
        var isPulled = false;
        story.OnEvent = step =>
        {
            if (isPulled || step.Phase != phase || step.Kind != FlashEventKind.Begin)
                return;
            isPulled = true;
            story.Printer.UnplugCanAdapter();
            story.Time.Schedule(TimeSpan.FromSeconds(4), story.Printer.PlugCanAdapter);
        };
        var report = await story.FlashedAsync("ebb42");
        Assert.True(isPulled);
        if (phase == FlashPhase.Prove)
            Assert.Contains(report.Notes, note => note.Contains("left the bus without a reset", StringComparison.Ordinal));
    });

    [Fact]
    public void A_Klipper_that_still_has_its_number_in_shutdown_too_is_flashed() => Story.Of("can-toolhead", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        Assert.NotEqual(0, story.Board.CanNode!.AssignedId);
        story.Printer.Can!.ToNodes(new CanFrame(story.Board.CanNode.AssignedId + 1));   // what its number's loss does to it
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        await story.FlashedAsync("ebb42");
    });

    [Fact]
    public void A_Klipper_that_comes_back_instead_of_Katapult_is_asked_again_and_reported() =>
        Story.Of("can-toolhead", new InjectedFaults { TouchesInVain = 1 }, async story => await story.FlashedAsync("ebb42"));

    [Fact]
    public void A_request_without_effect_is_made_again_after_a_reset() =>
        Story.Of("can-toolhead", new InjectedFaults { TouchesIgnored = 1 }, async story => await story.FlashedAsync("ebb42"));

    [Fact]
    public void Requests_that_never_have_an_effect_are_reported() =>
        Story.Of("can-toolhead", new InjectedFaults { TouchesIgnored = 9 }, async story =>
            await story.FailedAsync("ebb42", "touch-ignored", BoardCondition.Unchanged));

    [Fact]
    public void A_Klipper_that_starts_during_the_flash_is_stopped_again() =>
        Story.Of("can-toolhead", At(8000, TransferFaultKind.ForeignKlipper, 0), async story =>
        {
            await story.FlashedAsync("ebb42");
            Assert.Equal(2, story.Printer.Klippy.Stops);
        });

    [Fact]
    public void After_a_power_cut_in_mid_write_the_write_begins_again() =>
        Story.Of("can-toolhead", At(5000, TransferFaultKind.PowerCut, 20), async story =>
    {
        var report = await story.FlashedAsync("ebb42");
        Assert.NotEmpty(report.Notes);
    });

    [Fact]
    public void Power_that_stays_away_in_mid_write_is_reported_and_the_board_is_not_called_unchanged() =>
        Story.Of("can-toolhead", At(5000, TransferFaultKind.PowerCut, -1), async story =>
        {
            var report = (await story.FlashAsync("ebb42")).Boards.Single();
            Assert.Equal(BoardCondition.InBootloaderWithoutFirmware, report.Condition);
            Assert.True(report.Fault?.Code is "can-not-acknowledged" or "device-lost", report.Fault?.Code);
        });

    [Fact]
    public void Two_boards_with_one_uuid_are_refused() => Story.Of("can-toolheads", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        foreach (var board in story.Printer.Boards)
            board.DoublePressReset();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        story.Printer.Boards[0].CanUuidBytes.CopyTo(story.Printer.Boards[1].CanUuidBytes, 0);
        await story.FailedAsync("ebb42", "can-uuid-twice", BoardCondition.Unknown);
    });

    [Fact]
    public void A_Katapult_that_has_the_number_and_another_uuid_is_not_written() => Story.Of("can-toolhead", async story =>
    {
        await story.Printer.Klippy.StopAsync(CancellationToken.None);
        story.Board.DoublePressReset();
        await Task.Delay(TimeSpan.FromSeconds(1), story.Time);
        Convert.FromHexString("0123456789ab").CopyTo(story.Board.CanUuidBytes, 0);   // what it heeds; what it says it is stays
        await story.FailedAsync("ebb42", "can-wrong-node", BoardCondition.Unknown);
        Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
    });

    [Fact]
    public void An_image_for_USB_is_not_written_to_a_board_on_CAN() => Story.Of("can-toolhead", async story =>
    {
        var image = Firmware.FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, "v0.13.0"), "klipper.bin");
        await story.FailedAsync("ebb42", "can-other-firmware", BoardCondition.Unchanged, image);
    });

    [Fact]
    public void A_board_without_Katapult_is_refused_over_CAN() => Story.Of("can-toolhead", async story =>
    {
        var known = story.Known("ebb42");
        var image = Firmware.FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_0000, "v0.13.0", link: FirmwareLink.Can),
            "klipper.bin");
        var report = await story.FlashAsync(
            CancellationToken.None, new FlashRequest(known with { Board = known.Board with { FlashStartEffective = "0x8000000" } }, image));
        Assert.Equal("can-no-katapult", report.Boards[0].Fault?.Code);
    });

    [Fact]
    public void A_cancel_before_the_point_of_no_return_brings_the_tool_head_back_to_its_old_firmware()
    {
        foreach (var phase in new[] { FlashPhase.Look, FlashPhase.Stop, FlashPhase.Ask, FlashPhase.Enter, FlashPhase.Identify })
        {
            Story.Of("can-toolhead", async story =>
            {
                using var cancel = new CancellationTokenSource();
                story.OnEvent = step =>
                {
                    if (step.Phase == phase)
                        cancel.Cancel();
                };
                var report =
                    (await story.FlashAsync(cancel.Token, new FlashRequest(story.Known("ebb42"), story.Build("ebb42")))).Boards.Single();
                Assert.Equal(("cancelled", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
                Assert.Equal("v0.12.0-10-g1f2a9e1c", story.Board.RunningFirmware?.Version);
            });
        }
    }

    /// <summary>The frames of the whole flash: a node that receives Katapult's frames must be in Katapult.</summary>
    [Fact]
    public void Katapults_frames_never_go_to_a_number_of_Klippers() => Story.Of("can-bridge", async story =>
    {
        var wrong = new List<string>();
        story.Printer.Can!.FromNodes += frame =>
        {
            var said = story.Printer.Boards.FirstOrDefault(board => board.CanNode is { } node && node.AssignedId + 1 == frame.Id);
            if (said is not null && said.State == BoardState.Klipper && frame.Id >= 0x203)
                wrong.Add($"{said.Name}: {frame}");
        };
        await story.FlashAsync("octopus", "ebb42");
        Assert.Empty(wrong);
        Assert.Empty(story.Printer.Boards.Where(board => board.CanNode is { AssignedId: 0 }));
        story.Printer.Can.ToNodes(Query);
    });
}

using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>The recovery steps between another request and an operator step.</summary>
[VirtualOnly("their waits of minutes would take much longer behind an emulated kernel; other stories cover the same events there")]
public sealed class RecoveryStepStories
{
    /// <summary>A power supply with a switch, and the list of its switchings.</summary>
    private static List<string> Supply(Story story, params string[] boards)
    {
        var done = new List<string>();
        story.SwitchPower = (name, isOn) =>
        {
            done.Add($"{name} {(isOn ? "on" : "off")}");
            story.Printer.SetPower(boards, isOn);
            return Task.CompletedTask;
        };
        return done;
    }

    private static FlashRequest Powered(Story story, string board) =>
        new(story.Known(board) with { Power = "printer" }, story.Build(board));

    [Fact]
    public void H2_a_tool_board_whose_hub_can_switch_its_port_needs_no_operator() => Story.Of("h2-hub-power", async story =>
    {
        var report = await story.FlashedAsync("ebb42");
        Assert.Contains(report.Notes, note => note.Contains("USB port was switched off and on", StringComparison.Ordinal));
    });

    [Fact]
    public void H2_a_board_whose_supply_can_be_switched_needs_no_operator() => Story.Of("h2-needs-power", async story =>
    {
        var done = Supply(story, "octopus");
        var report = (await story.FlashAsync(CancellationToken.None, Powered(story, "octopus"))).Boards.Single();
        Assert.True(report.Ok, report.Fault?.Cause);
        Assert.Equal(["printer off", "printer on"], done);
        Assert.Contains(story.Events, step => step.Message.StartsWith("Switching the power 'printer'", StringComparison.Ordinal));
    });

    [Fact]
    public void A_supply_that_no_board_names_is_never_switched() => Story.Of("h2-needs-power", async story =>
    {
        var done = Supply(story, "octopus");
        await story.FailedAsync("octopus", "bootloader-not-seen", BoardCondition.Unchanged);
        Assert.Empty(done);
    });

    [Fact]
    public void A_board_that_power_does_not_help_is_switched_once_and_reported() => Story.Of("h2-no-enumeration", async story =>
    {
        var done = Supply(story, "octopus");
        var report = (await story.FlashAsync(CancellationToken.None, Powered(story, "octopus"))).Boards.Single();
        Assert.Equal("bootloader-not-seen", report.Fault?.Code);
        Assert.Equal(2, done.Count);
    });

    /// <summary>
    /// One supply feeds the whole printer: it waits for the boards that are being written, and spares one that has no firmware.
    /// </summary>
    [Fact]
    public void A_supply_is_not_switched_while_another_board_is_written() =>
        Story.Of("voron", new InjectedFaults { RomNeedsPower = true }, async story =>
    {
        var done = Supply(story, "octopus", "octopus-pro");
        await InRomAsync(story, "octopus-pro");
        story.OnEvent = step =>
        {
            if (step is { Board: "octopus-pro", Phase: FlashPhase.Write, Kind: FlashEventKind.Begin })
                Assert.Empty(done);
        };
        var report = await story.FlashAsync(CancellationToken.None, Powered(story, "octopus"), Powered(story, "octopus-pro"));
        Assert.True(report.Ok, string.Join("; ", report.Boards.Select(board => board.Fault?.Cause)));
        Assert.Equal(2, done.Count);
    });

    [Fact]
    public void A_supply_is_not_switched_while_another_board_waits_without_firmware() =>
        Story.Of("voron", new InjectedFaults { RomNeedsPower = true }, async story =>
    {
        var done = Supply(story, "octopus", "octopus-pro");
        await InRomAsync(story, "octopus-pro");
        story.OnEvent = step =>
        {
            if (step is { Board: "octopus-pro", Phase: FlashPhase.Write, Kind: FlashEventKind.Begin })
                story.Find("octopus-pro").Unplug();
        };
        var report = await story.FlashAsync(CancellationToken.None, Powered(story, "octopus"), Powered(story, "octopus-pro"));
        Assert.Equal(["bootloader-not-seen", "device-lost"], report.Boards.Select(board => board.Fault?.Code));
        Assert.Empty(done);
        Assert.Equal(BoardState.Rom, story.Find("octopus-pro").State);
    });

    [VirtualOnly("a reset is the kernel's own business there, and the served device does not hear of it")]
    [Theory]
    [InlineData(145)]
    [InlineData(165)]
    [InlineData(180)]
    public void A_rom_whose_USB_hangs_is_reset_by_its_hub_and_written(int at) =>
        Story.Of("octopus", new InjectedFaults { HangsAt = at }, async story =>
    {
        await story.FlashedAsync("octopus");
        Assert.Contains(story.Events, step => step.Message.StartsWith("Resetting the USB device", StringComparison.Ordinal));
    });

    private static async Task InRomAsync(Story story, string board)
    {
        story.Find(board).Boot0 = true;
        story.Find(board).PressReset();
        story.Find(board).Boot0 = false;
        await story.PassAsync(TimeSpan.FromSeconds(2));
    }
}

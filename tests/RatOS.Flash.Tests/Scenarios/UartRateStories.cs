using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Boards on a UART at other rates than the default.</summary>
[VirtualOnly("a board on a wire has nothing of USB")]
public sealed class UartRateStories
{
    private static Scenario Wired(int baud, int katapult, int? host = null, BoardState state = BoardState.Klipper)
    {
        var octopus = Scenario.Find("uart-katapult").Boards[0];
        return new("wired", "an F446 on a UART", octopus with
        {
            FirmwareLink = FirmwareLink.Uart with { Rate = baud },
            KatapultBaud = katapult,
            HostBaud = host ?? baud,
            State = state,
        });
    }

    private static void Tell(Scenario scenario, Func<Story, Task> tell) => Story.Of(scenario, InjectedFaults.None, tell);

    private static FirmwareImage Image(int baud) => FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000,
        VirtualPrinter.HostVersion, link: FirmwareLink.Uart with { Rate = baud }), "klipper.bin");

    [Theory]
    [InlineData(115_200, 115_200)]
    [InlineData(115_200, 250_000)]
    [InlineData(115_200, 230_400)]
    [InlineData(115_200, 500_000)]
    [InlineData(230_400, 230_400)]
    [InlineData(230_400, 250_000)]
    [InlineData(230_400, 115_200)]
    [InlineData(500_000, 500_000)]
    [InlineData(500_000, 250_000)]
    [InlineData(500_000, 230_400)]
    [InlineData(250_000, 250_000)]
    [InlineData(250_000, 230_400)]
    [InlineData(250_000, 500_000)]
    public void A_board_of_any_usual_rate_is_flashed_and_proven(int baud, int katapult) => Tell(Wired(baud, katapult), async story =>
    {
        Assert.Equal(KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
        var report = await story.FlashedAsync("octopus");
        Assert.True(report.IsConfirmed);
        Assert.Equal(KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
        Assert.True(report.Elapsed < TimeSpan.FromSeconds(30), $"it took {report.Elapsed}");
    });

    [Theory]
    [InlineData(115_200, 115_200)]
    [InlineData(230_400, 500_000)]
    [InlineData(250_000, 230_400)]
    public void A_Katapult_that_waits_at_a_rate_of_its_own_is_found(int baud, int katapult) =>
        Tell(Wired(baud, katapult, state: BoardState.Katapult), async story => await story.FlashedAsync("octopus"));

    [Fact]
    public void A_board_that_runs_Klipper_at_its_rate_is_left_alone_by_a_recovery() => Tell(Wired(115_200, 250_000), async story =>
    {
        var report = await story.RecoverAsync("octopus", hasFirmware: false);
        Assert.Equal(((string?)null, "v0.12.0-10-g1f2a9e1c"), (report.Fault?.Code, report.NewVersion));
    });

    [Theory]
    [InlineData(250_000, 115_200)]
    [InlineData(115_200, 250_000)]
    public void Firmware_at_another_baud_than_the_one_of_printer_cfg_is_refused_and_both_are_named(int host, int built) =>
        Tell(Wired(host, host), async story =>
    {
        var report = await story.FailedAsync("octopus", "firmware-other-link", BoardCondition.Unchanged, Image(built));
        Assert.Contains($"at {built} baud, but Klipper opens its port at {host} baud", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Contains($"set `baud: {built}`", $"{report.Fault.Remedy}", StringComparison.Ordinal);
        Assert.DoesNotContain(story.Events, step => step.Phase == FlashPhase.Enter);
    });

    /// <summary>The user changed printer.cfg first, as the remedy says. Nothing tells the old baud, which is tried then.</summary>
    [Theory]
    [InlineData(250_000, 115_200)]
    [InlineData(115_200, 500_000)]
    public void A_change_of_baud_that_printer_cfg_has_already_is_made(int running, int next) =>
        Tell(Wired(running, 250_000, host: next), async story =>
    {
        Assert.Equal(KlippyActivity.Error, story.Printer.Klippy.State.Activity);
        var request = new FlashRequest(story.Known("octopus"), Image(next));
        var report = (await story.FlashAsync(CancellationToken.None, request)).Boards.Single();
        Assert.True(report.Ok, $"[{report.Fault?.Code}] {report.Fault?.Cause}\n{story.Transcript}");
        Assert.Equal(KlippyActivity.Ready, story.Printer.Klippy.State.Activity);
    });

    /// <summary>What a wrong rate makes of Katapult's frame must hold no 01 for a Katapult that is asked later.</summary>
    [Theory]
    [InlineData(250_000, 115_200)]   // the defaults of both are far more likely than this pair
    [InlineData(115_200, null)]
    [InlineData(230_400, null)]
    [InlineData(500_000, null)]
    public void The_order_of_rates_wedges_no_Katapult_that_is_asked_later(int klipper, int? exception)
    {
        byte[] connect = [0x01, 0x88, 0x11, 0x00, 0xF1, 0x7C, 0x99, 0x03];
        var modes = new KatapultDriver().ModesOnWire(new(klipper));
        Assert.Equal([115_200, 230_400, 250_000, 500_000], modes.Select(mode => mode.Baud).Order());
        for (var first = 0; first < modes.Length; first++)
        {
            foreach (var later in modes.Skip(first + 1).Where(mode => mode.Baud != exception))
                Assert.DoesNotContain((byte)0x01, UartSampling.Receive(connect, modes[first], later));
        }
    }

    [Theory]
    [InlineData(230_400, 250_000, true)]    // they differ by 8 %: the first byte arrives as it was sent
    [InlineData(250_000, 115_200, true)]
    [InlineData(115_200, 250_000, false)]
    [InlineData(250_000, 500_000, false)]
    public void A_virtual_UART_receives_what_a_real_one_samples(int sent, int received, bool hasMark) => Assert.Equal(hasMark,
        UartSampling.Receive([0x01, 0x88, 0x11, 0x00, 0xF1, 0x7C, 0x99, 0x03], new(sent), new(received)).Contains((byte)0x01));

    [Theory]
    [InlineData(57_600)]
    [InlineData(250_000)]
    public void A_virtual_UART_at_its_own_rate_receives_every_byte(int baud)
    {
        byte[] all = [.. Enumerable.Range(0, 256).Select(value => (byte)value)];
        Assert.Equal(all, UartSampling.Receive(all, new(baud), new(baud)));
        Assert.Equal(all, UartSampling.Receive(all, new(baud), new(baud * 101 / 100)));
    }
}

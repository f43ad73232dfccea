using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A given file may choose other initial pins, or another clock, than the firmware that runs.</summary>
public sealed class BuildDifferencesTests
{
    private static readonly BoardProfile Board = BoardProfile.Of(Boards.Board.Unknown("board"));

    private static FirmwareImage Image(string? pins, ClockSource? clock = null)
    {
        var build = new BoardTruth { Machine = "STM32F446", Start = 0x0800_8000, InitialPins = pins, Clock = clock }.Build;
        return FirmwareImage.Parse(VirtualFirmware.Build(build, VirtualPrinter.HostVersion), "given.bin");
    }

    private static IEnumerable<Finding> Compared(FirmwareImage running, FirmwareImage given) =>
        BuildDifferences.Of(Board.With(BoardEvidence.Of(running.Dictionary, null)), given);

    [Theory]
    [InlineData(null, "PA4", "At its start the firmware for board sets the pins PA4, the running one no pins.")]
    [InlineData("PA4", null, "At its start the firmware for board sets no pins, the running one the pins PA4.")]
    [InlineData("PA4", "!PA4", "At its start the firmware for board sets the pins !PA4, the running one the pins PA4.")]
    public void Other_initial_pins_are_named(string? running, string? given, string text)
    {
        var finding = Assert.Single(Compared(Image(running), Image(given)));
        Assert.Equal((FaultKind.InitialPinsDiffer, FindingSeverity.Warning, text), (finding.Kind, finding.Severity, finding.Text));
    }

    [Fact]
    public void Another_clock_needs_consent()
    {
        var finding = Assert.Single(Compared(Image(null, ClockSource.Crystal(12)), Image(null, ClockSource.Internal)));
        Assert.Equal((FaultKind.ClockDiffers, true), (finding.Kind, finding.Kind.NeedsConsent));
        Assert.Equal("The firmware for board is built for the internal clock, the running one for a crystal.", finding.Text);
    }

    [Fact]
    public void Nothing_is_said_of_equal_builds_and_of_a_board_that_was_not_asked()
    {
        Assert.Empty(Compared(Image("PA4"), Image("PA4")));
        Assert.Empty(BuildDifferences.Of(Board, Image("PA4")));
    }
}

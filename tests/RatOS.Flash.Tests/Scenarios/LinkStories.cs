using RatOS.Flash.Boards;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>Firmware for another link does not come up where the board was; a change that the user named is followed there.</summary>
[VirtualOnly("boards that are in no list of scenarios")]
public sealed class LinkStories
{
    private static readonly BoardSetup Octopus = new("octopus", "btt-octopus-11", VirtualChip.F446, 0x0800_8000, "1-1.1")
    {
        Stage = BootStage.Katapult,
    };

    private static readonly Device Adapter = new()
    {
        Port = "1-1.5",
        Number = 0,
        Usb = UsbId.KlipperCanBridge,
        Serial = "0033002E4D4D5015",
    };

    private static Scenario Of(BoardSetup board, bool hasAdapter = false) => new("links", "one board", board)
    {
        CanAdapterPort = hasAdapter ? "1-1.5" : null,
        OtherDevices = hasAdapter ? [Adapter] : [],
    };

    private static FirmwareImage Image(FirmwareLink link) =>
        FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0", link: link), "klipper.bin");

    private static async Task<BoardReport> FlashAsync(Story story, FirmwareLink link, string? change = null) =>
        (await story.FlashAsync(CancellationToken.None, new FlashRequest(story.Known("octopus"), Image(link))
        {
            LinkChange = change is null ? null : LinkChange.Known[change],
        })).Boards.Single();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Firmware_for_another_link_runs_and_is_not_on_the_boards_link(bool isOnWire)
    {
        var board = isOnWire ? Octopus with { IsUart = true, Port = "ttyAMA0" } : Octopus;
        Story.Of(Of(board with { FirmwareLink = isOnWire ? FirmwareLink.Usb : FirmwareLink.Uart }), InjectedFaults.None, story =>
        {
            Assert.Equal((BoardState.Klipper, "v0.12.0-10-g1f2a9e1c"), (story.Board.State, story.Board.RunningFirmware?.Version));
            Assert.DoesNotContain(story.Hardware.Look().Devices, device => device.Usb is not null);
            Assert.Null(story.Board.Program);
            return Task.CompletedTask;
        });
    }

    [Fact]
    public void Firmware_for_a_UART_is_not_written_to_a_board_on_USB() => Story.Of(Of(Octopus), InjectedFaults.None, async story =>
    {
        var report = await FlashAsync(story, FirmwareLink.Uart);
        Assert.Equal(("firmware-other-link", BoardCondition.Unchanged), (report.Fault?.Code, report.Condition));
    });

    [Fact]
    public void A_board_moves_from_USB_to_CAN_and_is_proven_there() =>
        Story.Of(Of(Octopus with { HasCanWires = true }, hasAdapter: true), InjectedFaults.None, async story =>
        {
            Assert.Equal("firmware-other-link", (await FlashAsync(story, FirmwareLink.Can)).Fault?.Code);
            var report = await FlashAsync(story, FirmwareLink.Can, "usb:can");
            Assert.True(report.Ok && report.IsConfirmed, $"{report.Fault?.Cause}\n{story.Transcript}");
            Assert.Contains(report.Notes, note => note.Contains($"canbus_uuid: {CanUuid.Read(story.Board.CanUuidBytes)}",
                StringComparison.Ordinal));
            Assert.DoesNotContain(story.Hardware.Look().Devices, device => device.Usb == UsbId.Klipper);
        });

    [Fact]
    public void A_board_becomes_a_bridge_and_USB_again() =>
        Story.Of(Of(Octopus with { HasCanWires = true }), InjectedFaults.None, async story =>
        {
            var report = await FlashAsync(story, FirmwareLink.CanBridge, "usb:bridge");
            Assert.True(report.Ok && report.IsConfirmed, $"{report.Fault?.Cause}\n{story.Transcript}");
            Assert.Contains(story.Hardware.Look().Devices, device => device.Usb == UsbId.KlipperCanBridge);
            var known = story.Known("octopus") with { CanUuid = CanUuid.Read(story.Board.CanUuidBytes) };
            report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(known, Image(FirmwareLink.Usb))
            {
                LinkChange = LinkChange.Known["bridge:usb"],
            })).Boards.Single();
            Assert.True(report.Ok && report.IsConfirmed, $"{report.Fault?.Cause}\n{story.Transcript}");
            Assert.Contains(report.Notes, note => note.Contains("`serial:` in place of `canbus_uuid:`", StringComparison.Ordinal));
        });

    [Fact]
    public void A_tool_head_on_CAN_whose_USB_is_plugged_in_moves_there() => Story.Of(
        Of(Octopus with { IsCan = true, Port = "can0", RescuePort = "1-1.3" }, hasAdapter: true), InjectedFaults.None, async story =>
        {
            var report = await FlashAsync(story, FirmwareLink.Usb, "can:usb");
            Assert.True(report.Ok && report.IsConfirmed, $"{report.Fault?.Cause}\n{story.Transcript}");
            Assert.Contains(story.Hardware.Look().Devices, device => device.Usb == UsbId.Klipper && device.Port == "1-1.3");
        });

    /// <summary>The chip's unique id is unknown in the ROM, so its future node is unknown too.</summary>
    [Fact]
    public void A_board_in_its_ROM_does_not_move_to_CAN() => Story.Of(
        Of(Octopus with { Stage = BootStage.StockSd, HasCanWires = true, State = BoardState.Rom }, hasAdapter: true), InjectedFaults.None,
        async story =>
        {
            var report = await FlashAsync(story, FirmwareLink.Can, "usb:can");
            Assert.Equal(("firmware-other-link", BoardCondition.Unknown), (report.Fault?.Code, report.Condition));
            Assert.DoesNotContain(story.Events, step => step.Kind == FlashEventKind.PointOfNoReturn);
        });

    [Fact]
    public void A_board_on_a_wire_is_spoken_to_at_its_firmwares_own_baud()
    {
        var slow = FirmwareLink.Uart with { Rate = 115_200 };
        Story.Of(Of(Octopus with { IsUart = true, Port = "ttyAMA0", FirmwareLink = slow }), InjectedFaults.None, async story =>
        {
            var known = story.Known("octopus") with
            {
                Facts = [BoardFacts.OfFirmware("stm32f446xx", new Dictionary<string, string> { ["SERIAL_BAUD"] = "115200" })],
            };
            var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(known, Image(slow)))).Boards.Single();
            Assert.True(report.Ok, $"{report.Fault?.Cause}\n{story.Transcript}");
            Assert.Equal("firmware-other-link", (await story.FlashAsync(CancellationToken.None,
                new FlashRequest(known, Image(FirmwareLink.Uart)))).Boards.Single().Fault?.Code);
        });
    }
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>A bootloader is one class and one line: a driver that no other code knows is planned and flashed.</summary>
public sealed class ToyBootloaderTests
{
    // The one line.
    private static readonly ImmutableArray<BootloaderDriver> WithToy = [new ToyDriver(), .. Drivers.All];

    private static readonly BoardSetup Board = new("octopus", "btt-octopus-11", VirtualChip.F446, 0x0800_0000 + ToyDriver.Size, "1-1.1")
    {
        OtherBootloader = static (board, reset) => new ToyDevice(board, reset),
    };

    private static readonly Scenario Printer = new("toy", "a board with a bootloader that nobody has", Board);

    [Fact]
    public void A_board_with_a_new_bootloader_is_planned_and_flashed() => Story.Of(Printer, InjectedFaults.None, async story =>
    {
        var request = new FlashRequest(story.Known("octopus") with { Drivers = WithToy }, story.Build("octopus"));
        var plan = Plan(request, story.Hardware.Look());
        Assert.Equal(("toy", FlashEntry.Touch, "Klipper -> the toy -> write", false),
            (plan.Bootloader?.Name, plan.Entry, plan.Route, plan.IsBlocked));
        Assert.DoesNotContain(plan.Findings, finding => finding.Code == "sd-slot-empty");

        var report = (await story.FlashAsync(CancellationToken.None, request)).Boards.Single();
        Assert.Equal((BoardCondition.Flashed, null), (report.Condition, report.Fault));
        Assert.Contains("The toy is at 1-1.1", story.Transcript, StringComparison.Ordinal);
        Assert.Contains("Toy: stm32f446xx, 512 KiB, blocks of 512", story.Transcript, StringComparison.Ordinal);
    });

    [Fact]
    public void A_new_bootloader_that_waits_is_recognised_at_the_boards_port_alone()
    {
        var waiting =
            new Device { Port = "1-1.1", Number = 7, Usb = ToyDriver.Id, Product = "Toy stm32f446xx", Serial = "2B0007000C50425539393020" };
        var board = new PrinterBoard("octopus",
            BoardCatalogue.BuiltIn.Find("btt-octopus-11")! with { FlashStartEffective = "0x8010000" })
        {
            Port = "1-1.1",
            Drivers = WithToy
        };
        var plan = Plan(new FlashRequest(board, null), new DeviceList(1, [waiting]));
        Assert.Equal(("toy", FlashEntry.InBootloader, "waits in the toy -> write"), (plan.Bootloader?.Name, plan.Entry, plan.Route));
        Assert.Equal("which-bootloader",
            Plan(new FlashRequest(board with { Port = null }, null), new DeviceList(1, [waiting])).Blocker?.Code);
        Assert.Equal("foreign-firmware",
            Plan(new FlashRequest(board with { Drivers = Drivers.All }, null), new DeviceList(1, [waiting])).Blocker?.Code);
    }

    [Fact]
    public void Names_and_options_of_bootloaders_are_unique_and_kebab_case()
    {
        var names = WithToy.Select(driver => driver.Name).ToList();
        Assert.Equal(names, names.Distinct());
        Assert.All(names, name => Assert.Matches("^[a-z0-9]+(-[a-z0-9]+)*$", name));
        Assert.All(Drivers.All, driver => Assert.Same(driver, Drivers.Find(driver.Name)));
        // Part of the contract: JSON, and --bootloader.
        Assert.Equal(["katapult", "dfu-se", "stm32-uart", "bootsel", "gigadevice-dfu"], Drivers.All.Select(driver => driver.Name));
        Assert.Equal(["katapult", "dfu", "stm32-uart", "bootsel", null], Drivers.All.Select(driver => driver.Option));
    }

    private static BoardPlan Plan(FlashRequest request, DeviceList seen) =>
        FlashPlan.Create([request], seen, new(KlippyActivity.Stopped)).Boards[0];

    /// <summary>The device's side of the toy's protocol.</summary>
    private sealed class ToyDevice(VirtualBoard board, Action reset) : UsbFunction
    {
        public override UsbId Id => ToyDriver.Id;

        public override ImmutableArray<string> Strings { get; } = ["toy", $"Toy {board.Chip.Name}", Convert.ToHexString(board.Uid.Span)];

        // One configuration with one vendor interface without endpoints.
        public override ReadOnlyMemory<byte> Configuration { get; } = Convert.FromHexString("0902120001010080320904000000FF000000");

        protected override UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now)
        {
            var (flash, address) = (board.Flash, setup.Value | ((uint)setup.Index << 16));
            switch (setup.Request)
            {
                case ToyDriver.Erase:
                    return UsbAnswer.Ok(0, flash.Erase(flash.SectorAt(address), now));
                case ToyDriver.Write:
                    var (time, isOk) = flash.Program(address, data, now);
                    return isOk ? UsbAnswer.Ok(data.Length, time) : UsbAnswer.Stall;
                case ToyDriver.Read:
                    return Copy(flash.Read(address, data.Length), data);
                case ToyDriver.Leave:
                    reset();
                    return UsbAnswer.Ok(0);
                default:
                    return UsbAnswer.Stall;
            }
        }
    }
}

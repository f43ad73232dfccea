using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>A computer whose kernel has no driver for serial ports on USB: boards are seen, and cannot be spoken to.</summary>
public sealed class SerialDriverStories
{
    private const string Serial = "/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_board_without_a_driver_is_refused_before_anything_is_touched(bool isNamedByPort) => VirtualTime.Run(async time =>
    {
        var printer = VirtualPrinter.Create("no-serial-driver", time);
        var known = printer.PrinterBoards[0] with { OnlyByPort = isNamedByPort };
        var request = new FlashRequest(known, Firmware.FirmwareImage.Parse(printer.Boards[0].BuildFirmware(), "klipper.bin"));
        var plan = FlashPlan.Create([request], printer.Look(), new(KlippyActivity.Error)).Boards[0];
        Assert.Equal("1-1.1", plan.Device?.Port);
        Assert.Equal(FaultKind.NoSerialDriver, Assert.Single(plan.Findings, finding => finding.Severity == FindingSeverity.Blocker).Kind);

        var report = (await new Flasher(printer, printer.Klippy, time, new FlashServices(), static _ => ValueTask.CompletedTask)
            .FlashAsync([request], CancellationToken.None)).Boards[0];
        Assert.True(report.Refused);
        Assert.Equal("no-serial-driver", report.Fault?.Code);
        Assert.Contains("sudo modprobe cdc_acm", report.Fault!.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Contains("restart the computer", report.Fault.Remedy.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, printer.Transfers);
    });

    [Fact]
    public void The_inventory_lists_it_by_its_descriptor_and_says_what_is_missing() => VirtualTime.Run(time =>
    {
        var printer = VirtualPrinter.Create("no-serial-driver", time);
        var mcu = Assert.Single(PrinterInventory.Create(
            [new McuSection("mcu") { Serial = Serial }], printer.Look(), [], BoardCatalogue.BuiltIn, [], KlippyEvidence.None).All);
        Assert.Equal(("octopus", "1-1.1"), (mcu.Name, mcu.Device?.Port));
        var finding = Assert.Single(mcu.Findings, finding => finding.Kind == FaultKind.NoSerialDriver);
        Assert.Contains("1d50:614e at 1-1.1", finding.Text, StringComparison.Ordinal);
        return Task.CompletedTask;
    });

    [Fact]
    public void A_bootloader_that_needs_no_serial_port_needs_no_driver() => VirtualTime.Run(time =>
    {
        var printer = VirtualPrinter.Create("octopus-in-dfu", time, new InjectedFaults { HasNoSerialDriver = true });
        Assert.DoesNotContain(printer.Look().Devices, device => device.LacksSerialDriver);
        return Task.CompletedTask;
    });
}

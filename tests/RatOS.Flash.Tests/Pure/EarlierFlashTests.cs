using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Where a board waits that an earlier flash left in its bootloader.</summary>
public sealed class EarlierFlashTests
{
    // The pair of public logs: a chip's unique id and the serial of its ROM.
    private const string Uid = "2B0007000C50425539393020", Serial = "203739645542";

    private static readonly PrinterBoard Octopus = new("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);

    private static string? Find(string? uid, params (string Port, string Serial)[] waiting) =>
        FindBehind(null, uid, [.. waiting.Select(device => (device.Port, device.Serial, (string?)null))]);

    private static string? FindBehind(string? controller, string? uid, params (string Port, string Serial, string? Controller)[] waiting) =>
        new EarlierFlash(BoardCondition.InBootloaderWithoutFirmware, new("1-1.3", uid) { Controller = controller }, null)
            .Find(Octopus, new DeviceList(1,
        [
            .. waiting.Select((device, number) => new Device
            {
                Port = device.Port,
                Number = number + 1,
                Usb = DfuSeDriver.Id,
                Product = "STM32  BOOTLOADER",
                Serial = device.Serial,
                Controller = device.Controller,
            }),
            new Device { Port = "1-1.4", Number = 9, Usb = UsbId.Klipper, Product = "stm32f446xx", Serial = Serial },
        ]))?.Port;

    [Fact]
    public void Its_unique_id_finds_it_at_any_port() =>
        Assert.Equal("2-1", Find(Uid, ("1-1.3", "3941335F3434"), ("2-1", Serial)));

    [Fact]
    public void Its_port_finds_it_where_its_serial_tells_nothing() =>
        Assert.Equal("1-1.3", Find(null, ("2-1", "3941335F3434"), ("1-1.3", "STM32FxSTM32")));

    [Theory]
    [InlineData("xhci-hcd.0", null)]
    [InlineData("5311400.usb", "2-1.3")]
    [InlineData(null, "1-1.3")]
    public void Its_port_is_one_of_its_controller(string? controller, string? found) => Assert.Equal(found, FindBehind(
        controller, null, ("1-1.3", "STM32FxSTM32", "fd500000.pcie"), ("2-1.3", "STM32FxSTM32", "5311400.usb")));

    [Fact]
    public void Another_board_is_not_taken_for_it() => Assert.Null(Find(Uid, ("2-1", "3941335F3434")));
}

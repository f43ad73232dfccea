using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>PICOBOOT, byte by byte, and what the engine does where the ROM lies, halts or is silent.</summary>
public sealed class PicobootTests
{
    private static readonly Mcu Rp2040 = Mcu.Find("rp2040")!;

    [Fact]
    public void Commands_are_32_bytes_with_the_magic_the_token_and_the_direction()
    {
        Assert.Equal(
            "0BD11F43" + "07000000" + "0308" + "0000" + "00000000" + "00100010" + "00100000" + "0000000000000000",
            Convert.ToHexString(PicobootCommand.Range(PicobootCommand.FlashErase, 0x1000_1000, 4096).Encode(7)));
        Assert.Equal(
            "0BD11F43" + "08000000" + "8408" + "0000" + "00010000" + "00000010" + "00010000" + "0000000000000000",
            Convert.ToHexString(PicobootCommand.Range(PicobootCommand.Read, 0x1000_0000, 256).Encode(8)));
        Assert.Equal(
            "0BD11F43" + "09000000" + "0101" + "0000" + "00000000" + "01" + new string('0', 30),
            Convert.ToHexString(new PicobootCommand(PicobootCommand.ExclusiveAccess, 0, new byte[] { 1 }).Encode(9)));
    }

    [Fact]
    public void A_status_names_its_command_and_its_error()
    {
        var status = PicobootStatus.Parse(Convert.FromHexString("07000000" + "05000000" + "0501" + "000000000000"));
        Assert.Equal((7u, "BAD_ALIGNMENT", true), (status.Token, status.Name, status.IsInProgress));
        Assert.Equal("status 99", PicobootStatus.Parse([0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).Name);
    }

    [Theory]
    [InlineData("0904000002080650000705810240000007050202400000" + "0904010002FF0000000705030240000007058402400000", "1 03 84")]
    [InlineData("0904000002FF0000000705030240000007058402400000", "0 03 84")]   // an RP2350 whose drive is switched off
    [InlineData("0904000002080650000705810240000007050202400000", null)]        // the drive alone
    [InlineData("0904010001FF00000007050302400000", null)]                       // one endpoint
    [InlineData("0904010002FF00000007050302", null)]                              // cut short
    [InlineData("00", null)]
    public void The_vendor_interface_is_found_by_its_class(string configuration, string? expected)
    {
        var found = PicobootInterface.Find(Convert.FromHexString(configuration));
        Assert.Equal(expected, found is { } one ? $"{one.Number} {one.Out:x2} {one.In:x2}" : null);
    }

    [Fact]
    public void The_boot_codes_sum_is_that_of_the_datasheet()
    {
        Assert.Equal(0x0376_E6E7u, Crc32.Compute("123456789"u8));
        Assert.Equal(0x0376_E6E7u, VirtualCrc.OfBootCode("123456789"u8));
    }

    /// <summary>The ROM acknowledges an erase of such a range, and a write of one never: neither is sent.</summary>
    [Theory]
    [InlineData(0x1000_0100u, 4096)]
    [InlineData(0x1000_0000u, 2048)]
    [InlineData(0x1020_0000u, 4096)]    // behind 2 MiB
    [InlineData(0x0FFF_F000u, 4096)]
    public void A_wrong_range_is_refused_before_it_is_sent(uint address, int size) =>
        Opened("rp2040-in-bootsel", async (picoboot, printer) =>
    {
        var before = printer.Transfers;
        await Assert.ThrowsAsync<ArgumentException>(() => picoboot.EraseAsync(new Sector(address, size)));
        await Assert.ThrowsAsync<ArgumentException>(
            () => picoboot.WriteAsync(address + 0x80, new byte[256], static _ => ValueTask.CompletedTask));
        Assert.Equal(before, printer.Transfers);
    });

    [Fact]
    public void The_flashs_size_is_where_its_beginning_comes_again() => Opened("rp2040-in-bootsel", (picoboot, _) =>
    {
        Assert.Equal(0x1020_0000u, picoboot.Memory.End);
        return Task.CompletedTask;
    });

    [Fact]
    public void Of_a_blank_flash_the_smallest_is_counted_on() => Opened("rp2040-in-bootsel", (picoboot, _) =>
    {
        Assert.Equal(Rp2040.FlashBase + 0x10_0000, picoboot.Memory.End);
        return Task.CompletedTask;
    }, flash => flash.Preset(flash.Base, Enumerable.Repeat((byte)0xFF, 0x20_0000).ToArray()), flashEnd: Rp2040.FlashBase + 0x10_0000);

    [Fact]
    public void Firmware_for_the_flashs_beginning_is_not_written_over_Katapult() =>
        Opened("rp2040-katapult-in-bootsel", (picoboot, _) =>
    {
        picoboot.CheckChip("it", Rp2040, 0x1000_4000);
        var fault = Assert.Throws<FlashException>(() => picoboot.CheckChip("it", Rp2040, 0x1000_0100));
        Assert.Equal(FaultKind.WrongStart, fault.Kind);
        Assert.Contains("starts applications at 10004000", fault.Cause, StringComparison.Ordinal);
        return Task.CompletedTask;
    });

    [Fact]
    public void Firmware_for_a_Katapult_that_is_not_there_is_not_written() => Opened("rp2040-in-bootsel", (picoboot, _) =>
    {
        picoboot.CheckChip("it", Rp2040, 0x1000_0100);
        var fault = Assert.Throws<FlashException>(() => picoboot.CheckChip("it", Rp2040, 0x1000_4000));
        Assert.Equal(FaultKind.WrongStart, fault.Kind);
        Assert.Contains("katapult.uf2", fault.Remedy.ToString(), StringComparison.Ordinal);
        return Task.CompletedTask;
    });

    [Fact]
    public void A_Katapult_whose_boot_code_the_ROM_does_not_start_is_none() => Opened("rp2040-katapult-in-bootsel", (picoboot, _) =>
    {
        Assert.Throws<FlashException>(() => picoboot.CheckChip("it", Rp2040, 0x1000_4000));
        return Task.CompletedTask;
    }, flash => flash.Preset(flash.Base + 8, [0x42]));

    [Fact]
    public void Another_chips_ROM_is_refused() => Opened("rp2040-in-bootsel", (picoboot, _) =>
    {
        Assert.Equal(FaultKind.WrongMcu, Assert.Throws<FlashException>(
            () => picoboot.CheckChip("it", Mcu.Find("rp2350")!, 0x1000_0000)).Kind);
        return Task.CompletedTask;
    });

    /// <summary>What a dead predecessor left: a write whose data never came, a halted interface.</summary>
    [Theory]
    [InlineData("0BD11F43010000000508000000010000" + "00000010000100000000000000000000")]
    [InlineData("0BD11F43010000007E00000000000000" + "00000000000000000000000000000000")]
    [InlineData("42")]
    public void It_comes_to_rest_from_whatever_state(string sentBefore) => VirtualTime.Run(async time =>
    {
        var printer = VirtualPrinter.Create("rp2040-in-bootsel", time);
        await using (var before = await printer.OpenUsbAsync(printer.Look().Devices.Single(device => device.Usb == PicobootDriver.Rp2040)))
            await before.BulkAsync(0x03, Convert.FromHexString(sentBefore), TimeSpan.FromSeconds(1));
        await using var picoboot = await OpenAsync(printer, time);
        Assert.Equal(0x1020_0000u, picoboot.Memory.End);
    });

    private static void Opened(string scenario, Func<Picoboot, VirtualPrinter, Task> act, Action<VirtualFlash>? prepare = null,
        uint? flashEnd = null) => VirtualTime.Run(async time =>
    {
        var printer = VirtualPrinter.Create(scenario, time);
        prepare?.Invoke(printer.Boards[0].Flash);
        await using var picoboot = await OpenAsync(printer, time, flashEnd);
        await act(picoboot, printer);
    });

    private static async Task<Picoboot> OpenAsync(VirtualPrinter printer, VirtualTime time, uint? flashEnd = null)
    {
        var device = printer.Look().Devices.Single(device => device.Usb == PicobootDriver.Rp2040);
        var target = new BootloaderTarget("it", Rp2040, 0x1000_0100, flashEnd ?? Rp2040.FlashEnd, new EarlyPolling(), time);
        return await Picoboot.OpenAsync(await printer.OpenUsbAsync(device), target);
    }
}

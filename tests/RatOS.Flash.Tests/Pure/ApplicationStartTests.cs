using RatOS.Flash.Chips;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The start of a running firmware by its chip's registers.</summary>
public sealed class ApplicationStartTests
{
    [Theory]
    [InlineData("stm32f446xx", 0x0800_8000u)]
    [InlineData("stm32f446xx", 0x0800_0000u)]
    [InlineData("stm32f407xx", 0x0802_0200u)]
    [InlineData("stm32h723xx", 0x0802_0000u)]
    [InlineData("stm32g0b1xx", 0x0800_2000u)]
    [InlineData("stm32f072xb", 0x0800_0000u)]   // has no VTOR
    [InlineData("stm32f072xb", 0x0800_2000u)]
    [InlineData("rp2040", 0x1000_0100u)]        // VTOR points into RAM
    [InlineData("rp2040", 0x1000_4000u)]
    public async Task A_running_firmware_tells_where_it_begins_whatever_is_declared(string name, uint start)
    {
        var (chip, mcu) = (VirtualChip.All.Single(chip => chip.Name == name), Mcu.Find(name)!);
        foreach (var offset in mcu.Offsets)
        {
            var line = Board(chip, start);
            await using var client = await KlipperClient.ConnectAsync(line, "board", line.Time, default);
            Assert.Equal(start, (await client.AskChipAsync(mcu, mcu.FlashBase + offset, default, asksAll: true)).ApplicationStart);
            Assert.Empty(line.Resets);   // no address that faults was read
        }
    }

    private static ProgramLine Board(VirtualChip chip, uint start)
    {
        var bytes = VirtualFirmware.Build(chip, start, "v0.13.0");
        var flash = new VirtualFlash(chip);
        flash.Preset(start, bytes);
        var firmware = new VirtualFirmware(FirmwareImage.Parse(bytes, "klipper.bin").CompressedDictionary).At(start, bytes.Length);
        return new(
            (send, reset) => new KlipperProgram(firmware, chip, flash, [.. "HOSTPEER-001"u8], McuLink.Usb) { Send = send, Reset = reset },
            0, 0, true, false);
    }
}

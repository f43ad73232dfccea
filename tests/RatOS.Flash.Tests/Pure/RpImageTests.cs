using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Firmware for an RP2040 or RP2350: boot code in front of it, families of UF2.</summary>
public sealed class RpImageTests
{
    private static readonly Mcu Rp2040 = Mcu.Find("rp2040")!;

    /// <summary>The ROM starts nothing without it, and stays in BOOTSEL.</summary>
    [Fact]
    public void Without_a_bootloader_the_boot_code_is_there_and_its_checksum_is_right()
    {
        var whole = Images.WithBootCode();
        Assert.Null(Check(whole));
        Assert.Contains("lacks the 256 bytes of boot code in front of 10000100", Check(whole[0x100..])!.Cause, StringComparison.Ordinal);
        whole[0x20] ^= 1;
        Assert.Contains("checksum of its boot code at 10000000", Check(whole)!.Cause, StringComparison.Ordinal);
        Assert.Equal("firmware-strange-code", Check(whole)!.Code);
    }

    [Theory]
    [InlineData(0xE48B_FF5A, "blocks of family e48bff5a (RP2350, RISC-V)")]
    [InlineData(0xE48B_FF57, "blocks of family e48bff57 (any chip, absolute addresses)")]
    [InlineData(0x5775_5A57, "blocks of family 57755a57")]
    public void Uf2_blocks_of_another_family_alone_are_refused_by_its_name(uint family, string words)
    {
        var file = Images.Uf2(Images.WithBootCode(), family: family);
        var fault = Assert.Throws<FlashException>(() => FirmwareImage.Parse(file, "klipper.uf2"));
        Assert.Contains(words, fault.Cause, StringComparison.Ordinal);
    }

    /// <summary>Klipper's build writes the RP2040's family for both chips; what counts is the firmware in it.</summary>
    [Theory]
    [InlineData(0xE48B_FF56)]
    [InlineData(0xE48B_FF59)]
    public void An_RP2350s_firmware_may_carry_either_family(uint family)
    {
        var file = Images.Uf2(Images.Bin("rp2350", 0x1000_0000, 44_032, 0x58), family: family);
        var image = FirmwareImage.Parse(file, "klipper.uf2");
        Assert.Equal(("rp2350", 0x1000_0000u, 0), (image.Mcu, image.LoadAddress!.Value, image.BootCode));
        Assert.Equal(FaultKind.FirmwareWrongMcu, image.CheckCompatibility(Rp2040, 0x1000_0100, Rp2040.FlashEnd)?.Kind);
    }

    private static FlashException? Check(byte[] file) =>
        FirmwareImage.Parse(file, "klipper.bin").CheckCompatibility(Rp2040, 0x1000_0100, Rp2040.FlashEnd);
}

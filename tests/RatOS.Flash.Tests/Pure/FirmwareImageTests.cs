using System.Security.Cryptography;
using CsCheck;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Tests.Pure;

public sealed class FirmwareImageTests
{
    private static readonly Mcu F446 = Mcu.Find("stm32f446xx")!;
    private static readonly Mcu F407 = Mcu.Find("stm32f407xx")!;
    private static readonly Mcu G0B1 = Mcu.Find("stm32g0b1xx")!;
    private static readonly Mcu Rp2040 = Mcu.Find("rp2040")!;

    [Fact]
    public void A_bin_file_is_identified()
    {
        var bytes = Images.Bin();
        var image = Open(bytes);

        Assert.Equal(FirmwareContainer.Bin, image.Container);
        Assert.Equal(bytes, image.Bytes.ToArray());
        Assert.Null(image.LoadAddress);
        Assert.Equal(0x2002_0000u, image.InitialStack);
        Assert.Equal(0x0800_F009u, image.ResetVector);
        Assert.Equal("stm32f446xx", image.Mcu);
        Assert.Equal("v0.13.0-730-g84104bbbd", image.Version);
        Assert.Equal(Images.Compress(Images.Json()), image.CompressedDictionary.ToArray());
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), image.Sha256);
        Assert.False(image.IsHostProcess);
        Assert.Null(image.CheckCompatibility(F446, 0x0800_8000, F446.FlashEnd));
        Assert.Equal(0x0800_8000u, image.BuiltFor(F446));
    }

    [Theory]
    [InlineData("image_f446.bin", "stm32f446xx", 0x4ca5, 359, 0x0800_8000u)]
    [InlineData("image_g0b1.bin", "stm32g0b1xx", 0x2da1, 359, null)]
    [InlineData("image_h723.bin", "stm32h723xx", 0x2da0, 360, 0x0802_0000u)]
    public void A_dictionary_is_found_wherever_it_stands(string file, string mcu, int at, int length, uint? start)
    {
        var bytes = File.ReadAllBytes(Path.Combine("Recordings", file));
        var image = Open(bytes);

        Assert.Equal(mcu, image.Mcu);
        Assert.Equal("v0.13.0-1-g0000001", image.Version);
        Assert.Equal(bytes.AsSpan(at, length).ToArray(), image.CompressedDictionary.ToArray());
        Assert.Equal(start, image.BuiltFor(Mcu.Find(mcu)!));
    }

    [Fact]
    public void Uf2_elf_and_bin_of_one_build_hold_the_same_bytes()
    {
        var bin = Images.Bin("rp2040", 0x1000_4000, 44_032, 0x58);
        var uf2 = Open(Images.Uf2(bin, 0x1000_4000));
        var elf = Open(Images.Elf((0x1000_4000, bin[..0x388]), (0x1000_4388, bin[0x388..])));

        Assert.Equal((FirmwareContainer.Uf2, FirmwareContainer.Elf), (uf2.Container, elf.Container));
        foreach (var image in new[] { uf2, elf })
        {
            Assert.Equal(bin, image.Bytes.ToArray());
            Assert.Equal(0x1000_4000u, image.LoadAddress);
            Assert.Null(image.CheckCompatibility(Rp2040, 0x1000_4000, Rp2040.FlashEnd));
        }
    }

    [Fact]
    public void Gaps_between_elf_segments_become_zeros_as_in_the_bin()
    {
        var bin = Images.Bin();
        bin[0x2000] = bin[0x2001] = 0;
        Assert.Equal(bin, Open(Images.Elf((0x0800_A002, bin[0x2002..]), (0x0800_8000, bin[..0x2000]))).Bytes.ToArray());
    }

    [Fact]
    public void Firmware_for_an_rp2040_without_bootloader_begins_with_boot_code()
    {
        var image = Open(Images.Uf2(Images.WithBootCode()));

        Assert.Equal(0x1000_0000u, image.LoadAddress);
        Assert.Equal(0x100, image.BootCode);
        Assert.Equal((0x2004_2000u, 0x1000_0159u), (image.InitialStack, image.ResetVector));
        Assert.Equal(0x1000_0100u, image.BuiltFor(Rp2040));
        Assert.Null(image.CheckCompatibility(Rp2040, 0x1000_0100, Rp2040.FlashEnd));
        Refused("firmware-wrong-offset", "10000100", image.CheckCompatibility(Rp2040, 0x1000_4000, Rp2040.FlashEnd));
    }

    [Fact]
    public void Firmware_for_katapult_has_none_and_is_refused_without_it()
    {
        // Its reset vector 10004059 lies inside 10000100..1000ad00 too.
        var image = Open(Images.Bin("rp2040", 0x1000_4000, 44_180, 0x58));
        Refused("firmware-wrong-offset", "built for the start address 10004000",
            image.CheckCompatibility(Rp2040, 0x1000_0100, Rp2040.FlashEnd));
    }

    // ---- misfits

    [Fact]
    public void Another_chip_is_refused_first() =>
        Refused("firmware-wrong-mcu", "built for stm32f446xx, but the board is a stm32g0b1xx",
            Open(Images.Bin()).CheckCompatibility(G0B1, 0, 0));

    [Theory]
    [InlineData(0x2001_FFF8u)]
    [InlineData(0x2002_4000u)]
    [InlineData(0u)]
    public void Another_stack_pointer_is_refused(uint stack) => AssertRefusedAfter(0, stack, "firmware-bad-vectors", $"{stack:x8}");

    /// <summary>Klipper's RAM_SIZE of the 10-KiB F103, of any other F103 and of the N32G45x, all of them a stm32f103xe.</summary>
    [Theory]
    [InlineData(0x2000_2800u, null)]
    [InlineData(0x2000_5000u, null)]
    [InlineData(0x2001_0000u, null)]
    [InlineData(0x2002_0000u, "firmware-bad-vectors")]
    public void Every_stack_end_that_Klipper_builds_for_a_name_is_allowed(uint stack, string? code)
    {
        var mcu = Mcu.Find("stm32f103xe")!;
        var image = Open(Images.Bin(mcu.Name, 0x0800_2000, stack: stack));
        Assert.Equal(code, image.CheckCompatibility(mcu, 0x0800_2000, mcu.FlashEnd)?.Kind.Code);
    }

    [Fact]
    public void An_even_reset_vector_is_refused() => AssertRefusedAfter(4, 0x0800_F008, "firmware-bad-vectors", "even");

    [Theory]
    [InlineData(0x0800_7FFFu)]
    [InlineData(0x0800_8000u + 44_517)]
    public void A_reset_vector_outside_is_another_offset(uint vector) =>
        AssertRefusedAfter(4, vector, "firmware-wrong-offset", $"{vector:x8}");

    [Theory]
    [InlineData(2, 0x0800_F01Cu)]
    [InlineData(7, 0u)]
    [InlineData(5, 0x2000_0001u)]
    public void A_handler_that_is_no_code_is_refused(int number, uint vector) =>
        AssertRefusedAfter(number * 4, vector, "firmware-bad-vectors", $"handler {number} is {vector:x8}");

    [Fact]
    public void The_right_offset_is_named()
    {
        var image = Open(Images.Bin(start: 0x0800_0000, resetAt: 0x6FF4));
        Refused("firmware-wrong-offset", "(08000000)", image.CheckCompatibility(F446, 0x0800_8000, F446.FlashEnd));
        Assert.Equal(0x0800_0000u, image.BuiltFor(F446));
    }

    [Theory]
    [InlineData("stm32g0b1xx", 0x0800_0000u, 0x7810, 0x0800_2000u)]
    [InlineData("stm32g0b1xx", 0x0800_2000u, 0x7820, 0x0800_0000u)]
    [InlineData("stm32f072xb", 0x0800_0000u, 0x77C0, 0x0800_1000u)]
    [InlineData("stm32f407xx", 0x0800_8000u, 0x700C, 0x0800_C000u)]
    public void Vectors_that_pass_by_chance_do_not_hide_another_offset(string name, uint built, int resetAt, uint start)
    {
        // Taken from real builds: the reset vector lies inside the image at both addresses.
        var mcu = Mcu.Find(name)!;
        var image = Open(Images.Bin(name, built, resetAt: resetAt));

        Assert.InRange(image.ResetVector, start, start + (uint)image.Bytes.Length);
        Assert.Equal(built, image.BuiltFor(mcu));
        Assert.Null(image.CheckCompatibility(mcu, built, mcu.FlashEnd));
        Refused("firmware-wrong-offset", $"built for the start address {built:x8}", image.CheckCompatibility(mcu, start, mcu.FlashEnd));
    }

    [Fact]
    public void An_unknown_start_up_code_leaves_it_to_the_vectors()
    {
        var bytes = Images.Bin("stm32f407xx", resetAt: 0x700C);
        bytes.AsSpan(0x700C, 0x20).Clear();
        var image = Open(bytes);

        Assert.Null(image.BuiltFor(F407));
        Assert.Null(image.CheckCompatibility(F407, 0x0800_8000, F407.FlashEnd));
        Assert.Null(image.CheckCompatibility(F407, 0x0800_C000, F407.FlashEnd));
    }

    [Fact]
    public void An_elf_for_another_address_is_refused_even_with_unknown_start_up_code()
    {
        var bytes = Images.Bin("stm32f407xx", resetAt: 0x700C);
        bytes.AsSpan(0x700C, 0x20).Clear();
        var image = Open(Images.Elf((0x0800_8000, bytes)));
        Assert.Null(image.CheckCompatibility(F407, 0x0800_8000, F407.FlashEnd));
        Refused("firmware-wrong-offset", "08008000", image.CheckCompatibility(F407, 0x0800_C000, F407.FlashEnd));
        Refused("firmware-wrong-offset", "08008004",
            Open(Images.Elf((0x0800_8004, bytes))).CheckCompatibility(F407, 0x0800_8000, F407.FlashEnd));
    }

    [Fact]
    public void It_fits_to_the_last_byte_and_not_one_more()
    {
        var image = Open(Images.Bin(size: 44_516));
        Assert.Null(image.CheckCompatibility(F446, 0x0800_8000, 0x0800_8000 + 44_516));
        Refused("firmware-too-big", ": 1 byte too few.", image.CheckCompatibility(F446, 0x0800_8000, 0x0800_8000 + 44_515));
        Refused("firmware-too-big", "flash has 0 bytes", image.CheckCompatibility(F446, 0x0800_8000, 0x0800_0000));
    }

    // ---- files that are no firmware

    [Fact]
    public void Every_cut_of_a_file_is_seen()
    {
        var bytes = Images.Bin();
        for (var length = 0; length < bytes.Length; length += length < 64 || length > bytes.Length - 64 ? 1 : 97)
        {
            var fault = Assert.Throws<FlashException>(() => Open(bytes[..length]));
            // As long as the start-up code is not there to tell its place, other chips of this RAM size would fit too.
            if (length is < 32 or > 12_288 and < 29_200)
                Assert.Contains(fault.Code, new[] { "firmware-cut-short", "not-klipper-firmware" });
            else
                Assert.Equal("firmware-cut-short", fault.Code);
        }
    }

    [Fact]
    public void A_file_truncated_behind_the_dictionary_is_detected_by_the_start_up_code()
    {
        var fault = Assert.Throws<FlashException>(() => Open(Images.Bin()[..^4]));
        Assert.Equal("klipper.bin is damaged or truncated: its start-up code wants 44516 bytes, but only 44512 are there.",
            fault.Cause);
    }

    [Theory]
    [InlineData("", "firmware-cut-short", "empty")]
    [InlineData("PK\u0003\u0004 and so on", "not-klipper-firmware", "ZIP")]
    [InlineData(":100000000C9434000C", "not-klipper-firmware", "Intel HEX")]
    [InlineData("<!DOCTYPE html>", "not-klipper-firmware", "web page")]
    [InlineData("Marlin 2.1", "not-klipper-firmware", "no data dictionary")]
    [InlineData("DfuSe\u0001 and so on", "firmware-dfu-file", "DfuSe file")]
    [InlineData("anything, then UFD\u0010CRC4", "firmware-dfu-file", "DFU suffix")]
    public void Other_file_formats_are_named(string text, string code, string words)
    {
        var fault = Assert.Throws<FlashException>(() => Open(System.Text.Encoding.Latin1.GetBytes(text)));
        Assert.Equal(code, fault.Code);
        Assert.Contains(words, fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_dictionary_is_no_dictionary()
    {
        var bytes = Images.Bin();
        bytes[Images.DictionaryAt(bytes.Length) + 100] ^= 4;
        Assert.Equal("firmware-cut-short", Assert.Throws<FlashException>(() => Open(bytes)).Code);
    }

    [Fact]
    public void A_linux_process_is_recognised_and_fits_no_board()
    {
        var dictionary = Images.Compress(Images.Json("linux"));
        byte[] file = [.. Convert.FromHexString("7F454C46020101"), .. new byte[1000], .. dictionary, .. new byte[501]];
        var image = Open(file);

        Assert.True(image.IsHostProcess);
        Assert.Equal(file, image.Bytes.ToArray());
        Assert.Equal(dictionary, image.CompressedDictionary.ToArray());
        Refused("firmware-wrong-mcu", "a process of the computer", image.CheckCompatibility(F446, 0x0800_8000, F446.FlashEnd));
    }

    [Theory]
    [InlineData(4 * 512 + 100, "firmware-cut-short")]
    [InlineData(4 * 512, "firmware-cut-short")]
    [InlineData(512, "firmware-cut-short")]
    public void A_cut_uf2_is_seen(int length, string code) => RefusedUf2(code, file => file[..length]);

    [Theory]
    [InlineData(3 * 512 + 20, 2u, "UF2 block 2 comes twice")]
    [InlineData(3 * 512 + 20, 4u, "UF2 block 3 is missing")]
    [InlineData(3 * 512 + 12, 0x1000_0400u, "for 10000400, not for 10000300")]
    [InlineData(3 * 512 + 16, 200u, "carries 200 bytes")]
    [InlineData(3 * 512 + 24, 7u, "two images")]
    [InlineData(3 * 512 + 28, 0xE48B_FF59u, "two images")]
    [InlineData(3 * 512 + 4, 0u, "damaged")]
    [InlineData(3 * 512 + 508, 0u, "damaged")]
    public void A_wrong_uf2_block_is_refused(int at, uint value, string words)
    {
        var fault = RefusedUf2("firmware-bad-container", file =>
        {
            Images.Word(file, at, value);
            return file;
        });
        Assert.Contains(words, fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Blocks_of_unknown_families_are_skipped()
    {
        var image = Images.WithBootCode();
        var other = Images.Uf2(new byte[256], 0x10FF_FF00, 0xE48B_FF57);
        Assert.Equal(image, Open([.. Images.Uf2(image), .. other]).Bytes.ToArray());
        Assert.Equal("firmware-bad-container", Assert.Throws<FlashException>(() => Open(other)).Code);
    }

    [Fact]
    public void Uf2_blocks_for_an_rp2350_do_not_carry_rp2040_firmware()
    {
        var fault = Assert.Throws<FlashException>(() => Open(Images.Uf2(Images.WithBootCode(), family: 0xE48B_FF59)));
        Assert.Contains("for an RP2350, but the firmware in them is for rp2040", fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void An_avrs_elf_is_opened_whatever_its_length()
    {
        var file = Images.Elf((0, [.. Images.Bin("atmega2560", 0), 1]));
        file[18] = 83;
        var image = Open(file);
        Assert.Equal(("atmega2560", Images.Bin("atmega2560", 0).Length + 1), (image.Mcu, image.Bytes.Length));
    }

    [Theory]
    [InlineData(18, 243u, "machine type 243")]
    [InlineData(52 + 4, 0x7FFF_0000u, "ends beyond the file")]
    [InlineData(28, 0x7FFF_0000u, "segment table")]
    [InlineData(52 + 12, 0x1000_0000u, "too far apart")]
    public void A_wrong_elf_is_refused(int at, uint value, string words)
    {
        var bin = Images.Bin();
        var file = Images.Elf((0x0800_8000, bin[..0x2000]), (0x0800_A000, bin[0x2000..]));
        if (at == 18)
            file[at] = (byte)value;
        else
            Images.Word(file, at, value);
        Assert.Contains(words, Assert.Throws<FlashException>(() => Open(file)).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Damage_anywhere_ends_in_a_fault_or_an_image_never_in_a_crash()
    {
        byte[][] files = [Images.Bin(), Images.Uf2(Images.WithBootCode()), Images.Elf((0x0800_8000, Images.Bin()))];
        Gen.Select(Gen.Int[0, 2], Gen.Int[0, 100_000], Gen.Byte, Gen.Int[0, 100_000]).Sample((which, at, value, length) =>
        {
            var file = files[which].AsSpan(0, Math.Min(files[which].Length, length)).ToArray();
            if (file.Length > 0)
                file[at % file.Length] = value;
            try
            {
                _ = Open(file).CheckCompatibility(F446, 0x0800_8000, F446.FlashEnd);
            }
            catch (FlashException fault)
            {
                Assert.NotEmpty(fault.Remedy.ToString());
            }
        });
    }

    [Fact]
    public void A_file_is_opened_from_disk_and_what_cannot_be_read_says_why()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var path = Path.Combine(folder.FullName, "klipper.bin");
            File.WriteAllBytes(path, Images.Bin());
            Assert.Equal("klipper.bin", FirmwareImage.Open(path).Name);

            Unreadable(Path.Combine(folder.FullName, "other.bin"), "the file does not exist");
            Unreadable(folder.FullName, "it is a directory");
            Unreadable("", "");
            using (var large = File.Create(path))
                large.SetLength((64 << 20) + 1);
            Unreadable(path, "which is too much for any firmware");
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static void Unreadable(string path, string why)
        {
            var fault = Assert.Throws<FlashException>(() => FirmwareImage.Open(path));
            Assert.Equal("firmware-unreadable", fault.Code);
            Assert.Contains(why, fault.Cause, StringComparison.Ordinal);
        }
    }

    private static FirmwareImage Open(byte[] file) => FirmwareImage.Parse(file, "klipper.bin");

    private static void AssertRefusedAfter(int at, uint value, string code, string words)
    {
        var bytes = Images.Bin();
        Images.Word(bytes, at, value);
        Refused(code, words, Open(bytes).CheckCompatibility(F446, 0x0800_8000, F446.FlashEnd));
    }

    private static void Refused(string code, string words, FlashException? fault)
    {
        Assert.NotNull(fault);
        Assert.Equal(code, fault.Code);
        Assert.Contains(words, fault.Cause, StringComparison.Ordinal);
    }

    private static FlashException RefusedUf2(string code, Func<byte[], byte[]> change)
    {
        var fault = Assert.Throws<FlashException>(() => Open(change(Images.Uf2(Images.WithBootCode()))));
        Assert.Equal(code, fault.Code);
        return fault;
    }
}

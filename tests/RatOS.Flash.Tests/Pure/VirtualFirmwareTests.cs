using System.Buffers.Binary;
using System.IO.Compression;
using System.Text.Json;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

public sealed class VirtualFirmwareTests
{
    private const string Version = "v0.13.0-730-g84104bbbd";

    public static TheoryData<string, uint> Builds => new()
    {
        { "stm32f446xx", 0x0800_8000 }, { "stm32f446xx", 0x0800_0000 }, { "stm32f407xx", 0x0800_8000 }, { "stm32f429xx", 0x0800_8000 },
        { "stm32h723xx", 0x0802_0000 }, { "stm32g0b1xx", 0x0800_0000 }, { "stm32g0b1xx", 0x0800_2000 }, { "stm32f072xb", 0x0800_0000 },
        { "rp2040", 0x1000_4000 },
    };

    private static VirtualChip Chip(string name) => VirtualChip.All.Single(chip => chip.Name == name);

    private static (VirtualFirmware? Running, string Reason) Start(string chip, uint start, byte[] image)
    {
        var flash = new VirtualFlash(Chip(chip));
        flash.Preset(start, image);
        return VirtualFirmware.WouldStart(flash, Chip(chip), start);
    }

    /// <summary>The dictionary's JSON and its place, found without the code under test.</summary>
    private static (int Offset, JsonElement Json) Dictionary(byte[] image)
    {
        var offset = image.AsSpan().IndexOf<byte>(new byte[] { 0x78, 0xDA });
        using var zlib = new ZLibStream(new MemoryStream(image, offset, image.Length - offset), CompressionMode.Decompress);
        return (offset, JsonDocument.Parse(zlib).RootElement);
    }

    [Theory, MemberData(nameof(Builds))]
    public void A_build_starts_on_its_chip_at_its_address(string chip, uint start)
    {
        var image = VirtualFirmware.Build(Chip(chip), start, Version);
        var (running, reason) = Start(chip, start, image);
        Assert.True(running is not null, reason);
        Assert.Equal((Version, chip, start, image.Length), (running.Version, running.Mcu, running.Start, running.Length));
        Assert.Equal(44_468, image.Length);
        Assert.True(image.AsSpan().IndexOf(running.CompressedDictionary.Span) > 36_000);
    }

    [Theory, MemberData(nameof(Builds))]
    public void A_build_starts_at_no_other_address(string chip, uint start)
    {
        var image = VirtualFirmware.Build(Chip(chip), start, Version);
        foreach (var (otherChip, otherStart) in Builds.Select(row => row.Data))
        {
            if ((otherChip, otherStart) != (chip, start))
                Assert.Null(Start(otherChip, otherStart, image).Running);
        }
    }

    [Theory, MemberData(nameof(Builds))]
    public void A_build_looks_like_a_real_image(string chip, uint start)
    {
        var image = VirtualFirmware.Build(Chip(chip), start, Version);
        var (offset, json) = Dictionary(image);
        Assert.Equal(
            ["app", "build_versions", "commands", "config", "enumerations", "license", "responses", "version"],
            json.EnumerateObject().Select(item => item.Name));
        Assert.InRange(Start(chip, start, image).Running!.CompressedDictionary.Length, 3500, 4100);
        Assert.InRange(json.GetRawText().Length, 10_000, 12_800);
        Assert.InRange(offset, 35_000, 39_000);
        // The checks of a flasher before it writes.
        var words = Enumerable.Range(0, 8).Select(i => BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(i * 4))).ToArray();
        Assert.Equal(Chip(chip).RamEnd, words[0]);
        Assert.Equal(1u, words[1] & 1);
        Assert.InRange(words[1], start, start + (uint)image.Length);
        Assert.Single(words[2..].Distinct());
        Assert.Equal(1u, words[2] & 1);
        if (chip != "rp2040")
            Assert.InRange(words[2], start, start + (uint)image.Length);
    }

    [Theory]
    [InlineData("stm32f446xx", -8, 129, -1, -5, -6, 120)]
    [InlineData("stm32f407xx", -8, 129, -1, -5, -6, 120)]
    [InlineData("stm32g0b1xx", -16, -7, -9, -13, -14, 112)]
    [InlineData("stm32h723xx", -16, -7, -9, -13, -14, 112)]
    [InlineData("stm32f072xb", -16, -7, -9, -13, -14, 112)]
    [InlineData("rp2040", -16, -7, -9, -13, -14, 112)]
    public void Commands_are_numbered_as_in_real_builds(
        string chip, int reset, int debugResult, int config, int shutdown, int isShutdown, int count)
    {
        var json = Dictionary(VirtualFirmware.Build(Chip(chip), Chip(chip).FlashBase + 0x8000, Version)).Json;
        var commands = json.GetProperty("commands");
        var responses = json.GetProperty("responses");
        Assert.Equal(
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, reset],
            new[]
            {
                "identify offset=%u count=%c", "clear_shutdown", "emergency_stop", "get_uptime", "get_clock", "finalize_config crc=%u",
                "get_config", "allocate_oids count=%c", "debug_nop", "debug_ping data=%*s", "debug_write order=%c addr=%u val=%u",
                "debug_read order=%c addr=%u", "reset",
            }.Select(name => commands.GetProperty(name).GetInt32()));
        Assert.Equal(
            [0, debugResult, config, shutdown, isShutdown],
            new[]
            {
                "identify_response offset=%u data=%.*s", "debug_result val=%u", "config is_config=%c crc=%u is_shutdown=%c move_count=%hu",
                "shutdown clock=%u static_string_id=%hu", "is_shutdown static_string_id=%hu",
            }.Select(name => responses.GetProperty(name).GetInt32()));
        Assert.Equal(count, commands.EnumerateObject().Count());
        var numbers = commands.EnumerateObject().Concat(responses.EnumerateObject()).Select(item => item.Value.GetInt32()).ToList();
        Assert.Equal(numbers.Count, numbers.Distinct().Count());
        Assert.Equal(8, json.GetProperty("enumerations").GetProperty("static_string_id").GetProperty("Command request").GetInt32());
    }

    [Fact]
    public void The_same_arguments_build_the_same_bytes_and_others_build_others()
    {
        var one = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version);
        Assert.Equal(one, VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version));
        one[100] ^= 1; // a caller's copy is his own
        Assert.NotEqual(one, VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version));

        var other = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version, compiler: "gcc: 13.1 binutils: 2.41");
        var running = Start("stm32f446xx", 0x0800_8000, other).Running!;
        Assert.Equal(Version, running.Version);
        Assert.True(one.AsSpan().IndexOf(running.CompressedDictionary.Span) < 0, "another compiler, another dictionary");
    }

    [Fact]
    public void The_bytes_of_a_build_do_not_change_from_one_process_to_the_next()
    {
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version);
        // The noise only: the compressed dictionary may differ with the version of zlib.
        // Recordings and bug reports must be reproducible: no byte may come from a randomised hash.
        Assert.Equal(RecordedChecksum, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(image[0x1C0..0x6000]))[..16]);
    }

    private const string RecordedChecksum = "a5b3ee7f1ece7420";

    [Fact]
    public void A_build_has_no_blank_or_empty_stretch()
    {
        var image = VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, Version);
        for (var at = 0; at < image.Length - 16; at++)
            Assert.True(image.AsSpan(at, 16).ContainsAnyExcept((byte)0xFF) && image.AsSpan(at, 16).ContainsAnyExcept((byte)0), $"at {at}");
    }

    [Fact]
    public void One_wrong_bit_anywhere_is_a_crash()
    {
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version);
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(0x0800_8000, image);
        foreach (var at in Enumerable.Range(0, 64).Concat(Enumerable.Range(0, 200).Select(i => i * 222)).Append(image.Length - 1))
        {
            flash.Preset(0x0800_8000 + (uint)at, [(byte)(image[at] ^ 0x10)]);
            Assert.True(VirtualFirmware.WouldStart(flash, VirtualChip.F446, 0x0800_8000).Running is null, $"at {at}");
            flash.Preset(0x0800_8000 + (uint)at, [image[at]]);
        }
        Assert.NotNull(VirtualFirmware.WouldStart(flash, VirtualChip.F446, 0x0800_8000).Running);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(64)]
    [InlineData(37_000)]
    [InlineData(44_416)]
    public void A_missing_block_is_a_crash(int at)
    {
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version);
        image.AsSpan(at, Math.Min(64, image.Length - at)).Fill(0xFF);
        Assert.Null(Start("stm32f446xx", 0x0800_8000, image).Running);
    }

    [Fact]
    public void A_missing_block_in_an_image_without_checksum_is_a_crash()
    {
        // A real image has the common handler in the reserved vectors and no checksum.
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version);
        image.AsSpan(8, 12).CopyTo(image.AsSpan(32));
        Assert.NotNull(Start("stm32f446xx", 0x0800_8000, image).Running);
        image.AsSpan(20 * 64, 64).Fill(0xFF);
        var (running, reason) = Start("stm32f446xx", 0x0800_8000, image);
        Assert.Null(running);
        Assert.Equal("a block of the code is blank at 08008500", reason);
    }

    [Fact]
    public void Half_written_cells_are_a_crash_even_if_they_read_right()
    {
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, Version);
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(0x0800_8000, image);
        flash.Program(0x0800_9000, image.AsSpan(0x1000, 4), TimeSpan.Zero);
        flash.CutPower(TimeSpan.FromMicroseconds(8));
        Assert.True(flash.Read(0x0800_8000, image.Length).SequenceEqual(image), "written twice with the same bytes");
        Assert.Null(VirtualFirmware.WouldStart(flash, VirtualChip.F446, 0x0800_8000).Running);
    }

    [Fact]
    public void Blank_flash_does_not_start()
    {
        var (running, reason) = VirtualFirmware.WouldStart(new VirtualFlash(VirtualChip.F446), VirtualChip.F446, 0x0800_8000);
        Assert.Null(running);
        Assert.Equal("the stack pointer is ffffffff, not 20020000", reason);
    }
}

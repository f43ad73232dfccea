using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Files that are made to be slow cost a counted amount of work and are refused.</summary>
public sealed class WorkBudgetTests
{
    private const long Most = 17 << 20;

    private static long WorkOf(byte[] image, bool isFound = false)
    {
        var budget = new WorkBudget(16 << 20);
        Assert.Equal(isFound, DataDictionary.Find(image, out _, budget) is not null);
        Assert.InRange(budget.Used, 1, Most);
        return budget.Used;
    }

    private static byte[] Stream(ReadOnlySpan<byte> text, CompressionLevel level = CompressionLevel.Optimal)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, level))
            zlib.Write(text);
        return packed.ToArray();
    }

    [Fact]
    public void A_real_image_costs_a_small_part_of_the_budget()
    {
        var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0");
        Assert.InRange(WorkOf(image, isFound: true), 1, Most / 16);
    }

    [Fact]
    public void The_end_of_a_stream_is_found_in_one_pass_though_its_checksum_is_repeated_a_hundred_thousand_times()
    {
        // The old search inflated the stream again at each place where the four bytes of its checksum stand.
        var stream = Stream(Encoding.ASCII.GetBytes("{\"" + new string('a', 100_000)));
        var image = new byte[1 << 20];
        stream.CopyTo(image, 0);
        for (var at = stream.Length; at + 4 <= image.Length; at += 4)
            stream.AsSpan(stream.Length - 4).CopyTo(image.AsSpan(at));
        Assert.InRange(WorkOf(image), 100_000, 600_000);
    }

    [Fact]
    public void Eight_thousand_streams_of_a_mebibyte_are_given_up_early()
    {
        var stream = Stream(Encoding.ASCII.GetBytes("{\"" + new string('a', 1 << 20)));
        var image = Enumerable.Repeat(stream, 8192).SelectMany(bytes => bytes).Take(8 << 20).ToArray();
        WorkOf(image);
    }

    [Fact]
    public void Noise_of_eight_mebibytes_does_not_hide_a_dictionary_at_its_end()
    {
        var noise = new byte[6 << 20];
        new Random(3).NextBytes(noise);
        WorkOf([.. noise, .. VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0")], isFound: true);
    }

    [Fact]
    public void Nothing_but_beginnings_of_streams_is_given_up_early() =>
        WorkOf([.. Enumerable.Range(0, 8 << 20).Select(i => (byte)(i % 2 == 0 ? 0x78 : 0xda))]);

    [Fact]
    public void Segments_of_an_ELF_that_overlap_are_refused_before_they_are_copied()
    {
        const int count = 20_000, size = 1 << 20;
        var file = new byte[52 + (32 * count) + size];
        "\u007fELF"u8.CopyTo(file);
        (file[4], file[5], file[18]) = (1, 1, 40);
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(28), 52);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(42), 32);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(44), count);
        for (var i = 0; i < count; i++)
        {
            var entry = file.AsSpan(52 + (32 * i));
            BinaryPrimitives.WriteUInt32LittleEndian(entry, 1);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], 52 + (32 * count));
            BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], 0x0800_8000);
            BinaryPrimitives.WriteUInt32LittleEndian(entry[16..], size);
        }
        var fault = Assert.Throws<FlashException>(() => FirmwareImage.Parse(file, "x.elf"));
        Assert.Contains("overlap", fault.Cause, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/dev/zero")]
    [InlineData("/dev/null")]
    [InlineData("FIFO")]
    [InlineData("LINK")]
    public void Pipes_and_devices_are_not_opened(string path)
    {
        var folder = Directory.CreateTempSubdirectory("rf-");
        try
        {
            var fifo = Path.Combine(folder.FullName, "x.bin");
            using (var made = System.Diagnostics.Process.Start("mkfifo", [fifo]))
                made.WaitForExit();
            if (path == "LINK")
                File.CreateSymbolicLink(Path.Combine(folder.FullName, "link.bin"), fifo);
            path = path switch { "FIFO" => fifo, "LINK" => Path.Combine(folder.FullName, "link.bin"), _ => path };
            Assert.Equal("firmware-unreadable", Assert.Throws<FlashException>(() => FirmwareImage.Open(path)).Code);
            Assert.Equal(
                "firmware-unreadable", Assert.Throws<FlashException>(() => Agent.Contract.FirmwareFile.Read(path)).Code);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

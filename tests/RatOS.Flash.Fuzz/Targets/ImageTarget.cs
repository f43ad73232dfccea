using System.Buffers.Binary;
using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>Firmware files, as <c>flash</c> and <c>firmware inspect</c> open them: .bin, .uf2 and .elf.</summary>
internal sealed class ImageTarget : FuzzTarget
{
    private const int SmallImage = 8 * 1024;

    public override string Name => "image";

    public override string Oracle =>
        "The bytes of an accepted file are accepted as .bin with the same checksum, its dictionary reads alone, and no line has a "
        + "control character.";

    // Of an ELF: the bytes that a chip's flash could hold, and copies of them.
    public override long MostMemory => 128 << 20;

    public override IEnumerable<string> Tokens =>
        ["\u007fELF\u0001\u0001\u0001", "UF2\n", "DfuSe\u0001", "UFD\u0010", "x\u0001", "x^", "PK", ":10", "{\"", "<html"];

    public override IEnumerable<byte[]> Seeds()
    {
        var bin = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0-730-g84104bbbd", SmallImage);
        yield return bin;
        yield return VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, "v0.12.0-1-gabcdef0-dirty", SmallImage);
        yield return Elf(bin, 0x0800_8000);
        var pico = VirtualFirmware.Build(VirtualChip.Rp2040, 0x1000_0100, "v0.13.0", SmallImage);
        yield return pico;
        yield return Uf2([.. new byte[0x100], .. pico], 0x1000_0000);
        yield return VirtualFirmware.Build(VirtualChip.Linux, 0, "v0.13.0", SmallImage);
        yield return bin[..(SmallImage / 2)];
        yield return Bytes(":020000040800F2\n");
        yield return Bytes("<html><body>404</body></html>");
    }

    public override void Run(byte[] input)
    {
        FirmwareImage image;
        try
        {
            image = FirmwareImage.Parse(input, "fuzz.bin");
        }
        catch (FlashException fault)
        {
            Hold(!fault.Cause.Any(PlainText.IsHidden), $"a plain cause: {fault.Cause}");
            return;
        }
        Hold(DataDictionary.Parse(image.CompressedDictionary) is var alone && alone.Version == image.Version && alone.Mcu == image.Mcu,
            "the dictionary reads alone");
        if (!image.IsHostProcess && image.Bytes.Length % 4 == 0)
            Again(image);
        var mcu = Mcu.Find(image.Mcu);
        var start = mcu is null ? null : image.BuiltFor(mcu);
        var misfit = mcu is not null && start is { } address
            ? image.CheckCompatibility(mcu, address, mcu.FlashEnd) ?? image.CheckStartUp(address) : null;
        foreach (var other in Mcu.All)
        {
            foreach (var offset in other.Offsets)
            {
                if (image.CheckCompatibility(other, other.FlashBase + offset, other.FlashEnd) is null)
                    image.CheckStartUp(other.FlashBase + offset);
            }
        }
        foreach (var row in FirmwareText.Of("fuzz.bin", image, start, misfit).SelectMany(line => line.Wrap(80)))
            Hold(!row.Any(char.IsControl) && row.Length <= 80, "rows of a terminal");
        JsonFirmware.Of("fuzz.bin", image, start, misfit);
    }

    private static void Again(FirmwareImage image)
    {
        try
        {
            var again = FirmwareImage.Parse(image.Bytes, "again.bin");
            Hold(again.Sha256 == image.Sha256 || again.Container != FirmwareContainer.Bin, "the same checksum without its container");
        }
        catch (FlashException fault)
        {
            // Inside of a container the bytes may begin or end as another kind of file does, and a .bin has no address to go by.
            Hold(image.Container != FirmwareContainer.Bin, $"the same file is accepted again: {fault.Cause}");
        }
    }

    /// <summary>A 32-bit ARM ELF of one segment.</summary>
    private static byte[] Elf(byte[] bytes, uint address)
    {
        var file = new byte[84 + bytes.Length];
        Convert.FromHexString("7F454C46010101").CopyTo(file, 0);
        Words(file.AsSpan(16), (40 << 16) | 2, 1, address, 52, 0, 0x0500_0200, (32 << 16) | 52, 1);
        Words(file.AsSpan(52), 1, 84, address, address, (uint)bytes.Length, (uint)bytes.Length, 5, 4);
        bytes.CopyTo(file, 84);
        return file;
    }

    private static byte[] Uf2(byte[] bytes, uint address)
    {
        var count = bytes.Length / 256;
        var file = new byte[count * 512];
        for (var i = 0; i < count; i++)
        {
            var block = file.AsSpan(i * 512, 512);
            Words(block, 0x0A32_4655, 0x9E5D_5157, 0x2000, address + ((uint)i * 256), 256, (uint)i, (uint)count, 0xE48B_FF56);
            bytes.AsSpan(i * 256, 256).CopyTo(block[32..]);
            Words(block[508..], 0x0AB1_6F30);
        }
        return file;
    }

    private static void Words(Span<byte> to, params ReadOnlySpan<uint> values)
    {
        for (var i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(to[(i * 4)..], values[i]);
    }
}

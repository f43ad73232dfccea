using System.Buffers.Binary;
using RatOS.Flash.Core;

namespace RatOS.Flash.Firmware;

/// <summary>UF2: 512-byte blocks, each with its own address (microsoft/uf2 README.md).</summary>
internal static class Uf2
{
    public const int BlockSize = 512;
    private const int PayloadAt = 32;
    private const int PayloadSize = 256;
    private const uint FirstMagic = 0x0A32_4655;
    private const uint SecondMagic = 0x9E5D_5157;
    private const uint LastMagic = 0x0AB1_6F30;
    private const uint NotMainFlash = 0x0000_0001;
    private const uint IsFileContainer = 0x0000_1000;
    private const uint HasFamily = 0x0000_2000;

    /// <summary>Klipper's build writes this one for both chips.</summary>
    private const uint Rp2040 = 0xE48B_FF56;
    public const uint Rp2350 = 0xE48B_FF59;

    public static bool Looks(ReadOnlySpan<byte> file) => file.Length >= 4 && BinaryPrimitives.ReadUInt32LittleEndian(file) == FirstMagic;

    /// <summary>The bytes for main flash, without a gap, and where they belong.</summary>
    /// <exception cref="FlashException">Cut short, out of order, of an unknown chip, or otherwise not what Klipper's build
    /// makes.</exception>
    public static (uint Address, byte[] Bytes, uint Family) Open(ReadOnlySpan<byte> file, string name)
    {
        if (file.Length % BlockSize != 0)
            throw FirmwareFaults.FirmwareCutShort(name, $"{file.Length} bytes are no whole number of UF2's {BlockSize}-byte blocks");

        var bytes = new byte[file.Length / BlockSize * PayloadSize];
        var length = 0;
        uint start = 0, family = 0, total = 0, expected = 0, other = 0;
        for (var at = 0; at < file.Length; at += BlockSize)
        {
            var block = Block.Read(file.Slice(at, BlockSize));
            if (!block.IsWhole)
                throw FirmwareFaults.FirmwareContainer(name, $"the UF2 block at byte {at} is damaged");
            // Blocks of other families may be in the same file, with their own numbers; a reader skips them.
            if ((block.Flags & (HasFamily | IsFileContainer)) != HasFamily || block.Family is not (Rp2040 or Rp2350))
            {
                other = (block.Flags & HasFamily) != 0 ? block.Family : other;
                continue;
            }

            if (family == 0)
                (family, total) = (block.Family, block.Total);
            if (block.Family != family || block.Total != total)
                throw FirmwareFaults.FirmwareContainer(name, "it mixes UF2 blocks of two images");
            if (block.Number != expected)
            {
                throw FirmwareFaults.FirmwareContainer(
                    name, block.Number < expected ? $"UF2 block {block.Number} comes twice" : $"UF2 block {expected} is missing");
            }
            expected++;
            if ((block.Flags & NotMainFlash) != 0)
                continue;

            if (block.PayloadSize != PayloadSize)
                throw FirmwareFaults.FirmwareContainer(name,
                    $"UF2 block {block.Number} carries {block.PayloadSize} bytes instead of {PayloadSize}");
            if (length == 0)
                start = block.Address;
            else if (block.Address != start + (ulong)length)
                throw FirmwareFaults.FirmwareContainer(name,
                    $"UF2 block {block.Number} is for {block.Address:x8}, not for {start + (ulong)length:x8}");
            file.Slice(at + PayloadAt, PayloadSize).CopyTo(bytes.AsSpan(length));
            length += PayloadSize;
        }
        if (length == 0)
        {
            var found = other == 0 ? "" : $", but blocks of family {other:x8}{NameOf(other)}";
            throw FirmwareFaults.FirmwareContainer(name, $"it holds no UF2 block for the flash of an RP2040 or RP2350{found}");
        }
        if (expected != total)
            throw FirmwareFaults.FirmwareCutShort(name, $"only {expected} of {total} UF2 blocks are there");
        return (start, bytes[..length], family);
    }

    // RP2350 datasheet 5.5.3
    private static string NameOf(uint family) => family switch
    {
        0xE48B_FF57 => " (any chip, absolute addresses)",
        0xE48B_FF58 => " (data of an RP2350)",
        0xE48B_FF5A => " (RP2350, RISC-V)",
        0xE48B_FF5B => " (RP2350, non-secure)",
        _ => "",
    };

    private readonly record struct Block(uint Flags, uint Address, uint PayloadSize, uint Number, uint Total, uint Family, bool IsWhole)
    {
        public static Block Read(ReadOnlySpan<byte> bytes)
        {
            var whole = Word(bytes, 0) == FirstMagic && Word(bytes, 4) == SecondMagic && Word(bytes, BlockSize - 4) == LastMagic;
            return new(Word(bytes, 8), Word(bytes, 12), Word(bytes, 16), Word(bytes, 20), Word(bytes, 24), Word(bytes, 28), whole);
        }

        private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
    }
}

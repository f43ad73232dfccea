using System.Buffers.Binary;
using System.Collections.Immutable;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// What a running firmware reads at an address of its chip (Klipper's <c>debug_read</c>): flash, copied vectors, chip data, the registers
/// of <see cref="StartupCode"/>. All other RAM and registers read as zero, as a peripheral without clock does; a gap faults.
/// </summary>
/// <param name="flash">The chip's flash.</param>
/// <param name="uid">The chip's unique id, in memory order.</param>
/// <param name="build">The firmware.</param>
internal sealed class ChipMemory(VirtualFlash flash, ReadOnlyMemory<byte> uid, FirmwareBuild build)
{
    private const uint Vtor = 0xE000_ED08;
    private const uint Ram = 0x2000_0000;
    private const int VectorsSize = 0xC0;
    private const uint XipWindow = 0x0100_0000;

    private readonly VirtualChip _chip = build.Chip;
    private readonly Dictionary<uint, uint> _registers = StartupCode.Registers(build);
    private readonly ImmutableArray<MemoryRange> _ranges = MemoryMap.Of(build);

    /// <summary>The fault of a vector table register that points elsewhere; null for what the code left there.</summary>
    public uint? VectorTable { get; init; }

    /// <param name="address">Any.</param>
    /// <param name="size">Bytes: 1, 2 or 4.</param>
    /// <returns>The value, zero-extended; null where the bus faults.</returns>
    public uint? Read(uint address, int size)
    {
        // AVR: a data pointer of 16 bits, and nothing that faults. What its registers hold is not modelled.
        if (_chip.Family == VirtualFamily.Avr)
            return 0;
        if (address % size != 0 && (_chip.NeedsAlignment || address >= 0x4000_0000))
            return null;
        Span<byte> bytes = stackalloc byte[4];
        for (var i = 0; i < size; i++)
        {
            if (ReadByte(address + (uint)i) is not { } value)
                return null;
            bytes[i] = value;
        }
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private byte? ReadByte(uint address)
    {
        if (FlashAddress(address) is { } place)
        {
            // Flash with ECC refuses a unit whose programming was cut off.
            var isReadable = flash.Contains(place, 1) && (_chip.ClearsFurtherBits || flash.IsSound(place, 1));
            return isReadable ? flash.Read(place, 1)[0] : null;
        }
        if (UidOffset(address) is { } offset)
            return uid.Span[offset];
        if (address - _chip.FlashSizeAddress < 2 && _chip.FlashSizeAddress != 0)
            return Byte((uint)(_chip.FlashSize / 1024), address - _chip.FlashSizeAddress);
        if (address - _chip.IdCodeAddress < 4 && _chip.IdCodeAddress != 0)
            return Byte(_chip.IdCode, address - _chip.IdCodeAddress);
        if (!_ranges.Any(range => range.Contains(address, 1)))
            return null;
        var word = address & ~3u;
        if (word == Vtor && VectorTable is { } elsewhere)
            return Byte(elsewhere, address);
        if (_registers.TryGetValue(word, out var register))
            return Byte(register, address);
        return IsVector(address) ? flash.Read(build.Start + (address - Ram), 1)[0] : (byte)0;
    }

    /// <summary>The flash cell at an address, by any of its windows; null outside of them.</summary>
    private uint? FlashAddress(uint address)
    {
        if (_chip.IsRp)
        {
            // The flash chip ignores the address lines that it does not have; four windows differ in how they are cached.
            var windows = _chip.Family == VirtualFamily.Rp2040 ? 4u : 1u;
            return address - _chip.FlashBase < windows * XipWindow
                ? _chip.FlashBase + ((address % XipWindow) % (uint)_chip.FlashSize) : null;
        }
        if (flash.Contains(address, 1))
            return address;
        return _chip.Family switch
        {
            // At 0 is what the core started from; an F0 maps its RAM there when the vectors are in it.
            VirtualFamily.F0 when (_registers[0x4001_0000] & 3) == 3 => null,
            VirtualFamily.F0 or VirtualFamily.F1 or VirtualFamily.F2 or VirtualFamily.F4 or VirtualFamily.G0 or VirtualFamily.G4
                or VirtualFamily.L4 or VirtualFamily.Sam3 or VirtualFamily.Sam4
                when address < (uint)_chip.FlashSize => _chip.FlashBase + address,
            VirtualFamily.F7 when address - 0x0020_0000 < (uint)_chip.FlashSize => _chip.FlashBase + (address - 0x0020_0000),
            VirtualFamily.Same70 when address - 0x0040_0000 < (uint)_chip.FlashSize => address - 0x0040_0000,
            _ => null,
        };
    }

    /// <summary>The vectors were copied to the beginning of RAM.</summary>
    private bool IsVector(uint address) => address - Ram < VectorsSize && flash.Contains(build.Start, VectorsSize)
        && (_chip.IsRp || (_chip.Family == VirtualFamily.F0 && build.Start != _chip.FlashBase));

    /// <summary>SAMD and SAMC have the four words of their id in two places (src/atsamd/chipid.c).</summary>
    private int? UidOffset(uint address)
    {
        if (_chip.UidAddress != 0 && address - _chip.UidAddress < uid.Length)
            return (int)(address - _chip.UidAddress);
        var (first, others) = _chip.Family switch
        {
            VirtualFamily.Samd21 or VirtualFamily.Samc21 => (0x0080_A00Cu, 0x0080_A040u),
            VirtualFamily.Samd51 => (0x0080_61FCu, 0x0080_6010u),
            _ => (0u, 0u),
        };
        if (first == 0 || uid.Length < 16)
            return null;
        return address - first < 4 ? (int)(address - first) : address - others < 12 ? (int)(address - others + 4) : null;
    }

    private static byte Byte(uint word, uint address) => (byte)(word >> (int)(8 * (address & 3)));
}

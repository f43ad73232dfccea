using System.Buffers.Binary;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The second-stage boot codes that Klipper builds for an RP2040 without bootloader (src/rp2040/Kconfig, "Flash chip").</summary>
public enum Boot2Kind
{
    /// <summary>W25Q080 with CLKDIV 2.</summary>
    W25Q080,

    /// <summary>GENERIC_03H with CLKDIV 4.</summary>
    Generic03,

    /// <summary>GENERIC_03H with CLKDIV 8.</summary>
    Generic03Div8,
}

/// <summary>
/// The first 256 bytes of an RP2040's flash: 252 bytes of code and their CRC-32 (RP2040 datasheet 2.8.1.3.1). The code is noise that has
/// the checksum of the real one: a program that knows a boot code by its checksum finds it here; to compare all
/// bytes, put the real ones in.
/// </summary>
public static class Boot2
{
    public const int Length = 256;
    private const int CodeLength = 252;
    private const uint Polynomial = 0x04C1_1DB7;

    /// <summary>The checksums of the builds of Klipper v0.13 (lib/pico-sdk, boot2_w25q080.S and boot2_generic_03h.S).</summary>
    private static uint ChecksumOf(Boot2Kind kind) => kind switch
    {
        Boot2Kind.W25Q080 => 0x7A4E_B274,
        Boot2Kind.Generic03 => 0x0D21_EC2C,
        _ => 0xADFA_71A0,
    };

    public static byte[] StandIn(Boot2Kind kind)
    {
        var code = new byte[Length];
        new Random((int)kind).NextBytes(code.AsSpan(0, CodeLength - 4));
        BinaryPrimitives.WriteUInt16LittleEndian(code, 0xB500);   // push {lr}
        var checksum = ChecksumOf(kind);
        // The last four bytes turn the checksum so far into the wanted one: the wanted one, run backwards over 32 bits.
        var wanted = checksum;
        for (var bit = 0; bit < 32; bit++)
            wanted = (wanted & 1) != 0 ? ((wanted ^ Polynomial) >> 1) | 0x8000_0000 : wanted >> 1;
        BinaryPrimitives.WriteUInt32BigEndian(code.AsSpan(CodeLength - 4), wanted ^ VirtualCrc.OfBootCode(code.AsSpan(0, CodeLength - 4)));
        BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(CodeLength), checksum);
        return code;
    }
}

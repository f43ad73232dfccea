namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// CRC-16/MCRF4XX, which Klipper and Katapult both put into their frames (check value of "123456789": 6f91), and the sum over an RP2040's
/// boot code.
/// </summary>
internal static class VirtualCrc
{
    private static readonly ushort[] Table = CreateTable();

    public static ushort Compute(ReadOnlySpan<byte> bytes)
    {
        var crc = 0xFFFF;
        foreach (var value in bytes)
            crc = (crc >> 8) ^ Table[(crc ^ value) & 0xFF];
        return (ushort)crc;
    }

    /// <summary>CRC-32 of polynomial 04c11db7, as an RP2040's ROM reckons it over the boot code (check value: 0376e6e7).</summary>
    public static uint OfBootCode(ReadOnlySpan<byte> bytes)
    {
        // Long division: the message with its first 32 bits inverted, and 32 zeros behind it.
        ulong rest = 0;
        for (var at = 0; at < bytes.Length + 4; at++)
        {
            var next = (byte)((at < bytes.Length ? bytes[at] : 0) ^ (at < 4 ? 0xFF : 0));
            for (var bit = 7; bit >= 0; bit--)
            {
                rest = (rest << 1) | (uint)((next >> bit) & 1);
                if ((rest & 0x1_0000_0000) != 0)
                    rest ^= 0x1_04C1_1DB7;
            }
        }
        return (uint)rest;
    }

    private static ushort[] CreateTable()
    {
        var table = new ushort[256];
        for (var i = 0; i < table.Length; i++)
        {
            var crc = i;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x8408 : crc >> 1;
            table[i] = (ushort)crc;
        }
        return table;
    }
}

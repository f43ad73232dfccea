namespace RatOS.Flash.Virtual.Devices;

/// <summary>CRC-16/MCRF4XX, which Klipper and Katapult both put into their frames (check value of "123456789": 6f91).</summary>
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

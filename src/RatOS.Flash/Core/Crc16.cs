namespace RatOS.Flash.Core;

/// <summary>
/// CRC-16/MCRF4XX (reflected 1021, start ffff; "123456789" gives 6f91): Klipper's messages and Katapult's frames share it.
/// </summary>
internal static class Crc16
{
    private static readonly ushort[] Table = MakeTable();

    public static ushort Compute(ReadOnlySpan<byte> bytes)
    {
        ushort crc = 0xFFFF;
        foreach (var b in bytes)
            crc = (ushort)((crc >> 8) ^ Table[(crc ^ b) & 0xFF]);
        return crc;
    }

    private static ushort[] MakeTable()
    {
        var table = new ushort[256];
        for (var i = 0; i < 256; i++)
        {
            var crc = (ushort)i;
            for (var bit = 0; bit < 8; bit++)
                crc = (ushort)((crc & 1) != 0 ? (crc >> 1) ^ 0x8408 : crc >> 1);
            table[i] = crc;
        }
        return table;
    }
}

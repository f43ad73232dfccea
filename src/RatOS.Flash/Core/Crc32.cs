namespace RatOS.Flash.Core;

/// <summary>CRC-32/MPEG-2 (04c11db7, start ffffffff, not reflected; "123456789" gives 0376e6e7): over an RP2040's boot code.</summary>
internal static class Crc32
{
    public static uint Compute(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes)
        {
            crc ^= (uint)b << 24;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 0x8000_0000) != 0 ? (crc << 1) ^ 0x04C1_1DB7 : crc << 1;
        }
        return crc;
    }
}

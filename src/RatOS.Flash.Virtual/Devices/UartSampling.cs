using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The bytes that a UART receives at another rate than they were sent: it finds a start bit's edge, samples 16 times a bit, takes the
/// majority of three samples in the middle, and delivers a byte also where its stop bit is missing (RM0390 25.4.3; Klipper
/// src/stm32/serial.c and Katapult src/generic/serial_irq.c take every byte).
/// </summary>
internal static class UartSampling
{
    private const int Samples = 16, Middle = 7;

    public static byte[] Receive(ReadOnlySpan<byte> bytes, SerialMode sent, SerialMode received)
    {
        if (sent.EvenParity != received.EvenParity || sent.Baud <= 0 || received.Baud <= 0)
            return Unreadable(bytes);
        var line = Line(bytes, sent.EvenParity);
        var (found, wasHigh) = (new List<byte>(), true);
        var end = (long)line.Count * Samples * received.Baud / sent.Baud;
        for (long at = 0; at <= end; at++)
        {
            if (!wasHigh || IsHigh(at) || Bit(at, 0))
            {
                wasHigh = IsHigh(at);
                continue;
            }
            var value = 0;
            for (var bit = 0; bit < 8; bit++)
                value |= Bit(at, bit + 1) ? 1 << bit : 0;
            found.Add((byte)value);
            at += ((received.EvenParity ? 10 : 9) * Samples) + Middle + 2;
            wasHigh = IsHigh(at);
        }
        return [.. found];

        bool IsHigh(long sample) => sample * sent.Baud / ((long)Samples * received.Baud) is var index && index >= line.Count
            || line[(int)index];

        bool Bit(long start, int number)
        {
            var first = start + (number * Samples) + Middle;
            return (IsHigh(first) ? 1 : 0) + (IsHigh(first + 1) ? 1 : 0) + (IsHigh(first + 2) ? 1 : 0) >= 2;
        }
    }

    /// <summary>Start bit, data from its lowest bit, parity, stop bit; without pauses.</summary>
    private static List<bool> Line(ReadOnlySpan<byte> bytes, bool hasParity)
    {
        var line = new List<bool>(bytes.Length * 11);
        foreach (var value in bytes)
        {
            line.Add(false);
            for (var bit = 0; bit < 8; bit++)
                line.Add((value >> bit & 1) != 0);
            if (hasParity)
                line.Add(byte.PopCount(value) % 2 != 0);
            line.Add(true);
        }
        return line;
    }

    private static byte[] Unreadable(ReadOnlySpan<byte> bytes)
    {
        var received = new byte[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
            received[i] = (byte)((bytes[i] * 0x35) | 0x80);
        return received;
    }
}

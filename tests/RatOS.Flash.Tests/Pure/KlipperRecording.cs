namespace RatOS.Flash.Tests.Pure;

/// <summary>A conversation with a real Klipper firmware (its Linux process), byte for byte.</summary>
internal static class KlipperRecording
{
    public sealed record Line(bool FromHost, byte[] Bytes, string Note);

    public static readonly IReadOnlyList<Line> Lines =
    [
        .. File.ReadLines(Path.Combine("Recordings", "klipper_linux_identify.txt"))
            .Where(line => line[0] is '<' or '>')
            .Select(line =>
            {
                var parts = line[2..].Split('#');
                return new Line(line[0] == '>', Convert.FromHexString(parts[0].Trim()), parts.Length > 1 ? parts[1].Trim() : "");
            }),
    ];
}

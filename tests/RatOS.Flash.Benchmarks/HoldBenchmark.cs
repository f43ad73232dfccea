using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Benchmarks;

/// <summary>How long crafted files hold the agent's one thread. Each is refused within its budget of work.</summary>
internal static class HoldBenchmark
{
    private const int Rounds = 5;

    /// <summary>The longest of all, in milliseconds, and which file it was.</summary>
    public static (string Worst, double Milliseconds) Measure()
    {
        var (worst, longest) = ("", 0.0);
        foreach (var (name, hold) in Holds())
        {
            var times = new List<double>();
            for (var i = 0; i < Rounds; i++)
            {
                var begin = Stopwatch.GetTimestamp();
                hold();
                times.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            }
            times.Sort();
            Console.Error.WriteLine($"{name}: {times[Rounds / 2]:0.0} ms");
            if (times[Rounds / 2] > longest)
                (worst, longest) = (name, times[Rounds / 2]);
        }
        return (worst, longest);
    }

    private static IEnumerable<(string Name, Action Hold)> Holds()
    {
        var (small, large) = (Stream(100_000), Stream(1 << 20));
        var repeated = new byte[1 << 20];
        small.CopyTo(repeated, 0);
        for (var at = small.Length; at + 4 <= repeated.Length; at += 4)
            small.AsSpan(small.Length - 4).CopyTo(repeated.AsSpan(at));
        yield return ("a checksum that is repeated", () => Refused(repeated));
        var streams = Enumerable.Repeat(large, 8192).SelectMany(bytes => bytes).Take(8 << 20).ToArray();
        yield return ("thousands of large dictionaries", () => Refused(streams));
        byte[] beginnings = [.. Enumerable.Range(0, 8 << 20).Select(i => (byte)(i % 2 == 0 ? 0x78 : 0xda))];
        yield return ("beginnings of dictionaries alone", () => Refused(beginnings));
        var noise = new byte[8 << 20];
        new Random(3).NextBytes(noise);
        yield return ("noise", () => Refused(noise));

        var folder = Directory.CreateTempSubdirectory("ratos-flash-hold");
        for (var i = 0; i < 1000; i++)
        {
            var board = folder.CreateSubdirectory($"b{i:000}").FullName;
            File.WriteAllText(Path.Combine(board, "board-definition.json"), $"{{\"id\": \"b{i}\", \"name\": \"Board {i}\"}}");
            File.WriteAllText(Path.Combine(board, "firmware.config"), string.Concat(Enumerable.Repeat("CONFIG_X=y\n", 22_000)));
        }
        yield return ("a thousand definitions of 250 KB", () => RatOsCatalogue.Load(folder.FullName));
        folder.Delete(recursive: true);

        var klipper = Directory.CreateTempSubdirectory("ratos-flash-hold");
        var config = klipper.CreateSubdirectory("config").FullName;
        var pins = string.Concat(Enumerable.Range(0, 2_000).Select(i => $"[fan {i}]\npin: PA{i}\n"));
        for (var i = 0; i < 200; i++)
            File.WriteAllText(Path.Combine(config, $"generic-{i:000}.cfg"), $"# STM32F446 32KiB\n{pins}");
        yield return ("two hundred configurations of 2,000 pins", () => KlipperBoardConfigs.Load(klipper.FullName, null));
        klipper.Delete(recursive: true);
    }

    private static void Refused(byte[] image)
    {
        try
        {
            FirmwareImage.Parse(image, "crafted.bin");
            throw new InvalidOperationException("a crafted image was accepted");
        }
        catch (FlashException)
        {
            // as it has to be
        }
    }

    private static byte[] Stream(int length)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Optimal))
            zlib.Write(Encoding.ASCII.GetBytes("{\"" + new string('a', length)));
        return packed.ToArray();
    }
}

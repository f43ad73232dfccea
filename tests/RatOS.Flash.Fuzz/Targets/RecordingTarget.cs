using System.IO.Compression;
using System.Text;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>Recordings and bundles of others, as <c>replay</c> reads them: a zip, a gzip or text. Then the replay itself.</summary>
internal sealed class RecordingTarget : FuzzTarget
{
    public override string Name => "recording";

    public override string Oracle =>
        "A damaged file is a fault or a note of the recording, a replay ends, and the bytes of a word are written and read back equal.";

    public override int LongestInput => 64 * 1024;

    public override TimeSpan LongestRun => TimeSpan.FromSeconds(5);

    // A recording keeps at most 80 MB; a replay of one makes every event again.
    public override long MostMemory => 512L << 20;

    public override IEnumerable<string> Tokens =>
    [
        "\n", " = ok", " = gone", " = fault", " = cancelled", " job begin", " job image", " job part", " job asked", " job verdict",
        " job cancel", " job end", " job built", " job event", " bus came", " bus gone", " klippy look", " klippy stop", " moonraker said",
        "none", "~", ":", "0.0.16", "0.16.256", "%20", "%", "PK\u0003\u0004", "PK\u0001\u0002", "PK\u0005\u0006", "recording.txt",
        "1-1", "0483", "df11", " state", " got", " heard", " lost",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (var scenario in (string[])["octopus", "octopus-katapult"])
        {
            var text = Record(scenario);
            yield return text[..Math.Min(text.Length, LongestInput)];
            yield return Gzip(text);
            yield return Zip(text);
            yield return Zip(text, CompressionLevel.NoCompression)[..Math.Min(text.Length, LongestInput)];
        }
    }

    public override void Run(byte[] input)
    {
        Word(input);
        JobRecording recording;
        try
        {
            recording = BundleFile.Read(ScratchFile.Write("bundle", input));
            foreach (var _ in RecordingTimeline.Of(recording))
            {
                // Each line is made when it is asked for.
            }
            _ = recording.Verdicts;
            Replay.Run(recording);
        }
        catch (FlashException fault)
        {
            Hold(!fault.Cause.Any(char.IsControl), $"a plain cause: {fault.Cause}");
        }
    }

    /// <summary>The first half is an image, and the second half is written with references to it.</summary>
    private static void Word(byte[] input)
    {
        if (input.Length is < 32 or > Payload.Longest)
            return;
        var (word, payload) = (new StringBuilder(), new Payload());
        payload.Add(input.AsMemory(0, input.Length / 2));
        payload.Write(word, input.AsSpan(input.Length / 3));
        Hold(
            payload.Read(word.ToString()) is { } read && input.AsSpan(input.Length / 3).SequenceEqual(read),
            "bytes are read as they were written");
    }

    private static byte[] Record(string scenario)
    {
        using var file = new MemoryStream();
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create(scenario, time);
            var recorder = new CallRecorder(time, static _ => { });
            var hardware = recorder.Record(printer);
            var image = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0", 8 * 1024);
            FlashRequest[] requests = [new(printer.PrinterBoards[0], FirmwareImage.Parse(image, "klipper.bin"))];
            recorder.Begin(file, "0.1.0", requests, hasOperator: false, readOut: []);
            await new Flasher(hardware, recorder.Record(printer.Klippy), time, new FlashServices(), step =>
            {
                recorder.Event(step);
                return ValueTask.CompletedTask;
            }).FlashAsync(requests, CancellationToken.None);
            recorder.End();
        });
        return Unpacked(file.ToArray());
    }

    private static byte[] Unpacked(byte[] file)
    {
        if (file is not [0x1f, 0x8b, ..])
            return file;
        using var text = new MemoryStream();
        using var gzip = new GZipStream(new MemoryStream(file), CompressionMode.Decompress);
        gzip.CopyTo(text);
        return text.ToArray();
    }

    private static byte[] Gzip(byte[] text)
    {
        using var file = new MemoryStream();
        using (var gzip = new GZipStream(file, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(text);
        return file.ToArray();
    }

    private static byte[] Zip(byte[] text, CompressionLevel level = CompressionLevel.Optimal)
    {
        using var file = new MemoryStream();
        using (var zip = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true))
        {
            using var entry = zip.CreateEntry(BundleFile.RecordingName, level).Open();
            entry.Write(text);
        }
        return file.ToArray();
    }
}

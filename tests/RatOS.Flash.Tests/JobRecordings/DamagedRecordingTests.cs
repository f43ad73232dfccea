using System.IO.Compression;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>Damaged and malicious recordings, and disks without room for one.</summary>
public sealed class DamagedRecordingTests
{
    private static readonly Lazy<byte[]> Whole = new(() => RecordedJob.Record("octopus-katapult").Bytes);

    [Fact]
    public void Random_damage_ends_in_a_fault_at_most()
    {
        var (played, whole) = (0, 0);
        for (var seed = 0; seed < 300; seed++)
        {
            var dice = new Random(seed);
            var bytes = Damage(Whole.Value, dice);
            try
            {
                var recording = RecordedJob.Read(bytes);
                whole += recording.IsWhole ? 1 : 0;
                Assert.All(RecordingTimeline.Of(recording), line => Assert.DoesNotContain(line, char.IsControl));
                var replay = Replay.Run(recording);
                played++;
                Assert.DoesNotContain(replay.Report?.Boards ?? [], board => board.Fault?.Code == "internal-error");
            }
            catch (FlashException fault)
            {
                Assert.True(
                    fault.Code is "bundle-unreadable" or "bundle-version" or "replay-impossible"
                        || fault.Code.StartsWith("firmware-", StringComparison.Ordinal)
                            || fault.Code.StartsWith("not-", StringComparison.Ordinal),
                    $"{seed}: {fault.Code}");
            }
        }
        // Otherwise only the first line was tested.
        Assert.True(played > 100 && whole > 3, $"{played} were played, {whole} seemed whole");
    }

    [Theory]
    [InlineData("", "bundle-unreadable")]
    [InlineData("PK", "bundle-unreadable")]
    [InlineData("ratos-flash-recording", "bundle-unreadable")]
    [InlineData("ratos-flash-recording 2 9.9.9 2030-01-01T00:00:00Z\n", "bundle-version")]
    [InlineData("ratos-flash-recording \u0017\u001b[2J 9.9.9 2030-01-01T00:00:00Z\n", "bundle-version")]
    [InlineData("ratos-flash-recording 1 0.1.0 2030-01-01T00:00:00Z\n", "replay-impossible")]
    public void A_file_that_is_no_recording_of_this_version_is_refused_with_its_reason(string text, string code)
    {
        var fault = Assert.Throws<FlashException>(() => Replay.Run(RecordedJob.Read(Encoding.UTF8.GetBytes(text))));
        Assert.Equal(code, fault.Code);
        Assert.DoesNotContain(fault.Cause, char.IsControl);
    }

    [Theory]
    [InlineData("5 bus list 0 1 = ok\n4 bus list 0 2 = ok\n", "time runs backwards")]
    [InlineData("5 bus list 6 1 = ok\n", "no times")]
    [InlineData("99999999999999999999 bus list 0 1 = ok\n", "no times")]
    [InlineData("-5 bus list 0 1 = ok\n", "no times")]
    [InlineData("5 bus came 0 port nonsense - - - - - - - 0 - - = ok\n", "no device")]
    [InlineData("5 bus came 0 port 1 - - - - - - - 99999999 - - = ok\n", "no device")]
    [InlineData("5 h1 got 0 = ok :0.0.8\n", "no bytes")]
    [InlineData("5 h1 got 0 = ok :abc\n", "no bytes")]
    [InlineData("5 h1 got 0 = ok :00 :00\n", "no bytes")]
    [InlineData("5 job image 0 0 sha 2000000000 = ok\n", "no size")]
    [InlineData("5 job image 0 7 sha 20 = ok\n", "out of turn")]
    [InlineData("5 job image 0 0 sha 2 = ok\n5 job part 0 0 :000000 = ok\n", "other parts")]
    [InlineData("5 job image 0 0 sha 2 = ok\n5 bus list 0 1 = ok\n", "no end")]
    [InlineData("5 job end 0 = ok\n6 bus list 0 1 = ok\n", "after its end")]
    [InlineData("nonsense\n", "no line")]
    public void An_impossible_line_is_named_and_ends_the_recording(string lines, string why)
    {
        var recording = RecordedJob.Read(Encoding.UTF8.GetBytes("ratos-flash-recording 1 0.1.0 2030-01-01T00:00:00Z\n" + lines));
        Assert.Contains(why, recording.Damage, StringComparison.Ordinal);
        Assert.False(recording.IsWhole);
    }

    [Fact]
    public void A_zip_bomb_is_read_up_to_a_limit()
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write("ratos-flash-recording 1 0.1.0 2030-01-01T00:00:00Z\n5 bus list 0 "u8);
            var block = new byte[1024 * 1024];
            block.AsSpan().Fill((byte)'1');
            for (var i = 0; i < 64; i++)
                gzip.Write(block);
        }
        packed.Position = 0;
        Assert.Contains("longer than any recording", JobRecording.Read(packed, "bomb").Damage, StringComparison.Ordinal);
        Assert.True(packed.Position < packed.Length);
    }

    [Fact]
    public void A_truncated_recording_counts_up_to_its_end()
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(Whole.Value);
        var recording = RecordedJob.Read(packed.ToArray()[..(int)(packed.Length * 9 / 10)]);
        Assert.NotNull(recording.Damage);
        Assert.NotNull(recording.Begin);
        Assert.Single(recording.Requests());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20_000)]
    [InlineData(100_000)]
    public void A_full_disk_ends_the_recording_and_never_the_flash(int room)
    {
        var (bytes, report, trouble) = RecordedJob.Record("octopus", disk: file => new FullDisk(file, room));
        Assert.True(report.Ok);
        Assert.Contains("No space left", Assert.Single(trouble), StringComparison.Ordinal);
        Assert.True(bytes.Length <= room);
        if (room > 1000)
            Assert.NotEmpty(RecordingTimeline.Of(RecordedJob.Read(bytes)));
    }

    [Fact]
    public void A_job_without_end_does_not_fill_the_disk()
    {
        var file = new MemoryStream();
        var trouble = new List<string>();
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create("octopus", time);
            using var recorder = new CallRecorder(time, trouble.Add);
            var hardware = recorder.Record(printer);
            recorder.Begin(file, "0.1.0", [], hasOperator: false, readOut: []);
            await printer.Klippy.StopAsync(CancellationToken.None);
            await using var line = await hardware.OpenSerialAsync(printer.Look().Devices[0], Hardware.SerialMode.Klipper);
            for (var i = 0; i < 6000; i++)
                await line.WriteAsync(new byte[4096]);
            for (var i = 0; i < 100_000; i++)
                recorder.Event(
                    new FlashEvent(i, TimeSpan.Zero, null, FlashPhase.Write, FlashEventKind.Warning,
                        "a long text, written again and again"));
            recorder.End();
        });
        Assert.Single(trouble);
        Assert.InRange(file.ToArray().Length, CallRecorder.MostText, CallRecorder.MostText * 18 / 16);
        Assert.False(RecordedJob.Read(file.ToArray()).IsWhole);
    }

    private static byte[] Damage(byte[] whole, Random dice)
    {
        var bytes = whole.ToList();
        for (var left = dice.Next(1, 6); left > 0; left--)
        {
            // The image is half of the file: most damage shall be elsewhere.
            var at = dice.Next(3) == 0 ? dice.Next(bytes.Count) : (bytes.Count / 2) + dice.Next(bytes.Count / 2);
            switch (dice.Next(7))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << dice.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)"0123456789-%:~. =\n"[dice.Next(18)];
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at, dice.Next(1, 300)));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(dice.Next(bytes.Count / 2), dice.Next(1, 300)));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    // A whole line is removed, doubled or moved: the result can still be read.
                    var (from, to) = (bytes.LastIndexOf((byte)'\n', at) + 1, bytes.IndexOf((byte)'\n', at) + 1);
                    if (to <= from)
                        break;
                    var line = bytes.GetRange(from, to - from);
                    if (dice.Next(2) == 0)
                        bytes.RemoveRange(from, line.Count);
                    else
                        bytes.InsertRange(to, line);
                    break;
            }
            if (bytes.Count < 2)
                break;
        }
        return [.. bytes];
    }

    /// <summary>A disk with limited room.</summary>
    private sealed class FullDisk(MemoryStream file, int room) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            file.Write(buffer[..(int)Math.Min(buffer.Length, room - file.Length)]);
            if (file.Length == room)
                throw new IOException("No space left on device");
        }
    }
}

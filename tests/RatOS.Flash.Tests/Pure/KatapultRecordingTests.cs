using RatOS.Flash.Bootloaders;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The engine's side of Katapult, judged by recorded conversations of the real Katapult with its own flashtool.</summary>
public sealed class KatapultRecordingTests
{
    private static IEnumerable<(bool FromHost, byte[] Bytes)> Frames(string file) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Recordings", file))
            .Where(line => line.Length > 2 && line[0] is '>' or '<')
            .Select(line => (line[0] == '>', Convert.FromHexString(line[2..].Trim())));

    [Theory]
    [InlineData("katapult_f446_usb_flash.frames.txt", "image_f446.bin", 0x0800_8000)]
    [InlineData("katapult_f446_uart250k_flash.frames.txt", "image_f446.bin", 0x0800_8000)]
    [InlineData("katapult_h723_usb_reflash.frames.txt", "image_h723.bin", 0x0802_0000)]
    [InlineData("katapult_g0b1_usb_dblbuf_flash.frames.txt", "image_g0b1.bin", 0x0800_2000)]
    public void Our_frames_are_the_recorded_ones_and_every_recorded_answer_is_understood(string file, string image, uint start)
    {
        var padded = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Recordings", image));
        Array.Resize(ref padded, (padded.Length + 63) / 64 * 64);
        var tail = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Recordings", image)).Length;
        padded.AsSpan(tail).Fill(0xFF);

        var (sent, read, connects) = (new HashSet<uint>(), new HashSet<uint>(), 0);
        foreach (var (fromHost, bytes) in Frames(file))
        {
            Assert.True(KatapultFrame.TryTake(bytes, out var frame, out var used));
            Assert.Equal(bytes.Length, used);
            Assert.Equal(bytes, frame.Encode());
            if (fromHost && frame.Code == KatapultFrame.SendBlock)
            {
                var address = frame.Word(0);
                Assert.Equal(bytes, KatapultFrame.EncodeBlock(KatapultFrame.SendBlock, address, padded.AsSpan((int)(address - start), 64)));
                sent.Add(address);
            }
            else if (!fromHost && frame.Answers == KatapultFrame.RequestBlock)
            {
                Assert.Equal(padded.AsSpan((int)(frame.Word(1) - start), 64), frame.Payload.Span[8..]);
                read.Add(frame.Word(1));
            }
            else if (!fromHost && frame.Answers == KatapultFrame.Connect)
            {
                Assert.Equal((start, 64), (KatapultGreeting.Parse(frame).Start, KatapultGreeting.Parse(frame).BlockSize));
                connects++;
            }
        }
        Assert.Equal(padded.Length / 64, sent.Count);
        Assert.Equal(sent, read);
        Assert.True(connects > 0);
    }
}

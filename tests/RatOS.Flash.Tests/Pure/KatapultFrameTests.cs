using CsCheck;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Bytes from the recorded conversations of the real Katapult.</summary>
public sealed class KatapultFrameTests
{
    private const string Greeting =
        "0188a00d1100000000010100008000084000000073746d3332663434367878000000000076302e302e312d3130392d673930326633333500c07d9903";

    [Theory]
    [InlineData(KatapultFrame.Connect, "01881100f17c9903")]
    [InlineData(KatapultFrame.EndOfFile, "01881300414f9903")]
    [InlineData(KatapultFrame.Complete, "01881500911b9903")]
    [InlineData(KatapultFrame.Prime, "01889000e5e99903")]
    public void Commands_are_the_recorded_bytes(byte command, string hex) =>
        Assert.Equal(hex, Convert.ToHexStringLower(new KatapultFrame(command, default).Encode()));

    [Fact]
    public void A_request_for_a_block_carries_the_address_little_endian() =>
        Assert.Equal("01881401008000088cd19903",
            Convert.ToHexStringLower(KatapultFrame.EncodeBlock(KatapultFrame.RequestBlock, 0x0800_8000, [])));

    [Fact]
    public void The_greeting_of_an_F446_is_understood()
    {
        Assert.True(KatapultFrame.TryTake(Convert.FromHexString(Greeting), out var frame, out var used));
        Assert.Equal(Greeting.Length / 2, used);
        var greeting = KatapultGreeting.Parse(frame);
        Assert.Equal(new KatapultGreeting(new Version(1, 1, 0), 0x0800_8000, 64, "stm32f446xx", "v0.0.1-109-g902f335"), greeting);
    }

    [Fact]
    public void Protocol_1_0_has_no_version_text()
    {
        var payload = Convert.FromHexString("11000000" + "00000100" + "00200008" + "40000000" + Convert.ToHexString("stm32g0b1xx\0"u8));
        Assert.Equal(new KatapultGreeting(new Version(1, 0, 0), 0x0800_2000, 64, "stm32g0b1xx", ""),
            KatapultGreeting.Parse(new(KatapultFrame.Acknowledge, payload)));
    }

    [Theory]
    [InlineData("00000200")] // 2.0.0
    [InlineData("00020100")] // 1.2.0
    [InlineData("00010101")] // something in the top byte
    [InlineData("01000000")] // an old fork's byte order
    public void An_unknown_protocol_is_refused_instead_of_guessed(string version)
    {
        var payload = Convert.FromHexString("11000000" + version + "00800008" + "40000000" + Convert.ToHexString("stm32f446xx\0"u8));
        Assert.Equal("katapult-protocol",
            Assert.Throws<FlashException>(() => KatapultGreeting.Parse(new(KatapultFrame.Acknowledge, payload))).Code);
    }

    [Theory]
    [InlineData("0188f10068959903", KatapultFrame.NotUnderstood)]
    [InlineData("0188f20000bf9903", KatapultFrame.CommandError)]
    [InlineData("0188f300d8a69903", KatapultFrame.Busy)]
    [InlineData("0188a00115000000002e9903", KatapultFrame.Acknowledge)]
    public void Answers_are_taken(string hex, byte code)
    {
        Assert.True(KatapultFrame.TryTake(Convert.FromHexString(hex), out var frame, out _));
        Assert.Equal(code, frame.Code);
    }

    [Fact]
    public void A_cut_frame_is_not_taken_and_nothing_of_it_is_thrown_away()
    {
        var whole = Convert.FromHexString(Greeting);
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.False(KatapultFrame.TryTake(whole.AsSpan(0, length), out _, out var used));
            Assert.Equal(0, used);
        }
    }

    [Fact]
    public void A_frame_is_found_behind_garbage_and_behind_a_damaged_frame()
    {
        var good = Convert.FromHexString("0188a00115000000002e9903");
        foreach (var noise in new[] { "55aa", "01", "0188", "ffffff018801", "0188a00115000000002e9904", "0188a00115000000ff2e9903" })
        {
            byte[] bytes = [.. Convert.FromHexString(noise), .. good];
            Assert.True(KatapultFrame.TryTake(bytes, out var frame, out var used), noise);
            Assert.Equal((KatapultFrame.Acknowledge, 0x15u, bytes.Length), (frame.Code, frame.Answers, used));
        }
    }

    [Fact]
    public void Every_frame_survives_the_way_there_and_back_and_no_flipped_bit_does() =>
        Gen.Select(Gen.Byte, Gen.Byte.Array[0, 100], Gen.Int[0, 10_000]).Sample((code, data, flip) =>
        {
            var payload = data[..(data.Length / 4 * 4)];
            var bytes = new KatapultFrame(code, payload).Encode();
            Assert.True(KatapultFrame.TryTake(bytes, out var frame, out var used));
            Assert.Equal((code, bytes.Length), (frame.Code, used));
            Assert.Equal(payload, frame.Payload.ToArray());

            bytes[flip / 8 % bytes.Length] ^= (byte)(1 << (flip % 8));
            if (KatapultFrame.TryTake(bytes, out var other, out _))
                Assert.False(other.Code == code && other.Payload.Span.SequenceEqual(payload));
        });

    [Fact]
    public void Garbage_is_used_up_or_waited_for_but_never_throws() =>
        Gen.Byte.Array[0, 300].Sample(bytes =>
        {
            KatapultFrame.TryTake(bytes, out _, out var used);
            return used >= 0 && used <= bytes.Length;
        });

    [Fact]
    public void The_checksum_is_the_published_one() => Assert.Equal(0x6F91, Crc16.Compute("123456789"u8));
}

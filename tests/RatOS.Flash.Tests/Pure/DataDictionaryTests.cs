using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Tests.Pure;

public sealed class DataDictionaryTests
{
    [Fact]
    public void It_tells_version_chip_and_ids()
    {
        var dictionary = DataDictionary.Parse(Images.Compress(Images.Json()));

        Assert.Equal("v0.13.0-730-g84104bbbd", dictionary.Version);
        Assert.Equal("Klipper", dictionary.App);
        Assert.Equal("gcc: 12.2.1 binutils: 2.40", dictionary.BuildVersions);
        Assert.Equal("stm32f446xx", dictionary.Mcu);
        Assert.Equal(180_000_000u, dictionary.ClockFreq);
        Assert.Equal("180000000", dictionary.Config["CLOCK_FREQ"]);
        Assert.Equal(new KlipperMessage(-8, ""), dictionary.Commands["reset"]);
        Assert.Equal(new KlipperMessage(12, "order=%c addr=%u"), dictionary.Commands["debug_read"]);
        Assert.Equal(129, dictionary.Responses["debug_result"].Id);
    }

    [Theory]
    [InlineData("", "it does not inflate")]
    [InlineData("not zlib at all", "it does not inflate")]
    public void Noise_is_refused(string text, string why) =>
        Refused(Encoding.ASCII.GetBytes(text), text.Length == 0 ? "its 0 bytes are not all of it" : why);

    [Fact]
    public void Any_missing_end_is_refused()
    {
        var whole = Images.Compress(Images.Json());
        // The last four bytes are the checksum alone: the text is complete without them, the stream is not.
        for (var length = 0; length < whole.Length; length++)
            Assert.Equal("klipper-dictionary", Assert.Throws<FlashException>(() => DataDictionary.Parse(whole.AsMemory(0, length))).Code);
        Refused([.. whole, 0], "its 250 bytes are not all of it".Replace("250", $"{whole.Length + 1}", StringComparison.Ordinal));
    }

    [Fact]
    public void Any_damaged_byte_is_refused()
    {
        var whole = Images.Compress(Images.Json());
        for (var at = 2; at < whole.Length; at++)
        {
            // The byte before the checksum is filled up with bits that mean nothing.
            if (at == whole.Length - 5)
                continue;
            var damaged = (byte[])whole.Clone();
            damaged[at] ^= 0x10;
            Assert.Throws<FlashException>(() => DataDictionary.Parse(damaged));
        }
    }

    [Fact]
    public void A_zlib_bomb_stops_at_one_mebibyte()
    {
        var bomb = Images.Compress([.. "{\""u8, .. new byte[200 << 20]]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Refused(bomb, "it inflates to more than 1048576 bytes");
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
    }

    [Theory]
    [InlineData("[]", "it is no JSON object")]
    [InlineData("{", "its JSON is damaged")]
    [InlineData("{\"version\":\"v1\"}", "it has no commands")]
    [InlineData("{\"commands\":{}}", "it has no version")]
    [InlineData("{\"version\":7,\"commands\":{},\"responses\":{},\"config\":{\"MCU\":\"x\"}}", "it has no version")]
    [InlineData("{\"version\":\"v1\",\"commands\":[],\"responses\":{},\"config\":{\"MCU\":\"x\"}}", "it has no commands")]
    [InlineData("{\"version\":\"v1\",\"commands\":{\"a\":\"1\"},\"responses\":{},\"config\":{\"MCU\":\"x\"}}",
        "an id among its commands is no number")]
    [InlineData("{\"version\":\"v1\",\"commands\":{\"a\":9e99},\"responses\":{},\"config\":{\"MCU\":\"x\"}}",
        "an id among its commands is no number")]
    [InlineData("{\"version\":\"v1\",\"commands\":{},\"responses\":{},\"config\":{}}", "it names no MCU")]
    [InlineData("{\"version\":\"v1\",\"commands\":{},\"responses\":{},\"config\":{\"MCU\":[]}}",
        "its constant MCU is neither text nor number")]
    [InlineData("{\"version\":\"\\ud800\",\"commands\":{},\"responses\":{},\"config\":{\"MCU\":\"x\"}}", "its JSON is damaged")]
    [InlineData("{\"a\":[[[[[[[[[[[[]]]]]]]]]]]]}", "its JSON is damaged")]
    public void Hostile_json_is_refused(string json, string why) => Refused(Images.Compress(Encoding.UTF8.GetBytes(json)), why);

    [Fact]
    public void Control_characters_never_reach_a_terminal()
    {
        var dictionary = DataDictionary.Parse(Images.Compress(Images.Json(version: "v1\\u001b[2Jx" + new string('y', 4000))));
        Assert.Equal(256, dictionary.Version.Length);
        Assert.StartsWith("v1?[2Jx", dictionary.Version, StringComparison.Ordinal);
    }

    private static void Refused(byte[] compressed, string why)
    {
        var fault = Assert.Throws<FlashException>(() => DataDictionary.Parse(compressed));
        Assert.Equal("klipper-dictionary", fault.Code);
        Assert.Equal($"The board's data dictionary cannot be read: {why}.", fault.Cause);
    }
}

using System.Security.Cryptography;
using System.Text;
using RatOS.Flash.Boards;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Files for stock bootloaders, against those that Klipper's scripts and GNU objcopy made of the same images.</summary>
public sealed class CardEncoderTests
{
    private const uint Start = 0x0800_C000;

    private static readonly CardEncoding[] Encodings = [CardEncoding.MksRobin, CardEncoding.Chitu, CardEncoding.SRecord];

    /// <summary>
    /// Pseudo-random bytes that any language makes: x = x * 1664525 + 1013904223, from the length on, and of each x the highest byte.
    /// </summary>
    private static byte[] Image(int length)
    {
        var x = (uint)length;
        return [.. Enumerable.Range(0, length).Select(_ => (byte)((x = (x * 1_664_525) + 1_013_904_223) >> 24))];
    }

    private static byte[] Encode(CardEncoding encoding, byte[] image) => CardEncoder.Encode(encoding, image, Start, "firmware.bin");

    /// <summary>
    /// By <c>update_mks_robin.py</c> and <c>update_chitu.py</c> of Klipper, and by objcopy
    /// (<c>-I binary -O srec --change-addresses 0x0800c000 image firmware.bin</c>).
    /// </summary>
    [Theory]
    [InlineData(CardEncoding.MksRobin, 1, 1, "dabd3aff769f07eb")]
    [InlineData(CardEncoding.Chitu, 1, 4_108, "35673ac38ea7c9a7")]
    [InlineData(CardEncoding.SRecord, 1, 70, "3ac3f996f07f5f31")]
    [InlineData(CardEncoding.MksRobin, 4, 4, "22e44e9ab4162e77")]
    [InlineData(CardEncoding.Chitu, 4, 4_108, "4bd5e25a906400cc")]
    [InlineData(CardEncoding.SRecord, 4, 76, "bd83f9236bf486f5")]
    [InlineData(CardEncoding.MksRobin, 319, 319, "d8261749ed42bc8e")]
    [InlineData(CardEncoding.Chitu, 319, 4_108, "1c31499657de63f3")]
    [InlineData(CardEncoding.SRecord, 319, 1_010, "0d8af3c99c10b0de")]
    [InlineData(CardEncoding.MksRobin, 320, 320, "b82bbad42232669e")]
    [InlineData(CardEncoding.Chitu, 320, 2_060, "bfa03a1c29e8de63")]
    [InlineData(CardEncoding.SRecord, 320, 1_012, "e94a6b6ecfc9eefe")]
    [InlineData(CardEncoding.MksRobin, 321, 321, "0a64272099b0ae26")]
    [InlineData(CardEncoding.Chitu, 321, 6_156, "34a424effaa30794")]
    [InlineData(CardEncoding.SRecord, 321, 1_030, "3fea5b14d7440219")]
    [InlineData(CardEncoding.MksRobin, 352, 352, "5cecd4b81a7c24ce")]
    [InlineData(CardEncoding.Chitu, 352, 4_108, "26e1131dc1e45391")]
    [InlineData(CardEncoding.SRecord, 352, 1_108, "1af66774d750f0ef")]
    [InlineData(CardEncoding.MksRobin, 2_047, 2_047, "6c6521d8030127e6")]
    [InlineData(CardEncoding.Chitu, 2_047, 4_108, "9dda710fe4c5b7d3")]
    [InlineData(CardEncoding.SRecord, 2_047, 6_194, "bb38dc8c547b36b9")]
    [InlineData(CardEncoding.MksRobin, 2_048, 2_048, "30801b786d1a8d9f")]
    [InlineData(CardEncoding.Chitu, 2_048, 2_060, "9c933663c536d6e4")]
    [InlineData(CardEncoding.SRecord, 2_048, 6_196, "408fad84b83ea8ad")]
    [InlineData(CardEncoding.MksRobin, 2_049, 2_049, "0c3d4bc2b87f8f88")]
    [InlineData(CardEncoding.Chitu, 2_049, 6_156, "92081a3393c6a6bf")]
    [InlineData(CardEncoding.SRecord, 2_049, 6_214, "208ec06eda41bf91")]
    [InlineData(CardEncoding.MksRobin, 31_039, 31_039, "fa120ef4633dcd6f")]
    [InlineData(CardEncoding.Chitu, 31_039, 34_828, "23546b080f48ffae")]
    [InlineData(CardEncoding.SRecord, 31_039, 93_170, "7f223ed01a58672b")]
    [InlineData(CardEncoding.MksRobin, 31_040, 31_040, "366f3789e8e6200e")]
    [InlineData(CardEncoding.Chitu, 31_040, 32_780, "59713d2020585807")]
    [InlineData(CardEncoding.SRecord, 31_040, 93_172, "8f814be8fa6cfcfe")]
    [InlineData(CardEncoding.MksRobin, 31_041, 31_041, "f292e2f8ccd2e37b")]
    [InlineData(CardEncoding.Chitu, 31_041, 36_876, "17b3765efe6362b3")]
    [InlineData(CardEncoding.SRecord, 31_041, 93_190, "ec339631b58904e3")]
    [InlineData(CardEncoding.MksRobin, 44_468, 44_468, "6ad2bec5a12139ad")]
    [InlineData(CardEncoding.Chitu, 44_468, 45_068, "b61468a2a7b16c7d")]
    [InlineData(CardEncoding.SRecord, 44_468, 133_468, "91a07b11b48d5226")]
    public void A_file_is_byte_by_byte_that_of_the_reference(CardEncoding encoding, int length, int size, string sha256)
    {
        var file = Encode(encoding, Image(length));
        Assert.Equal((size, sha256), (file.Length, Convert.ToHexStringLower(SHA256.HashData(file))[..sha256.Length]));
        Assert.True(CardEncoder.Holds(encoding, file, Image(length), Start));
    }

    [Fact]
    public void An_S_record_has_the_file_s_name_32_bit_addresses_and_its_end() => Assert.Equal(
        "S00F00006669726D776172652E62696E2C\r\nS3060800C0007EB3\r\nS7050800C00032\r\n",
        Encoding.ASCII.GetString(Encode(CardEncoding.SRecord, [0x7E])));

    [Fact]
    public void A_file_with_a_changed_bit_does_not_hold_the_firmware()
    {
        var image = Image(3_000);
        foreach (var encoding in Encodings.Append(CardEncoding.None))
        {
            var file = Encode(encoding, image);
            for (var at = 0; at < file.Length; at++)
            {
                // The name in an S-record is only a name.
                if (encoding == CardEncoding.SRecord && (at < 36 || file[at] is (byte)'\r' or (byte)'\n'))
                    continue;
                file[at] ^= 1;
                // Of a Chitu's key the last byte alone counts.
                var mayHold = encoding == CardEncoding.Chitu && at is >= 5 and < 8;
                Assert.True(mayHold || !CardEncoder.Holds(encoding, file, image, Start), $"{encoding}, byte {at}");
                file[at] ^= 1;
            }
            Assert.False(CardEncoder.Holds(encoding, file.AsSpan(0, file.Length / 2), image, Start));
            Assert.False(CardEncoder.Holds(encoding, file, image.AsSpan(0, 2_000), Start));
        }
    }

    [Fact]
    public void A_file_of_another_form_holds_no_firmware()
    {
        var image = Image(3_000);
        Assert.All(Encodings, wanted => Assert.All(Encodings.Append(CardEncoding.None).Where(other => other != wanted),
            other => Assert.False(CardEncoder.Holds(wanted, Encode(other, image), image, Start))));
    }

    [Fact]
    public void S_records_for_another_address_hold_no_firmware_for_this_one() =>
        Assert.False(CardEncoder.Holds(CardEncoding.SRecord, Encode(CardEncoding.SRecord, Image(64)), Image(64), Start + 0x4000));

    [Theory]
    [InlineData("")]
    [InlineData("S7050800C00032\r\n")]                                                   // nothing in it
    [InlineData("S3060800C0007EB3\r\n")]                                                 // no end
    [InlineData("S3060800C0007EB4\r\nS7050800C00032\r\n")]                               // a wrong sum
    [InlineData("S3060800C0007EB3\r\nS3060800C0027EB1\r\nS7050800C00032\r\n")]           // a gap
    [InlineData("S3060800C0007EB3\r\nS7050800C00032\r\nS3060800C0017EB2\r\n")]           // more behind the end
    [InlineData("S3060800C0007EB3\r\nS9030000FC\r\nS7050800C00032\r\n")]                 // a record of 16-bit files
    [InlineData("S3060800C0007E\r\nS7050800C00032\r\n")]                                 // cut short
    [InlineData("S306080 C0007EB3\r\nS7050800C00032\r\n")]
    public void Text_that_is_no_whole_file_of_S_records_is_refused(string text) =>
        Assert.Null(CardEncoder.Decode(CardEncoding.SRecord, Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void A_new_name_is_8_3_and_differs_with_content_and_time()
    {
        var now = new DateTimeOffset(2026, 10, 1, 12, 0, 0, TimeSpan.Zero);
        var (one, other) = (Convert.ToHexStringLower(SHA256.HashData([1])), Convert.ToHexStringLower(SHA256.HashData([2])));
        var names = Enumerable.Range(0, 5_000).Select(second => CardFile.NewName(one, now.AddSeconds(second))).ToList();
        Assert.All(names, name => Assert.Matches("^k[0-9a-z]{7}\\.bin$", name));
        Assert.Equal(names.Count, names.Distinct().Count());
        Assert.NotEqual(CardFile.NewName(one, now), CardFile.NewName(other, now));
    }
}

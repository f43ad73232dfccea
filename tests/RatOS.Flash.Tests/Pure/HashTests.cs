using System.Security.Cryptography;
using System.Text;
using CsCheck;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Our hashes against published vectors, and against the base library's.</summary>
public sealed class HashTests
{
    [Theory]
    // FIPS 180-2, appendix B
    [InlineData("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")]
    [InlineData("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")]
    public void Sha256_has_the_values_of_its_standard(string text, string hash) =>
        Assert.Equal(hash, Convert.ToHexStringLower(Sha256.HashData(Encoding.ASCII.GetBytes(text))));

    [Fact]
    public void Sha256_of_a_million_letters_has_the_value_of_its_standard() => Assert.Equal(
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        Convert.ToHexStringLower(Sha256.HashData(Enumerable.Repeat((byte)'a', 1_000_000).ToArray())));

    [Theory]
    // FIPS 180-2, appendix A, and RFC 6455, 1.3
    [InlineData("", "da39a3ee5e6b4b0d3255bfef95601890afd80709")]
    [InlineData("abc", "a9993e364706816aba3e25717850c26c9cd0d89d")]
    [InlineData("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11", "b37a4f2cc0624f1690f64606cf385945b2bec4ea")]
    public void Sha1_has_the_values_of_its_standard(string text, string hash) =>
        Assert.Equal(hash, Convert.ToHexStringLower(Sha1.HashData(Encoding.ASCII.GetBytes(text))));

    [Theory]
    // RFC 1321, A.5
    [InlineData("", "d41d8cd98f00b204e9800998ecf8427e")]
    [InlineData("message digest", "f96b697d7cb7938d525a2f31aaf161d0")]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a")]
    public void Md5_has_the_values_of_its_standard(string text, string hash) =>
        Assert.Equal(hash, Convert.ToHexStringLower(Md5.HashData(Encoding.ASCII.GetBytes(text))));

    [Fact]
    public void Hmac_has_the_value_of_its_standard() => Assert.Equal(   // RFC 4231, 4.3
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        Convert.ToHexStringLower(Sha256.Hmac("Jefe"u8, "what do ya want for nothing?"u8)));

    [Fact]
    public void Of_any_data_they_are_those_of_the_base_library() => Gen.Byte.Array[0, 300].Sample(data =>
    {
#pragma warning disable CA5350, CA5351
        Assert.Equal(SHA256.HashData(data), Sha256.HashData(data));
        Assert.Equal(SHA1.HashData(data), Sha1.HashData(data));
        Assert.Equal(MD5.HashData(data), Md5.HashData(data));
#pragma warning restore CA5350, CA5351
    });

    [Fact]
    public void In_pieces_it_is_the_hash_of_the_whole() => Gen.Byte.Array[0, 100].Array[0, 8].Sample(pieces =>
    {
        var hash = new Sha256();
        foreach (var piece in pieces)
            hash.Append(piece);
        Assert.Equal(SHA256.HashData(pieces.SelectMany(piece => piece).ToArray()), hash.Finish());
    });

    [Fact]
    public void Random_bytes_fill_all_of_a_buffer_and_differ()
    {
        var bytes = SecureRandom.Bytes(100_000);
        Assert.Equal(256, bytes.Distinct().Count());
        Assert.True(bytes.AsSpan(99_900).IndexOfAnyExcept((byte)0) >= 0);
        Assert.NotEqual(SecureRandom.Bytes(16), SecureRandom.Bytes(16));
        Assert.Empty(SecureRandom.Bytes(0));
    }
}

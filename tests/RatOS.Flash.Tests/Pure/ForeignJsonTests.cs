using System.Text;
using System.Text.Json;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>JSON of other programs is either refused as a whole or can be read without an exception.</summary>
public sealed class ForeignJsonTests
{
    [Theory]
    [InlineData("\"\\ud800\"", "\ufffd")]
    [InlineData("\"a\\udc00b\"", "a\ufffdb")]
    [InlineData("\"\\uD83D\\ude00\"", "\ud83d\ude00")]
    [InlineData("\"\\ud83d\\ud83d\\ude00\"", "\ufffd\ud83d\ude00")]
    [InlineData("\"\\ud83d\\n\"", "\ufffd\n")]
    [InlineData("\"\\\\ud800\"", "\\ud800")]
    [InlineData("\"\\\\\\ud800\"", "\\\ufffd")]
    [InlineData("\"plain\"", "plain")]
    public void Half_a_surrogate_pair_becomes_a_replacement_character(string json, string text)
    {
        using var document = ForeignJson.Parse(json);
        Assert.Equal(text, document.RootElement.GetString());
    }

    [Fact]
    public void Names_are_mended_as_well()
    {
        using var document = ForeignJson.Parse("{\"\\ud800\": 1, \"b\": 2}");
        Assert.Equal(2, document.RootElement.GetProperty("b").GetInt32());
        Assert.Equal(["\ufffd", "b"], document.RootElement.EnumerateObject().Select(member => member.Name));
    }

    [Fact]
    public void Bytes_that_are_no_text_are_replaced()
    {
        using var document = ForeignJson.Parse((byte[])[(byte)'"', 0xED, 0xA0, 0x80, 0xFF, (byte)'"']);
        Assert.All(document.RootElement.GetString()!, c => Assert.Equal('\ufffd', c));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("\"\\")]
    [InlineData("\"\\u")]
    [InlineData("\"\\ud8")]
    [InlineData("\"\\ud800")]
    [InlineData("\"\\ud800\\u\"")]
    [InlineData("nul")]
    [InlineData("\0")]
    public void Anything_else_is_one_kind_of_exception(string json) =>
        Assert.ThrowsAny<JsonException>(() => ForeignJson.Parse(json).Dispose());

    [Fact]
    public void Depth_is_limited()
    {
        ForeignJson.Parse(new string('[', 64) + new string(']', 64)).Dispose();
        Assert.ThrowsAny<JsonException>(() => ForeignJson.Parse(new string('[', 65) + new string(']', 65)).Dispose());
    }

    [Fact]
    public void Random_texts_are_refused_or_read_through()
    {
        var random = new Random(17);
        string[] parts =
            ["\\ud800", "\\udfff", "\\u", "\\\\", "\"", "{", "}", "[", "]", ":", ",", "1e300", "-", "null", "a", "\ufffd", "\u0001"];
        for (var i = 0; i < 20_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => parts[random.Next(parts.Length)]));
            try
            {
                using var document = ForeignJson.Parse(Encoding.UTF8.GetBytes(text));
                Walk(document.RootElement);
            }
            catch (JsonException)
            {
                // refused
            }
        }
    }

    private static void Walk(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    Assert.NotNull(member.Name);
                    Walk(member.Value);
                }
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                    Walk(item);
                break;
            case JsonValueKind.String:
                Assert.NotNull(element.GetString());
                break;
        }
    }

    /// <summary>They turn the direction of writing, or are not seen at all.</summary>
    [Fact]
    public void Hidden_characters_of_a_text_become_question_marks() =>
        Assert.Equal("a?b?c?d?e", PlainText.Of("a\u202eb\u200bc\u0085d\u2028e", 20));
}

using System.Net;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A request by HTTP.</summary>
internal sealed record HttpRequest(string Verb, string Path, string Query, IReadOnlyDictionary<string, string> Headers)
{
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>The names and values of the query string; a name without a value has an empty one.</summary>
    public IEnumerable<(string Name, string Value)> Arguments => Query.Split('&', StringSplitOptions.RemoveEmptyEntries).Select(part =>
    {
        var equals = part.IndexOf('=', StringComparison.Ordinal);
        return equals < 0
            ? (WebUtility.UrlDecode(part), "")
            : (WebUtility.UrlDecode(part[..equals]), WebUtility.UrlDecode(part[(equals + 1)..]));
    });

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    public bool HasWord(string header, string word) => Header(header)?.Contains(word, StringComparison.OrdinalIgnoreCase) == true;
}

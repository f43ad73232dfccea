using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A form with one file, as browsers upload it (RFC 7578).</summary>
internal sealed partial record HttpForm(IReadOnlyDictionary<string, string> Fields, string FileName, ReadOnlyMemory<byte> File)
{
    /// <summary>Null for any other body.</summary>
    public static HttpForm? TryParse(HttpRequest request)
    {
        if (BoundaryPattern().Match(request.Header("Content-Type") ?? "") is not { Success: true } boundary)
            return null;
        var delimiter = Encoding.Latin1.GetBytes($"\r\n--{boundary.Groups["value"].Value}");
        ReadOnlyMemory<byte> rest = (byte[])[.. "\r\n"u8, .. request.Body.Span];   // the first delimiter has no line before it
        var form = new HttpForm(new Dictionary<string, string>(StringComparer.Ordinal), "", default);
        for (var at = rest.Span.IndexOf(delimiter); at >= 0; at = rest.Span.IndexOf(delimiter))
        {
            rest = rest[(at + delimiter.Length)..];
            if (rest.Span.StartsWith("--"u8))
                return form;
            var (head, end) = (rest.Span.IndexOf("\r\n\r\n"u8), rest.Span.IndexOf(delimiter));
            if (head < 0 || end < head + 4)
                return null;
            form = form.With(Encoding.UTF8.GetString(rest.Span[..head]), rest[(head + 4)..end]);
        }
        return null;
    }

    private HttpForm With(string head, ReadOnlyMemory<byte> content)
    {
        var name = NamePattern().Match(head).Groups["value"].Value;
        if (name == "file")
            return this with { FileName = FileNamePattern().Match(head).Groups["value"].Value, File = content };
        return this with
        {
            Fields = new Dictionary<string, string>(Fields, StringComparer.Ordinal) { [name] = Encoding.UTF8.GetString(content.Span) },
        };
    }

    [GeneratedRegex("^multipart/form-data;.*\\bboundary=\"?(?<value>[^\";]+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex BoundaryPattern();

    [GeneratedRegex("\\bname=\"(?<value>[^\"]*)\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NamePattern();

    [GeneratedRegex("\\bfilename=\"(?<value>[^\"]*)\"", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FileNamePattern();
}

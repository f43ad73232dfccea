using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// Removes keys, passwords, host names, Wi-Fi names, addresses, e-mail addresses and user names in paths from a text. The lines stay.
/// </summary>
/// <param name="host">This computer's name; null to ask the system.</param>
internal sealed partial class Redaction(string? host = null)
{
    private const string Removed = "(removed)";

    // Usual names, which identify no computer and are frequent words in these texts.
    private static readonly string[] CommonNames =
    [
        "localhost", "klipper", "ratos", "mainsail", "mainsailos", "moonraker", "raspberrypi", "fluidd", "printer", "octopus",
    ];

    private readonly Regex? _host = (host ?? Environment.MachineName) is { Length: > 2 } name
        && !CommonNames.Contains(name, StringComparer.OrdinalIgnoreCase)
        ? new Regex(
            $@"(?<![\w-]){Regex.Escape(name)}(?![\w-])", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant,
            TimeSpan.FromSeconds(5)) : null;

    public string Of(string text)
    {
        text = Secret().Replace(text, match =>
        {
            var quote = match.Groups["value"].Value[0] is var first and ('"' or '\'') ? $"{first}" : "";
            return $"{match.Groups["key"].Value}{quote}{Removed}{quote}";
        });
        text = UrlUser().Replace(text, "${kept}(removed)@");
        text = Mail().Replace(text, "(e-mail)");
        text = Home().Replace(text, "${kept}(user)");
        text = Mac().Replace(text, "(mac)");
        text = Address().Replace(text, match => match.Value is "127.0.0.1" or "0.0.0.0" ? match.Value : "(address)");
        return _host?.Replace(text, "(host)") ?? text;
    }

    /// <summary>The same for a recording, whose words are percent-encoded. Bytes and times stay.</summary>
    public string OfRecording(string text)
    {
        var redacted = new StringBuilder(text.Length);
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split(' ');
            for (var i = 0; i < words.Length; i++)
                words[i] = OfWord(words[i]);
            redacted.AppendJoin(' ', words).Append('\n');
        }
        redacted.Length--;
        return redacted.ToString();
    }

    private string OfWord(string encoded)
    {
        if (encoded.Length <= 5 || encoded[0] == ':' || long.TryParse(encoded, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            return encoded;
        var word = Uri.UnescapeDataString(encoded);
        var redacted = Of(word);
        return redacted == word ? encoded : Uri.EscapeDataString(redacted);
    }

    private const RegexOptions Plain = RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant;

    [GeneratedRegex(
        """(?<key>(?:^|[\s,{"'?&])(?:[\w.-]*(?:api_?key|passw(?:or)?d|passphrase|secret|token|authorization)[\w.-]*"""
        + """|psk|ssid|wifi\w*|wlan\w*|wpa\w*|user(?:name)?|login|e?mail|host(?:name)?|server_name|cors_domains|x-api-key)"""
        + """["']?\s*[:=]\s*)"""
        + """(?<value>"[^"\n]*"|'[^'\n]*'|[^\s,}&"'][^\n,}&]*)""",
        RegexOptions.IgnoreCase | RegexOptions.Multiline | Plain, 5000)]
    private static partial Regex Secret();

    [GeneratedRegex(@"(?<kept>\w://)[^/\s@:]+(?::[^/\s@]*)?@", Plain, 5000)]
    private static partial Regex UrlUser();

    [GeneratedRegex(@"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", Plain, 5000)]
    private static partial Regex Mail();

    [GeneratedRegex(@"(?<kept>/(?:home|media|Users)/)[^/\s""':]+", Plain, 5000)]
    private static partial Regex Home();

    [GeneratedRegex(@"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b", RegexOptions.IgnoreCase | Plain, 5000)]
    private static partial Regex Mac();

    [GeneratedRegex(@"\b(?:\d{1,3}\.){3}\d{1,3}\b", Plain, 5000)]
    private static partial Regex Address();
}

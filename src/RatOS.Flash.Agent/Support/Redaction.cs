using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent.Support;

/// <summary>Takes out of a text what is nobody's business: keys and passwords, host names, Wi-Fi, addresses, e-mail, and users' names in paths. Lines keep their shape.</summary>
internal sealed partial class Redaction(string? host = null)
{
    private const string Removed = "(removed)";

    // What a computer may be called without anybody being told by it, and what the product's own texts are full of.
    private static readonly string[] Everyday = ["localhost", "klipper", "ratos", "mainsail", "mainsailos", "moonraker", "raspberrypi", "fluidd", "printer", "octopus"];

    private readonly Regex? _host = (host ?? Environment.MachineName) is { Length: > 2 } name && !Everyday.Contains(name, StringComparer.OrdinalIgnoreCase)
        ? new Regex($@"(?<![\w-]){Regex.Escape(name)}(?![\w-])", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5)) : null;

    public string Of(string text)
    {
        text = Secret().Replace(text, match => match.Groups["key"].Value + (match.Groups["value"].Value[0] is var quote and ('"' or '\'') ? $"{quote}{Removed}{quote}" : Removed));
        text = UrlUser().Replace(text, "${kept}(removed)@");
        text = Mail().Replace(text, "(e-mail)");
        text = Home().Replace(text, "${kept}(user)");
        text = Mac().Replace(text, "(mac)");
        text = Address().Replace(text, match => match.Value is "127.0.0.1" or "0.0.0.0" ? match.Value : "(address)");
        return _host?.Replace(text, "(host)") ?? text;
    }

    /// <summary>The same for a recording: word by word, for they are encoded; bytes and times stay.</summary>
    public string OfRecording(string text)
    {
        var redacted = new StringBuilder(text.Length);
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split(' ');
            for (var i = 0; i < words.Length; i++)
            {
                if (words[i].Length > 5 && words[i][0] != ':' && !long.TryParse(words[i], NumberStyles.None, CultureInfo.InvariantCulture, out _) && Uri.UnescapeDataString(words[i]) is var word && Of(word) is var other && other != word)
                    words[i] = Uri.EscapeDataString(other);
            }
            redacted.AppendJoin(' ', words).Append('\n');
        }
        redacted.Length--;
        return redacted.ToString();
    }

    [GeneratedRegex("""(?<key>(?:^|[\s,{"'?&])(?:[\w.-]*(?:api_?key|passw(?:or)?d|passphrase|secret|token|authorization)[\w.-]*|psk|ssid|wifi\w*|wlan\w*|wpa\w*|user(?:name)?|login|e?mail|host(?:name)?|server_name|cors_domains|x-api-key)["']?\s*[:=]\s*)(?<value>"[^"\n]*"|'[^'\n]*'|[^\s,}&"'][^\n,}&]*)""", RegexOptions.IgnoreCase | RegexOptions.Multiline | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Secret();

    [GeneratedRegex(@"(?<kept>\w://)[^/\s@:]+(?::[^/\s@]*)?@", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 5000)]
    private static partial Regex UrlUser();

    [GeneratedRegex(@"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Mail();

    [GeneratedRegex(@"(?<kept>/(?:home|media|Users)/)[^/\s""':]+", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Home();

    [GeneratedRegex(@"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Mac();

    [GeneratedRegex(@"\b(?:\d{1,3}\.){3}\d{1,3}\b", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 5000)]
    private static partial Regex Address();
}

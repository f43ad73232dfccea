using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RatOS.Flash.Agent.Support;

/// <summary>
/// Removes what is private from a text: keys, passwords, tokens, addresses, names of hosts, networks and users. Configuration files and
/// Moonraker's messages keep only what is known to be harmless (<see cref="ConfigRedaction"/>, <see cref="JsonRedaction"/>); a log keeps
/// its words apart from those that look private. The lines stay. Every expression takes linear time.
/// </summary>
internal sealed class Redaction
{
    private const string Removed = ConfigRedaction.Removed;
    private const int LongestLine = 8 * 1024;
    private const string ConfigBegin = "===== Config file =====", ConfigEnd = "=======================";   // in klippy.log

    // Usual names, which identify no computer and are frequent words in these texts.
    private static readonly string[] CommonNames =
    [
        "localhost", "klipper", "ratos", "mainsail", "mainsailos", "moonraker", "raspberrypi", "fluidd", "printer", "octopus",
    ];

    private const string SecretWords =
        "api[-_]?key|apikey|access[-_]?key|pass|passw(or)?d|passwort|passphrase|pwd|secret|token|auth|authorization|credentials?|cookie|"
        + "session|private|psk|ssid|wifi|wlan|wpa|pin|puk|otp|login|user|username|userid|e?mail|host|hostname|server[-_]?name|domain|"
        + "cors[-_]domains|webhook|chat[-_]?id|device[-_]?id|client[-_]?id|account|licen[cs]e|signature|sas|bot|authkey|wifikey|accountkey|"
        + "kennwort|mot[-_ ]de[-_ ]passe|contrase[nñ]a|senha|wachtwoord|has[lł]o|пароль|密码|密碼";

    // A secret's name as a whole part of a longer one: my_api_key, X-Auth-Token; not "authorized", "pins".
    private static readonly Regex SecretKey = Expression(
        @"(^|[\s,{(\[""'?&;])(?<name>[\w.-]*(" + SecretWords + @")[\w.-]*)[""']?\s*(=>|[:=：])\s*");

    // The same within JSON, where a value ends at a comma or a bracket.
    private static readonly Regex SecretMember = Expression(
        @"(?<key>\\*[""'][\w.-]*(" + SecretWords + @")[\w.-]*\\*[""']\s*:\s*)"
        + @"(?<value>\\+""[^""\\]*(\\+"")?|""([^""\\]|\\.)*""?|'[^']*'?|\[[^\]]*\]?|\{[^}]*\}?|[^\s,}\]""'][^,}\]]*)");

    // The same without a sign behind it.
    private const string PassWords = "password|passwort|kennwort|passwd|passphrase";

    private static readonly Regex SecretWord = Expression(
        @"(?<kept>\b((ssid|psk|x-api-key|wpa_passphrase \S+)\s+|(" + PassWords + @")\s+(is|was|lautet)\s+))[^\s:=(]\S*"
        + @"|(?<kept>\b(" + PassWords + @"|api[-_]key|login \w+)\s+)[^\s:=(\d]*\d\S*"
        + @"|(?<kept>\btoken\s+(is\s+)?)[\w.~+/=-]*\d[\w.~+/=-]*");

    private static readonly Regex ShortOption = Expression(@"(?<kept>\b(curl|wget|sshpass|mosquitto_\w+)\b[^\n]*\s-(u|p|P))[^\s=]\S*");
    private static readonly Regex KeyLine = Expression(@"^\s*[A-Za-z0-9+/]{40,}={0,2}\s*$");

    private static readonly Regex SecretName = Expression("^([\\w.-]*[_.-])?(" + SecretWords + ")([_.-][\\w.-]*)?$");
    private static readonly Regex PinValue = Expression(@"^[!^~]*(\w{1,32}:)?[!^~]*(P[A-K]\d{1,2}|gpio\d{1,2}|P\d\.\d{1,2}|%[a-z]+)\b");
    private static readonly Regex Scheme = Expression(@"(?<kept>\b(bearer|basic|digest|token|apikey)\s+)[\w.~+/=:-]{6,}");
    private static readonly Regex Option = Expression(
        @"(?<kept>(^|\s)(-u|-p|-H|-b|--(user|header|password|token|api-key|auth|oauth2-bearer|proxy-user|cookie))[ =])"
        + @"(""[^""\n]*""|'[^'\n]*'|\S+)");

    private static readonly Regex Url = Expression(@"\b[a-z][a-z0-9+.-]{1,31}://[^\s""'<>|]+");
    private static readonly Regex PublicUrl = Expression(
        @"^(https?|wss?|git)://((localhost|127\.0\.0\.1)(:\d{1,5})?(/(websocket|server/info|server/ratos_flash/page|printer/[\w/]*)?)?"
        + @"|(www\.)?github\.com(/(Rat-OS|Klipper3d|Arksine|mainsail-crew|fluidd-core|KlipperScreen|beacon3d)(/[\w./-]*)?)?"
        + @"|(www\.)?klipper3d\.org(/[\w./-]*)?)[.,;:)]?$");

    private static readonly Regex Mail = Expression(@"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){0,8}");
    private static readonly Regex Home = Expression(@"(?<kept>[\\/](home|media|Users)[\\/]+)[^\\/\s""':]+");
    private static readonly Regex Mac = Expression(
        @"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b|\b([0-9a-f]{2}-){5}[0-9a-f]{2}\b|\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b");

    private static readonly Regex Address = Expression(@"\b(\d{1,3}\.){3}\d{1,3}\b");
    private static readonly Regex Address6 = Expression(
        @"(\b([0-9a-f]{1,4}:){1,6}|::)ffff:(\d{1,3}\.){3}\d{1,3}"
        + @"|\b([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b([0-9a-f]{1,4}:){1,6}(:[0-9a-f]{1,4}){1,6}\b|\b([0-9a-f]{1,4}:){2,7}:"
        + @"|::[0-9a-f]{1,4}(:[0-9a-f]{1,4}){0,6}\b");

    private static readonly Regex Domain = Expression(
        @"\b([a-z0-9-]{1,63}\.){1,6}"
        + @"(lan|local|home|internal|intranet|box|corp|com|org|net|io|de|eu|uk|fr|nl|us|dev|app|xyz|me|cloud|arpa|duckdns|ts"
        + @"|ch|cn|ru|jp|kr|fi|dk|cz|au|ca|nz|tw|biz)\b");

    private static readonly Regex PublicDomain = Expression(@"^(github\.com|(www\.)?klipper3d\.org|kernel\.org|debian\.org)$");
    private static readonly Regex KnownToken = Expression(
        @"\b(gh[opsu]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_|pk_|rk_|AKIA|ASIA|AIza|eyJ|SG\.|tskey-|hf_|dop_v1_|ya29\.)[\w.=-]{6,}"
        + @"|\b\d{6,12}:[A-Za-z0-9_-]{20,}");

    private static readonly Regex Long = Expression(@"[A-Za-z0-9+/_-]{20,}={0,2}");
    private static readonly Regex Guid = Expression(@"\b[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\b");

    private readonly Regex? _host;
    private readonly JsonRedaction _json;

    /// <param name="host">This computer's name; null to ask the system.</param>
    public Redaction(string? host = null)
    {
        var name = host ?? Environment.MachineName;
        _host = name.Length > 2 && !CommonNames.Contains(name, StringComparer.OrdinalIgnoreCase)
            ? Expression($@"\b{Regex.Escape(name)}\b") : null;
        _json = new(Of);
    }

    /// <summary>A name of a value that is private.</summary>
    public static bool IsSecret(string name) => SecretName.IsMatch(name) || SecretName.IsMatch(WithParts(name));

    /// <summary>accessToken as access_token.</summary>
    private static string WithParts(string name) => string.Concat(
        name.Select((c, i) => i > 0 && char.IsUpper(c) && char.IsLower(name[i - 1]) ? $"_{c}" : $"{c}"));

    /// <summary>A log or another text.</summary>
    public string Of(string text)
    {
        var redacted = new StringBuilder(text.Length);
        var lines = text.Split('\n');
        // The end of a log may begin within the configuration that Klipper writes into it.
        var first = Array.FindIndex(lines, IsMark);
        List<string>? config = first >= 0 && !lines[first].Contains(ConfigBegin, StringComparison.Ordinal) ? [] : null;
        var isKey = false;
        foreach (var raw in lines)
        {
            if (config is not null && !raw.StartsWith(ConfigEnd, StringComparison.Ordinal))
            {
                config.Add(raw);
                continue;
            }
            if (config is not null)
                redacted.Append(ConfigRedaction.Of(config));
            config = raw.Contains(ConfigBegin, StringComparison.Ordinal) ? [] : null;
            isKey |= raw.Contains("-----BEGIN", StringComparison.Ordinal);
            redacted.Append(isKey ? Removed : Line(raw)).Append('\n');
            isKey &= !raw.Contains("-----END", StringComparison.Ordinal);
        }
        if (config is not null)
            redacted.Append(ConfigRedaction.Of(config));
        redacted.Length -= redacted.Length > 0 ? 1 : 0;
        return redacted.ToString();

        static bool IsMark(string line) =>
            line.TrimEnd() == ConfigEnd || line.Contains(ConfigBegin, StringComparison.Ordinal);
    }

    /// <summary>A configuration file.</summary>
    public static string OfConfig(string text) => ConfigRedaction.Of(text.Split('\n'));

    /// <summary>A recording, whose words are percent-encoded. Bytes and times stay.</summary>
    public string OfRecording(string text)
    {
        var redacted = new StringBuilder(text.Length);
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split(' ');
            var isMoonraker = words.Contains("moonraker");
            for (var i = 0; i < words.Length; i++)
                words[i] = OfWord(words[i], isMoonraker);
            redacted.AppendJoin(' ', words).Append('\n');
        }
        redacted.Length--;
        return redacted.ToString();
    }

    private string OfWord(string encoded, bool isMoonraker)
    {
        if (encoded.Length <= 5 || encoded[0] == ':' || long.TryParse(encoded, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            return encoded;
        var word = Uri.UnescapeDataString(encoded);
        var redacted = isMoonraker && word[0] is '{' or '[' ? _json.Of(word) : Of(word);
        return redacted == word ? encoded : Uri.EscapeDataString(redacted);
    }

    private string Line(string line)
    {
        if (line.Length > LongestLine)
            line = line[..LongestLine] + " (cut)";
        if (KeyLine.IsMatch(line) && !line.Trim().All(char.IsAsciiHexDigit))
            return Removed;
        foreach (var (encoded, plain) in Encoded)
            line = line.Replace(encoded, plain, StringComparison.OrdinalIgnoreCase);
        line = line.Contains("\":", StringComparison.Ordinal) ? SecretMember.Replace(line, WithoutValue) : WithoutValues(line);
        line = SecretWord.Replace(line, "${kept}" + Removed);
        line = ShortOption.Replace(line, "${kept}" + Removed);
        line = Scheme.Replace(line, "${kept}" + Removed);
        line = Option.Replace(line, "${kept}" + Removed);
        line = Url.Replace(line, static match => PublicUrl.IsMatch(match.Value) ? match.Value : "(url)");
        line = KnownToken.Replace(line, Removed);
        line = Guid.Replace(line, Removed);
        line = Mail.Replace(line, "(e-mail)");
        line = Home.Replace(line, "${kept}(user)");
        line = Mac.Replace(line, "(mac)");
        line = Address6.Replace(line, "(address)");
        line = Address.Replace(line, static match => match.Value is "127.0.0.1" or "0.0.0.0" ? match.Value : "(address)");
        var names = line;
        line = Domain.Replace(line, match => PublicDomain.IsMatch(match.Value) || IsCall(names, match) ? match.Value : "(host)");
        line = Long.Replace(line, static match => IsToken(match.Value) ? Removed : match.Value);
        return _host?.Replace(line, "(host)") ?? line;
    }

    private static readonly (string Encoded, string Plain)[] Encoded = [("%3D", "="), ("%3A", ":"), ("%2F", "/"), ("%22", "\"")];

    /// <summary>Without the values of every name that is private; a name that only looks like one hides no later one.</summary>
    private static string WithoutValues(string line)
    {
        var from = 0;
        while (SecretKey.Match(line, from) is { Success: true } key)
        {
            from = key.Index + key.Length;
            if (from == line.Length || !IsSecret(key.Groups["name"].Value))
                continue;
            var end = line[from] is '"' or '\'' ? line.IndexOf(line[from], from + 1) + 1 : 0;
            var value = line[from..(end > 0 ? end : line.Length)];
            if (IsKnown(key.Groups["name"].Value, value))
                continue;
            var hidden = Without(value);
            line = line[..from] + hidden + line[(from + value.Length)..];
            from += hidden.Length;
        }
        return line;
    }

    private static string WithoutValue(Match match)
    {
        var (key, value) = (match.Groups["key"].Value, match.Groups["value"].Value);
        // The contract's own "by" and "hosts" of a plan are no secrets, and "authorized" is USB's.
        var name = key.Trim(' ', ':', '"', '\'', '\\');
        return IsSecret(name) && !IsKnown(name, value) ? key + Without(value) : match.Value;
    }

    /// <summary>A pin; or a line about an MCU that is called "host", which begins so.</summary>
    private static bool IsKnown(string name, string value) =>
        (name.EndsWith("pin", StringComparison.OrdinalIgnoreCase) && PinValue.IsMatch(value))
        || (name.EndsWith("host", StringComparison.OrdinalIgnoreCase) && value.Contains(' ', StringComparison.Ordinal));

    private static string Without(string value)
    {
        var quote = value[0] is var first and ('"' or '\'') ? $"{first}" : "";
        return $"{quote}{Removed}{quote}";
    }

    /// <summary>A call in a traceback: <c>app.dev(x)</c>.</summary>
    private static bool IsCall(string line, Match match) =>
        match.Index + match.Length < line.Length && line[match.Index + match.Length] == '(';

    /// <summary>Letters and digits without a meaning for people. Checksums, commits, serials of chips and links to ports stay.</summary>
    private static bool IsToken(string word)
    {
        var isPath = word.Contains('/', StringComparison.Ordinal) && word.Split('/').All(static part => !IsToken(part) || part.Length < 20);
        if (isPath || word.StartsWith("usb-", StringComparison.Ordinal) || word.Contains("Klipper_", StringComparison.Ordinal)
            || !word.Any(char.IsAsciiDigit) || !word.Any(char.IsAsciiLetter))
            return false;
        if (word.All(char.IsAsciiHexDigit))
            return word.Length is not (24 or 40 or 64) && !(word.Length == 32 && !word.Any(char.IsAsciiLetterLower));
        // Words of people have parts: btt-octopus-pro-f446-v1, mcu_task_awake_2.
        return word.Split('-', '_').Any(static part => part.Length >= 12 && part.Any(char.IsAsciiDigit) && part.Any(char.IsAsciiLetter))
            || (word.Any(char.IsAsciiLetterUpper) && word.Any(char.IsAsciiLetterLower) && !word.Contains('-', StringComparison.Ordinal));
    }

    private static Regex Expression(string pattern) => new(
        pattern, RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase);
}

using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>Texts as the console and the dialogs of the front ends show them.</summary>
internal static class ConsoleText
{
    /// <summary>One printable line for each line of a text.</summary>
    public static string EachLine(string text) => string.Join('\n', text.Split('\n').Select(part =>
    {
        var line = string.Join(' ', part.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        return WithoutTags(PlainText.Of(line, line.Length));
    }).Where(line => line.Length > 0));

    /// <summary>Mainsail shows these texts as HTML. Characters that only look like brackets are the same in every front end.</summary>
    private static string WithoutTags(string line)
    {
        var (text, isOpen) = (line.ToCharArray(), false);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '<')
                (text[i], isOpen) = ('\u2039', true);
            else if (text[i] == '>' && isOpen)
                (text[i], isOpen) = ('\u203a', false);
        }
        return new(text);
    }

    /// <summary>A message as commands of Klipper's, which prints one line each.</summary>
    public static IEnumerable<string> Responds(string message)
    {
        var lines = message.Split('\n');
        var prefix = lines[0][..(lines[0].IndexOf(' ', StringComparison.Ordinal) + 1)];
        return [Respond(lines[0]), .. lines.Skip(1).Select(line => Respond(prefix + line))];
    }

    /// <summary>A console line as Klipper's RESPOND command, without characters that G-code reads in another way.</summary>
    public static string Respond(string line)
    {
        var (type, begin) = line[..2] switch { "!!" => ("error", 3), "ec" => ("echo", 6), _ => ("command", 3) };
        var text = new string([.. line[begin..].Select(
            c => c switch { '"' => '\'', ';' => ',', '\\' => '/', '#' or '*' => ' ', < ' ' or > '~' => '?', _ => c })]);
        return $"RESPOND TYPE={type} MSG=\"{text}\"";
    }

    /// <summary>
    /// One message for each result: a console that has the newest on top shows the lines of a message in their order. Its lines after the
    /// first one are indented.
    /// </summary>
    public static IEnumerable<string> Messages(IEnumerable<Line> lines)
    {
        var message = new List<Line>();
        foreach (var line in lines)
        {
            if (message.Count > 0 && !line.Text.StartsWith(' '))
            {
                yield return Joined();
                message.Clear();
            }
            message.Add(line);
        }
        if (message.Count > 0)
            yield return Joined();

        string Joined()
        {
            var prefix = message.Exists(line => line.Tone is Tone.Bad or Tone.Warning) ? "!!" : "//";
            return $"{prefix} RatOS.Flash: {string.Join('\n', message.Select(line => line.Text.Trim()))}";
        }
    }

    /// <summary>What FLASH_MCU without a board would flash.</summary>
    public static string Due(IReadOnlyList<FlashRequest> requests)
    {
        var due = requests.Where(request => request.SkipReason is null).Select(request =>
            $"{request.Board.Name} ({request.Board.RunningVersion ?? "not seen"} -> {request.Image?.Version ?? "a new build"})");
        var others = requests.Where(request => request.SkipReason is not null).Select(request => request.Board.Name).ToList();
        var rest = others.Count == 0 ? "" : $" Not flashed: {string.Join(", ", others)}.";
        return $"These boards will be flashed: {string.Join(", ", due)}.{rest} Klipper stops during the flash: heaters off, position lost.";
    }

    /// <summary>The findings of doctor, each one message.</summary>
    public static IEnumerable<string> Doctor(IReadOnlyList<DoctorFinding> findings) =>
    [
        .. findings.OrderBy(finding => finding.Severity).Select(finding =>
        {
            var prefix = finding.Severity == FindingSeverity.Note ? "//" : "!!";
            return $"{prefix} RatOS.Flash: {Words(finding)}\n{finding.Remedy.In(FrontEnd.Browser)}";
        }),
        $"// RatOS.Flash: {Counted(findings)}",
    ];

    /// <summary>The same for KlipperScreen, which shows one popup at a time.</summary>
    public static string DoctorPopup(IReadOnlyList<DoctorFinding> findings) => string.Join('\n',
    [
        $"echo: {Counted(findings)}", .. findings.Where(finding => finding.Severity != FindingSeverity.Note).Select(Words),
    ]);

    private static string Words(DoctorFinding finding) =>
        $"{(finding.Severity == FindingSeverity.Blocker ? "problem" : JsonContract.Name(finding.Severity))}: {finding.Text} [{finding.Id}]";

    private static string Counted(IReadOnlyList<DoctorFinding> findings) =>
        findings.Count(finding => finding.Severity != FindingSeverity.Note) switch
        {
            0 => "Doctor found no problems.",
            1 => "Doctor found 1 problem.",
            var wrong => $"Doctor found {wrong} problems.",
        };
}

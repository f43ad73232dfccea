using System.Globalization;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Recording;

/// <summary>A recording as text for people: when each call happened. Successful transfers are only counted.</summary>
public static class RecordingTimeline
{
    private static readonly HashSet<string> Bulk = ["control", "bulk", "write", "send", "got", "heard"];

    public static IEnumerable<string> Of(JobRecording recording)
    {
        var begin = recording.Begin?.At ?? (recording.Lines is [var first, ..] ? first.At : 0);
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var runs = new Dictionary<string, Run>(StringComparer.Ordinal);
        foreach (var line in recording.Lines)
        {
            if (line.Verb == "none")
                continue;
            if (IsUneventful(line))
            {
                var run = runs.TryGetValue(line.Channel, out var known) ? known : new(line.Begun, line.At, 0, 0, 0, 0);
                runs[line.Channel] = run.With(line);
                continue;
            }
            if (Text(line, names) is not { } text)
                continue;
            foreach (var counted in Runs())
                yield return counted;
            yield return At(line.Begun, begin, text);
            if (line.Verb is "usb" or "serial" or "can" && line.Answer is { Kind: "ok", Words: [{ } handle, ..] })
                names[handle] = line.Channel;
        }
        foreach (var counted in Runs())
            yield return counted;
        if (recording.Damage is { } damage)
            yield return $"the recording ends here: {damage}";
        else if (!recording.IsWhole)
            yield return "the recording ends here: it was broken off";

        List<string> Runs()
        {
            var texts = runs.OrderBy(run => run.Value.From)
                .Select(run => At(run.Value.From, begin, $"  {Clean(names.GetValueOrDefault(run.Key, run.Key))}: {run.Value}")).ToList();
            runs.Clear();
            return texts;
        }
    }

    internal static string Question(RecordedCall call) =>
        Question(call.Channel, call.Verb, call.Words, call.Data is null ? (ReadOnlyMemory<byte>?)null : call.Data);

    internal static string Question(string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data)
    {
        const int Shown = 24;
        var text = verb == "control" && words is [{ } type, { } request, { } value, { } index, { } length]
            ? $"control transfer, type {type}, request {request}, value {value}, index {index}, {length} bytes"
            : string.Join(' ', words.Where(word => word is not null).Prepend(verb));
        if (data is { } bytes)
        {
            var more = bytes.Length > Shown ? $"... {bytes.Length} bytes" : "";
            text += $" [{Convert.ToHexStringLower(bytes.Span[..Math.Min(Shown, bytes.Length)])}{more}]";
        }
        return Clean($"{Uri.UnescapeDataString(channel)}: {text}");
    }

    /// <summary>Successful transfers of one channel without another event between them.</summary>
    private sealed record Run(long From, long To, int Out, long BytesOut, int In, long BytesIn)
    {
        public Run With(RecordedCall line)
        {
            var run = this with { To = line.At, BytesIn = BytesIn + (line.Answer.Data?.Length ?? 0) };
            return line.Verb is "got" or "heard"
                ? run with { In = In + 1 }
                : run with { Out = Out + 1, BytesOut = BytesOut + (line.Data?.Length ?? 0) };
        }

        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture, $"{Out} out with {BytesOut} bytes, {In} in, {BytesIn} bytes back, {Duration(To - From)} s");
    }

    private static bool IsUneventful(RecordedCall line) => Bulk.Contains(line.Verb) && line.Answer.Kind == "ok"
        && (line.Verb is not ("control" or "bulk") || line.Answer.Word(0) == RecordingWords.UsbStatuses.Of(UsbStatus.Ok));

    private static string? Text(RecordedCall line, Dictionary<string, string> names)
    {
        var answer = line.Answer.Kind == "ok"
            ? string.Join(' ', line.Answer.Words.Where(word => word is not null))
            : $"{line.Answer.Kind}: {string.Join(' ', line.Answer.Words)}";
        var text = (line.Channel, line.Verb) switch
        {
            ("job", "event") when line.Words is [_, var phase, var kind, var board, var message, ..] =>
                $"{(board is null ? "" : board + " ")}{phase} {kind}: {message}",
            ("job", "verdict") when line.Words is [var board, _, var condition, var code, ..] => $"{board} is {condition}, {code ?? "ok"}",
            ("job", "asked") when line.Words is [var board, var id, ..] => $"asked for {board} ({id})",
            ("job", "image" or "begin" or "end") or ("bus", "list") => null,
            ("job", var verb) => $"{verb} {string.Join(' ', line.Words)} {answer}",
            ("bus", "came") when DeviceWords.Read(line.Words) is { } device => $"bus: {device} came as {Describe(device)}",
            ("bus", _) => $"bus: {string.Join(' ', line.Words)} {line.Verb}",
            ("moonraker", var verb) => $"moonraker {verb} {string.Join(' ', line.Words)} {(line.Answer.Kind == "ok" ? "" : answer)}",
            (_, "state") => $"{names.GetValueOrDefault(line.Channel, line.Channel)}: {answer}",
            _ => $"{Name(line.Channel)}{Question(line)} -> {answer} ({Duration(line.Took)} s)",
        };
        return text is null ? null : Clean(text).TrimEnd();

        string Name(string channel) => names.TryGetValue(channel, out var name) ? name + " " : "";
    }

    private static string Describe(Device device)
    {
        var serial = device.Serial is null ? "" : $", serial {device.Serial}";
        var state = device.Can is not { } can ? "" : can.IsUp ? ", up" : ", down";
        return $"{device.Product ?? "a device"}{serial}{state}";
    }

    private static string At(long at, long begin, string text) =>
        string.Create(CultureInfo.InvariantCulture, $"{Seconds(at - begin),11:+0.000;-0.000} {text}");

    private static string Duration(long ticks) => Seconds(ticks).ToString("0.000", CultureInfo.InvariantCulture);

    private static double Seconds(long ticks) => (double)ticks / TimeSpan.TicksPerSecond;

    /// <summary>Text from outside without control characters, for a terminal.</summary>
    private static string Clean(string text) => string.Concat(text.Take(500).Select(c => PlainText.IsHidden(c) ? ' ' : c));
}

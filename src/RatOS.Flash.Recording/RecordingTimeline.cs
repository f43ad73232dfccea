using System.Globalization;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Recording;

/// <summary>A recording as people read it: what happened when; of transfers that went well only how many.</summary>
public static class RecordingTimeline
{
    private static readonly HashSet<string> Bulk = ["control", "bulk", "write", "send", "got", "heard"];

    public static IEnumerable<string> Of(JobRecording recording)
    {
        var begin = recording.Begin?.At ?? (recording.Lines is [var first, ..] ? first.At : 0);
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var runs = new Dictionary<string, (long From, long To, int Out, long BytesOut, int In, long BytesIn)>(StringComparer.Ordinal);
        foreach (var line in recording.Lines)
        {
            if (line.Verb == "none")
                continue;
            if (IsUneventful(line))
            {
                var run = runs.TryGetValue(line.Channel, out var known) ? known : (line.Begun, line.At, 0, 0, 0, 0);
                runs[line.Channel] = line.Verb is "got" or "heard"
                    ? run with { To = line.At, In = run.In + 1, BytesIn = run.BytesIn + (line.Answer.Data?.Length ?? 0) }
                    : run with { To = line.At, Out = run.Out + 1, BytesOut = run.BytesOut + (line.Data?.Length ?? 0), BytesIn = run.BytesIn + (line.Answer.Data?.Length ?? 0) };
                continue;
            }
            if (Text(line, names) is not { } text)
                continue;
            foreach (var told in Runs())
                yield return told;
            yield return At(line.Begun, begin, text);
            if (line.Verb is "usb" or "serial" or "can" && line.Answer is { Kind: "ok", Words: [{ } handle, ..] })
                names[handle] = line.Channel;
        }
        foreach (var told in Runs())
            yield return told;
        if (recording.Damage is { } damage)
            yield return $"the recording ends here: {damage}";
        else if (!recording.IsWhole)
            yield return "the recording ends here: it was broken off";

        List<string> Runs()
        {
            List<string> told = [.. runs.OrderBy(run => run.Value.From).Select(run => At(run.Value.From, begin, string.Create(
                CultureInfo.InvariantCulture,
                $"  {Clean(names.GetValueOrDefault(run.Key, run.Key))}: {run.Value.Out} out with {run.Value.BytesOut} bytes, {run.Value.In} in, {run.Value.BytesIn} bytes back, {Seconds(run.Value.To - run.Value.From):0.000} s")))];
            runs.Clear();
            return told;
        }
    }

    internal static string Question(RecordedLineOf line) => Question(line.Channel, line.Verb, line.Words, line.Data is null ? (ReadOnlyMemory<byte>?)null : line.Data);

    internal static string Question(string channel, string verb, string?[] words, ReadOnlyMemory<byte>? data)
    {
        const int Shown = 24;
        var text = verb == "control" && words is [{ } type, { } request, { } value, { } index, { } length]
            ? $"control transfer, type {type}, request {request}, value {value}, index {index}, {length} bytes" : string.Join(' ', words.Where(word => word is not null).Prepend(verb));
        if (data is { } bytes)
            text += $" [{Convert.ToHexStringLower(bytes.Span[..Math.Min(Shown, bytes.Length)])}{(bytes.Length > Shown ? $"... {bytes.Length} bytes" : "")}]";
        return Clean($"{Uri.UnescapeDataString(channel)}: {text}");
    }

    private static bool IsUneventful(RecordedLineOf line) => Bulk.Contains(line.Verb) && line.Answer.Kind == "ok"
        && (line.Verb is not ("control" or "bulk") || line.Answer.Word(0) == nameof(UsbStatus.Ok));

    private static string? Text(RecordedLineOf line, Dictionary<string, string> names)
    {
        var answer = line.Answer.Kind == "ok" ? string.Join(' ', line.Answer.Words.Where(word => word is not null)) : $"{line.Answer.Kind}: {string.Join(' ', line.Answer.Words)}";
        return (line.Channel, line.Verb) switch
        {
            ("job", "event") when line.Words is [_, var phase, var kind, var board, var message, ..] => $"{(board is null ? "" : board + " ")}{phase} {kind}: {message}",
            ("job", "verdict") when line.Words is [var board, _, var condition, var code, ..] => $"{board} is {condition}, {code ?? "ok"}",
            ("job", "asked") when line.Words is [var board, var id, ..] => $"asked for {board} ({id})",
            ("job", "image" or "begin" or "end") or ("bus", "list") => null,
            ("job", var verb) => $"{verb} {string.Join(' ', line.Words)} {answer}",
            ("bus", "came") when DeviceWords.Read(line.Words) is { } device => $"bus: {device} came as {device.Product ?? "a device"}{(device.Serial is null ? "" : $", serial {device.Serial}")}{(device.Can is { } can ? can.IsUp ? ", up" : ", down" : "")}",
            ("bus", _) => $"bus: {string.Join(' ', line.Words)} {line.Verb}",
            ("moonraker", var verb) => $"moonraker {verb} {string.Join(' ', line.Words)} {(line.Answer.Kind == "ok" ? "" : answer)}",
            (_, "state") => $"{names.GetValueOrDefault(line.Channel, line.Channel)}: {answer}",
            _ => string.Create(CultureInfo.InvariantCulture, $"{(names.TryGetValue(line.Channel, out var name) ? name + " " : "")}{Question(line)} -> {answer} ({Seconds(line.Took):0.000} s)"),
        } is { } text ? Clean(text).TrimEnd() : null;
    }

    private static string At(long at, long begin, string text) => string.Create(CultureInfo.InvariantCulture, $"{Seconds(at - begin),11:+0.000;-0.000} {text}");

    private static double Seconds(long ticks) => (double)ticks / TimeSpan.TicksPerSecond;

    /// <summary>Text from outside, fit for a terminal.</summary>
    private static string Clean(string text) => string.Concat(text.Take(500).Select(c => char.IsControl(c) ? ' ' : c));
}

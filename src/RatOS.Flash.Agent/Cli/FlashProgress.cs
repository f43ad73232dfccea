using System.Collections.Immutable;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <summary>
/// A flash on a terminal: lines for the steps that are over, in their order, and below them a row for each step that goes on. A flash of
/// one board has a step for each phase. A flash of several boards has a step for each board, which names the phase.
/// </summary>
/// <param name="boards">Their names.</param>
internal sealed class FlashProgress(IReadOnlyList<string> boards)
{
    private const int BarWidth = 28;
    private const int PhaseWidth = 10;

    private readonly bool _isOneBoard = boards.Count == 1;
    private readonly int _labelWidth = boards.Count == 1 ? PhaseWidth : boards.Append("").Max(board => board.Length) + PhaseWidth;
    private readonly long _begin = TimeProvider.System.GetTimestamp();
    private ImmutableList<Step> _steps = [];   // read by the thread that draws

    private sealed record Step(
        string? Board, FlashPhase Phase, string Label, string Message, TimeSpan Begin, TimeSpan At, long Done, long Total)
    {
        public TimeSpan Elapsed => At - Begin;
    }

    /// <summary>Takes an event.</summary>
    /// <returns>The lines that stay.</returns>
    public IEnumerable<Line> See(FlashEvent step)
    {
        var active = _steps.Find(other => other.Board == step.Board);
        switch (step.Kind)
        {
            case FlashEventKind.Begin or FlashEventKind.Progress or FlashEventKind.End when step.Phase != FlashPhase.Operator:
                return See(step, active);
            case FlashEventKind.Verdict:
                return step.Report is { } report && active is not null ? Over(active, report, step.At) : [];
            case FlashEventKind.Warning when step is { Board: null, Phase: FlashPhase.Start } && active is not null:
                return [Over(active with { Message = step.Message, At = step.At }, "!", Tone.Warning)];
            default:
                var (mark, tone) = step.Kind switch
                {
                    FlashEventKind.Warning => ("!", Tone.Warning),
                    FlashEventKind.Begin => (">", Tone.Warning),   // an operator step
                    _ => (Mark('·', '-'), Tone.Dim),
                };
                var line = Line.Of($"  {mark} ", $"{(_isOneBoard || step.Board is null ? "" : step.Board + ": ")}{step.Message}", tone);
                // An operator step follows a step that failed.
                return step.Kind == FlashEventKind.Begin && active is not null ? [Over(active, "x", Tone.Bad), line] : [line];
        }
    }

    /// <summary>The lines of steps that were begun and never ended.</summary>
    public IReadOnlyList<Line> End()
    {
        var lines = _steps.ConvertAll(step => Over(step, Mark('·', '-'), Tone.Dim));
        _steps = [];
        return lines;
    }

    /// <summary>The steps that go on.</summary>
    public IEnumerable<IReadOnlyList<Span>> Rows()
    {
        var frames = Terminal.IsUnicode ? "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" : "|/-\\";
        var frame = frames[(int)(TimeProvider.System.GetElapsedTime(_begin).TotalMilliseconds / 100) % frames.Length];
        foreach (var step in _steps)
            yield return [new($"  {frame} {step.Label} "), .. step.Total > 0 ? Bar(step) : [new(step.Message, Tone.Dim)]];
    }

    private List<Line> See(FlashEvent step, Step? active)
    {
        var isSame = active?.Phase == step.Phase;
        var lines = new List<Line>();
        if (active is not null && !isSame && _isOneBoard)
            lines.Add(Over(active, Mark('·', '-'), Tone.Dim));
        var (message, begin) = isSame && active is not null ? (active.Message, active.Begin) : ("", step.At);
        var next = new Step(
            step.Board, step.Phase, Label(step), step.Message.Length > 0 ? step.Message : message, begin, step.At, step.Done, step.Total);
        var place = _steps.FindIndex(other => other.Board == step.Board);
        if (step.Kind == FlashEventKind.End && (_isOneBoard || step.Board is null))
            lines.Add(Over(next, Mark('✔', '+'), Tone.Good));
        else
            _steps = place < 0 ? _steps.Add(next) : _steps.SetItem(place, next);
        return lines;
    }

    private IEnumerable<Line> Over(Step active, BoardReport report, TimeSpan at)
    {
        if (_isOneBoard)
            return report.Ok ? [Over(active, Mark('·', '-'), Tone.Dim)] : [Over(active with { At = at }, "x", Tone.Bad)];
        var step = active with
        {
            Label = report.Board.PadRight(_labelWidth),
            Message = report.Ok ? "flashed" : $"failed: {report.Fault?.Code}",
            Begin = at - report.Elapsed,
            At = at,
        };
        return report.Ok ? [Over(step, Mark('✔', '+'), Tone.Good)] : [Over(step, "x", Tone.Bad)];
    }

    /// <summary>The step is over: its line, and it goes from the rows.</summary>
    private Line Over(Step step, string mark, Tone tone)
    {
        _steps = _steps.RemoveAll(other => other.Board == step.Board);
        var text = FormattableString.Invariant($"{step.Message} ({step.Elapsed.TotalSeconds:0.0} s)");
        return Line.Of($"  {mark} {step.Label} ", text) with { LabelTone = tone };
    }

    private string Label(FlashEvent step)
    {
        var phase = JsonContract.Name(step.Phase);
        var label = _isOneBoard || step.Board is null ? char.ToUpperInvariant(phase[0]) + phase[1..] : $"{step.Board} {phase}";
        return label.PadRight(_labelWidth);
    }

    private static string Mark(char unicode, char ascii) => $"{(Terminal.IsUnicode ? unicode : ascii)}";

    private static IEnumerable<Span> Bar(Step step)
    {
        var share = Math.Clamp((double)step.Done / step.Total, 0, 1);
        var filled = (int)(share * BarWidth);
        var (full, empty) = Terminal.IsUnicode ? ('━', '─') : ('#', '.');
        var rate = step.Elapsed > TimeSpan.Zero ? step.Done / step.Elapsed.TotalSeconds : 0;
        var text = FormattableString.Invariant($" {share,4:0%}  {step.Done / 1024.0:0.0} of {step.Total / 1024.0:0.0} KiB");
        if (rate > 0)
            text += FormattableString.Invariant($"  {rate / 1024:0} KiB/s  {(step.Total - step.Done) / rate:0.0} s left");
        yield return new(new string(full, filled), Tone.Good);
        yield return new(new string(empty, BarWidth - filled), Tone.Dim);
        yield return new(text);
    }
}

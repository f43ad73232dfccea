using System.Globalization;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <summary>For a terminal: text in colours that fits its width, and bars that move while a board is written.</summary>
internal sealed class LiveOutput : TextOutput
{
    private static readonly Table BoardTable = new(
        new("Board"), new("Kind", Rank: 5), new("Chip", Rank: 6), new("Port", Rank: 4), new("State", Rank: 3), new("Runs", Rank: 2),
        new("Flash", Rank: 1));

    private static readonly Table KindTable = new(
        new("Id"), new("Board", Rank: 1, Least: 20), new("Chip", Rank: 2), new("Flash method", Rank: 3));

    private readonly LiveRegion _region = new();
    private FlashProgress? _progress;

    public override bool IsLive => true;

    public override bool HasOperator => true;

    protected override void Write(IEnumerable<Line> lines) => _region.Write(lines);

    public override void Plan(PlanView plan, string printer)
    {
        base.Plan(plan, printer);
        Say("");
    }

    public override void Boards(BoardList list, string printer)
    {
        var rows = list.Boards;
        var (boards, others) = (rows.Where(row => row.Board is not null).ToList(), rows.Where(row => row.Board is null).ToList());
        Say($"{printer}{(rows.FirstOrDefault(row => row.Host is not null) is { } any ? $", Klipper {any.Host}" : "")}", 2);
        Say("");
        if (boards.Count > 0)
        {
            Write(BoardTable.Lines(
                boards.ConvertAll(row => (
                    new[] { row.Board, row.Description, row.Mcu, row.Port, row.State, row.Running, BoardText.Need(row) },
                    row.State == "not connected" ? Tone.Warning : Tone.Normal)),
                Terminal.Size.Columns));
            Say("");
            Write(boards.SelectMany(BoardText.Of));
            Say("");
        }
        if (others.Count > 0)
        {
            Write([new("Other devices:", Tone.Dim)]);
            Write(others.Select(row => Line.Of($"  {row.Port,-8} ", row.Description, Tone.Dim)));
        }
        Write(list.Skipped.Select(BoardText.Of));
    }

    public override void Kinds(IReadOnlyList<JsonKind> kinds, IReadOnlyList<JsonSkipped> skipped)
    {
        Write(KindTable.Lines(
            [.. kinds.Select(kind => (new[] { kind.Id, kind.Description, kind.Mcu, BoardText.Method(kind) }, Tone.Normal))],
            Terminal.Size.Columns));
        Write(skipped.Select(BoardText.Of));
    }

    public override void Begin(IReadOnlyList<string> boards)
    {
        _progress = new FlashProgress(boards);
        _region.Show(_progress.Rows);
    }

    public override void Event(FlashEvent step)
    {
        if (WasInPlan(step))
            return;
        base.Event(step);
        Write(_progress?.See(step) ?? [new Line($"  {step.Message}", Tone.Normal, step.Message is ['(', ..] ? 6 : 2)]);
    }

    public override void End()
    {
        Write(_progress?.End() ?? []);
        _region.Close();
        Say("");
    }

    public override void Fault(FlashException fault) => Write(
    [
        new($"{fault.Cause} [{fault.Code}]", Tone.Bad, Indent: 2),
        Line.Of("Next step: ", fault.Remedy.In(FrontEnd.CommandLine), Tone.Warning),
    ]);

    /// <summary>Rows that are drawn again and again would overwrite it.</summary>
    public override void Log(string line)
    {
        if (Terminal.IsErrorHere)
            Write([new(line, Tone.Dim, Indent: 13)]);
        else
            base.Log(line);
    }

    public override bool Confirm(string question)
    {
        Terminal.Out.Write($"{question} [y/N] ");
        return Terminal.ReadLine()?.Trim().ToLowerInvariant() is "y" or "yes";
    }

    public override string? Choose(FactQuestion question)
    {
        Write([new("", Tone.Normal), new(question.Text, Tone.Warning, Indent: 2), .. question.Choices.Select(
            (choice, i) => new Line($"  {i + 1}  {choice.Value,-16} {choice.Label}", Tone.Normal, Indent: 22))]);
        while (true)
        {
            Terminal.Out.Write($"Answer [1-{question.Choices.Length}, Enter for none]: ");
            if (Terminal.ReadLine()?.Trim() is not { Length: > 0 } typed)
                return null;
            if (question.Choices.FirstOrDefault(choice => choice.Value == typed) is { } named)
                return named.Value;
            if (int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && number >= 1 && number <= question.Choices.Length)
                return question.Choices[number - 1].Value;
        }
    }
}

using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Lines of text without colour or movement, for pipes, files and <c>TERM=dumb</c>. No line is wrapped.</summary>
internal sealed class PlainOutput(TextWriter writer, TextWriter errors) : TextOutput
{
    protected override void Write(IEnumerable<Line> lines)
    {
        foreach (var line in lines)
            writer.WriteLine(line.Text);
    }

    public override void Boards(BoardList list, string printer)
    {
        Say(printer);
        foreach (var row in list.Boards)
        {
            string?[] cells = [row.Board, row.Description, row.Mcu, row.Port, row.State, row.Running, row.Host, BoardText.Need(row)];
            Say(string.Join('\t', cells.Select(cell => cell ?? "-")));
        }
        Write(list.Boards.SelectMany(BoardText.Of));
        Write(list.Skipped.Select(BoardText.Of));
    }

    public override void Kinds(IReadOnlyList<JsonKind> kinds, IReadOnlyList<JsonSkipped> skipped)
    {
        foreach (var kind in kinds)
            Say(string.Join('\t', kind.Id, kind.Description, kind.Mcu ?? "-", kind.Kind, kind.Road));
        Write(skipped.Select(BoardText.Of));
    }

    public override void Event(FlashEvent step)
    {
        if (WasInPlan(step) || step.Kind is FlashEventKind.Progress or FlashEventKind.Verdict)
            return;
        base.Event(step);
        Write([EventText.Of(step)]);
    }

    public override void Fault(FlashException fault)
    {
        errors.WriteLine($"ratos-flash: {fault.Cause} [{fault.Code}]");
        errors.WriteLine($"Next step: {fault.Remedy.In(FrontEnd.CommandLine)}");
    }
}

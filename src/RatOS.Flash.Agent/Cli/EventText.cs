using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Flashing;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Agent.Cli;

/// <summary>A step of a flash as one line: seconds, board, phase, message.</summary>
internal static class EventText
{
    public static Line Of(FlashEvent step)
    {
        var mark = step.Kind switch { FlashEventKind.Warning => "! ", FlashEventKind.End => "= ", _ => "  " };
        var tone = step.Kind switch { FlashEventKind.Warning => Tone.Warning, FlashEventKind.Note => Tone.Dim, _ => Tone.Normal };
        var phase = step.Phase == FlashPhase.Operator ? "operator" : JsonContract.Name(step.Phase);
        var label = FormattableString.Invariant($"{step.At.TotalSeconds,8:0.00} {step.Board ?? "printer",-12} {phase,-8} {mark}");
        return Line.Of(label, step.Message, tone);
    }
}

/// <summary>An event of a served board in words.</summary>
internal static class BusText
{
    public static Line Of(UsbIpEvent happened) => new(
        happened.State is { } state ? $"{happened.Text} (state: {JsonContract.Name(state)})" : happened.Text,
        happened.Kind switch
        {
            UsbIpEventKind.Refused or UsbIpEventKind.Dropped => Tone.Warning,
            UsbIpEventKind.Left or UsbIpEventKind.Released => Tone.Dim,
            _ => Tone.Normal,
        },
        Indent: 2);
}

using System.Runtime.InteropServices;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <content>What a person does by hand, while the bus is watched.</content>
internal sealed partial class Verbs
{
    /// <summary>Looks only, so it goes past an agent that runs: both may watch one bus.</summary>
    public async Task<int> GuideAsync(FlashOptions options)
    {
        using var over = new CancellationTokenSource();
        using var interrupt = OnSignal(PosixSignal.SIGINT, over.Cancel);
        using var terminate = OnSignal(PosixSignal.SIGTERM, over.Cancel);
        var mcus = new KnownMcus(printer, data is null ? [] : AgentSettings.Read(data.Settings).Boards, data, log);
        var board = (await new LocalBoards(printer, mcus, static _ => new Klipper.NoKlippy(), log).RequestAsync(options))[0].Board;
        try
        {
            await new GuidedEntry(printer.Hardware, printer.Time, step =>
            {
                output.Event(step);
                return ValueTask.CompletedTask;
            }).RunAsync(board, over.Token);
            return ExitCode.Done;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Failed;   // nothing was seen until then
        }
    }
}

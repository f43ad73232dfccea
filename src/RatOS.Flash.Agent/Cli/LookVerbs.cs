using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs that change nothing. Each returns the exit code.</summary>
internal sealed class LookVerbs(VerbContext context)
{
    public Task<int> PlanAsync(FlashOptions options) => context.WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
    {
        var plan = await boards.PlanAsync(options);
        context.Output.Plan(plan, boards.Description);
        return plan.IsBlocked ? ExitCode.Refused : ExitCode.Done;
    });

    /// <param name="isCatalogue">Every known kind of board instead.</param>
    public async Task<int> BoardsAsync(bool isCatalogue)
    {
        if (isCatalogue)
            return Kinds();
        return await context.WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
        {
            context.Output.Boards(await boards.ListAsync(), boards.Description);
            return ExitCode.Done;
        });
    }

    /// <summary>Every kind of board: of this program, and of an installed RatOS.</summary>
    private int Kinds()
    {
        var known = context.Data is null ? new(BoardCatalogue.BuiltIn, []) : RatOsCatalogue.Load(context.Data.RatOsBoards);
        context.Output.Kinds(
            [.. known.Catalogue.Boards.OrderBy(board => board.Id, StringComparer.Ordinal).Select(JsonKind.Of)],
            [.. known.Skipped.Select(JsonSkipped.Of)]);
        return ExitCode.Done;
    }

    /// <summary>Guides a user into a board's bootloader. It opens no device, so it works beside a running agent.</summary>
    public async Task<int> GuideAsync(FlashOptions options)
    {
        using var over = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(over.Cancel);
        var printer = context.Printer;
        var board = await BoardAsync(options);
        if (MissingFact.Of(board.Profile) is { Fact: "chip" } missing && context.Output.Choose(missing) is { } chip)
        {
            await context.WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
            {
                await boards.AnswerAsync(missing.Board, missing.Fact, chip);
                return ExitCode.Done;
            });
            board = await BoardAsync(options);
        }
        if (printer.SimulateOperator(board) is { } operation)
            context.Output.Say(operation);
        try
        {
            await new GuidedEntry(printer.Hardware, printer.Time, step =>
            {
                context.Output.Event(step);
                return ValueTask.CompletedTask;
            }).RunAsync(board, over.Token);
            return ExitCode.Done;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Failed;   // the bootloader was not seen
        }
        finally
        {
            printer.Save();
        }
    }

    private async Task<PrinterBoard> BoardAsync(FlashOptions options) =>
        (await context.KeptBoards().RequestAsync(options with { Job = FlashJob.Identify }))[0].Board;   // its firmware is not opened
}

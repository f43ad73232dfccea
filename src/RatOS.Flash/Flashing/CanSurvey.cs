using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>The nodes that answered on CAN, which does not list its nodes: a node in Katapult answers, a node in Klipper may.</summary>
internal sealed class CanSurvey
{
    // Each node answers within milliseconds; Katapult's own tool waits 2 s.
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(0.5);

    private readonly IHardware _hardware;
    private readonly List<Device> _nodes = [];

    private CanSurvey(IHardware hardware) => _hardware = hardware;

    /// <summary>Asks each CAN bus of these boards once. Boards of a bus in trouble are refused here, before anything is touched.</summary>
    public static async Task<CanSurvey> RunAsync(
        IReadOnlyList<FlashRequest> requests, IHardware hardware, TimeProvider time, FlashLog log, CancellationToken cancel)
    {
        var survey = new CanSurvey(hardware);
        var onCan = FlashPlan.Create(requests, hardware.Look(),
            new(KlippyActivity.Stopped)).Boards.Where(board => board.Device is { Can.IsUp: true });
        foreach (var boards in onCan.GroupBy(board => board.Device!))
        {
            cancel.ThrowIfCancellationRequested();
            await log.NoteAsync(null, FlashPhase.Ask, $"Asking which boards are on {boards.Key.Port}");
            try
            {
                await survey.AskAsync(boards.Key, time);
            }
            catch (FlashException fault)
            {
                foreach (var board in boards)
                    await log.RefuseAsync(board.Request, fault, board, byPlan: false);
            }
            catch (DeviceGoneException)
            {
                // The plan does not find it either.
            }
        }
        return survey;
    }

    /// <summary>What the buses show now, and the nodes on those CAN buses that are still there.</summary>
    public DeviceList Look()
    {
        var seen = _hardware.Look();
        return seen with { Devices = [.. seen.Devices, .. _nodes.Where(node => seen.Devices.Any(node.IsSameSession))] };
    }

    private async Task AskAsync(Device can, TimeProvider time)
    {
        await using var port = await _hardware.OpenCanAsync(can);
        // No write is under way yet: a node that an interrupted flash left with a number answers now as well.
        await port.SendAsync(CanAdmin.ClearBootloaders);
        var first = await CanAdmin.QueryAsync(port, AnswerTime, time);
        // One answer may be heard twice (a frame repeated in its last bit); two boards answer twice each time.
        var second = first.Distinct().Count() < first.Length ? await CanAdmin.QueryAsync(port, AnswerTime, time) : first;
        foreach (var node in first.Distinct())
            _nodes.AddRange(Enumerable.Repeat(can with { CanNode = node }, Math.Max(1, second.Count(other => other.Uuid == node.Uuid))));
        if (first.Length == 0 && CanAdmin.TroubleOf(port) is { } trouble)
            throw trouble;
    }
}

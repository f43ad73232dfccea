using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>Asks running boards what they are, all at once, while Klipper is stopped.</summary>
/// <param name="hardware">The buses.</param>
/// <param name="time">The only clock.</param>
/// <param name="services">Keeps the answers.</param>
/// <param name="log">The record of the flash.</param>
/// <param name="bus">A board on its bus.</param>
internal sealed class BoardQuestions(
    IHardware hardware, TimeProvider time, FlashServices services, FlashLog log, Func<BoardPlan, BoardBus> bus)
{
    /// <summary>The answers of those that can be asked, by name.</summary>
    public async Task<IReadOnlyDictionary<string, BoardEvidence>> AskAsync(
        IReadOnlyList<FlashRequest> requests, CanSurvey survey, CancellationToken cancel)
    {
        var plan = FlashPlan.Create(requests, survey.Look(), new(KlippyActivity.Stopped));
        var answers = await Task.WhenAll(plan.Boards.Select(async board => (board, await AskAsync(board, cancel))));
        var evidence = new Dictionary<string, BoardEvidence>(StringComparer.Ordinal);
        foreach (var (board, answer) in answers)
        {
            if (answer is null)
                continue;
            evidence[board.Name] = answer;
            services.KeepAnswers(board.Request.Board, answer);
        }
        return evidence;
    }

    /// <summary>The verdict on a board that was to be identified, and nothing else.</summary>
    /// <param name="board">Its plan before it was asked.</param>
    /// <param name="evidence">Its answers; null where it gave none.</param>
    public ValueTask ReportAsync(BoardPlan board, BoardEvidence? evidence)
    {
        if (evidence is null)
        {
            var fault = board.Blocker ?? (board.Device is { } device && board.IsBootloader(device)
                ? FlashFaults.AskedInBootloader(board.Name, $"{device}") : FlashFaults.KlipperSilent(board.Name, "it is being identified"));
            return log.RefuseAsync(board.Request, fault, board, byPlan: board.IsBlocked);
        }
        return log.VerdictAsync(new BoardReport
        {
            Board = board.Name,
            Condition = BoardCondition.Running,
            OldVersion = evidence.Version,
            NewVersion = evidence.Version,
            Identity = board.Request.Board.Described(evidence).Profile.ToString(),
        });
    }

    /// <summary>
    /// What one board answers. One that cannot answer is flashed without: its bootloader is asked too. A chip is only asked for addresses
    /// that it has, so the firmware itself names it first.
    /// </summary>
    private async Task<BoardEvidence?> AskAsync(BoardPlan board, CancellationToken cancel)
    {
        if (board is not { IsAsked: true, Device: { } device })
            return null;
        await log.BeginAsync(board.Name, FlashPhase.Ask, "Asking the running firmware");
        try
        {
            await using var client = device.Usb is null ? await bus(board).IdentifyAsync(device, cancel)
                : await BoardBus.IdentifyAsync(await hardware.OpenSerialAsync(device, SerialMode.Klipper), board.Name, time, cancel);
            var dictionary = client.Dictionary!;
            var chip = Mcu.Find(dictionary.Mcu) switch
            {
                { } mcu when board.Request.AsksStart => await client.AskChipAsync(mcu, null, cancel, asksAll: true),
                { } mcu when mcu == board.Profile.Mcu => await client.AskChipAsync(mcu, board.Profile.ApplicationStart?.Value, cancel),
                _ => null,
            };
            await log.EndAsync(board.Name, FlashPhase.Ask, $"It runs {dictionary.Version} on {dictionary.Mcu}");
            return BoardEvidence.Of(dictionary, chip);
        }
        catch (FlashException fault)
        {
            await log.WarnAsync(board.Name, FlashPhase.Ask, $"The running firmware could not be asked: {fault.Cause}");
        }
        catch (DeviceGoneException)
        {
            await log.WarnAsync(board.Name, FlashPhase.Ask,
                $"{device} left the bus. Reconnect its cable or power; the flash then continues automatically.");
            await hardware.WaitForAsync(
                seen => seen.Devices.Any(device.IsSameSession) ? null
                    : seen.Devices.FirstOrDefault(other => other.Port == device.Port && other.Can is not { IsUp: false }),
                BoardBus.CableLimit, time, cancel);
        }
        return null;
    }
}

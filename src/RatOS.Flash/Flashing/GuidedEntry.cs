using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// The manual way into a board's bootloader, step by step, while the bus is watched: what a person did is said as soon as it shows, and what comes next. It touches nothing.
/// </summary>
/// <param name="hardware">The buses.</param>
/// <param name="time">The only clock.</param>
/// <param name="tell">Called with each line.</param>
public sealed class GuidedEntry(IHardware hardware, TimeProvider time, Func<FlashEvent, ValueTask> tell)
{
    private readonly FlashLog _log = new(time, tell);

    /// <summary>Ends when the bootloader is seen, or when all that can be said is said.</summary>
    /// <param name="board">The board.</param>
    /// <param name="cancel">Ends it at any time.</param>
    /// <exception cref="OperationCanceledException"/>
    public async Task RunAsync(PrinterBoard board, CancellationToken cancel)
    {
        var seen = hardware.Look();
        var guide = BoardGuide.Of(board.Board);
        var device = FlashPlan.Create([new FlashRequest(board, null)], seen, new(Klipper.KlippyActivity.Stopped)).Boards[0].Device;
        var port = device?.Can?.UsbPort ?? (device is { IsWired: false, Can: null } ? device.Port : board.Port);
        if (device is not null && board.Drivers.Showing(device) is { } waiting)
        {
            await SayAsync(board, $"{waiting.Label} waits at {device.Port} already. {Next(board, waiting, device)}");
            return;
        }
        if (guide.Road is BoardRoad.Avrdude or BoardRoad.Process or BoardRoad.OwnUpdater or BoardRoad.Unknown)
        {
            await StepsAsync(board, guide.Steps);
            return;
        }
        var isCard = guide.Road == BoardRoad.SdCard;
        var steps = isCard ? guide.Steps : BoardGuide.EnterSteps(board.Board);
        if (!isCard && board.Board.Preconditions.Contains("sd-slot-empty"))
            steps = steps.Insert(0, "If there is a card in the board's SD slot, take it out.");
        await StepsAsync(board, steps);
        if (device is { IsWired: true } || board.Bootloader is { IsUnlisted: true })
        {
            // A wire shows nothing: whoever asks the ROM at the wrong speed makes it deaf.
            await SayAsync(board, $"On a wire nothing of it can be seen. When it is done: `ratos-flash flash {board.Name} --port {device?.Port ?? "PORT"} --bootloader {board.Drivers.First(driver => driver.IsUnlisted).Option}`.");
            return;
        }
        await SayAsync(board, $"I watch {(port is null ? "the bus" : $"port {port}")} until Ctrl-C. Klipper will lose the board when it is reset.");
        await WatchAsync(board, port, isCard, seen, cancel);
    }

    private async Task WatchAsync(PrinterBoard board, string? port, bool isCard, DeviceList seen, CancellationToken cancel)
    {
        var known = seen.Devices.Select(device => (device.Port, device.Number)).ToHashSet();
        var here = seen.Devices.FirstOrDefault(device => device.Port == port);
        while (true)
        {
            seen = await hardware.WaitForChangeAsync(seen.Generation, cancel);
            if (here is not null && !seen.Devices.Any(here.IsSameSession))
            {
                await SayAsync(board, $"It left the bus at {here.Port}: reset, or without power.");
                here = null;
            }
            foreach (var device in seen.Devices.Where(device => known.Add((device.Port, device.Number)) && device.Usb is not null))
            {
                var isHere = port is null || device.Port == port;
                var driver = board.Drivers.Showing(device);
                if (driver is not null && isHere)
                {
                    await SayAsync(board, $"{(driver.StartsOnBoot0 ? "Jumper seen" : "Seen")}: {driver.Label} at {device.Port}. {Next(board, driver, device)}");
                    return;
                }
                if (driver is not null)
                {
                    await SayAsync(board, $"{driver.Label} appeared at {device.Port}, not at {port}. If that is the board: `ratos-flash flash {board.Name} --port {device.Port}`.");
                }
                else if (isHere && (device.Usb == UsbId.Klipper || device.Usb == UsbId.KlipperCanBridge))
                {
                    here = device;
                    if (isCard)
                    {
                        await SayAsync(board, $"Klipper is back at {device.Port}. `ratos-flash boards` shows whether it is the new version.");
                        return;
                    }
                    await SayAsync(board, $"It came back as Klipper at {device.Port}: the jumper was not set, or the button not held, when it was reset. Once more, please.");
                }
            }
        }
    }

    private async Task StepsAsync(PrinterBoard board, ImmutableArray<string> steps)
    {
        for (var i = 0; i < steps.Length; i++)
            await SayAsync(board, $"({i + 1}) {steps[i]}");
    }

    private ValueTask SayAsync(PrinterBoard board, string text) => _log.NoteAsync(board.Name, FlashPhase.Person, text);

    private static string Next(PrinterBoard board, BootloaderDriver driver, Device device) => driver.NextStep(
        board.Board,
        $"Then `ratos-flash flash {board.Name} --port {device.Port}` writes its firmware, and `ratos-flash recover {board.Name} --port {device.Port}` starts the one that it has.");
}

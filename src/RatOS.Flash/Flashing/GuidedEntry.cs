using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Guides a user into a board's bootloader, step by step. It watches the bus and reports each operator step as soon as the bus shows it.
/// It opens no device.
/// </summary>
/// <param name="hardware">The buses.</param>
/// <param name="time">The only clock.</param>
/// <param name="tell">Called with each line.</param>
public sealed class GuidedEntry(IHardware hardware, TimeProvider time, Func<FlashEvent, ValueTask> tell)
{
    private readonly FlashLog _log = new(time, tell);

    /// <summary>Ends when the bootloader is on the bus, or when the bus can show nothing more.</summary>
    /// <param name="board">The board.</param>
    /// <param name="cancel">Ends it at any time.</param>
    /// <exception cref="OperationCanceledException"/>
    public async Task RunAsync(PrinterBoard board, CancellationToken cancel)
    {
        var seen = hardware.Look();
        var guide = BoardGuide.Of(board.Profile);
        var device = FlashPlan.Create([new FlashRequest(board, null)], seen, new(Klipper.KlippyActivity.Stopped)).Boards[0].Device;
        var port = device?.Can?.UsbPort ?? (device is { IsWired: false, Can: null } ? device.Port : board.Port);
        if (device is not null && board.Drivers.Showing(device) is { } waiting)
        {
            await SayAsync(board, $"{waiting.Label} is already at {device.Port}. {Next(board, waiting, device)}");
            return;
        }
        // The way into a chip's ROM needs no application start.
        var isRomKnown = guide.Method == FlashMethod.Unknown && board.Profile is { Mcu.IsWritten: true, ApplicationStart: null }
            && !board.Profile.Chip!.Value.StartsWith("lpc", StringComparison.Ordinal);
        if (guide.Method is FlashMethod.Avrdude or FlashMethod.Process or FlashMethod.OwnUpdater
            || (guide.Method == FlashMethod.Unknown && !isRomKnown))
        {
            await StepsAsync(board, guide.Steps);
            return;
        }
        var isCard = guide.Method == FlashMethod.SdCard;
        var steps = isCard ? guide.Steps : BoardGuide.EnterSteps(board.Profile);
        if (!isCard && board.Profile.NeedsEmptySlot)
            steps = steps.Insert(0, "If there is a card in the board's SD slot, take it out.");
        await StepsAsync(board, steps);
        if (device is { IsWired: true } || board.Bootloader is { IsUnlisted: true })
        {
            // A serial port shows no arrival, and a ROM that is asked at a wrong speed stops answering (AN3155 2.2).
            var option = board.Drivers.First(driver => driver.IsUnlisted).Option;
            var command = $"ratos-flash flash {board.Name} --port {device?.Port ?? "PORT"} --bootloader {option}";
            await SayAsync(board, $"A serial port does not show the bootloader. When you are done, run `{command}`.");
            return;
        }
        var place = port is null ? "the bus" : $"port {port}";
        await SayAsync(board, $"Watching {place} until Ctrl-C. Klipper loses the board when you reset it.");
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
                await SayAsync(board, $"The board left the bus at {here.Port}: it was reset or lost power.");
                here = null;
            }
            foreach (var device in seen.Devices.Where(device => known.Add((device.Port, device.Number)) && device.Usb is not null))
            {
                var isHere = port is null || device.Port == port;
                var driver = board.Drivers.Showing(device);
                if (driver is not null && isHere)
                {
                    var shown = driver.StartsOnBoot0 ? "Jumper seen" : "Seen";
                    await SayAsync(board, $"{shown}: {driver.Label} at {device.Port}. {Next(board, driver, device)}");
                    return;
                }
                if (driver is not null)
                {
                    var command = $"ratos-flash flash {board.Name} --port {device.Port}";
                    await SayAsync(
                        board, $"{driver.Label} appeared at {device.Port}, not at {port}. If this is the board, run `{command}`.");
                }
                else if (isHere && (device.RunsKlipper || device.Usb == UsbId.KlipperCanBridge))
                {
                    here = device;
                    if (isCard)
                    {
                        await SayAsync(board, $"Klipper is back at {device.Port}. `ratos-flash boards` shows its version.");
                        return;
                    }
                    await SayAsync(
                        board,
                        $"Klipper started again at {device.Port}: BOOT0 was not set, or its button not held, during the reset. Try again.");
                }
            }
        }
    }

    private async Task StepsAsync(PrinterBoard board, ImmutableArray<string> steps)
    {
        for (var i = 0; i < steps.Length; i++)
            await SayAsync(board, $"({i + 1}) {steps[i]}");
    }

    private ValueTask SayAsync(PrinterBoard board, string text) => _log.NoteAsync(board.Name, FlashPhase.Operator, text);

    private static string Next(PrinterBoard board, BootloaderDriver driver, Device device) => driver.NextStep(
        board.Profile,
        $"Then run `ratos-flash flash {board.Name} --port {device.Port}` to write firmware, "
        + $"or `ratos-flash recover {board.Name} --port {device.Port}` to start the firmware that it has.");
}

using System.Collections.Immutable;
using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>
/// A board on a UART. Its Klipper and its bootloader each talk at a rate of their build, which the line does not show: likely ones are
/// tried, and one that was answered is used from then on.
/// </summary>
internal sealed class WireBoard(BoardPorts ports, TimeProvider time, BoardPlan plan)
{
    private static readonly ImmutableArray<SerialMode> UsualModes = [SerialMode.Klipper, new(115_200), new(230_400), new(500_000)];

    private static readonly TimeSpan TimeToLeave = TimeSpan.FromMilliseconds(20);   // 32 bytes take 3 ms at 115200 baud

    private readonly Dictionary<BootloaderDriver, SerialMode> _bootloaders = [];
    private SerialMode? _klipper;
    private bool _wasRequested;   // in vain, where it is requested again

    /// <summary>
    /// The modes at which its Klipper may talk, likeliest first: as it reported, as printer.cfg has it, as the firmware to write has it
    /// (an earlier flash may have been interrupted), Klipper's default.
    /// </summary>
    private ImmutableArray<SerialMode> KlipperModes => _klipper is { } known ? [known]
        : [.. ((int?[])[plan.Profile.RunningBaud, plan.Profile.HostBaud?.Value, BaudOf(plan.Request.Image), SerialMode.Klipper.Baud])
            .OfType<int>().Distinct().Select(baud => new SerialMode(baud))];

    /// <summary>A client that knows the running board's dictionary.</summary>
    /// <exception cref="FlashException">No answer; of several rates the fault of the first.</exception>
    public async Task<KlipperClient> IdentifyAsync(Device device, CancellationToken cancel)
    {
        FlashException? first = null;
        foreach (var mode in KlipperModes)
        {
            try
            {
                var client = await BoardBus.IdentifyAsync(await ports.OpenSerialAsync(device, mode), plan.Name, time, cancel);
                _klipper = mode;
                return client;
            }
            catch (FlashException silent) when (silent.Kind == FaultKind.KlipperSilent)
            {
                first ??= silent;
            }
        }
        throw first!;
    }

    /// <exception cref="FlashException">No answer at any of its rates, or it cannot be used.</exception>
    public async Task<Bootloader> OpenAsync(Device device, BootloaderDriver driver, BootloaderTarget target)
    {
        var modes = ModesOf(driver);
        for (var i = 0; ; i++)
        {
            var line = await ports.OpenSerialAsync(device, modes[i]);
            try
            {
                var bootloader = await driver.OpenAsync(line, target);
                _bootloaders[driver] = modes[i];
                return bootloader;
            }
            catch (Exception fault)
            {
                await line.DisposeAsync();
                if (modes.Length == 1 || fault is not FlashException { Kind: var kind } || kind != FaultKind.KatapultSilent)
                    throw;
                if (i == modes.Length - 1)
                {
                    throw BootloaderFaults.KatapultSilentAtAll(
                        modes.Select(mode => $"{mode.Baud}"), Remedy.Numbered(BoardGuide.WithoutKatapult(plan.Profile)));
                }
            }
        }
    }

    /// <summary>Whether the bootloader answers, at its likeliest rate.</summary>
    public async Task<bool> AnswersAsync(Device device, BootloaderDriver driver, BootloaderTarget target)
    {
        await using var line = await ports.OpenSerialAsync(device, ModesOf(driver)[0]);
        return await AnswersAsync(line, driver, target);
    }

    /// <summary>
    /// Requests the bootloader from Klipper, unless the bootloader answers already at its likeliest rate. True if it was requested. At a
    /// wrong rate the request harms neither: in no sample of it is a 01, which would wedge Katapult. So a second request is sent at every
    /// usual rate.
    /// </summary>
    public async Task<bool> RequestAsync(Device device, BootloaderDriver driver, BootloaderTarget target)
    {
        var mode = ModesOf(driver)[0];
        ImmutableArray<SerialMode> modes = _wasRequested ? [.. KlipperModes.Union(UsualModes)] : KlipperModes;
        await using (var line = await ports.OpenSerialAsync(device, mode))
        {
            if (await AnswersAsync(line, driver, target))
                return false;
            if (modes.Contains(mode))
                await SendRequestAsync(line);
        }
        _wasRequested = true;
        foreach (var other in modes.Remove(mode))
        {
            await using var line = await ports.OpenSerialAsync(device, other);
            await SendRequestAsync(line);
        }
        return true;
    }

    /// <summary>
    /// Closing waits for the kernel's buffer, but not for that of every adapter: bytes in there would leave at the next rate.
    /// </summary>
    private async Task SendRequestAsync(ByteLine line)
    {
        await KlipperClient.RequestBootloaderAsync(line);
        await Task.Delay(TimeToLeave, time);
    }

    /// <summary>The firmware is in the board: its Klipper talks at that firmware's baud from now on.</summary>
    public void HasNewFirmware() => _klipper = BaudOf(plan.Request.Image) is { } baud ? new SerialMode(baud) : null;

    private ImmutableArray<SerialMode> ModesOf(BootloaderDriver driver) =>
        _bootloaders.GetValueOrDefault(driver) is { } known ? [known] : driver.ModesOnWire(KlipperModes[0]);

    private async Task<bool> AnswersAsync(ByteLine line, BootloaderDriver driver, BootloaderTarget target)
    {
        if (!await driver.AnswersAsync(line, target))
            return false;
        _bootloaders[driver] = ModesOf(driver)[0];
        return true;
    }

    /// <summary>The baud of a firmware for a UART; null for any other firmware.</summary>
    private static int? BaudOf(FirmwareImage? image) =>
        image is not null && BuildTransport.Of(image.Dictionary.Config) is { Link: BuildLink.Uart, Rate: { } baud } ? baud : null;
}

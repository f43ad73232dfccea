using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>A board that is only to run again: the firmware that it has is started, if it is whole.</summary>
internal sealed class Recovery(BoardBus bus, BoardLog log, BoardPlan plan, FirmwareProof proof, Mcu mcu, uint start)
{
    /// <summary>What the board was last seen as; null where nothing new was seen.</summary>
    public BoardCondition? Reached { get; private set; }

    /// <returns>The version that the board runs without a flash, or null if it has to be flashed; and its session.</returns>
    /// <exception cref="FlashException">It has to be flashed, and there is no firmware.</exception>
    public async Task<(string? Version, Device Device)> StartAsync(Device device, CancellationToken cancel)
    {
        var version = plan.Evidence?.Version;
        if (version is not null && !bus.IsBootloader(device))
            log.Keep("It runs Klipper and answers: there was nothing to recover.");
        else if (device.IsWired || await bus.IsInBootloaderAsync(device))
            (version, device) = await StartFirmwareAsync(device, cancel);
        else
            version = await AskAsync(device);
        if (version is not null)
            Reached = BoardCondition.Running;
        else if (plan.Request.Image is null)
            throw FirmwareFaults.FirmwareMissing(plan.Name);
        return (version, device);
    }

    private async Task<string?> AskAsync(Device running)
    {
        try
        {
            await using var client = await bus.IdentifyAsync(running);
            await log.EndAsync(FlashPhase.Confirm, $"It runs {client.Dictionary!.Version} on {client.Dictionary.Mcu}");
            return client.Dictionary.Version;
        }
        catch (FlashException silent) when (silent.Kind == FaultKind.KlipperSilent || silent.Kind == FaultKind.KlipperDictionary)
        {
            await log.WarnAsync(FlashPhase.Confirm, silent.Cause);
            return null;
        }
    }

    /// <summary>
    /// Tells the bootloader to start the firmware, if that is whole. Katapult starts whatever is there when it is told to (Katapult
    /// src/command.c), and a half-written firmware hangs where only an operator gets it out.
    /// </summary>
    private async Task<(string? Version, Device Device)> StartFirmwareAsync(Device device, CancellationToken cancel)
    {
        await log.BeginAsync(FlashPhase.Identify, "Asking the bootloader for its chip and for the firmware in its flash");
        try
        {
            await using var bootloader = await bus.OpenBootloaderAsync(device);
            bootloader.CheckChip(plan.Name, mcu, start);
            bus.CheckSerial(device);
            var found = await OldFirmware.FindAsync(bootloader, mcu, start, plan.Request.Image, cancel);
            if (found.Whole is not { } firmware)
            {
                Reached = found.IsBroken ? BoardCondition.InBootloaderWithoutFirmware : null;
                await log.EndAsync(FlashPhase.Identify, "Its flash holds no complete firmware: it must be flashed");
                return (null, device);
            }
            Reached = BoardCondition.InBootloaderUnchanged;
            await log.EndAsync(FlashPhase.Identify, $"Its flash holds a complete firmware: {firmware.Version}");
            await log.BeginAsync(FlashPhase.Leave, "Leaving the bootloader");
            bus.Remember();
            await bootloader.LeaveAsync();
        }
        catch (FlashException silent) when (device.IsWired
            && (silent.Kind == FaultKind.KatapultSilent || silent.Kind == FaultKind.UartRomSilent))
        {
            return (await AskAsync(device), device);
        }
        try
        {
            var running = await proof.SettleAsync(device, FlashPhase.Leave);
            Reached = BoardCondition.Unchanged;
            return (await AskAsync(running), running);
        }
        catch (FlashException stays) when (stays.Kind == FaultKind.DidNotLeave)
        {
            await log.WarnAsync(FlashPhase.Leave, $"{bus.BootloaderName(device)} does not start it: it must be flashed");
            return (null, bus.FindBootloader() ?? device);
        }
        catch (FlashException gone) when (gone.Kind == FaultKind.NotBack)
        {
            Reached = BoardCondition.Unchanged;
            throw FlashFaults.NotSeenAgain(plan.Name, device.Port, BoardBus.ReturnLimit.TotalSeconds);
        }
    }
}

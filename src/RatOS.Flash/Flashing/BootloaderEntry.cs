using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>
/// From the running firmware into the bootloader: the request, and what is done before a second (a reset) and a third one (an emergency
/// stop). The same request under the same conditions would have the same effect.
/// </summary>
internal sealed class BootloaderEntry(BoardBus bus, BoardLog log, BoardPlan plan)
{
    private const int Requests = 3;

    // its firmware was stopped by us, and no bootloader was seen since: reconnecting the cable does not revive it
    private Device? _stopped;

    /// <summary>The bootloader was started by us, so it is also ours to leave.</summary>
    public bool HasStartedBootloader { get; private set; }

    /// <param name="klipper">The session that runs Klipper.</param>
    /// <param name="cancel">Effective until the request; from then on a cancel has to bring the board back first.</param>
    /// <returns>The bootloader's session.</returns>
    public async Task<Device> EnterAsync(Device klipper, CancellationToken cancel)
    {
        await log.BeginAsync(FlashPhase.Enter, "Starting the bootloader");
        if (klipper.IsWired)
            return await EnterOnWireAsync(klipper);
        var cameBack = 0;
        for (var request = 1; request <= Requests; request++)
        {
            cancel.ThrowIfCancellationRequested();
            klipper = await PrepareAsync(klipper, request)
                ?? throw FlashFaults.NotSeenAgain(plan.Name, klipper.Port, BoardBus.ReturnLimit.TotalSeconds);
            if (bus.IsBootloader(klipper))
                return await EnteredAsync(klipper);
            bus.Remember();
            await bus.TouchAsync(klipper);
            // Some computers go on listing a device that has left: whether it is still there, its port shows.
            if (!await bus.WaitForDisconnectAsync(klipper) && await bus.IsThereAsync(klipper))
            {
                await log.WarnAsync(FlashPhase.Enter,
                    $"The request for the bootloader had no effect for {BoardBus.DisconnectLimit.TotalSeconds:0} s.");
                continue;
            }
            var back = await bus.WaitForReturnAsync(klipper, BoardBus.ReturnLimit, CancellationToken.None)
                ?? throw bus.BootloaderNotSeen(klipper);
            if (bus.IsBootloader(back))
                return await EnteredAsync(back);
            (cameBack, klipper) = (cameBack + 1, back);
            await log.WarnAsync(FlashPhase.Enter, "It re-enumerated as Klipper instead of its bootloader.");
        }
        throw cameBack > 0 ? FlashFaults.CameBackAsKlipper(plan.Name, Requests, cameBack, Requests - cameBack,
                plan.Profile.NeedsEmptySlot, bus.StartsOnDoubleReset)
            : FlashFaults.TouchIgnored(plan.Name, Requests, BoardBus.DisconnectLimit.TotalSeconds, bus.StartsOnDoubleReset);
    }

    /// <summary>
    /// Stopped firmware keeps Klipper from being ready until it is reset: a stop without effect is undone. Returns the bootloader if that
    /// is what came back; else null.
    /// </summary>
    public async Task<Device?> UndoStopAsync()
    {
        if (_stopped is not { } stopped)
            return null;
        _stopped = null;
        if (bus.FindKlipper(stopped) is not { } running)
            return null;
        try
        {
            await log.NoteAsync(FlashPhase.Leave, "Its firmware was stopped: resetting the board, so that Klipper can start");
            bus.Remember();
            await bus.ResetAsync(running, FlashPhase.Leave, log);
            var back = await bus.WaitForDisconnectAsync(running) ? await bus.WaitForReturnAsync(running, BoardBus.ReturnLimit) : null;
            if (back is null)
                log.Keep("Its firmware was stopped, and a reset did not bring it back: Klipper needs FIRMWARE_RESTART.");
            else if (bus.IsBootloader(back))
                return Entered(back);
        }
        catch (FlashException fault)
        {
            log.Keep($"Its firmware was stopped and could not be reset: {fault.Cause} Klipper needs FIRMWARE_RESTART.");
        }
        return null;
    }

    private async Task<Device> EnteredAsync(Device bootloader)
    {
        await log.EndAsync(FlashPhase.Enter, $"{bus.BootloaderName(bootloader)} is at {bootloader.Port}");
        if (plan.Bootloader is { } expected && expected != bus.DriverOf(bootloader))
            log.Keep($"Expected {expected.Label}, found {bus.DriverOf(bootloader).Label}.");
        return Entered(bootloader);
    }

    private Device Entered(Device bootloader)
    {
        (HasStartedBootloader, _stopped) = (true, null);
        return bootloader;
    }

    /// <summary>What differs before this request. Null when the board did not come back.</summary>
    private async Task<Device?> PrepareAsync(Device klipper, int request)
    {
        if (request == 1)
            return klipper;
        try
        {
            await using var client = await bus.IdentifyAsync(klipper);
            if (request == Requests)
            {
                await log.NoteAsync(FlashPhase.Enter, "Sending an emergency stop to the firmware, then asking again");
                _stopped = klipper;
                await client.EmergencyStopAsync();
                return klipper;
            }
            await log.NoteAsync(FlashPhase.Enter, "Resetting the board, then asking again");
            bus.Remember();
            if (!await client.ResetAsync())
                return klipper;
        }
        catch (FlashException fault)
        {
            await log.WarnAsync(FlashPhase.Enter, $"The running firmware could not be asked: {fault.Cause}");
            return klipper;
        }
        catch (DeviceGoneException)
        {
            // It left already: the wait below finds it.
        }
        return await bus.WaitForDisconnectAsync(klipper) ? await bus.WaitForReturnAsync(klipper, BoardBus.ReturnLimit) : klipper;
    }

    /// <summary>The bootloader is asked first: it may not survive Klipper's frames.</summary>
    private async Task<Device> EnterOnWireAsync(Device port)
    {
        HasStartedBootloader |= await bus.RequestOnWireAsync(port);
        await log.EndAsync(FlashPhase.Enter, $"Asking {bus.DriverOf(port).Label} at {port.Port}");
        return port;
    }
}

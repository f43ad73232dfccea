using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <summary>
/// Out of the bootloader, and the proof that the new firmware runs: its dictionary byte for byte, before and after a reset.
/// </summary>
internal sealed class FirmwareProof(
    BoardBus bus, TimeProvider time, BoardLog log, BoardPlan plan, Mcu mcu, uint start, RecoverySteps recovery)
{
    private const int Tries = BoardFlash.Tries;

    private TimeSpan? _uptime;

    /// <summary>The running board returned the dictionary of the image at least once.</summary>
    public bool IsConfirmed { get; private set; }

    /// <summary>Tells the bootloader to start the firmware. What comes back is a new session.</summary>
    public Task LeaveAsync(Device bootloader)
    {
        bus.Remember();
        return TellToLeaveAsync(bootloader);
    }

    /// <summary>Waits until Klipper runs. A bootloader that stays, or re-enumerates, is asked again to leave.</summary>
    /// <param name="left">The session that was asked to leave.</param>
    /// <param name="phase"><see cref="FlashPhase.Leave"/>, or <see cref="FlashPhase.Prove"/> after the reset.</param>
    public async Task<Device> SettleAsync(Device left, FlashPhase phase)
    {
        for (var told = 1; ; told++)
        {
            Device? next = left;
            // A silent node may have got a number from a Klipper that was started meanwhile.
            if (await bus.WaitForDisconnectAsync(left) || bus.IsNode(left))
            {
                next = await bus.WaitForReturnAsync(left, BoardBus.ReturnLimit) ?? throw NotBack(phase);
                if (!await bus.IsInBootloaderAsync(next))
                {
                    await log.EndAsync(phase, $"Klipper is back at {next.Port}");
                    return next;
                }
            }
            if (told == Tries)
                throw FlashFaults.DidNotLeave(plan.Name, told);
            var where = $"{bus.BootloaderName(next)} is {(next == left ? "still" : "back")} at {next.Port}";
            await log.WarnAsync(phase, $"{where}; asking it again to start the firmware.");
            left = told == Tries - 1 ? await recovery.ResetUsbAsync(next, phase) : next;
            // Where the old session is listed late, the new one may be there by now: nothing is remembered again.
            await TellToLeaveAsync(left);
        }
    }

    /// <summary>The running board must return the very dictionary that is in the image: an equal version text alone is no proof.</summary>
    /// <returns>The session that confirmed it.</returns>
    public async Task<Device> ConfirmAsync(Device running, FirmwareImage image, FlashPhase phase)
    {
        await log.BeginAsync(phase, "Asking the running firmware for its identity");
        for (var tries = 1; ; tries++)
        {
            try
            {
                await using var client = await bus.IdentifyAsync(running);
                if (!client.CompressedDictionary.Span.SequenceEqual(image.CompressedDictionary.Span))
                    throw FlashFaults.OtherFirmwareRuns(plan.Name, image.Version, client.Dictionary!.Version);
                if (plan.Evidence?.Chip?.Uid is { } uid && (await client.AskChipAsync(mcu, start, CancellationToken.None)).Uid is { } now
                    && !uid.Span.SequenceEqual(now.Span))
                {
                    throw BoardFaults.OtherBoardAnswers(plan.Name, Convert.ToHexString(uid.Span), Convert.ToHexString(now.Span));
                }
                _uptime = await client.GetUptimeAsync(CancellationToken.None);
                IsConfirmed = true;
                await log.EndAsync(phase, $"It runs {image.Version} on {mcu.Name}");
                return running;
            }
            catch (FlashException silent) when (silent.Kind == FaultKind.KlipperSilent && tries < Tries)
            {
                await log.WarnAsync(phase, $"{silent.Cause} Asking again.");
            }
            catch (DeviceGoneException) when (tries < Tries)
            {
                await log.WarnAsync(phase, $"{running} left the bus. Reconnect its cable; the flash then continues automatically.");
                running = await bus.ReconnectAsync(running, "it was being confirmed", CancellationToken.None);
                if (bus.IsBootloader(running))
                {
                    await LeaveAsync(running);
                    running = await SettleAsync(running, phase);
                }
            }
        }
    }

    /// <summary>
    /// A jump out of the ROM proves little: a reset takes the way through the board's own bootloader that every power-up takes. Its uptime
    /// shows that it was reset and not merely unplugged.
    /// </summary>
    public async Task ProveAsync(Device running, FirmwareImage image)
    {
        bus.Remember();
        var sent = time.GetTimestamp();   // the first command that may be what reset it
        for (var tries = 1; ; tries++)
        {
            await log.BeginAsync(FlashPhase.Prove, "Resetting the board: it must start the firmware again without help");
            await bus.ResetAsync(running, FlashPhase.Prove, log);
            var hasLeft = await bus.WaitForDisconnectAsync(running);
            // A command that is not answered may be lost. (A node's interface may have left before the command got out: the node itself
            // shows whether it was reset.)
            if (!hasLeft && tries == Tries)
                throw FlashFaults.KlipperSilent(plan.Name, "it is being reset");
            if (!hasLeft && !bus.IsNode(running))
            {
                await log.WarnAsync(FlashPhase.Prove,
                    $"It is still there {BoardBus.DisconnectLimit.TotalSeconds:0} s after the reset command; sending it again.");
                continue;
            }
            var back = await bus.WaitForReturnAsync(running, BoardBus.ReturnLimit) ?? throw NotBack(FlashPhase.Prove);
            var bootloader = await bus.IsInBootloaderAsync(back) ? bus.BootloaderName(back) : null;
            if (bootloader is not null)
            {
                await log.WarnAsync(FlashPhase.Prove, $"After the reset {bootloader} is at {back.Port}; asking it to start the firmware.");
                await LeaveAsync(back);
                back = await SettleAsync(back, FlashPhase.Prove);
            }
            running = await ConfirmAsync(back, image, FlashPhase.Prove);
            // A board that was not reset has been up since before the command; the margin is for crystals that are off.
            if ((_uptime is null && hasLeft) || _uptime <= (time.GetElapsedTime(sent) * 1.005) + TimeSpan.FromMilliseconds(100))
            {
                CheckReset(bootloader);
                return;
            }
            if (tries == Tries)
                throw FlashFaults.KlipperSilent(plan.Name, "it is being reset");
            await log.WarnAsync(FlashPhase.Prove, "It left the bus without a reset; resetting it again.");
            sent = time.GetTimestamp();
        }
    }

    /// <summary>
    /// Some G0 keep their mark "flash is empty" until power goes off: their ROM starts once more although all is well (AN2606). On other
    /// chips it means that the jumper is still on.
    /// </summary>
    private void CheckReset(string? bootloader)
    {
        if (bootloader is null)
            return;
        if (!mcu.EmptyCheck || start != mcu.FlashBase)
            throw FlashFaults.BootloaderAfterReset(plan.Name, bootloader);
        log.Keep("After the reset the chip started its ROM once more, as some G0 do until they lose power; it was asked to leave and "
            + "runs.");
    }

    private FlashException NotBack(FlashPhase phase) => phase == FlashPhase.Prove
        ? FlashFaults.NotBackAfterReset(plan.Name, BoardBus.ReturnLimit.TotalSeconds, bus.StartsOnDoubleReset)
        : FlashFaults.NotBack(plan.Name, BoardBus.ReturnLimit.TotalSeconds, bus.StartsOnDoubleReset);

    private async Task TellToLeaveAsync(Device device)
    {
        try
        {
            await using var bootloader = await bus.OpenBootloaderAsync(device);
            await bootloader.LeaveAsync();
        }
        catch (DeviceGoneException)
        {
            // It left meanwhile, as it should.
        }
    }
}

using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Flashing;

/// <content>What only a person can do for a board, and how the board shows that it was done.</content>
internal sealed partial class BoardFlash
{
    private readonly long _begin;

    /// <summary>The last verdict, which stands unless a person helps.</summary>
    public BoardReport? Last { get; private set; }

    /// <summary>What a person can do so that this flash goes on; null when it is over, or nobody could see that it was done (a wire, a node on CAN).</summary>
    public string? Step { get; private set; }

    /// <summary>The board as the person's step brings it back; null before.</summary>
    public Device? FindBack(DeviceList seen) => _bus.FindBack(seen, _awaitsBootloader, _awaitsKlipper);

    private bool _awaitsBootloader;
    private bool _awaitsKlipper;

    /// <summary>Goes on from what <see cref="FindBack"/> found.</summary>
    public Task<BoardReport> GoOnAsync(Device back, CancellationToken cancel)
    {
        _bus.Follow(back);
        return RunAsync(back, cancel);
    }

    /// <summary>Until the running firmware is proven, with the one rung that a port has when asking again did not help.</summary>
    private async Task ClimbAsync(Device device, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                var running = await ArriveAsync(device, cancel);
                await ProveAsync(await ConfirmAsync(running, FlashPhase.Confirm));
                return;
            }
            catch (FlashException fault) when (PowerMayHelp(fault.Code) && !_cycledPort)
            {
                if (await CyclePortAsync(fault) is not { } back)
                    throw;
                device = back;
            }
        }
    }

    /// <summary>To the board's firmware, by whatever is left to do. One that was read back equal already is not written once more: whether it starts is the question.</summary>
    private async Task<Device> ArriveAsync(Device device, CancellationToken cancel)
    {
        if (_condition != BoardCondition.Unconfirmed)
            return await SettleAsync(await WriteVerifiedAsync(device, cancel), FlashPhase.Leave);
        if (!BoardBus.IsBootloader(device))
            return device;
        await TellToLeaveAsync(device);
        return await SettleAsync(device, FlashPhase.Leave);
    }

    private BoardReport Report(FlashException? fault, string? alive = null)
    {
        Step = fault is null || _plan.Device is { } device && (device.IsWired || _bus.IsNode(device)) ? null : StepAfter(fault);
        if (Step is not null)
        {
            // Klipper is started now, and may reset a board that runs: that is not what is awaited.
            var runs = _bus.RemembersKlipper();
            _awaitsKlipper = fault!.Code is "bootloader-after-reset" or "klipper-silent" or "sd-card-not-taken" || !runs;
            _awaitsBootloader = fault.Code is not ("bootloader-after-reset" or "sd-card-not-taken");
        }
        return Last = new BoardReport
        {
            Board = _name,
            Condition = _condition,
            Fault = fault is null ? null : FaultReport.Of(fault),
            OldVersion = _plan.RunningVersion,
            NewVersion = alive ?? _plan.Request.Image?.Version,
            Size = alive is null ? _plan.Request.Image?.Bytes.Length ?? 0 : 0,
            Sha256 = alive is null ? _plan.Request.Image?.Sha256 : null,
            Route = _plan.Route,
            IsBySdCard = _plan.Entry == FlashEntry.SdCard,
            Elapsed = _time.GetElapsedTime(_begin),
            Notes = [.. _notes],
        };
    }

    private string? StepAfter(FlashException fault) => fault.Code switch
    {
        "bootloader-not-seen" or "not-seen-again" or "touch-ignored" or "came-back-as-klipper" or "dfu-stuck" or "dfu-descriptor" => Sd + BoardPlan.Guide(_plan.Board),
        "device-lost" => "See that its cable and its power are connected. If it does not show up then: " + BoardPlan.Guide(_plan.Board),
        "katapult-silent" or "katapult-wedged" => "Press the board's reset button twice quickly, or switch its power off and on.",
        "did-not-leave" or "klipper-silent" => "Take the BOOT0 jumper off if it is on, and switch the board's power off and on.",
        "not-back" or "not-back-after-reset" => "Switch the board's power off and on.",
        "bootloader-after-reset" => "Take the BOOT0 jumper off and press reset.",
        "sd-card-not-taken" => fault.Remedy,
        _ => null,
    };

    private string Sd => _plan.Board.Preconditions.Contains("sd-slot-empty") ? "Take any card out of the board's SD slot. Then: " : "";
}

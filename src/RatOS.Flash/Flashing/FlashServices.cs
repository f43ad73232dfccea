using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Flashing;

/// <summary>
/// What a flash can use besides buses and Klipper: an operator, builds, the store of old firmware, power switches. By default there is none
/// of it, as on a bench.
/// </summary>
public class FlashServices
{
    // No notification says that a printer became idle.
    private static readonly TimeSpan IdlePoll = TimeSpan.FromSeconds(5);

    /// <summary>An operator can set a jumper or carry a card. Without one, a board that needs it fails or is refused at once.</summary>
    public bool HasOperator { get; init; }

    /// <summary>Replaces the host process that is an MCU; null where that is impossible.</summary>
    public HostMcu? HostMcu { get; init; }

    /// <summary>The updater of a probe's maker; null where it is not called.</summary>
    public ProbeUpdater? Probes { get; init; }

    /// <summary>Firmware can be built from a Klipper checkout.</summary>
    public virtual bool CanBuild => false;

    /// <summary>Builds firmware for the boards; firmware or fault by the board's name. Called only if <see cref="CanBuild"/>.</summary>
    /// <param name="boards">1 or more.</param>
    /// <param name="progress">Awaited for each snapshot.</param>
    /// <param name="cancel">Ends the builds.</param>
    public virtual Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
        IReadOnlyList<PrinterBoard> boards, Func<BuildProgress, ValueTask> progress, CancellationToken cancel) =>
        throw new NotSupportedException("no Klipper checkout");

    /// <summary>Keeps what a running board answered about itself.</summary>
    public virtual void KeepAnswers(PrinterBoard board, BoardEvidence evidence)
    {
    }

    /// <summary>True where the firmware that is in the board is to be read out before the flash, for a rollback.</summary>
    public virtual bool WantsOldFirmware(string board) => false;

    /// <summary>Keeps what was read out.</summary>
    public virtual void KeepOldFirmware(string board, FirmwareImage image)
    {
    }

    /// <summary>Keeps every other process of this computer from flashing a board, until it is disposed; null where nothing can.</summary>
    /// <param name="place">Its USB port, node or CAN uuid.</param>
    /// <param name="board">Its name.</param>
    /// <exception cref="FlashException">Another process flashes it.</exception>
    public virtual IDisposable? LockBoard(string place, string board) => null;

    /// <summary>Power devices can be switched.</summary>
    public virtual bool CanSwitchPower => false;

    /// <summary>
    /// Switches a power device (<see cref="PrinterBoard.Power"/>), and returns when it is done. Called only if
    /// <see cref="CanSwitchPower"/>.
    /// </summary>
    /// <exception cref="FlashException">It was refused.</exception>
    public virtual Task SwitchPowerAsync(string device, bool on) => throw new NotSupportedException("no power devices");

    /// <summary>Puts a file where users can download it; its path, or null where there is no such place.</summary>
    /// <exception cref="FlashException">It could not be written.</exception>
    public virtual string? Offer(string board, string fileName, ReadOnlyMemory<byte> file) => null;

    /// <summary>A name for the file on a card that the board never had. A replay has the recorded one.</summary>
    public virtual string NewCardName(FirmwareImage image, TimeProvider time) => CardFile.NewName(image.Sha256, time.GetUtcNow());

    /// <summary>
    /// Runs a wait that may take days, so that other flashes can use the printer. Completes when it is this flash's turn again.
    /// </summary>
    public virtual Task WaitAsideAsync(Func<Task> wait) => wait();

    /// <summary>Completes when the printer's activity may have changed.</summary>
    public virtual Task NextPrinterChangeAsync(TimeProvider time, CancellationToken cancel) => Task.Delay(IdlePoll, time, cancel);
}

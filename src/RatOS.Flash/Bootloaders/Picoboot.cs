using System.Buffers.Binary;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// PICOBOOT, the vendor interface of the ROM of an RP2040 or RP2350 in its USB boot mode (pico-sdk boot/picoboot.h, RP2350 datasheet 5.6).
/// Erases sector by sector, writes pages, reads back. The drive beside it is never used.
/// </summary>
/// <remarks>
/// The RP2040's ROM acknowledges an erase whose range it does not like and erases nothing, and never acknowledges a write of one misplaced
/// page: ranges are checked here, and only a read tells what is in flash. The flash reads as zeros until EXIT_XIP.
/// </remarks>
public sealed class Picoboot : Bootloader
{
    private const int Page = 256, SectorSize = 4096;

    /// <summary>Bytes of one command's data: what the ROM takes within a hundredth of a second.</summary>
    private const int Piece = SectorSize;

    private const int PacketSize = 64;
    private const byte InterfaceReset = 0x41, CommandStatus = 0x42;
    private const byte ToInterface = 0x41, FromInterface = 0xC1;   // vendor requests
    private const byte Exclusive = 1;
    private const uint InfoOfPartitions = 2, PartitionTable = 1, HasTable = 0x100;
    private const uint RebootDelay = 100;   // milliseconds: its acknowledgement arrives before it leaves
    private const int Tries = 3;

    // Flash chips have 512 KiB to 16 MiB; the address of a smaller one repeats (W25Q datasheets: upper address bits are ignored).
    private const uint SmallestFlash = 512 * 1024, LargestFlash = 16 * 1024 * 1024;

    // A sector of NOR flash takes 45 ms, at most 400 (W25Q16JV 9.6), on other makes 2 s.
    private static readonly TimeSpan TransferTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestWork = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WorkPoll = TimeSpan.FromMilliseconds(50);

    private readonly IUsbDevice _usb;
    private readonly PicobootInterface _interface;
    private readonly BootloaderTarget _target;
    private readonly TimeProvider _time;
    private readonly bool _isRp2350;
    private uint _token;
    private FlashMemory? _memory;
    private bool _hasKatapult;   // and the ROM starts it
    private string? _partitions; // why it may only be left

    private Picoboot(IUsbDevice usb, PicobootInterface found, BootloaderTarget target) =>
        (_usb, _interface, _target, _time, _isRp2350) = (usb, found, target, target.Time, usb.Device.Usb == PicobootDriver.Rp2350);

    private enum Outcome
    {
        Done,

        /// <summary>All bytes were moved, and the empty packet behind them did not come.</summary>
        Unacknowledged,
        Silent,
        Refused,
    }

    public override string Name => _isRp2350 ? "RP2350 ROM PICOBOOT" : "RP2040 ROM PICOBOOT";

    public override FlashMemory Memory => _memory!;

    /// <summary>A page: single ones are read as samples.</summary>
    public override int BlockSize => Page;

    /// <summary>
    /// Claims the interface, brings it to rest from whatever state it is in, and reads the flash's size and what it starts.
    /// </summary>
    /// <exception cref="FlashException">No such interface, or no answer: nothing was touched.</exception>
    internal static async Task<Picoboot> OpenAsync(IUsbDevice usb, BootloaderTarget target)
    {
        // An RP2040's ROM always has it: a session that has ended may still be listed. An RP2350's can be closed for good.
        var found = PicobootInterface.Find(usb.Configuration.Span) ?? throw (target.Mcu.Name == "rp2350"
            ? BootloaderFaults.BootselClosed(target.Board, "it shows no PICOBOOT interface")
            : BootloaderFaults.BootselSilent("it is opened"));
        await usb.ClaimAsync(found.Number, 0);
        var picoboot = new Picoboot(usb, found, target);
        await picoboot.RestAsync();
        if (picoboot._isRp2350)
            picoboot._partitions = await picoboot.AskPartitionsAsync();
        await picoboot.LookAtFlashAsync();
        return picoboot;
    }

    /// <summary>
    /// The USB id tells the chip. What the ROM starts tells where an application may be: behind a Katapult, or at the flash's beginning.
    /// </summary>
    public override void CheckChip(string board, Mcu mcu, uint start)
    {
        if (_partitions is { } why)
            throw BootloaderFaults.BootselClosed(board, why);
        var found = _isRp2350 ? "rp2350" : "rp2040";
        if (mcu.Name != found)
            throw BoardFaults.WrongMcu(board, mcu.Name, $"its ROM is that of an {found.ToUpperInvariant()}");
        var begin = mcu.BootStart;
        if (_hasKatapult && start == begin)
            throw BoardFaults.WrongStart(board, start, mcu.FlashBase + mcu.Offsets[^1]);
        if (!_hasKatapult && start != begin)
            throw BootloaderFaults.NoKatapultBelow(board, start, begin);
    }

    public override Task EraseAsync(Sector sector)
    {
        Guard(sector.Address, sector.Size, SectorSize);
        return AskAsync(PicobootCommand.Range(PicobootCommand.FlashErase, sector.Address, sector.Size), default, $"erasing {sector}");
    }

    public override async Task WriteAsync(uint address, ReadOnlyMemory<byte> data, Func<int, ValueTask> done)
    {
        Guard(address, data.Length, Page);
        for (var at = 0; at < data.Length;)
        {
            var to = address + (uint)at;
            var piece = data.Slice(at, Math.Min(Piece - (int)(to % Piece), data.Length - at)).ToArray();
            await AskAsync(PicobootCommand.Range(PicobootCommand.Write, to, piece.Length), piece, $"writing {to:x8}");
            await done(at += piece.Length);
        }
    }

    /// <summary>A write is acknowledged when its last page is programmed.</summary>
    public override Task FinishAsync() => Task.CompletedTask;

    public override async Task ReadAsync(uint address, Memory<byte> data, Func<int, ValueTask> done)
    {
        for (var at = 0; at < data.Length;)
        {
            var piece = data.Slice(at, Math.Min(Piece, data.Length - at));
            await ReadAsync(address + (uint)at, piece);
            await done(at += piece.Length);
        }
    }

    /// <summary>A boot through the flash's beginning, as after a reset.</summary>
    public override async Task LeaveAsync()
    {
        var reboot = _isRp2350 ? PicobootCommand.Of(PicobootCommand.Reboot2, 0, 0, RebootDelay, 0, 0)
            : PicobootCommand.Of(PicobootCommand.Reboot, 0, 0, 0, RebootDelay);
        try
        {
            await AskAsync(reboot, default, "leaving");
        }
        catch (DeviceGoneException)
        {
            // Its acknowledgement was lost, and it left: that was asked for.
        }
    }

    public override ValueTask DisposeAsync() => _usb.DisposeAsync();

    /// <summary>The ROM acknowledges an erase of a wrong range, and a write of one never.</summary>
    private void Guard(uint address, int length, int unit)
    {
        if (address % unit != 0 || length % unit != 0 || length <= 0 || address < _target.Mcu.FlashBase
            || address + (ulong)length > Memory.End)
            throw new ArgumentException($"{length} bytes at {address:x8} are no whole pieces of {unit} of the flash", nameof(address));
    }

    // ---- what is there

    /// <summary>A partition table says where images are; this program writes plain ones only (RP2350 datasheet 5.1.2).</summary>
    /// <returns>As a clause; null where there is none.</returns>
    private async Task<string?> AskPartitionsAsync()
    {
        var answer = new byte[20];   // count of words, flags, then three words
        await AskAsync(PicobootCommand.Of(PicobootCommand.GetInfo, answer.Length, InfoOfPartitions, PartitionTable, 0, 0), answer,
            "asking for its partitions");
        var (flags, table) = (Word(answer, 4), Word(answer, 8));
        if ((flags & PartitionTable) == 0)
            return "it does not tell whether its flash has partitions";
        return (table & HasTable) != 0 ? $"its flash has a table of {Counts.Of((int)(table & 0xFF), "partition")}" : null;
    }

    private async Task LookAtFlashAsync()
    {
        var mcu = _target.Mcu;
        var begin = new byte[SecondStage.Length + 8];
        await ReadAsync(mcu.FlashBase, begin);
        // The RP2350 has no boot code in front of the vectors (RP2350 datasheet 5.9.5).
        _hasKatapult = (_isRp2350 || SecondStage.Starts(begin)) && await HasKatapultAsync(Word(begin, (int)mcu.Offsets[0] + 4));
        var end = await FindEndAsync(begin) ?? _target.FlashEnd;
        _memory = new FlashMemory([.. mcu.AllSectors().TakeWhile(sector => sector.End <= end)], Page, WriteOrder.FirstPageLast,
            ErasesByItself: false);
    }

    /// <summary>By the mark in front of its reset handler (Klipper src/generic/armcm_canboot.c).</summary>
    private async Task<bool> HasKatapultAsync(uint resetVector)
    {
        var mcu = _target.Mcu;
        var mark = resetVector - 9;
        if (mark % 8 != 0 || mark < mcu.FlashBase || mark >= mcu.FlashBase + mcu.Offsets[^1])
            return false;
        var text = new byte[8];
        await ReadAsync(mark, text);
        return text.AsSpan().SequenceEqual("CanBoot!"u8);
    }

    /// <summary>Where the flash's beginning comes again; null for a blank one, of which nothing tells.</summary>
    private async Task<uint?> FindEndAsync(ReadOnlyMemory<byte> begin)
    {
        if (begin.Span.IndexOfAnyExcept(begin.Span[0]) < 0)
            return null;
        var mcu = _target.Mcu;
        var again = new byte[begin.Length];
        for (var size = SmallestFlash; size < LargestFlash; size *= 2)
        {
            await ReadAsync(mcu.FlashBase + size, again);
            if (again.AsSpan().SequenceEqual(begin.Span))
                return mcu.FlashBase + size;
        }
        return mcu.FlashEnd;
    }

    private Task ReadAsync(uint address, Memory<byte> piece) =>
        AskAsync(PicobootCommand.Range(PicobootCommand.Read, address, piece.Length), piece, $"reading {address:x8}");

    // ---- one command

    /// <summary>
    /// Sends a command until it is done: each of them may be done twice. After a failure its status is asked for, and the interface is
    /// brought to rest.
    /// </summary>
    /// <exception cref="FlashException">The ROM refused, or is silent.</exception>
    private async Task AskAsync(PicobootCommand command, Memory<byte> data, string doing)
    {
        for (var tries = 1; ; tries++)
        {
            var outcome = await TryAsync(command, data);
            if (outcome == Outcome.Done)
                return;
            var token = _token;
            var status = await AskStatusAsync(waits: outcome == Outcome.Unacknowledged);
            await RestAsync(doing);
            if (status is { Code: not 0 } refusal && refusal.Token == token)
                throw BootloaderFaults.BootselRefused(doing, refusal.Name);
            if (outcome == Outcome.Unacknowledged && status is { IsInProgress: false } done && done.Token == token)
                return;   // its acknowledgement alone was lost
            if (tries == Tries && outcome == Outcome.Refused)
                throw BootloaderFaults.BootselRefused(doing, "a stall");
            if (tries == Tries)
                throw BootloaderFaults.BootselSilent(doing);
        }
    }

    /// <summary>The command, its data, and the empty packet the other way that acknowledges it.</summary>
    private async Task<Outcome> TryAsync(PicobootCommand command, Memory<byte> data)
    {
        var sent = await _usb.BulkAsync(_interface.Out, command.Encode(++_token), TransferTimeout);
        if (!sent.IsOk || sent.Length != PicobootCommand.Size)
            return Failed(sent);
        if (command.Length > 0)
        {
            var moved = await _usb.BulkAsync(command.IsIn ? _interface.In : _interface.Out, data, TransferTimeout);
            if (!moved.IsOk || moved.Length != command.Length)
                return Failed(moved);
        }
        var acknowledged = command.IsIn ? await _usb.BulkAsync(_interface.Out, Memory<byte>.Empty, TransferTimeout)
            : await _usb.BulkAsync(_interface.In, new byte[PacketSize], TransferTimeout);
        return acknowledged is { IsOk: true, Length: 0 } ? Outcome.Done
            : acknowledged.Status == UsbStatus.Stall ? Outcome.Refused : Outcome.Unacknowledged;
    }

    private static Outcome Failed(UsbTransfer transfer) => transfer.Status == UsbStatus.Stall ? Outcome.Refused : Outcome.Silent;

    /// <summary>How the last command ended; null where the ROM does not say.</summary>
    /// <param name="waits">Until it no longer works on that command.</param>
    private async Task<PicobootStatus?> AskStatusAsync(bool waits)
    {
        var begin = _time.GetTimestamp();
        var bytes = new byte[PicobootStatus.Size];
        for (var failures = 0; failures < Tries;)
        {
            var transfer = await _usb.ControlAsync(Setup(FromInterface, CommandStatus), bytes, TransferTimeout);
            if (transfer is not { IsOk: true, Length: PicobootStatus.Size })
            {
                failures++;
                continue;
            }
            var status = PicobootStatus.Parse(bytes);
            if (!waits || !status.IsInProgress || _time.GetElapsedTime(begin) > LongestWork)
                return status;
            await Task.Delay(WorkPoll, _time);
        }
        return null;
    }

    /// <summary>
    /// Both endpoints run again, no command is under way, the drive cannot be written to, and flash can be read. The ROM keeps what a dead
    /// predecessor left.
    /// </summary>
    private async Task RestAsync(string doing = "coming to rest")
    {
        for (var tries = 1; ; tries++)
        {
            await _usb.ClearHaltAsync(_interface.In);
            await _usb.ClearHaltAsync(_interface.Out);
            await _usb.ControlAsync(Setup(ToInterface, InterfaceReset), Memory<byte>.Empty, TransferTimeout);
            if (await TryAsync(new(PicobootCommand.ExclusiveAccess, 0, new byte[] { Exclusive }), default) == Outcome.Done
                && await TryAsync(new(PicobootCommand.ExitXip, 0, default), default) == Outcome.Done)
                return;
            if (tries == Tries)
                throw BootloaderFaults.BootselSilent(doing);
        }
    }

    private UsbSetup Setup(byte type, byte request) => new(type, request, 0, _interface.Number);

    private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}

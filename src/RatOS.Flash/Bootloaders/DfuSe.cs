using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// The USB DFU bootloader in the ROM of STM32 chips (AN3156, UM0424). Erases sector by sector, sets the address once for each run, reads
/// back by upload. This class sends no mass erase, no option bytes and no read-unprotect.
/// </summary>
/// <remarks>
/// The ROM only queues a download; the first GETSTATUS starts it (AN3156). Its poll times are constants far above the time of the work, so
/// families that are known to allow it are polled earlier; the first stall ends that for the rest of the run.
/// </remarks>
public sealed class DfuSe : Bootloader
{
    private const byte Download = 1;
    private const byte Upload = 2;
    private const byte GetStatus = 3;
    private const byte ClearStatus = 4;
    private const byte Abort = 6;

    private const byte CommandSetAddress = 0x21;
    private const byte CommandErase = 0x41;
    private const ushort FirstBlock = 2;

    // F4 and F7 hold endpoint 0 until the work is done, so a transfer may take as long as the longest erase (4 s at x8 parallelism) and
    // more.
    private static readonly TimeSpan TransferTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestWork = TimeSpan.FromSeconds(10);

    // Before bwPollTimeout (DFU 1.1, 6.1.2), on families whose ROM was seen to answer early questions.
    private static readonly TimeSpan EarlyAfterCommand = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan EarlyAfterData = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan EarlyAfterErase = TimeSpan.FromMilliseconds(20);

    // Where nothing is announced the next question is due at once. A ROM that is still busy after so many of them does not mean it.
    private const int QuestionsAtOnce = 3;

    private readonly IUsbDevice _usb;
    private readonly TimeProvider _time;
    private readonly string _board;
    private readonly EarlyPolling _polling;
    private readonly bool _mayAskEarly;
    private readonly DfuDescriptors _descriptors;
    private readonly uint _start;
    private bool _hasStalled;   // the last transfer that was refused

    private DfuSe(IUsbDevice usb, DfuDescriptors descriptors, FlashMemory memory, BootloaderTarget target)
    {
        (_usb, _descriptors, Memory, _board, _polling, _start, _time) =
            (usb, descriptors, memory, target.Board, target.Polling, target.Start, target.Time);
        _mayAskEarly = target.Mcu.Name.StartsWith("stm32f4", StringComparison.Ordinal)
            || target.Mcu.Name.StartsWith("stm32f7", StringComparison.Ordinal);
    }

    public override string Name => "STM32 ROM DFU";

    public override FlashMemory Memory { get; }

    public override int BlockSize => _descriptors.TransferSize;

    /// <summary>
    /// Reads the descriptors, claims the alternate setting of the internal flash, and brings the ROM to dfuIDLE from whatever state it is
    /// in.
    /// </summary>
    /// <exception cref="FlashException">Descriptors that lie, a chip that is not the expected one, read protection: nothing was
    /// touched.</exception>
    internal static async Task<DfuSe> OpenAsync(IUsbDevice usb, BootloaderTarget target)
    {
        var descriptors = DfuDescriptors.Parse(usb.Configuration.Span);
        if (!descriptors.CanUpload)
            throw BootloaderFaults.DfuDescriptor("it says that flash cannot be read back");
        var names = new List<string>();
        foreach (var (alternate, nameIndex) in descriptors.Alternates)
        {
            names.Add(await ReadStringAsync(usb, nameIndex));
            // EBB boards show the same string on three alternates: the first one is as good as any and the one every tool uses.
            if (DfuMemoryMap.Parse(names[^1]) is not { IsInternalFlash: true } map)
                continue;
            var sectors = map.Areas.Where(area => area.IsFlash).Select(area => area.Sector).OrderBy(sector => sector.Address)
                .ToImmutableArray();
            await usb.ClaimAsync(descriptors.Number, alternate);
            var memory = new FlashMemory(sectors, target.Mcu.WriteUnit, WriteOrder.FirstSectorLast, ErasesByItself: false);
            var dfu = new DfuSe(usb, descriptors, memory, target);
            await dfu.NormaliseAsync();
            await dfu.CheckReadableAsync();
            return dfu;
        }
        throw BootloaderFaults.DfuDescriptor(
            $"no alternate setting is called Internal Flash, but {string.Join(", ", names.Select(name => $"'{name}'"))}");
    }

    /// <summary>
    /// The ROM does not name its chip, but its layout tells an F446 (3 sectors of 128 KiB) from an F407 (7) and an H723 (8), and its
    /// product string the older families from the later ones. Small chips come with less flash than their name allows; F42x cuts its string
    /// short.
    /// </summary>
    public override void CheckChip(string board, Mcu mcu, uint start)
    {
        var (expected, found) = (mcu.AllSectors().ToArray(), Memory.Sectors);
        var sameLayout = found.Length > 0 && found.Length <= expected.Length
            && found.AsSpan().SequenceEqual(expected.AsSpan(0, found.Length)) && Memory.End - mcu.FlashBase >= mcu.LeastFlash;
        var sameRom = _usb.Device.Product switch
        {
            "DFU in FS Mode" => mcu.HasLaterRom != false,
            "STM32  BOOTLOADER" => mcu.HasLaterRom != true,
            _ => true,
        };
        if (sameLayout && sameRom)
            return;
        var sizes = found.GroupBy(sector => sector.Size).Select(group => $"{group.Count()} x {group.Key / 1024} KiB");
        throw BoardFaults.WrongMcu(board, mcu.Name, $"its bootloader is '{_usb.Device.Product}' with flash of {string.Join(", ", sizes)}");
    }

    public override async Task EraseAsync(Sector sector)
        => await CommandAsync(CommandErase, sector.Address, $"erasing {sector}", EarlyAfterErase);

    public override async Task WriteAsync(uint address, ReadOnlyMemory<byte> data, Func<int, ValueTask> done)
    {
        var block = FirstBlock;
        for (var at = 0; at < data.Length; at += BlockSize, block++)
        {
            var piece = data.Slice(at, Math.Min(BlockSize, data.Length - at)).ToArray();
            if (at == 0 || piece.Length < BlockSize)
                block = await SetAddressAsync(address + (uint)at);
            await DownloadAsync(block, piece, $"writing {address + (uint)at:x8}", EarlyAfterData);
            await done(at + piece.Length);
        }
    }

    /// <summary>Every block was waited for when it was written.</summary>
    public override Task FinishAsync() => Task.CompletedTask;

    public override async Task ReadAsync(uint address, Memory<byte> data, Func<int, ValueTask> done)
    {
        var block = FirstBlock;
        for (var at = 0; at < data.Length; at += BlockSize, block++)
        {
            var piece = data.Slice(at, Math.Min(BlockSize, data.Length - at));
            if (at == 0 || piece.Length < BlockSize)
            {
                if (at > 0)
                    await NormaliseAsync();   // dfuUPLOAD-IDLE refuses a command
                block = await SetAddressAsync(address + (uint)at);
                await NormaliseAsync();       // dfuDNLOAD-IDLE refuses an upload
            }
            var transfer = await ControlAsync(Upload, block, piece);
            if (!transfer.IsOk || transfer.Length != piece.Length)
                throw await RefusedAsync(transfer, $"reading {address + (uint)at:x8}");
            await done(at + piece.Length);
        }
        await NormaliseAsync();
    }

    public override async Task LeaveAsync()
    {
        await NormaliseAsync();
        await SetAddressAsync(_start);
        try
        {
            await ControlAsync(Download, FirstBlock, Memory<byte>.Empty);
            await ControlAsync(GetStatus, 0, new byte[DfuStatus.Length]);
        }
        catch (DeviceGoneException)
        {
            // The chip jumped before it answered: dfu-util calls that an error, it is the best possible outcome. Any other answer tells as
            // little.
        }
    }

    public override ValueTask DisposeAsync() => _usb.DisposeAsync();

    /// <summary>
    /// To dfuIDLE from any state: after a jump from software the ROM reports errFIRMWARE, after a dead predecessor anything.
    /// </summary>
    private async Task NormaliseAsync()
    {
        var begin = _time.GetTimestamp();
        for (var tries = 0; tries < 8;)
        {
            var status = await AskStatusAsync("finding its state");
            if (status.State == DfuState.Idle && status.Status == 0)
                return;
            // A predecessor's erase ends by itself; H7 revision V can sit in it until it is cleared twice.
            var isBusy = status.State == DfuState.DownloadBusy;
            var mayEnd = isBusy && _time.GetElapsedTime(begin) < LongestWork / 2;
            if (mayEnd || (status.State == DfuState.Manifest && tries < 3))
                await Task.Delay(Bounded(status.Poll, EarlyAfterErase), _time);
            else
                await ControlAsync(status.IsError || isBusy ? ClearStatus : Abort, 0, Memory<byte>.Empty);
            tries += mayEnd ? 0 : 1;
        }
        throw BootloaderFaults.DfuStuck("coming to rest", _time.GetElapsedTime(begin).TotalSeconds);
    }

    /// <summary>
    /// Reads one block of the application: what cannot be read must not be written. RDP level 1 answers with errVENDOR or with a stall, and
    /// does so each time; a transfer that failed once does not mean that.
    /// </summary>
    private async Task CheckReadableAsync()
    {
        for (int tries = 1, stalls = 0; ; tries++)
        {
            try
            {
                _hasStalled = false;
                await ReadAsync(_start, new byte[Math.Min(64, BlockSize)], static _ => ValueTask.CompletedTask);
                return;
            }
            catch (FlashException fault) when (fault.Kind == FaultKind.DfuRefused)
            {
                stalls += _hasStalled ? 1 : 0;
                if (stalls == 3)
                    throw BootloaderFaults.ReadProtected(_board);
                if (tries == 3)
                    throw;
                await NormaliseAsync();
            }
        }
    }

    /// <summary>
    /// Block n lies at the address + (n - 2) * wTransferSize, which AN3156 explains as the length of the requested buffer: that of the
    /// device, or that of the request. Both agree for whole blocks and for the first one, so a short one is always the first one.
    /// </summary>
    /// <returns>The number of the next block.</returns>
    private async Task<ushort> SetAddressAsync(uint address)
    {
        await CommandAsync(CommandSetAddress, address, $"setting the address {address:x8}", EarlyAfterCommand);
        return FirstBlock;
    }

    private async Task CommandAsync(byte command, uint address, string doing, TimeSpan early)
    {
        var bytes = new byte[5];
        bytes[0] = command;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(1), address);
        await DownloadAsync(0, bytes, doing, early);
    }

    private async Task DownloadAsync(ushort block, byte[] data, string doing, TimeSpan early)
    {
        var transfer = await ControlAsync(Download, block, data);
        if (!transfer.IsOk || transfer.Length != data.Length)
            throw await RefusedAsync(transfer, doing);

        var begin = _time.GetTimestamp();
        var status = await AskStatusAsync(doing);   // this one starts the work
        var wait = early;
        var cleared = false;
        var atOnce = 0;
        while (status.State is DfuState.DownloadBusy or DfuState.DownloadSync && status.Status == 0)
        {
            var elapsed = _time.GetElapsedTime(begin);
            if (elapsed > LongestWork)
                throw BootloaderFaults.DfuStuck(doing, elapsed.TotalSeconds);
            if (elapsed > LongestWork / 2 && !cleared)
            {
                // H7 revision V can sit in dfuDNBUSY after a big sector until it is cleared twice. Whether it erased, the read-back will
                // show.
                cleared = true;
                await ControlAsync(ClearStatus, 0, Memory<byte>.Empty);
                await ControlAsync(ClearStatus, 0, Memory<byte>.Empty);
            }
            if (status.Poll > TimeSpan.Zero || ++atOnce > QuestionsAtOnce)
            {
                var poll = Bounded(status.Poll, early);
                await Task.Delay(AsksEarly && wait < poll ? wait : poll, _time);
                wait = wait < poll ? wait * 2 : wait;
            }
            status = await AskStatusAsync(doing, status);
        }
        if (status.IsError)
            throw await RefusedAsync(status, doing);
    }

    private bool AsksEarly => _mayAskEarly && !_polling.HasStalled(_usb.Device);

    /// <summary>Reported poll times can be nothing or absurd; each question costs at least a millisecond of everybody's bus.</summary>
    private static TimeSpan Bounded(TimeSpan poll, TimeSpan whenNothing) =>
        poll > TimeSpan.Zero ? TimeSpan.FromMilliseconds(Math.Clamp(poll.TotalMilliseconds, 1, 2000)) : whenNothing;

    /// <summary>
    /// GETSTATUS. A stall means "not yet": work is going on, perhaps that of a predecessor whose cable was pulled. It is over within the
    /// longest work there is. No answer, half of one, or a bus error is asked again.
    /// </summary>
    private async Task<DfuStatus> AskStatusAsync(string doing, DfuStatus? busy = null)
    {
        var begin = _time.GetTimestamp();
        var bytes = new byte[DfuStatus.Length];
        for (var failures = 0; ;)
        {
            var transfer = await ControlAsync(GetStatus, 0, bytes);
            if (transfer is { IsOk: true, Length: DfuStatus.Length })
                return DfuStatus.Parse(bytes);
            var isStall = transfer.Status == UsbStatus.Stall;
            if (isStall && busy is not null)
                _polling.Stalled(_usb.Device);
            var elapsed = _time.GetElapsedTime(begin);
            if (isStall ? elapsed > LongestWork : ++failures == 3)
                throw BootloaderFaults.DfuStuck(doing, elapsed.TotalSeconds);
            await Task.Delay(Bounded(busy?.Poll ?? EarlyAfterErase, EarlyAfterData), _time);
        }
    }

    private async Task<FlashException> RefusedAsync(UsbTransfer transfer, string doing)
    {
        _hasStalled = transfer.Status == UsbStatus.Stall;
        if (_hasStalled)
            return await RefusedAsync(await AskStatusAsync(doing), doing);
        var what = transfer.IsOk ? $"only {transfer.Length} bytes came" : transfer.Status == UsbStatus.Timeout ? "no answer"
            : "a bus error";
        await TryClearAsync();
        return BootloaderFaults.DfuRefused(doing, what, state: null);
    }

    private async Task<FlashException> RefusedAsync(DfuStatus status, string doing)
    {
        await TryClearAsync();
        return status.IsReadProtected ? BootloaderFaults.ReadProtected(_board)
            : BootloaderFaults.DfuRefused(doing, status.StatusName, status.State.ToString());
    }

    /// <summary>Leaves the ROM fit for the next try; that this fails too is no news beside the fault being reported.</summary>
    private async Task TryClearAsync() => await ControlAsync(ClearStatus, 0, Memory<byte>.Empty);

    private ValueTask<UsbTransfer> ControlAsync(byte request, ushort value, Memory<byte> data)
    {
        var type = request is Upload or GetStatus ? (byte)0xA1 : (byte)0x21;
        return _usb.ControlAsync(new UsbSetup(type, request, value, _descriptors.Number), data, TransferTimeout);
    }

    private static async Task<string> ReadStringAsync(IUsbDevice usb, byte index)
    {
        if (index == 0)
            return "";
        var bytes = new byte[255];
        for (var tries = 1; ; tries++)
        {
            var transfer = await usb.ControlAsync(new UsbSetup(0x80, 6, (ushort)(0x0300 | index), 0x0409), bytes, TransferTimeout);
            // Two header bytes, then UTF-16. F42x claims more than it sends; that it is always so only a second look shows.
            var length = transfer.IsOk ? Math.Min(transfer.Length, bytes[0]) : 0;
            if (!transfer.IsOk && tries == 3)
                throw BootloaderFaults.DfuDescriptor($"its text {index} cannot be read ({transfer.Status})");
            if ((transfer.IsOk && length == bytes[0]) || tries == 3)
                return length <= 2 ? "" : Encoding.Unicode.GetString(bytes, 2, (length - 2) & ~1);
        }
    }
}

using System.Collections.Immutable;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

using Frame = RatOS.Flash.Bootloaders.Stm32UartFrame;

namespace RatOS.Flash.Bootloaders;

/// <summary>
/// The UART bootloader in the ROM of STM32 chips (AN3155), started by BOOT0 only. Erases page by page, reads back, and starts the
/// application at its own address. This class sends no mass erase and no protection commands.
/// </summary>
/// <remarks>
/// <para>
/// The ROM answers each part of a command with one byte, and the protocol has no frames: after a refusal the ROM waits for a command, after
/// a lost byte for the rest of the command. AN3155 names no time-out, so this class assumes none. After any error it sends bytes until the
/// ROM refuses: only then is the state of the ROM known. Then it repeats the command, at most three times.
/// </para>
/// <para>
/// Answers to a read have parity but no checksum. The comparison with the image finds a damaged one, at the cost of one more write.
/// </para>
/// </remarks>
public sealed class Stm32Uart : Bootloader
{
    /// <summary>The ROM takes its speed from the first byte, 1200 to 115200 baud; always with even parity.</summary>
    internal static readonly SerialMode Mode = new(115_200, EvenParity: true);

    private const int Tries = 3;
    private const int FedOneByOne = 8;
    private const int FedAtOnce = 256;
    private const int FedInAll = 4096;   // a lost count in an erase can ask for 1,500 bytes, a write never for more than 257

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SynchroniseLimit = TimeSpan.FromMilliseconds(250);

    // STM32F446 data sheet (DS10693), x8 parallelism: a sector of 128 KiB takes up to 4 s, 256 bytes 26 ms.
    private static readonly TimeSpan EraseLimit = TimeSpan.FromSeconds(10);

    // The longest erase of a whole chip: a ROM that reports "busy" for longer is stuck.
    private static readonly TimeSpan BusyLimit = TimeSpan.FromSeconds(35);

    // Adapters on USB hold bytes back for up to 16 ms.
    private static readonly TimeSpan RefusalLimit = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(50);

    private readonly ByteLine _line;
    private readonly TimeProvider _time;
    private readonly string _board;
    private readonly byte[] _one = new byte[1];
    private readonly byte[] _dropped = new byte[FedAtOnce];
    private readonly uint _start;
    private ImmutableArray<Sector> _pages = [];
    private FlashMemory? _memory;
    private byte _version;
    private byte _erase;
    private int _id;

    private Stm32Uart(ByteLine line, string board, uint start, TimeProvider time) =>
        (_line, _board, _start, _time) = (line, board, start, time);

    private enum Answer
    {
        None,
        Acknowledged,
        Refused,
    }

    /// <param name="Answer">The last answer.</param>
    /// <param name="Part">The part of the command that it answers: 0 for the command byte.</param>
    private readonly record struct Outcome(Answer Answer, int Part)
    {
        public static readonly Outcome Silence = new(Answer.None, 0);

        public bool IsDone => Answer == Answer.Acknowledged;
    }

    public override string Name => $"STM32 ROM UART {_version >> 4}.{_version & 0xF}";

    public override FlashMemory Memory => _memory!;

    public override int BlockSize => Frame.BlockSize;

    /// <summary>
    /// Finds the ROM in any state that an earlier session left, and reads its version, its commands, its chip, and one word of flash.
    /// </summary>
    /// <exception cref="FlashException">No answer, or read protection: nothing was touched.</exception>
    internal static async Task<Stm32Uart> OpenAsync(ByteLine line, string board, Mcu mcu, uint start, TimeProvider time)
    {
        var rom = new Stm32Uart(line, board, start, time);
        if (!await rom.SynchroniseAsync() && !await rom.ResynchroniseAsync())
            throw BootloaderFaults.UartRomSilent("looking for it");
        var list = await rom.ListAsync(Frame.Get, "asking for its commands", HasWhatAFlashNeeds);
        (rom._version, rom._erase) = (list[0], list.AsSpan(1).Contains(Frame.ExtendedErase) ? Frame.ExtendedErase : Frame.Erase);
        var id = await rom.ListAsync(Frame.GetId, "asking for its chip", static bytes => bytes.Length == 2);
        rom._id = (id[0] << 8) | id[1];
        rom._pages = PagesOf(mcu, rom._id);
        // A sector in whose middle the application begins stays in the list: the layout refuses it by name.
        rom._memory =
            new FlashMemory([.. rom._pages.Where(page => page.End > start)], mcu.WriteUnit, WriteOrder.FirstSectorLast,
            ErasesByItself: false);
        // With read protection the ROM refuses the command byte itself, each time (AN3155).
        await rom.RepeatAsync("reading", () => rom.ReadOnceAsync(start, new byte[4]), denied: BootloaderFaults.ReadProtected(board));
        return rom;
    }

    /// <summary>Whether a ROM listens on this line. Klipper, at another speed, receives the question as noise.</summary>
    internal static async Task<bool> AnswersAsync(ByteLine line, TimeProvider time)
    {
        var rom = new Stm32Uart(line, "", 0, time);
        return await rom.SynchroniseAsync() && await rom.TryListAsync(Frame.Get) is { } list && HasWhatAFlashNeeds(list);
    }

    public override void CheckChip(string board, Mcu mcu, uint start)
    {
        if (!mcu.IdCodes.Contains(_id))
            throw BoardFaults.WrongMcu(board, mcu.Name, $"its ROM has the chip id {_id:x3}");
    }

    public override Task EraseAsync(Sector sector)
    {
        var page = _pages.IndexOf(sector);
        if (page < 0 || sector.Address < _start)
            throw new ArgumentOutOfRangeException(nameof(sector), sector, "not a sector of the application");
        return RepeatAsync($"erasing {sector}", () => SendAsync(EraseLimit, Frame.Command(_erase), Frame.Page(_erase, page)));
    }

    public override async Task WriteAsync(uint address, ReadOnlyMemory<byte> data, Func<int, ValueTask> done)
    {
        if (address < _start)
            throw new ArgumentOutOfRangeException(nameof(address), address, "not in the application");
        for (var at = 0; at < data.Length; at += BlockSize)
        {
            var block = address + (uint)at;
            var piece = data.Slice(at, Math.Min(BlockSize, data.Length - at));
            var isAgain = false;
            await RepeatAsync($"writing {block:x8}", async () =>
            {
                if (isAgain)
                {
                    // The block may be in flash although its answer was lost, and chips with ECC (G0, H7) allow no second write.
                    var found = new byte[piece.Length];
                    var look = await ReadOnceAsync(block, found);
                    if (!look.IsDone || found.AsSpan().SequenceEqual(piece.Span))
                        return look;
                }
                isAgain = true;
                return await SendAsync(AnswerLimit, Frame.Command(Frame.Write), Frame.Address(block), Frame.Data(piece.Span));
            });
            await done(at + piece.Length);
        }
    }

    /// <summary>Nothing to wait for: every block was acknowledged.</summary>
    public override Task FinishAsync() => Task.CompletedTask;

    public override async Task ReadAsync(uint address, Memory<byte> data, Func<int, ValueTask> done)
    {
        for (var at = 0; at < data.Length; at += BlockSize)
        {
            var block = address + (uint)at;
            var piece = data.Slice(at, Math.Min(BlockSize, data.Length - at));
            await RepeatAsync($"reading {block:x8}", () => ReadOnceAsync(block, piece));
            await done(at + piece.Length);
        }
    }

    /// <summary>
    /// Starts the application by a jump. Without an acknowledgement it may have started as well: the proof of the flash shows that.
    /// </summary>
    public override async Task LeaveAsync()
    {
        for (var tries = 1; tries <= Tries; tries++)
        {
            // The ROM refuses the bytes; firmware that already runs receives noise at another speed and refuses nothing.
            if ((await SendAsync(AnswerLimit, Frame.Command(Frame.Go), Frame.Address(_start))).IsDone || !await ResynchroniseAsync())
                return;
        }
    }

    public override ValueTask DisposeAsync() => _line.DisposeAsync();

    private Task<Outcome> ReadOnceAsync(uint address, Memory<byte> data) => FollowAsync(
        SendAsync(AnswerLimit, Frame.Command(Frame.Read), Frame.Address(address), Frame.ReadCount(data.Length)), data);

    private async Task<Outcome> FollowAsync(Task<Outcome> command, Memory<byte> data)
    {
        var outcome = await command;
        return !outcome.IsDone || await FillAsync(data) ? outcome : Outcome.Silence;
    }

    /// <summary>
    /// GET and GET ID: a count, the bytes, an acknowledgement. Without a checksum, only two equal answers count.
    /// </summary>
    private async Task<byte[]> ListAsync(byte command, string doing, Predicate<byte[]> isPlausible)
    {
        byte[] list = [];
        await RepeatAsync(doing, async () =>
        {
            if (await TryListAsync(command) is not { } first || await TryListAsync(command) is not { } second)
                return Outcome.Silence;
            list = first;
            return isPlausible(first) && first.AsSpan().SequenceEqual(second) ? new Outcome(Answer.Acknowledged, 0)
                : new Outcome(Answer.Refused, 1);
        });
        return list;
    }

    private async Task<byte[]?> TryListAsync(byte command)
    {
        if (!(await SendAsync(AnswerLimit, Frame.Command(command))).IsDone || !await FillAsync(_one))
            return null;
        var list = new byte[_one[0] + 1];
        return await FillAsync(list) && await AnswerAsync(AnswerLimit) == Answer.Acknowledged ? list : null;
    }

    /// <summary>Version, then commands. Erase (43) and extended erase (44) exclude each other.</summary>
    private static bool HasWhatAFlashNeeds(byte[] list) =>
        list.Length > 1 && new[] { Frame.GetId, Frame.Read, Frame.Go, Frame.Write }.All(list.AsSpan(1).ToArray().Contains)
        && list.AsSpan(1).Contains(Frame.Erase) != list.AsSpan(1).Contains(Frame.ExtendedErase);

    /// <summary>
    /// All pages of the flash, by number. The medium-density F103 (id 410) has pages of 1 KiB, the high-density one of 2 KiB (RM0008).
    /// Klipper has one name for both, and with the wrong size page 4 would be in the bootloader.
    /// </summary>
    private static ImmutableArray<Sector> PagesOf(Mcu mcu, int id) => id == 0x410
        ? [.. Enumerable.Range(0, 128).Select(page => new Sector(mcu.FlashBase + (uint)(page * 1024), 1024))]
        : [.. mcu.AllSectors()];

    // ---- commands

    /// <summary>Repeats a failed command, each time from a known state.</summary>
    /// <param name="doing">For the fault.</param>
    /// <param name="command">The command with all of its parts.</param>
    /// <param name="denied">The fault if the command byte is refused each time.</param>
    private async Task RepeatAsync(string doing, Func<Task<Outcome>> command, FlashException? denied = null)
    {
        for (int tries = 1, refusals = 0; ; tries++)
        {
            var outcome = await command();
            if (outcome.IsDone)
                return;
            refusals += outcome is { Answer: Answer.Refused, Part: 0 } ? 1 : 0;
            if (!await ResynchroniseAsync())
                throw BootloaderFaults.UartRomSilent(doing);
            if (tries == Tries)
                throw denied is not null && refusals == Tries ? denied
                    : BootloaderFaults.UartRomRefused(doing, tries);
        }
    }

    /// <summary>Sends the parts of a command, each after the acknowledgement of the one before.</summary>
    /// <param name="last">The time limit for the last part, which does the work.</param>
    private async Task<Outcome> SendAsync(TimeSpan last, params byte[][] parts)
    {
        for (var i = 0; i < parts.Length; i++)
        {
            var answer = await AskAsync(parts[i], i == parts.Length - 1 ? last : AnswerLimit);
            if (answer != Answer.Acknowledged)
                return new Outcome(answer, i);
        }
        return new Outcome(Answer.Acknowledged, parts.Length - 1);
    }

    private async Task<Answer> AskAsync(byte[] frame, TimeSpan limit)
    {
        // Old bytes answer an earlier command. A source that never ends is no ROM.
        for (var reads = 0; reads < 16 && await _line.ReadAsync(_dropped, TimeSpan.Zero) > 0; reads++)
        {
        }
        await _line.WriteAsync(frame);
        return await AnswerAsync(limit + TimeOf(frame.Length));
    }

    private async Task<Answer> AnswerAsync(TimeSpan limit)
    {
        var (begin, heard) = (_time.GetTimestamp(), _time.GetTimestamp());
        while (_time.GetElapsedTime(heard) is var waited && waited < limit)
        {
            if (await _line.ReadAsync(_one, limit - waited) == 0)
                continue;
            switch (_one[0])
            {
                case Frame.Acknowledge:
                    return Answer.Acknowledged;
                case Frame.Refuse:
                    return Answer.Refused;
                case Frame.Busy when _time.GetElapsedTime(begin) < BusyLimit:
                    heard = _time.GetTimestamp();
                    break;
            }
            // Anything else is noise: some boards send a stray byte when they start.
        }
        return Answer.None;
    }

    private async Task<bool> FillAsync(Memory<byte> data)
    {
        var (begin, limit) = (_time.GetTimestamp(), AnswerLimit + TimeOf(data.Length));
        for (var length = 0; length < data.Length;)
        {
            var left = limit - _time.GetElapsedTime(begin);
            if (left <= TimeSpan.Zero)
                return false;
            length += await _line.ReadAsync(data[length..], left);
        }
        return true;
    }

    /// <summary>
    /// A ROM that has just started takes its speed from this byte and acknowledges it. A ROM that was already in use takes it for a command
    /// and refuses the second one as its complement.
    /// </summary>
    private async Task<bool> SynchroniseAsync() =>
        await AskAsync([Frame.Synchronise], SynchroniseLimit) != Answer.None
            || await AskAsync([Frame.Synchronise], SynchroniseLimit) != Answer.None;

    /// <summary>
    /// Sends bytes until the ROM refuses: then it waits for a command. First single bytes, so that none is left behind the refusal; then,
    /// for the middle of a write, blocks, and single bytes again.
    /// </summary>
    /// <returns>False if the ROM never refuses.</returns>
    private async Task<bool> ResynchroniseAsync()
    {
        await QuietAsync();
        var (single, count) = (0, 1);
        for (var fed = 0; fed < FedInAll; fed += count)
        {
            count = single++ < FedOneByOne ? 1 : FedAtOnce;
            if (await AskAsync(Frame.Feed(fed, count), RefusalLimit) != Answer.Refused)
                continue;
            await QuietAsync();
            if (count == 1)
                return true;
            single = 0;
        }
        return false;
    }

    /// <summary>Waits until the line is quiet, with a limit: another device may be sending.</summary>
    private async Task QuietAsync()
    {
        var begin = _time.GetTimestamp();
        while (await _line.ReadAsync(_dropped, Quiet) > 0 && _time.GetElapsedTime(begin) < AnswerLimit)
        {
        }
    }

    private static TimeSpan TimeOf(int bytes) => TimeSpan.FromSeconds(bytes * 11.0 / Mode.Baud);   // start, 8 data, parity, stop
}

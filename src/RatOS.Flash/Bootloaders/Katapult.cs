using System.Collections.Immutable;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Bootloaders;

/// <summary>Katapult over a line of bytes: USB or UART; over CAN the same frames go in pieces of 8 bytes.</summary>
/// <remarks>
/// Katapult answers in order, once for each frame, and an acknowledgement names its command and its block. So a late one never counts for
/// another block, and a block that is sent again may be acknowledged by its first answer: both say the same. Errors name no block; they
/// cost one more try. A few frames are in flight, as its buffers allow.
/// </remarks>
public sealed class Katapult : Bootloader
{
    private const int Tries = 3;

    // A block that starts a sector (RP2040: one that leaves a page) is answered after the erase: up to 2 s by the data sheets of the F446
    // and H723.
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(0.75);

    private readonly ByteLine _line;
    private readonly TimeProvider _time;
    private readonly KatapultGreeting _greeting;
    private readonly HashSet<uint> _sectorStarts = [];
    private readonly Answers _answers;

    private Katapult(ByteLine line, Answers answers, KatapultGreeting greeting, Mcu mcu, FlashMemory memory, TimeProvider time)
    {
        (_line, _answers, _greeting, Memory, _time) = (line, answers, greeting, memory, time);
        foreach (var sector in memory.Sectors)
        {
            for (var at = sector.Address; at < sector.End; at += (uint)(mcu.SectorOfSmallParts ?? sector.Size))
                _sectorStarts.Add(at);
        }
    }

    public override string Name => _greeting.Version.Length > 0 ? $"Katapult {_greeting.Version}" : "Katapult";

    public override FlashMemory Memory { get; }

    public override int BlockSize => _greeting.BlockSize;

    // USB: the endpoint accepts a frame, in its own transfer, only if it fits. UART and CAN: 192 bytes in, 96 out (Katapult
    // src/generic/serial_irq.c, canserial.c).
    private int WriteDepth => _line.Device.Usb is null ? 2 : 4;

    private int ReadDepth => _line.Device.Usb is null ? 1 : 2;

    /// <summary>
    /// Connects. The line must have no other user, and must have carried only Katapult's frames since the board's reset.
    /// </summary>
    /// <exception cref="FlashException">No answer, another protocol, an unknown chip.</exception>
    internal static async Task<Katapult> OpenAsync(ByteLine line, uint flashEnd, TimeProvider time)
    {
        var answers = new Answers(line, time);
        for (var tries = 1; ; tries++)
        {
            if (line.Device.Usb is not null)
                await line.WriteAsync(new KatapultFrame(KatapultFrame.Prime, default).Encode());
            await line.WriteAsync(new KatapultFrame(KatapultFrame.Connect, default).Encode());
            if (await answers.NextAsync(ConnectTimeout,
                frame => frame.Code == KatapultFrame.Acknowledge && frame.Answers == KatapultFrame.Connect) is { } frame)
            {
                var greeting = KatapultGreeting.Parse(frame);
                if (Mcu.Find(greeting.Mcu) is not { } mcu)
                    throw BootloaderFaults.KatapultProtocol($"{greeting.Protocol} on a chip called '{greeting.Mcu}'");
                var katapult = new Katapult(line, answers, greeting, mcu, MemoryOf(mcu, greeting, flashEnd), time);
                // Answers to the earlier frames may still be on their way: take them first.
                await katapult.ReadBlockAsync(greeting.Start, "connecting");
                return katapult;
            }
            if (tries == Tries)
                throw answers.SawNack ? BootloaderFaults.KatapultWedged("connecting") : BootloaderFaults.KatapultSilent("connecting");
        }
    }

    public override void CheckChip(string board, Mcu mcu, uint start)
    {
        if (_greeting.Mcu != mcu.Name)
            throw BoardFaults.WrongMcu(board, mcu.Name, $"its Katapult runs on a {_greeting.Mcu}");
        if (_greeting.Start != start)
            throw BoardFaults.WrongStart(board, start, _greeting.Start);
    }

    /// <summary>Over CAN: asks the node at the end of the line who it is.</summary>
    /// <exception cref="FlashException">It is another one, or does not say.</exception>
    internal async Task CheckNodeAsync(string board, CanUuid uuid)
    {
        const string Doing = "asking for its uuid";
        for (var tries = 1; ; tries++)
        {
            await _line.WriteAsync(new KatapultFrame(KatapultFrame.GetCanUuid, default).Encode());
            var answer = await AnswerToAsync(KatapultFrame.GetCanUuid, null);
            if (answer is { Code: KatapultFrame.Acknowledge, Payload.Length: >= 4 + CanUuid.Length } frame)
            {
                var found = CanUuid.Read(frame.Payload.Span[4..]);
                if (found != uuid)
                    throw CanFaults.CanWrongNode(board, $"{uuid}", $"{found}");
                return;
            }
            if (tries == Tries)
                throw answer is null ? Lost(Doing) : BootloaderFaults.KatapultRefused(Doing, Describe(answer.Value));
        }
    }

    /// <summary>Katapult erases a sector when its first block is written.</summary>
    public override Task EraseAsync(Sector sector) => throw new InvalidOperationException("Katapult erases by itself");

    public override async Task WriteAsync(uint address, ReadOnlyMemory<byte> data, Func<int, ValueTask> done)
    {
        var inFlight = new Queue<uint>();
        var end = address + (uint)data.Length;
        var next = address;
        while (next < end || inFlight.Count > 0)
        {
            // A sector's first block goes alone: a second one for the same sector, sent again later, would erase it once more.
            var mayFollow = inFlight.Count == 0 || !_sectorStarts.Contains(inFlight.Last());
            if (next < end && inFlight.Count < WriteDepth && mayFollow)
            {
                await _line.WriteAsync(EncodeWrite(next));
                inFlight.Enqueue(next);
                next += (uint)BlockSize;
                continue;
            }
            var oldest = inFlight.Peek();
            var answer = await AnswerToAsync(KatapultFrame.SendBlock, oldest);
            if (answer is { Code: KatapultFrame.Acknowledge })
            {
                inFlight.Dequeue();
            }
            else
            {
                // Refused, damaged or lost: from the oldest on, one at a time, until all that was in flight is known to be there.
                await WriteOneAsync(oldest, EncodeWrite(oldest), refused: answer is { Code: KatapultFrame.CommandError } ? 1 : 0);
                inFlight.Dequeue();
                while (inFlight.TryDequeue(out var following))
                    await WriteOneAsync(following, EncodeWrite(following), refused: 0);
            }
            await done((int)((inFlight.TryPeek(out var pending) ? pending : next) - address));
        }

        byte[] EncodeWrite(uint at) =>
            KatapultFrame.EncodeBlock(KatapultFrame.SendBlock, at, data.Span.Slice((int)(at - address), BlockSize));
    }

    public override async Task FinishAsync() =>
        await ExchangeAsync(new KatapultFrame(KatapultFrame.EndOfFile, default).Encode(), KatapultFrame.EndOfFile, null,
            "finishing the write");

    public override async Task ReadAsync(uint address, Memory<byte> data, Func<int, ValueTask> done)
    {
        var asked = 0;
        for (var at = 0; at < data.Length; at += BlockSize)
        {
            for (; asked < data.Length && asked < at + (ReadDepth * BlockSize); asked += BlockSize)
                await _line.WriteAsync(KatapultFrame.EncodeBlock(KatapultFrame.RequestBlock, address + (uint)asked, []));
            var block = address + (uint)at;
            if (await AnswerToAsync(KatapultFrame.RequestBlock, block) is not { Code: KatapultFrame.Acknowledge } frame)
            {
                frame = await ReadBlockAsync(block, $"reading {block:x8}");
                asked = at + BlockSize;   // what was in flight behind it is asked again; its late answers carry the same bytes
            }
            if (frame.Payload.Length < 8 + BlockSize)
                throw BootloaderFaults.KatapultRefused($"reading {block:x8}", $"{frame.Payload.Length - 8} bytes instead of {BlockSize}");
            frame.Payload.Slice(8, Math.Min(BlockSize, data.Length - at)).CopyTo(data[at..]);
            await done(Math.Min(at + BlockSize, data.Length));
        }
    }

    public override async Task LeaveAsync()
    {
        try
        {
            await _line.WriteAsync(new KatapultFrame(KatapultFrame.Complete, default).Encode());
            await AnswerToAsync(KatapultFrame.Complete, null);
        }
        catch (DeviceGoneException)
        {
            // It resets 100 ms after its answer; the answer may not get through. Only the bus shows whether it left.
        }
    }

    public override ValueTask DisposeAsync() => _line.DisposeAsync();

    private async Task WriteOneAsync(uint address, byte[] frame, int refused)
    {
        for (var tries = refused; ;)
        {
            await _line.WriteAsync(frame);
            var answer = await AnswerToAsync(KatapultFrame.SendBlock, address);
            if (answer is { Code: KatapultFrame.Acknowledge })
                return;
            if (++tries >= Tries)
                throw answer is null ? Lost($"writing {address:x8}")
                    : BootloaderFaults.KatapultRefused($"writing {address:x8}", Describe(answer.Value));
        }
    }

    /// <summary>
    /// Reads one block and drops every answer that comes before its own: nothing that was sent earlier is answered after it.
    /// </summary>
    private Task<KatapultFrame> ReadBlockAsync(uint address, string doing) =>
        ExchangeAsync(KatapultFrame.EncodeBlock(KatapultFrame.RequestBlock, address, []), KatapultFrame.RequestBlock, address, doing);

    /// <summary>For commands that may be repeated: a late answer to the first one says the same as the second one's.</summary>
    private async Task<KatapultFrame> ExchangeAsync(byte[] frame, byte command, uint? address, string doing)
    {
        for (var tries = 1; ; tries++)
        {
            await _line.WriteAsync(frame);
            if (await _answers.NextAsync(WriteTimeout, candidate => IsAcknowledgement(candidate, command, address)) is { } answer)
                return answer;
            if (tries == Tries)
                throw Lost(doing);
        }
    }

    /// <summary>
    /// The next answer that can belong to this frame: its acknowledgement, or an error, which names no frame. Null when none came in time.
    /// </summary>
    private ValueTask<KatapultFrame?> AnswerToAsync(byte command, uint? address) => _answers.NextAsync(
        command == KatapultFrame.SendBlock ? WriteTimeout : AnswerTimeout,
        frame => IsAcknowledgement(frame, command, address) || frame.Code is KatapultFrame.NotUnderstood or KatapultFrame.CommandError);

    private static bool IsAcknowledgement(KatapultFrame frame, byte command, uint? address) =>
        frame.Code == KatapultFrame.Acknowledge && frame.Answers == command && (address is null || frame.Word(1) == address);

    private FlashException Lost(string doing) =>
        _answers.SawNack ? BootloaderFaults.KatapultWedged(doing) : BootloaderFaults.KatapultSilent(doing);

    private static string Describe(KatapultFrame answer) => answer.Code switch
    {
        KatapultFrame.CommandError => "it answered with a command error (f2)",
        KatapultFrame.NotUnderstood => "it did not understand the frame (f1)",
        _ => $"answer {answer.Code:x2}",
    };

    private static FlashMemory MemoryOf(Mcu mcu, KatapultGreeting greeting, uint flashEnd)
    {
        // Katapult has no upper bound (src/flashcmd.c), and a block beyond the end of the flash hangs the chip: the bound is here.
        var sectors = mcu.AllSectors().Where(sector => sector.Address >= greeting.Start && sector.End <= flashEnd).ToImmutableArray();
        // An RP2040 collects a page and writes it when another one begins (Katapult src/rp2040/flash.c). An LPC is written in its order.
        var isRp = mcu.HandlersInRam;
        var order = mcu.IsStm32 || isRp ? WriteOrder.InvalidateFirst : WriteOrder.Ascending;
        return new FlashMemory(sectors, Math.Max(greeting.BlockSize, isRp ? mcu.WriteUnit : 0), order, ErasesByItself: true)
        {
            // Katapult takes either value for "no firmware" (Katapult src/bootentry.c). An F4 and the flash of an RP2040 have no ECC, so FF
            // can be written over later.
            InvalidFill = isRp || mcu.Name.StartsWith("stm32f4", StringComparison.Ordinal) ? (byte)0xFF : (byte)0,
        };
    }

    /// <summary>The incoming frames, in pieces of any size.</summary>
    private sealed class Answers(ByteLine line, TimeProvider time)
    {
        private readonly byte[] _buffer = new byte[4096];
        private int _length;

        /// <summary>Katapult did not understand a frame: if it falls silent now, it is wedged.</summary>
        public bool SawNack { get; private set; }

        /// <summary>The next frame that <paramref name="wanted"/> accepts; others are dropped. Null when none came in time.</summary>
        public async ValueTask<KatapultFrame?> NextAsync(TimeSpan timeout, Func<KatapultFrame, bool> wanted)
        {
            var begin = time.GetTimestamp();
            while (true)
            {
                while (KatapultFrame.TryTake(_buffer.AsSpan(0, _length), out var frame, out var used) || used > 0)
                {
                    _buffer.AsSpan(used, _length - used).CopyTo(_buffer);
                    _length -= used;
                    if (frame.Code == 0)
                        break;
                    SawNack = frame.Code == KatapultFrame.NotUnderstood || (SawNack && frame.Code != KatapultFrame.Acknowledge);
                    if (wanted(frame))
                        return frame;
                }
                var left = timeout - time.GetElapsedTime(begin);
                if (left <= TimeSpan.Zero)
                {
                    if (_length == 0)
                        return null;
                    // The header of a damaged frame may have claimed more than came: what stands behind it still counts.
                    _buffer.AsSpan(1, --_length).CopyTo(_buffer);
                    continue;
                }
                _length += await line.ReadAsync(_buffer.AsMemory(_length), left);
            }
        }
    }
}

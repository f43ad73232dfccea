using System.Buffers.Binary;
using System.Text;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The build of Katapult that a virtual board carries.</summary>
internal sealed record KatapultTraits
{
    /// <summary>Protocol version in the answer to CONNECT: 00010100 is 1.1.0. Older ones have no version text there.</summary>
    public uint Protocol { get; init; } = 0x0001_0100;

    /// <summary>Bytes of one SEND_BLOCK. Katapult builds have 64, because a frame has at most 128 bytes.</summary>
    public int BlockSize { get; init; } = 64;

    /// <summary>The version text of the build.</summary>
    public string Version { get; init; } = "v0.0.1-109-g902f335";

    /// <summary>On UART and CAN buffers are smaller, and bytes get lost.</summary>
    public McuLink Link { get; init; }

    /// <summary>On UART: the baud of the build.</summary>
    public int Baud { get; init; } = SerialMode.Klipper.Baud;

    /// <summary>In a build for CAN: the answer to GET_CANBUS_ID.</summary>
    public ReadOnlyMemory<byte>? CanUuid { get; init; }
}

/// <summary>
/// Katapult on a chip, held by recordings of the real code: its parser with its wedge, its rules for flash pages, its buffers and times
/// (katapult: src/command.c, src/flashcmd.c).
/// </summary>
/// <param name="flash">The chip's flash.</param>
/// <param name="chip">The chip it runs on.</param>
/// <param name="appStart">Address of the application. Nothing below it is written.</param>
/// <param name="traits">Its build options.</param>
internal sealed class KatapultProgram(VirtualFlash flash, VirtualChip chip, uint appStart, KatapultTraits traits) : McuConsole(traits.Link)
{
    /// <summary>At the baud of its build.</summary>
    public override SerialMode Mode { get; } = new(traits.Baud);

    private const int FrameMin = 8;
    private const int FrameMax = 128;
    private const int HeaderSize = 4;
    private const int TrailerSize = 4;
    private const byte Start = 0x01;
    private const int Rp2040PageSize = 256;

    private static readonly TimeSpan FrameTime = TimeSpan.FromMicroseconds(50);
    private static readonly TimeSpan CompleteDelay = TimeSpan.FromMilliseconds(100);

    private readonly bool _isRp2040 = chip.Bootsel is not null;
    private readonly byte[] _page = new byte[Rp2040PageSize]; // RP2040: collects until the page is left
    private uint? _pageAddress;
    private int _pagesBegun;
    private bool _needSync;
    private bool _needValid;
    private bool _holdsFirst = chip.HoldsFirstPacket && traits.Link == McuLink.Usb;
    private ReadOnlyMemory<byte>? _held;

    /// <summary>Times of the first and the last command, and their number; null before any.</summary>
    public (TimeSpan First, TimeSpan Last, int Count)? Commands { get; private set; }

    private enum Command : byte
    {
        Connect = 0x11,
        SendBlock = 0x12,
        EndOfFile = 0x13,
        RequestBlock = 0x14,
        Complete = 0x15,
        GetCanbusId = 0x16,
    }

    private enum Answer : byte
    {
        Ack = 0xA0,
        Nack = 0xF1,
        CommandError = 0xF2,
    }

    protected override (bool IsComplete, int Done) Parse(ReadOnlySpan<byte> buffer)
    {
        if (_needSync && !buffer.IsEmpty)
            return Resynchronise(buffer);
        if (buffer.Length < FrameMin)
            return (false, 0);
        if (buffer[0] != Start || buffer[1] != 0x88)
            return Resynchronise(buffer);
        var length = (buffer[3] * 4) + FrameMin;
        if (length > FrameMax)
            return Resynchronise(buffer);
        if (buffer.Length < length)
            return (false, 0);
        var frame = buffer[..length];
        if (frame[^2] != 0x99 || frame[^1] != 0x03 ||
            VirtualCrc.Compute(frame[2..^TrailerSize]) != BinaryPrimitives.ReadUInt16LittleEndian(frame[^TrailerSize..]))
            return Resynchronise(buffer);
        _needValid = false;
        Commands = (Commands?.First ?? Now, Now, (Commands?.Count ?? 0) + 1);
        Work(FrameTime);
        Run(frame);
        return (true, length);
    }

    /// <summary>
    /// Searches for the next start byte, beginning with the byte that was just found wrong. If that is itself a start byte, nothing is
    /// ever discarded again: the parser is wedged.
    /// </summary>
    private (bool IsComplete, int Done) Resynchronise(ReadOnlySpan<byte> buffer)
    {
        var next = buffer.IndexOf(Start);
        _needSync = next < 0;
        if (!_needValid)
            Reply(Answer.Nack, []);
        _needValid = true;
        return (true, next < 0 ? buffer.Length : next);
    }

    private void Run(ReadOnlySpan<byte> frame)
    {
        // In a frame without payload this word is its trailer, as in the real code.
        var address = BinaryPrimitives.ReadUInt32LittleEndian(frame[HeaderSize..]);
        switch ((Command)frame[2])
        {
            case Command.Connect:
                Connect();
                break;
            case Command.SendBlock:
                var data = frame[HeaderSize..^TrailerSize];
                var written = data.Length == traits.BlockSize + 4 && address >= appStart && address % (uint)traits.BlockSize == 0
                    && (_isRp2040 ? Collect(address, data[4..]) : Write(address, data[4..]));
                if (Halted)
                    break;
                if (written)
                    Acknowledge(Command.SendBlock, address);
                else
                    Reply(Answer.CommandError, []);
                break;
            case Command.EndOfFile:
                FlushPage();
                Acknowledge(Command.EndOfFile, (uint)_pagesBegun);
                break;
            case Command.RequestBlock:
                if (flash.Contains(address, traits.BlockSize))
                    Acknowledge(Command.RequestBlock, address, flash.Read(address, traits.BlockSize));
                else
                    Halt(ResetRequest.Crash); // the bus faults: only flash is modelled
                break;
            case Command.Complete:
                Reply(Answer.Ack, [(byte)Command.Complete, 0, 0, 0]);
                Halt(ResetRequest.SkipKatapult, CompleteDelay);
                break;
            case Command.GetCanbusId when traits.CanUuid is { } uuid:
                Reply(Answer.Ack, [(byte)Command.GetCanbusId, 0, 0, 0, .. uuid.Span, 0, 0]);
                break;
            default:
                Reply(Answer.CommandError, []); // also GET_CANBUS_ID in builds for other links
                break;
        }
    }

    private void Connect()
    {
        Span<byte> payload = stackalloc byte[FrameMax];
        payload.Clear();
        payload[0] = (byte)Command.Connect;
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], traits.Protocol);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[8..], appStart);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[12..], (uint)traits.BlockSize);
        var length = 16 + PutText(payload[16..], chip.Name);
        if (traits.Protocol >= 0x0001_0100)
            length += 4 + PutText(payload[(length + 4)..], traits.Version);
        Reply(Answer.Ack, payload[..length]);

        static int PutText(Span<byte> payload, string text) => (Encoding.ASCII.GetBytes(text, payload) + 3) & ~3;
    }

    /// <summary>STM32: writes a block at once, by the rules of its page. False where it was refused or the cells differ.</summary>
    private bool Write(uint address, ReadOnlySpan<byte> data)
    {
        if (!flash.Contains(address, data.Length))
        {
            Halt(ResetRequest.Crash); // no upper bound is checked: reading the page faults
            return false;
        }
        var sector = flash.SectorAt(address);
        if (flash.SectorStart(sector) == address)
        {
            var page = flash.Read(address, flash.SectorSize(sector));
            var isBlank = IsBlank(page);
            // The page holds just this block: it was sent again.
            if (!isBlank && page[..data.Length].SequenceEqual(data) && IsBlank(page[data.Length..]))
                return true;
            _pagesBegun++;
            if (!isBlank)
                Stall(flash.Erase(sector, Clock));
        }
        else if (!IsBlank(flash.Read(address, data.Length)))
        {
            return flash.Read(address, data.Length).SequenceEqual(data);
        }
        Work(flash.Program(address, data, Clock).Time);
        return flash.Read(address, data.Length).SequenceEqual(data);
    }

    /// <summary>RP2040: keeps a block until its page is left. Its acknowledgement is no proof of the flash.</summary>
    private bool Collect(uint address, ReadOnlySpan<byte> data)
    {
        if (!flash.Contains(address, data.Length))
            return false;
        var page = address / Rp2040PageSize * Rp2040PageSize;
        if (_pageAddress != page)
        {
            FlushPage();
            _pageAddress = page;
            _page.AsSpan().Fill(0xFF);
        }
        data.CopyTo(_page.AsSpan((int)(address - page)));
        return true;
    }

    /// <summary>RP2040: writes the collected page; the first page of a sector erases it. Nothing is compared.</summary>
    private void FlushPage()
    {
        if (_pageAddress is not { } page)
            return;
        _pageAddress = null;
        var sector = flash.SectorAt(page);
        if (flash.SectorStart(sector) == page)
            Stall(flash.Erase(sector, Clock));
        Stall(flash.Program(page, _page, Clock).Time);
        _pagesBegun++;
    }

    private static bool IsBlank(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0xFF);

    private void Acknowledge(Command command, uint value, ReadOnlySpan<byte> data = default)
    {
        Span<byte> payload = stackalloc byte[FrameMax];
        BinaryPrimitives.WriteUInt32LittleEndian(payload, (byte)command);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[4..], value);
        data.CopyTo(payload[8..]);
        Reply(Answer.Ack, payload[..(8 + data.Length)]);
    }

    private void Reply(Answer answer, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[payload.Length + FrameMin];
        (frame[0], frame[1], frame[2], frame[3]) = (Start, 0x88, (byte)answer, (byte)(payload.Length / 4));
        payload.CopyTo(frame.AsSpan(HeaderSize));
        var crc = VirtualCrc.Compute(frame.AsSpan(2..^TrailerSize));
        BinaryPrimitives.WriteUInt16LittleEndian(frame.AsSpan(frame.Length - TrailerSize), crc);
        (frame[^2], frame[^1]) = (0x99, 0x03);
        Transmit(frame);
    }

    /// <summary>A double-buffered endpoint sends its first packet only when a second one is queued.</summary>
    protected override void Transmit(ReadOnlyMemory<byte> frame)
    {
        if (_holdsFirst && _held is null && frame.Length <= PacketSize)
        {
            _held = frame;
            return;
        }
        if (_holdsFirst && _held is { } first)
            base.Transmit(first);
        _holdsFirst = false;
        base.Transmit(frame);
    }
}

using System.Buffers.Binary;
using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The USB boot mode of an RP2040's ROM (B1): a drive, and the vendor interface PICOBOOT (pico-sdk boot/picoboot.h). It behaves as that ROM
/// was seen to behave on an emulator, also where its document says otherwise. The RP2350's is made from its datasheet, 5.6.
/// </summary>
/// <param name="flash">The board's flash chip; its address repeats in the window of 16 MiB.</param>
/// <param name="chip">The chip; its <see cref="VirtualChip.Bootsel"/> gives the traits.</param>
/// <param name="record">Survives the session.</param>
/// <param name="reboot">Called with the delay when it is told to boot.</param>
internal sealed class RomBootsel(VirtualFlash flash, VirtualChip chip, RomRecord record, Action<TimeSpan> reboot) : UsbFunction
{
    /// <summary>The drive's endpoints.</summary>
    public const byte DriveIn = 0x81, DriveOut = 0x02;

    /// <summary>PICOBOOT's endpoints.</summary>
    public const byte Out = 0x03, In = 0x84;

    private const int SectorSize = 4096, Page = 256, CommandSize = 32;
    private const uint Window = 16 * 1024 * 1024, Ram = 0x2000_0000, RamSize = 264 * 1024, RomSize = 16 * 1024;
    private const byte Exclusive = 0x01, Reboot = 0x02, Erase = 0x03, Write = 0x05, ExitXip = 0x06, Reboot2 = 0x0A, Read = 0x84;
    private const byte Info = 0x8B;
    private const uint Ok = 0, UnknownCommand = 1, InvalidCommandLength = 2, InvalidTransferLength = 3, InvalidAddress = 4;
    private const uint BadAlignment = 5, InvalidArgument = 11;

    // Measured on the ROM's clock with a W25Q16JV: 11 sectors in 495 ms, their 173 pages written in 128 ms and read in 56.
    private static readonly TimeSpan EraseOverhead = TimeSpan.FromMicroseconds(100);
    private static readonly TimeSpan PageOverhead = TimeSpan.FromMicroseconds(80);
    private static readonly TimeSpan ReadOverhead = TimeSpan.FromMicroseconds(0.2);   // a byte, beside the bus
    private static readonly TimeSpan CommandTime = TimeSpan.FromMicroseconds(20);

    // Two interfaces (class 8, SCSI, bulk only; vendor), each with a bulk endpoint both ways.
    private static readonly byte[] Descriptor = Convert.FromHexString(
        "09023700020100" + "80FA" + "0904000002" + "08065000" + "07058102400000" + "07050202400000"
        + "0904010002" + "FF000000" + "07050302400000" + "07058402400000");

    private readonly BulkOnlyDrive _drive = new();
    private readonly byte[] _ram = new byte[RamSize];
    private bool _outHalted, _inHalted, _hasExclusive, _hasLeftXip = chip.Bootsel!.IsRp2350;
    private (uint Token, byte Id, uint Status) _last;
    private (uint Address, int Size, bool IsSilent)? _write;   // its data is awaited
    private int _received;
    private byte[] _data = [];
    private byte[]? _answer;   // waits to be read; empty for an acknowledgement
    private bool _awaitsEmpty; // the host's acknowledgement of data that it read
    private TimeSpan _busyUntil;

    public override UsbId Id => chip.Bootsel!.Id;

    public override bool IsRom => true;

    public override ushort UsbVersion => 0x0110;

    public override (TimeSpan First, TimeSpan Last, int Count)? Commands => _commands;

    private (TimeSpan First, TimeSpan Last, int Count)? _commands;

    /// <summary>The serial is that of chip and ROM revision: each board has the same.</summary>
    public override ImmutableArray<string> Strings { get; } = ["Raspberry Pi", chip.Bootsel!.Product, chip.Bootsel!.Serial];

    public override ReadOnlyMemory<byte> Configuration => Descriptor;

    protected override void Configured() => _hasLeftXip = chip.Bootsel!.IsRp2350;

    protected override UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now)
    {
        switch (setup.RequestType, setup.Request)
        {
            case (0x41, 0x41):   // INTERFACE_RESET: the halts stay until they are cleared
                (_write, _answer, _awaitsEmpty, _hasExclusive) = (null, null, false, false);
                return UsbAnswer.Ok(0);
            case (0xC1, 0x42):   // GET_COMMAND_STATUS
                var status = new byte[16];
                BinaryPrimitives.WriteUInt32LittleEndian(status, _last.Token);
                BinaryPrimitives.WriteUInt32LittleEndian(status.AsSpan(4), _last.Status);
                (status[8], status[9]) = (_last.Id, now < _busyUntil || _write is { IsSilent: false } ? (byte)1 : (byte)0);
                return Copy(status, data);
            case (0xA1, 0xFE):   // the drive: one unit
                return Copy([0], data);
            case (0x21, 0xFF):
                _drive.Reset();
                return UsbAnswer.Ok(0);
            default:
                return UsbAnswer.Stall;
        }
    }

    protected override void ClearHalt(byte endpoint)
    {
        (_outHalted, _inHalted) = (_outHalted && endpoint != Out, _inHalted && endpoint != In);
        _drive.ClearHalt(endpoint);
    }

    public override TimeSpan BulkDelay(byte endpoint, TimeSpan now) => endpoint switch
    {
        DriveIn => _drive.HasAnswer ? TimeSpan.Zero : Never,
        DriveOut => TimeSpan.Zero,
        Out when _outHalted => TimeSpan.Zero,
        In when _inHalted => TimeSpan.Zero,
        In when _answer is null => Never,
        _ => now < _busyUntil ? _busyUntil - now : TimeSpan.Zero,
    };

    public override UsbAnswer Bulk(byte endpoint, Span<byte> data, TimeSpan now)
    {
        switch (endpoint)
        {
            case DriveIn:
                return _drive.Read(data);
            case DriveOut:
                return _drive.Write(data);
            case Out when _outHalted:
            case In when _inHalted:
                return UsbAnswer.Stall;
            case Out:
                Take(data, now);
                return UsbAnswer.Ok(data.Length);
            default:
                var answer = _answer!;
                var length = Math.Min(data.Length, answer.Length);
                answer.AsSpan(0, length).CopyTo(data);
                (_answer, _awaitsEmpty) = length < answer.Length ? (answer[length..], false) : (null, answer.Length > 0);
                return UsbAnswer.Ok(length);
        }
    }

    private void Take(ReadOnlySpan<byte> data, TimeSpan now)
    {
        if (_write is { } write)
            TakeData(write, data, now);
        else if (data.IsEmpty)
            _awaitsEmpty = false;
        else if (_awaitsEmpty)
            Halt(InvalidTransferLength);
        else
            Run(data, now);
    }

    private void Run(ReadOnlySpan<byte> command, TimeSpan now)
    {
        if (command.Length != CommandSize || BinaryPrimitives.ReadUInt32LittleEndian(command) != 0x431F_D10B)
        {
            Halt(InvalidCommandLength);
            return;
        }
        _commands = (_commands?.First ?? now, now, (_commands?.Count ?? 0) + 1);
        _last = (Word(command, 4), command[8], Ok);
        _busyUntil = now + CommandTime;
        var length = (int)Word(command, 12);
        var (first, second) = (Word(command, 16), (int)Word(command, 20));
        switch (command[8])
        {
            case Exclusive:
                _hasExclusive = command[16] != 0;
                Acknowledge();
                break;
            case ExitXip:
                _hasLeftXip = true;
                Acknowledge();
                break;
            case Erase:
                EraseRange(first, second);
                Acknowledge();
                break;
            case Write:
                BeginWrite(first, second, length);
                break;
            case Read when length != second:
                Halt(InvalidTransferLength);
                break;
            case Read when ReadRange(first, second) is { } bytes:
                _busyUntil += ReadOverhead * bytes.Length;
                _answer = bytes;
                break;
            case Read:
                Halt(InvalidAddress);
                break;
            case Reboot when !chip.Bootsel!.IsRp2350:
                Leave(TimeSpan.FromMilliseconds(Word(command, 24)));
                break;
            case Reboot2 when chip.Bootsel!.IsRp2350:
                Leave(TimeSpan.FromMilliseconds(second));
                break;
            case Info when chip.Bootsel!.IsRp2350:
                Tell(first, (uint)second, length);
                break;
            default:
                Halt(UnknownCommand);
                break;
        }
    }

    /// <summary>A range that it does not like is acknowledged, and nothing is erased.</summary>
    private void EraseRange(uint address, int size)
    {
        if (!_hasExclusive)
            record.Illegal.Add($"erase of {address:x8} without exclusive access");
        if (address % SectorSize != 0 || size % SectorSize != 0 || !IsFlash(address, size))
        {
            record.Illegal.Add($"erase of {size} bytes at {address:x8}");
            return;
        }
        for (var at = 0; at < size; at += SectorSize)
            _busyUntil += EraseOverhead + flash.Erase(flash.SectorAt(Physical(address + (uint)at)), _busyUntil);
    }

    /// <summary>One misplaced page is taken and never acknowledged; of more, the data stalls.</summary>
    private void BeginWrite(uint address, int size, int length)
    {
        if (length != size || size <= 0)
        {
            Halt(InvalidTransferLength);
            return;
        }
        if (!IsFlash(address, size) && !IsRam(address, size))
        {
            Halt(InvalidAddress);
            return;
        }
        var isMisplaced = IsFlash(address, size) && address % Page != 0;
        if (isMisplaced)
            record.Illegal.Add($"write of {size} bytes at {address:x8}");
        if (isMisplaced && size > Page)
        {
            Halt(BadAlignment);
            return;
        }
        (_write, _received, _data) = ((address, size, isMisplaced), 0, new byte[(size + Page - 1) / Page * Page]);
    }

    private void TakeData((uint Address, int Size, bool IsSilent) write, ReadOnlySpan<byte> data, TimeSpan now)
    {
        var taken = data[..Math.Min(data.Length, write.Size - _received)];
        taken.CopyTo(_data.AsSpan(_received));
        _received += taken.Length;
        if (_received < write.Size)
            return;
        if (write.IsSilent)
        {
            (_write, _last.Status) = (null, BadAlignment);
            return;
        }
        _write = null;
        if (!_hasExclusive)
            record.Illegal.Add($"write of {write.Address:x8} without exclusive access");
        if (IsRam(write.Address, write.Size))
        {
            _data.AsSpan(0, write.Size).CopyTo(_ram.AsSpan((int)(write.Address - Ram)));
        }
        else
        {
            // What was not erased, or is dead, ends well all the same: only a read tells.
            _busyUntil = now;
            for (var at = 0; at < _data.Length; at += Page)
                _busyUntil += PageOverhead + flash.Program(Physical(write.Address + (uint)at), _data.AsSpan(at, Page), _busyUntil).Time;
        }
        Acknowledge();
    }

    /// <summary>Null for an address that is neither flash nor RAM nor ROM. Flash reads as zeros while it is in its XIP mode.</summary>
    private byte[]? ReadRange(uint address, int size)
    {
        if (size <= 0)
            return null;
        if (IsRam(address, size))
            return _ram.AsSpan((int)(address - Ram), size).ToArray();
        if (!IsFlash(address, size))
            return address < RomSize && address + (ulong)size <= RomSize ? new byte[size] : null;
        var bytes = new byte[size];
        for (var at = 0; _hasLeftXip && at < size;)
        {
            var from = Physical(address + (uint)at);
            var piece = Math.Min(size - at, (int)(flash.End - from));
            flash.Read(from, piece).CopyTo(bytes.AsSpan(at));
            at += piece;
        }
        return bytes;
    }

    private void Leave(TimeSpan delay)
    {
        Acknowledge();
        if (record.LeavesIgnored > 0)
            record.LeavesIgnored--;
        else
            reboot(delay);
    }

    /// <summary>GET_INFO of the RP2350: its partition table.</summary>
    private void Tell(uint type, uint flags, int length)
    {
        if (length % 4 != 0 || length is 0 or >= 256 || (type & 0xFF) != 2 || flags != 1)
        {
            Halt(InvalidArgument);
            return;
        }
        var answer = new byte[length];
        ReadOnlySpan<uint> words = [4, 1, record.Partitions is { } count ? 0x100u | (uint)count : 0, 0, 0];
        for (var i = 0; i < words.Length && (i + 1) * 4 <= length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(answer.AsSpan(i * 4), words[i]);
        _answer = answer;
    }

    private void Acknowledge() => _answer = [];

    private void Halt(uint status) =>
        (_outHalted, _inHalted, _last.Status, _write, _answer, _awaitsEmpty) = (true, true, status, null, null, false);

    private bool IsFlash(uint address, int size) =>
        size >= 0 && address >= flash.Base && address + (ulong)size <= flash.Base + (ulong)Window;

    private static bool IsRam(uint address, int size) => size >= 0 && address >= Ram && address + (ulong)size <= Ram + (ulong)RamSize;

    private uint Physical(uint address) => flash.Base + ((address - flash.Base) % (uint)chip.FlashSize);

    private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}

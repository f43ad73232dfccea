using System.Buffers.Binary;
using System.Collections.Immutable;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual;

/// <summary>What this ROM does otherwise than the good one of its family.</summary>
internal sealed record RomTraits
{
    /// <summary>Entered by a jump from software: the first status is errFIRMWARE, which is no fault (facts: "Normalise").</summary>
    public bool ErrFirmware { get; init; }

    public PollTimes PollTimes { get; init; }

    public LeaveManner Leave { get; init; }

    /// <summary>RDP level 1: neither read nor written.</summary>
    public bool ReadProtected { get; init; }

    /// <summary>H7 revision V: an erase shows as busy until CLRSTATUS came twice.</summary>
    public bool SitsInBusy { get; init; }

    /// <summary>A status request that comes too early stalls, whatever the family does.</summary>
    public bool StallsEarlyStatus { get; init; }
}

public enum PollTimes
{
    /// <summary>The family's constants.</summary>
    AsBuilt,
    Zero,

    /// <summary>FFFFFF: four hours and a half.</summary>
    Huge,
}

public enum LeaveManner
{
    /// <summary>Says "manifest", then goes.</summary>
    AnswersFirst,

    /// <summary>Goes without an answer to the last status request.</summary>
    Silent,
}

/// <summary>
/// USB DFU as the ROM of an STM32 speaks it (AN3156, AN2606; facts: "STM32 ROM DFU"). A download only queues, the next status request starts the
/// work, a later one tells how it went. Whatever no host should ever do is written down in <see cref="Illegal"/> and <see cref="Scandals"/>.
/// </summary>
internal sealed class RomDfu : UsbFunction
{
    private const byte Idle = 2, DownloadSync = 3, DownloadBusy = 4, DownloadIdle = 5, ManifestSync = 6, Manifest = 7, UploadIdle = 9, Error = 10;
    private const byte Ok = 0, ErrTarget = 1, ErrWrite = 3, ErrErase = 4, ErrAddress = 8, ErrFirmware = 10, ErrVendor = 11, ErrUnknown = 14, ErrStalled = 15;
    private const byte Download = 1, Upload = 2, GetStatus = 3, ClearStatus = 4, GetState = 5, Abort = 6;
    private static readonly TimeSpan LeaveTime = TimeSpan.FromMilliseconds(3);

    private readonly VirtualChip _chip;
    private readonly VirtualRom _rom;
    private readonly VirtualFlash _flash;
    private readonly RomTraits _traits;
    private readonly byte[] _device;
    private readonly byte[] _configuration;
    private byte _state = Idle;
    private byte _status = Ok;
    private byte _resultStatus;
    private uint _pointer;
    private byte _alternate;
    private (ushort Block, byte[] Data)? _queued;
    private TimeSpan _busyUntil;
    private int _clearsToGo;
    private bool _gone;

    public RomDfu(VirtualChip chip, VirtualFlash flash, RomTraits traits)
    {
        _chip = chip;
        _rom = chip.Rom ?? throw new ArgumentException($"{chip.Name} has no USB DFU.", nameof(chip));
        _flash = flash;
        _traits = traits;
        _pointer = flash.Base;
        if (traits.ErrFirmware)
            (_state, _status) = (Error, ErrFirmware);
        _device = Device([0, 1, 0, 0, 0, 64], UsbId.StmDfu, _rom.Release);
        _configuration = Compose(_rom);
    }

    /// <summary>Asked to start the application there. False when it stays.</summary>
    public required Func<uint, TimeSpan, bool> Leave { get; init; }

    /// <summary>The chip resets (after its protection was taken off).</summary>
    public required Action<TimeSpan> Reset { get; init; }

    /// <summary>Requests that the protocol forbids.</summary>
    public required ICollection<string> Illegal { get; init; }

    /// <summary>Requests that destroy what is somebody else's: mass erase, read unprotect.</summary>
    public required ICollection<string> Scandals { get; init; }

    public override ReadOnlyMemory<byte> DeviceDescriptor => _device;

    public override ReadOnlyMemory<byte> Configuration => _configuration;

    /// <summary>The serial that the ROM makes of the unique id's three words: the first and third added, then the upper half of the second.</summary>
    public static string SerialOf(ReadOnlySpan<byte> uid)
    {
        var sum = unchecked(BinaryPrimitives.ReadUInt32LittleEndian(uid) + BinaryPrimitives.ReadUInt32LittleEndian(uid[8..]));
        return $"{sum:X8}{BinaryPrimitives.ReadUInt16LittleEndian(uid[6..]):X4}";
    }

    /// <summary>Strings as the ROM has them: manufacturer, product, serial, one for each alternate setting.</summary>
    public static ImmutableArray<string> StringsOf(VirtualRom rom, ReadOnlySpan<byte> uid, string? deadSerial) =>
        ["STMicroelectronics", rom.Product, deadSerial ?? SerialOf(uid), .. rom.AlternateNames];

    private static byte[] Compose(VirtualRom rom)
    {
        List<byte> bytes = [9, 2, 0, 0, 1, 1, 0, 0xC0, 50];
        for (var i = 0; i < rom.AlternateNames.Length; i++)
            bytes.AddRange([9, 4, 0, (byte)i, 0, 0xFE, 1, 2, (byte)(4 + i)]);
        bytes.AddRange([9, 0x21, 0x0B, 0xFF, 0, (byte)rom.TransferSize, (byte)(rom.TransferSize >> 8), 0x1A, 1]);
        bytes[2] = (byte)bytes.Count;
        return [.. bytes];
    }

    // The F42x's layout is too long for its ROM: the descriptor claims more than comes (facts: "Alternate settings").
    protected override byte[] StringDescriptor(string text)
    {
        var descriptor = base.StringDescriptor(text);
        if (text.Length > 64)
            descriptor[0] += 4;
        return descriptor;
    }

    protected override byte Alternate(ushort interfaceNumber) => _alternate;

    protected override bool SelectAlternate(ushort interfaceNumber, ushort alternate)
    {
        if (interfaceNumber != 0 || alternate >= _rom.AlternateNames.Length)
            return false;
        _alternate = (byte)alternate;
        return true;
    }

    protected override UsbReply Class(UsbSetup setup, Memory<byte> data, TimeSpan now)
    {
        if (_gone)
            return new UsbReply(UsbStatus.Ok, 0, UsbReply.Never);
        if (setup.Index != 0)
            return Forbid("an interface that is not there", fails: false);
        var hold = TimeSpan.Zero;
        if (_state == DownloadBusy && now < _busyUntil)
        {
            if (!_rom.HoldsStatusWhileBusy || _traits.StallsEarlyStatus)
                return UsbReply.Stall;
            hold = _busyUntil - now;
        }
        var reply = (setup.RequestType, setup.Request) switch
        {
            (0x21, Download) => Queue(setup.Value, data.Span),
            (0xA1, Upload) => Read(setup.Value, data.Span),
            (0xA1, GetStatus) => Status(data.Span, now),
            (0x21, ClearStatus) => Clear(),
            (0xA1, GetState) => Fill(data.Span, [_state]),
            (0x21, Abort) => Stop(),
            _ => Forbid($"request {setup.RequestType:x2} {setup.Request}", fails: false),
        };
        return reply with { Hold = reply.Hold + hold };
    }

    private UsbReply Queue(ushort block, ReadOnlySpan<byte> data)
    {
        if (_state is not (Idle or DownloadIdle))
            return Forbid($"download in state {_state}");
        if (data.Length > _rom.TransferSize)
            return Forbid($"download of {data.Length} bytes, {_rom.TransferSize} are announced");
        if (block == 1 && !data.IsEmpty)
            return Forbid("download with the reserved block number 1");
        _queued = data.IsEmpty ? null : (block, data.ToArray());
        _state = data.IsEmpty ? ManifestSync : DownloadSync;
        return UsbReply.Ok(data.Length);
    }

    private UsbReply Read(ushort block, Span<byte> data)
    {
        if (_state is not (Idle or UploadIdle))
            return Forbid($"upload in state {_state}");
        if (data.Length > _rom.TransferSize || data.IsEmpty)
            return Forbid($"upload of {data.Length} bytes, {_rom.TransferSize} are announced");
        if (block == 0)
            return Fill(data, [0x00, 0x21, 0x41, 0x92]);
        if (block == 1)
            return Forbid("upload with the reserved block number 1");
        var address = AddressOf(block);
        if (_traits.ReadProtected || !IsFlash || !_flash.Contains(address, 1))
        {
            (_state, _status) = (Error, _traits.ReadProtected ? ErrVendor : ErrAddress);
            return UsbReply.Stall;
        }
        _state = UploadIdle;
        return Fill(data, _flash.Read(address, (int)Math.Min((uint)data.Length, _flash.End - address)));
    }

    private UsbReply Status(Span<byte> data, TimeSpan now)
    {
        switch (_state)
        {
            case DownloadSync:
                var time = Work(now);
                (_state, _busyUntil) = (DownloadBusy, now + time);
                return Tell(data, Ok, DownloadBusy, _queued is { Block: 0, Data: [0x41 or 0x92, ..] } ? _rom.ErasePoll : _rom.CommandPoll);
            case DownloadBusy when _clearsToGo > 0:
                return Tell(data, Ok, DownloadBusy, _rom.ErasePoll);
            case DownloadBusy:
                (_status, _state) = (_resultStatus, _resultStatus == Ok ? DownloadIdle : Error);
                return Tell(data, _status, _state);
            case ManifestSync:
                return StartApplication(data);
            default:
                return Tell(data, _status, _state);
        }
    }

    private UsbReply StartApplication(Span<byte> data)
    {
        _gone = Leave(_pointer, LeaveTime);
        _state = Idle; // if it stays
        return _gone && _traits.Leave == LeaveManner.Silent
            ? new UsbReply(UsbStatus.Ok, 0, UsbReply.Never)
            : Tell(data, Ok, Manifest, TimeSpan.FromMilliseconds(1));
    }

    private UsbReply Tell(Span<byte> data, byte status, byte state, TimeSpan poll = default)
    {
        var milliseconds = _traits.PollTimes switch
        {
            PollTimes.Zero => 0,
            PollTimes.Huge when state == DownloadBusy => 0xFF_FFFF,
            _ => (int)poll.TotalMilliseconds,
        };
        return Fill(data, [status, (byte)milliseconds, (byte)(milliseconds >> 8), (byte)(milliseconds >> 16), state, 0]);
    }

    private UsbReply Clear()
    {
        if (_state == DownloadBusy && _clearsToGo > 0)
        {
            _clearsToGo--;
            return UsbReply.Ok();
        }
        // Outside of an error it is one itself, as in ST's published library.
        (_state, _status) = _state == Error ? (Idle, Ok) : (Error, ErrUnknown);
        return UsbReply.Ok();
    }

    private UsbReply Stop()
    {
        if (_state is Idle or DownloadSync or DownloadIdle or ManifestSync or UploadIdle)
            (_state, _status, _queued) = (Idle, Ok, null);
        return UsbReply.Ok();
    }

    /// <summary>Does what was queued and tells how long it takes.</summary>
    private TimeSpan Work(TimeSpan now)
    {
        var (block, data) = _queued ?? (0, []);
        _resultStatus = Ok;
        if (_traits.ReadProtected && !(block == 0 && data is [0x92]))
            return Fail(ErrVendor);
        if (block >= 2)
            return Write(AddressOf(block), data, now);
        switch (data)
        {
            case [0x21, _, _, _, _]:
                var target = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(1));
                if (!IsFlash || !_flash.Contains(target, 1))
                    return Fail(ErrTarget);
                _pointer = target;
                return TimeSpan.Zero;
            case [0x41, _, _, _, _]:
                var page = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(1));
                if (!IsFlash || !_flash.Contains(page, 1))
                    return Fail(ErrTarget);
                if (_flash.IsProtected(_flash.SectorAt(page)))
                    return Fail(ErrErase);
                _clearsToGo = _traits.SitsInBusy ? 2 : 0;
                return _flash.Erase(_flash.SectorAt(page), now);
            case [0x41]:
                Scandals.Add("mass erase");
                return EraseAll(now);
            case [0x92]:
                Scandals.Add("read unprotect");
                var time = EraseAll(now);
                Reset(time);
                return time;
            default:
                Illegal.Add($"command {Convert.ToHexString(data)}");
                return Fail(ErrStalled);
        }
    }

    private TimeSpan Write(uint address, byte[] data, TimeSpan now)
    {
        if (!IsFlash || !_flash.Contains(address, data.Length))
            return Fail(ErrAddress);
        if (_flash.IsProtected(_flash.SectorAt(address)) || _flash.IsProtected(_flash.SectorAt(address + (uint)data.Length - 1)))
            return Fail(ErrWrite);
        // A short last unit is filled up with ones. Whether the cells took it nobody looks: that shows when it is read back.
        var units = (data.Length + _chip.ProgramUnit - 1) / _chip.ProgramUnit;
        var whole = new byte[Math.Min(units * _chip.ProgramUnit, (int)(_flash.End - address))];
        whole.AsSpan(data.Length).Fill(0xFF);
        data.CopyTo(whole, 0);
        return _flash.Program(address, whole, now).Time;
    }

    private TimeSpan EraseAll(TimeSpan now)
    {
        var begin = now;
        for (var sector = 0; sector < _chip.Sectors.Length; sector++)
            now += _flash.Erase(sector, now);
        return now - begin;
    }

    private TimeSpan Fail(byte status)
    {
        _resultStatus = status;
        return TimeSpan.Zero;
    }

    private uint AddressOf(ushort block) => _pointer + ((block - 2u) * (uint)_rom.TransferSize);

    // Some chips show the same layout on several alternates: all of them are the flash.
    private bool IsFlash => _rom.AlternateNames[_alternate].StartsWith("@Internal Flash", StringComparison.Ordinal);

    private UsbReply Forbid(string what, bool fails = true)
    {
        Illegal.Add(what);
        if (fails)
            (_state, _status, _queued) = (Error, ErrStalled, null);
        return UsbReply.Stall;
    }
}

using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The USB DFU of an STM32's ROM (AN3156, AN2606, UM0424). It checks every request: one that AN3156 does not allow stalls, and is kept in
/// <see cref="RomRecord.Illegal"/>.
/// </summary>
/// <param name="flash">The chip's flash.</param>
/// <param name="chip">The chip; its <see cref="VirtualChip.Rom"/> gives the traits.</param>
/// <param name="serial">iSerial.</param>
/// <param name="behaviour">Its deviations from the documents.</param>
/// <param name="record">Survives the session.</param>
/// <param name="leave">Called with the address when it jumps.</param>
internal sealed class RomDfu(
    VirtualFlash flash, VirtualChip chip, string serial, RomBehaviour behaviour, RomRecord record, Action<uint> leave) : UsbFunction
{
    private const byte StateIdle = 2, StateSync = 3, StateBusy = 4, StateDownloadIdle = 5, StateManifestSync = 6, StateManifest = 7;
    private const byte StateUploadIdle = 9, StateError = 10;
    private const byte StatusOk = 0, StatusTarget = 1, StatusWrite = 3, StatusErase = 4, StatusAddress = 8, StatusFirmware = 10;
    private const byte StatusVendor = 11, StatusStalled = 15;

    private readonly VirtualRom _rom = chip.Rom!;
    private readonly ImmutableArray<(uint Start, uint End)> _otherMemory = OtherMemory(chip.Rom!);
    private byte _state = behaviour.AfterJump ? StateError : StateIdle;
    private byte _status = behaviour.AfterJump ? StatusFirmware : StatusOk;
    private byte _alternate;
    private uint _pointer = chip.FlashBase;
    private byte[]? _queued;
    private ushort _block;
    private TimeSpan _busyUntil;
    private byte _result;
    private bool _isStuck = behaviour.StuckInBusy;
    private int _clears;
    private bool _stays;

    public override (TimeSpan First, TimeSpan Last, int Count)? Commands => _commands;

    private (TimeSpan First, TimeSpan Last, int Count)? _commands;

    public override bool IsRom => true;

    public RomRecord Record => record;

    public override UsbId Id => DfuSeDriver.Id;

    public override ushort Release => _rom.Release;

    /// <summary>The older ROMs (bcdDevice 22.00) say USB 1.0, as in many a listing of an F4's descriptors.</summary>
    public override ushort UsbVersion => _rom.Release == 0x2200 ? (ushort)0x0100 : (ushort)0x0200;

    public override ImmutableArray<string> Strings { get; } =
        ["STMicroelectronics", chip.Rom!.Product, serial, .. chip.Rom!.AlternateNames];

    public override ReadOnlyMemory<byte> Configuration { get; } = Describe(chip.Rom!);

    protected override byte Alternate => _alternate;

    protected override bool SelectAlternate(byte alternate)
    {
        if (alternate >= _rom.AlternateNames.Length)
            return false;
        _alternate = alternate;
        return true;
    }

    protected override UsbAnswer ClassRequest(UsbSetup setup, Span<byte> data, TimeSpan now)
    {
        _commands = (_commands?.First ?? now, now, (_commands?.Count ?? 0) + 1);
        return (setup.RequestType, setup.Request) switch
        {
            (0x21, 1) => Download(setup.Value, data),
            (0xA1, 2) => Upload(setup.Value, data),
            (0xA1, 3) => GetStatus(data, now),
            (0x21, 4) => ClearStatus(),
            (0xA1, 5) => Copy([_state], data),
            (0x21, 6) => Abort(),
            _ => Refuse($"request {setup.Request} of type {setup.RequestType:x2}"),
        };
    }

    private UsbAnswer Download(ushort block, ReadOnlySpan<byte> data)
    {
        if (_state is not (StateIdle or StateDownloadIdle))
            return Refuse($"download in state {_state}");
        if (data.Length > _rom.TransferSize || (block == 1 && data.Length > 0))
            return Refuse($"download of {data.Length} bytes as block {block}");
        (_queued, _block) = (data.ToArray(), block);
        _state = data.Length == 0 ? StateManifestSync : StateSync;
        return UsbAnswer.Ok(data.Length);
    }

    private UsbAnswer GetStatus(Span<byte> data, TimeSpan now)
    {
        var delay = TimeSpan.Zero;
        var poll = TimeSpan.Zero;
        switch (_state)
        {
            case StateSync:
                poll = Begin(now);
                _state = StateBusy;
                break;
            case StateBusy when _isStuck:
                poll = _rom.CommandPoll;
                break;
            case StateBusy when now < _busyUntil && _rom.SaysBusy:
                poll = _rom.CommandPoll;
                break;
            case StateBusy when now < _busyUntil && !_rom.HoldsStatusWhileBusy:
                return UsbAnswer.Stall;   // too early, but no error: the state stays
            case StateBusy:
                // Only this answer ends the state: a download before it is refused.
                delay = now < _busyUntil ? _busyUntil - now : TimeSpan.Zero;
                (_status, _state) = (_result, _result == StatusOk ? StateDownloadIdle : StateError);
                break;
            case StateManifestSync:
                _state = StateManifest;
                _stays = record.LeavesIgnored > 0;
                if (_stays)
                {
                    record.LeavesIgnored--;
                    break;
                }
                leave(_pointer);
                if (behaviour.LeaveIsSilent)
                    return UsbAnswer.Ok(0, TimeSpan.FromSeconds(30));   // it leaves before it answers
                break;
            case StateManifest:
                break;
        }
        poll = behaviour.PollTime ?? poll;
        Span<byte> answer = [_status, 0, 0, 0, _state, 0];
        var milliseconds = (int)poll.TotalMilliseconds;
        (answer[1], answer[2], answer[3]) = ((byte)milliseconds, (byte)(milliseconds >> 8), (byte)(milliseconds >> 16));
        return Copy(answer, data) with { Delay = delay };
    }

    /// <summary>Starts the queued command; returns the poll time that the ROM announces, which is a constant.</summary>
    private TimeSpan Begin(TimeSpan now)
    {
        var data = _queued!;
        _queued = null;
        (_result, _busyUntil) = (StatusOk, now);
        if (_block >= 2)
        {
            Write(AddressOf(_block, data.Length), data, now);
            return _rom.CommandPoll;
        }
        switch (data)
        {
            case [0x21, _, _, _, _]:
                var address = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(1));
                if (!flash.Contains(address, 1) && !_otherMemory.Any(area => address >= area.Start && address < area.End))
                    _result = StatusAddress;
                else
                    _pointer = address;
                return _rom.CommandPoll;
            case [0x41, _, _, _, _]:
                Erase(BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(1)), now);
                return _rom.ErasePoll;
            case [0x41] or [0x92]:
                record.WasMassErased = true;
                for (var sector = 0; sector < chip.Sectors.Length; sector++)
                    _busyUntil += flash.Erase(sector, _busyUntil);
                return _rom.ErasePoll;
            default:
                _result = Deny(StatusTarget, $"command {Convert.ToHexString(data)}");
                return _rom.CommandPoll;
        }
    }

    private void Erase(uint address, TimeSpan now)
    {
        if (behaviour.IsReadProtected)
            _result = StatusVendor;
        else if (!IsFlashSelected || !flash.Contains(address, 1))
            _result = Deny(StatusErase, $"erase of {address:x8} in alternate {_alternate}");
        else if (flash.IsProtected(flash.SectorAt(address)))
            _result = StatusErase;
        else
            _busyUntil = now + flash.Erase(flash.SectorAt(address), now);
    }

    private void Write(uint address, byte[] data, TimeSpan now)
    {
        if (behaviour.IsReadProtected)
            _result = StatusVendor;
        else if (!IsFlashSelected || !flash.Contains(address, data.Length))
            _result = Deny(StatusAddress, $"write of {data.Length} bytes to {address:x8} in alternate {_alternate}");
        else if (flash.IsProtected(flash.SectorAt(address)) || flash.IsProtected(flash.SectorAt(address + (uint)data.Length - 1)))
            _result = StatusWrite;
        else
            // The ROM does not check the cells: only a read-back does.
            _busyUntil = now + flash.Program(address, data, now).Time;
    }

    private UsbAnswer Upload(ushort block, Span<byte> data)
    {
        if (_state is not (StateIdle or StateUploadIdle) || data.Length > _rom.TransferSize || block == 1)
            return Refuse($"upload of {data.Length} bytes as block {block} in state {_state}");
        if (block == 0)
            return Copy([0x00, 0x21, 0x41, 0x92], data);
        if (behaviour.IsReadProtected)
        {
            (_state, _status) = (StateError, StatusVendor);
            return UsbAnswer.Stall;
        }
        var address = AddressOf(block, data.Length);
        if (!flash.Contains(address, data.Length))
            return Refuse($"upload from {address:x8}");
        _state = StateUploadIdle;
        return Copy(flash.Read(address, data.Length), data);
    }

    /// <summary>AN3156 can be read either way.</summary>
    private uint AddressOf(ushort block, int length) =>
        _pointer + ((uint)(block - 2) * (uint)(behaviour.CountsInRequests ? length : _rom.TransferSize));

    private UsbAnswer ClearStatus()
    {
        if (_state == StateBusy && _isStuck && ++_clears == 2)
        {
            _isStuck = false;
            (_state, _status) = (StateIdle, StatusOk);
            return UsbAnswer.Ok(0);
        }
        if (_state == StateBusy && _isStuck)
            return UsbAnswer.Ok(0);
        if (_state != StateError)
            return Refuse($"clear status in state {_state}");
        (_state, _status) = (StateIdle, StatusOk);
        return UsbAnswer.Ok(0);
    }

    private UsbAnswer Abort()
    {
        if (_state is StateError or StateBusy || (_state == StateManifest && !_stays))
            return Refuse($"abort in state {_state}");
        (_state, _queued) = (StateIdle, null);
        return UsbAnswer.Ok(0);
    }

    private bool IsFlashSelected => _rom.AlternateNames[_alternate].StartsWith("@Internal Flash", StringComparison.Ordinal);

    private byte Deny(byte status, string request)
    {
        record.Illegal.Add(request);
        return status;
    }

    private UsbAnswer Refuse(string request)
    {
        record.Illegal.Add(request);
        if (_state != StateBusy)
            (_state, _status) = (StateError, StatusStalled);
        return UsbAnswer.Stall;
    }

    private static byte[] Describe(VirtualRom rom)
    {
        var bytes = new List<byte> { 9, 2, 0, 0, 1, 1, 0, 0xC0, 50 };
        for (byte alternate = 0; alternate < rom.AlternateNames.Length; alternate++)
            bytes.AddRange([9, 4, 0, alternate, 0, 0xFE, 1, 2, (byte)(4 + alternate)]);
        bytes.AddRange([9, 0x21, 0x0B, 0xFF, 0, (byte)rom.TransferSize, (byte)(rom.TransferSize >> 8), 0x1A, 0x01]);
        (bytes[2], bytes[3]) = ((byte)bytes.Count, (byte)(bytes.Count >> 8));
        return [.. bytes];
    }

    // Option bytes, OTP and other areas can be addressed too: their starts, with room enough.
    private static ImmutableArray<(uint, uint)> OtherMemory(VirtualRom rom) =>
    [
        .. rom.AlternateNames.Where(name => !name.StartsWith("@Internal Flash", StringComparison.Ordinal))
            .SelectMany(name => name.Split('/')).Where(part => part.StartsWith("0x", StringComparison.Ordinal))
            .Select(part => uint.Parse(part.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture))
            .Select(start => (start, start + 1024)),
    ];
}

/// <summary>A ROM's deviations from the documents.</summary>
internal sealed record RomBehaviour
{
    /// <summary>Software jumped to it: it finds no firmware mark and reports that at once (errFIRMWARE).</summary>
    public bool AfterJump { get; init; }

    /// <summary>RDP level 1.</summary>
    public bool IsReadProtected { get; init; }

    /// <summary>The address of a block is its number times the length of this very request, not wTransferSize.</summary>
    public bool CountsInRequests { get; init; }

    /// <summary>It jumps without an answer to the last request.</summary>
    public bool LeaveIsSilent { get; init; }

    /// <summary>The poll time that it announces for everything; null for its own constants.</summary>
    public TimeSpan? PollTime { get; init; }

    /// <summary>H7 revision V: stays in dfuDNBUSY until its status was cleared twice.</summary>
    public bool StuckInBusy { get; init; }
}

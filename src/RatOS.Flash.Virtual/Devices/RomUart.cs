using System.Buffers.Binary;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The UART bootloader of an STM32's ROM (AN3155, AN2606). It checks every request: one that AN3155 does not allow is refused, and kept in
/// <see cref="RomRecord.Illegal"/>. A wrong checksum is noise: refused, but not illegal.
/// </summary>
/// <remarks>
/// Assumptions where AN3155 is silent: it waits for ever for the rest of a command; a first byte other than 7F leaves it at an unusable
/// speed; pages that do not exist are refused; while it erases or programs, its UART holds one byte and loses the rest.
/// </remarks>
/// <param name="flash">The chip's flash.</param>
/// <param name="chip">The chip; its <see cref="VirtualChip.Rom"/> gives the traits.</param>
/// <param name="behaviour">Its deviations from the documents.</param>
/// <param name="record">Survives the session.</param>
/// <param name="leave">Called with the address when it jumps.</param>
internal sealed class RomUart(
    VirtualFlash flash, VirtualChip chip, RomBehaviour behaviour, RomRecord record, Action<uint> leave) : SerialProgram
{
    private const byte Ack = 0x79, Nack = 0x1F, First = 0x7F;
    private const int SlowestRate = 1200, FastestRate = 115_200;

    private static readonly SerialMode NoSpeed = new(0, EvenParity: true);

    private readonly VirtualRom _rom = chip.Rom!;
    private readonly List<byte> _part = [];   // the part of a command that has arrived
    private SerialMode? _mode;                // null until the first byte
    private bool _isSynchronised;
    private byte? _command;                   // null while it waits for one
    private uint? _address;
    private TimeSpan _now;
    private TimeSpan _busyUntil;
    private bool _isProtected = behaviour.IsReadProtected;
    private bool _hasLeft;

    public RomRecord Record => record;

    /// <summary>That of the host whose 7F came first; before that byte none.</summary>
    public override SerialMode Mode => _mode ?? NoSpeed;

    private byte EraseCommand => _rom.UartVersion >= 0x30 ? (byte)0x44 : (byte)0x43;

    public override void Hear(SerialMode mode, ReadOnlySpan<byte> bytes)
    {
        if (_mode is null && bytes.Length > 0)
            _mode = bytes[0] == First && mode is { EvenParity: true, Baud: >= SlowestRate and <= FastestRate } ? mode : NoSpeed;
    }

    public override void Receive(ReadOnlySpan<byte> bytes, TimeSpan now)
    {
        if (_mode is null || _mode == NoSpeed)
            return;
        _now = now;
        if (now < _busyUntil)
            bytes = bytes[..Math.Min(1, bytes.Length)];
        foreach (var value in bytes)
        {
            if (!_hasLeft)
                Take(value);
        }
    }

    private void Take(byte value)
    {
        if (!_isSynchronised)
        {
            _isSynchronised = true;
            Answer(Ack);
            return;
        }
        _part.Add(value);
        var length = (_command, _address) switch
        {
            (null, _) => 2,
            (0x11 or 0x21 or 0x31, null) => 5,
            (0x11, _) => 2,
            (0x31, _) => _part[0] + 3,
            _ => EraseLength(),
        };
        if (_part.Count < length)
            return;
        var part = _part.ToArray();
        _part.Clear();
        var (command, address) = (_command, _address);
        (_command, _address) = (null, null);
        switch (command)
        {
            case null:
                Begin(part);
                break;
            case 0x11 or 0x21 or 0x31 when address is null:
                TakeAddress(command.Value, part);
                break;
            case 0x11:
                Read(address!.Value, part);
                break;
            case 0x31:
                Write(address!.Value, part);
                break;
            default:
                Erase(part);
                break;
        }
    }

    /// <summary>N and N + 1 pages and a sum; a special code and a sum.</summary>
    private int EraseLength() => (EraseCommand, _part.Count) switch
    {
        (0x43, _) => _part[0] == 0xFF ? 2 : _part[0] + 3,
        (_, 1) => int.MaxValue,
        _ => _part[0] == 0xFF && _part[1] >= 0xF0 ? 3 : (((_part[0] << 8) | _part[1]) * 2) + 5,
    };

    private void Begin(byte[] part)
    {
        var command = part[0];
        if ((command ^ part[1]) != 0xFF)
        {
            Answer(Nack);
            return;
        }
        switch (command)
        {
            case 0x00:
                byte[] commands = [0x00, 0x01, 0x02, 0x11, 0x21, 0x31, EraseCommand, 0x63, 0x73, 0x82, 0x92];
                Answer([Ack, (byte)commands.Length, _rom.UartVersion, .. commands, Ack]);
                break;
            case 0x01:
                Answer(Ack, _rom.UartVersion, 0, 0, Ack);
                break;
            case 0x02:
                Answer(Ack, 1, (byte)(_rom.UartId >> 8), (byte)_rom.UartId, Ack);
                break;
            case 0x92:
                Answer(Ack);
                EraseAll();
                _isProtected = false;
                Answer(Ack);
                Reset(ResetRequest.Plain, _busyUntil - _now);
                break;
            case 0x63 or 0x73 or 0x82:
                Deny($"command {command:x2}, which is not allowed here");
                break;
            case 0x11 or 0x21 or 0x31 when !_isProtected:
                _command = command;
                Answer(Ack);
                break;
            case 0x43 or 0x44 when command == EraseCommand && !_isProtected:
                _command = command;
                Answer(Ack);
                break;
            case 0x11 or 0x21 or 0x31 or 0x43 or 0x44 when _isProtected:
                Answer(Nack);
                break;
            default:
                Deny($"command {command:x2}, which is not in its list");
                break;
        }
    }

    private void TakeAddress(byte command, byte[] part)
    {
        if (!AddsUp(part))
        {
            Answer(Nack);
            return;
        }
        var address = BinaryPrimitives.ReadUInt32BigEndian(part);
        if (!flash.Contains(address, 1) || (command == 0x31 && address % 4 != 0))
        {
            Deny($"address {address:x8} in command {command:x2}");
            return;
        }
        if (command != 0x21)
        {
            (_command, _address) = (command, address);
            Answer(Ack);
            return;
        }
        if (record.LeavesIgnored > 0)
        {
            record.LeavesIgnored--;
            Answer(Ack);
            return;
        }
        if (!behaviour.LeaveIsSilent)
            Answer(Ack);
        _hasLeft = true;
        leave(address);
    }

    private void Read(uint address, byte[] part)
    {
        var count = part[0] + 1;
        if ((part[0] ^ part[1]) != 0xFF)
            Answer(Nack);
        else if (!flash.Contains(address, count))
            Deny($"read of {count} bytes from {address:x8}");
        else
            Answer([Ack, .. flash.Read(address, count)]);
    }

    private void Write(uint address, byte[] part)
    {
        var data = part.AsSpan(1, part[0] + 1);
        if (!AddsUp(part))
        {
            Answer(Nack);
            return;
        }
        if (data.Length % 4 != 0 || !flash.Contains(address, data.Length))
        {
            Deny($"write of {data.Length} bytes to {address:x8}");
            return;
        }
        // Neither write protection nor a worn cell is reported: only a read-back shows it.
        Work(flash.Program(address, data, _now).Time);
        Answer(Ack);
    }

    private void Erase(byte[] part)
    {
        var width = EraseCommand == 0x43 ? 1 : 2;
        if (!AddsUp(part, isMassOfOne: width == 1 && part.Length == 2))
        {
            Answer(Nack);
            return;
        }
        if (part.Length == width + 1)
        {
            if (width == 2 && part[1] < 0xFD)
            {
                Deny($"erase with the reserved code ff{part[1]:x2}");
                return;
            }
            EraseAll();
            Answer(Ack);
            return;
        }
        var pages = new List<int>();
        for (var at = width; at < part.Length - 1; at += width)
            pages.Add(width == 1 ? part[at] : (part[at] << 8) | part[at + 1]);
        if (pages.Exists(page => page >= chip.Sectors.Length))
        {
            Deny($"erase of page {pages.Max()} of {chip.Sectors.Length}");
            return;
        }
        // Protected pages stay, without an error.
        foreach (var page in pages)
            Work(flash.Erase(page, _busyUntil > _now ? _busyUntil : _now));
        Answer(Ack);
    }

    private void EraseAll()
    {
        record.WasMassErased = true;
        for (var sector = 0; sector < chip.Sectors.Length; sector++)
            Work(flash.Erase(sector, _busyUntil > _now ? _busyUntil : _now));
    }

    /// <summary>All bytes together give 0; the old mass erase alone sends FF and its complement.</summary>
    private static bool AddsUp(byte[] part, bool isMassOfOne = false)
    {
        byte sum = 0;
        foreach (var value in part)
            sum ^= value;
        return sum == (isMassOfOne ? 0xFF : 0);
    }

    private void Deny(string request)
    {
        record.Illegal.Add(request);
        Answer(Nack);
    }

    private void Work(TimeSpan time) => _busyUntil = (_busyUntil > _now ? _busyUntil : _now) + time;

    private void Answer(params ReadOnlySpan<byte> bytes) => Send(bytes.ToArray(), _busyUntil > _now ? _busyUntil - _now : TimeSpan.Zero);
}

using System.Buffers.Binary;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Klipper firmware on a chip: its message protocol (klipper: src/command.c) and the commands that a flasher uses, held by a recording of
/// the real firmware. All other commands of the dictionary are accepted and do nothing.
/// </summary>
/// <param name="firmware">The build: its dictionary holds the commands and their numbers.</param>
/// <param name="chip">The chip it runs on.</param>
/// <param name="flash">The chip's flash, for <c>debug_read</c>.</param>
/// <param name="uid">The chip's unique id, 12 bytes in memory order.</param>
/// <param name="started">Its start, from which its clock counts.</param>
/// <param name="link">The link of the build. On UART it knows the request for the bootloader.</param>
internal sealed class KlipperProgram(
    VirtualFirmware firmware, VirtualChip chip, VirtualFlash flash, byte[] uid, McuLink link = McuLink.Usb, TimeSpan started = default)
    : McuConsole(link)
{
    /// <summary>At the baud of its build.</summary>
    public override SerialMode Mode { get; } = firmware.Link.Rate is { } baud ? new(baud) : SerialMode.Klipper;

    private const int BlockMin = 5;
    private const int BlockMax = 64;
    private const int HeaderSize = 2;
    private const int TrailerSize = 3;
    private const byte Sync = 0x7E;
    private static readonly TimeSpan BlockTime = TimeSpan.FromMicroseconds(100);

    private int _expected;          // sequence number, 0-15
    private bool _needSync;
    private bool _needValid;        // the last block was refused: not again until a valid one
    private bool _isShutdown;
    private int _shutdownReason;
    private bool _hasOids;
    private bool _isConfigured;
    private uint _configCrc;

    // The request for the bootloader: a block with a wrong CRC.
    private static ReadOnlySpan<byte> BootloaderRequest => " \x1c Request Serial Bootloader!! ~"u8;

    /// <summary>Ends a block where the firmware shuts down, which jumps out of the parser.</summary>
    private sealed class ShutdownException(string reason) : Exception(reason);

    protected override (bool IsComplete, int Done) Parse(ReadOnlySpan<byte> buffer)
    {
        if (_needSync && !buffer.IsEmpty)
            return Resynchronise(buffer);
        if (buffer.Length < BlockMin)
            return (false, 0);
        int length = buffer[0];
        if (length is < BlockMin or > BlockMax || (buffer[1] & ~0x0F) != 0x10)
            return Refuse(buffer);
        if (buffer.Length < length)
            return (false, 0);
        var block = buffer[..length];
        var crc = BinaryPrimitives.ReadUInt16BigEndian(block[^3..]);
        if (block[^1] != Sync || VirtualCrc.Compute(block[..^TrailerSize]) != crc)
            return Refuse(buffer);
        _needValid = false;
        Work(BlockTime);
        if ((block[1] & 0x0F) != _expected)
        {
            Answer([]);
            return (true, length);
        }
        _expected = (_expected + 1) & 0x0F;
        try
        {
            Run(block);
        }
        catch (ShutdownException shutdown)
        {
            Shutdown(shutdown.Message);
            LeaveParser();
            return (true, length);
        }
        if (!Halted)
            Answer([]);
        return (true, length);
    }

    private (bool IsComplete, int Done) Refuse(ReadOnlySpan<byte> buffer)
    {
        if (buffer[0] == Sync)
            return (true, 1);
        _needSync = true;
        return Resynchronise(buffer);
    }

    private (bool IsComplete, int Done) Resynchronise(ReadOnlySpan<byte> buffer)
    {
        var done = buffer.IndexOf(Sync) + 1;
        _needSync = done == 0;
        if (done == 0)
            done = buffer.Length;
        if (Link == McuLink.Uart && buffer[..done].SequenceEqual(BootloaderRequest))
        {
            // The reset is the only answer: a NAK would not leave the buffer in time.
            Reset(ResetRequest.Bootloader, TimeSpan.Zero);
        }
        else if (!_needValid)
        {
            Answer([]);
        }
        _needValid = true;
        return (true, done);
    }

    /// <summary>Shuts the firmware down for a reason other than a command.</summary>
    public void Stop(string reason) => Shutdown(reason);

    public bool IsShutdown => _isShutdown;

    /// <summary>Called at every reset command; false: the command does nothing.</summary>
    public Func<bool> HearsReset { get; init; } = static () => true;

    /// <summary>What <c>debug_read</c> reads.</summary>
    public ChipMemory Memory
    {
        get => field ??= new ChipMemory(flash, uid, FirmwareBuild.Of(chip, firmware, firmware.Statement, chip.UsualClock));
        init;
    }

    /// <summary>Called at every <c>debug_read</c>: how it fails, or not.</summary>
    public Func<ReadFault> OnRead { get; init; } = static () => ReadFault.None;

    /// <summary>Ends the shutdown, as a reset that takes no time.</summary>
    public void Revive() => _isShutdown = false;

    /// <summary>Runs the commands of a block.</summary>
    private void Run(ReadOnlySpan<byte> block)
    {
        var end = block.Length - TrailerSize;
        Span<int> values = stackalloc int[32];
        for (var at = HeaderSize; at < end && !Halted;)
        {
            int number = block[at++];
            if ((number & 0x80) != 0)
                number = ((number & 0x7F) << 7) | block[at++];
            if (number == 0 || firmware.Command(number) is not { } command)
                throw new ShutdownException("Invalid command");
            ReadOnlySpan<byte> data = default;
            for (var i = 0; i < command.Parameters.Length; i++)
            {
                if (at >= end)
                    throw new ShutdownException("Command parser error");
                if (command.Parameters[i])
                {
                    int length = block[at++];
                    if (at + length > end)
                        throw new ShutdownException("Command parser error");
                    data = block.Slice(at, length);
                    at += length;
                }
                else
                {
                    values[i] = ReadNumber(block, ref at);
                }
            }
            Run(command.Name, values, data);
        }
    }

    private void Run(string command, ReadOnlySpan<int> values, ReadOnlySpan<byte> data)
    {
        switch (command)
        {
            case "identify":
                Identify((uint)values[0], (byte)values[1]);
                break;
            case "get_config":
                Respond("config", _isConfigured ? 1 : 0, (int)_configCrc, _isShutdown ? 1 : 0, _isConfigured ? 1024 : 0);
                break;
            case "get_uptime":
                Respond("uptime", (int)(Ticks >> 32), (int)Ticks);
                break;
            case "get_clock":
                Respond("clock", (int)Ticks);
                break;
            case "emergency_stop":
                throw new ShutdownException("Command request");
            case "clear_shutdown":
                if (!_isShutdown)
                    throw new ShutdownException("Shutdown cleared when not shutdown");
                _isShutdown = false;
                break;
            case "reset":
                if (!HearsReset())
                    break;
                Halt(ResetRequest.SkipKatapult);
                break;
            case "config_reset":
                if (!_isShutdown)
                    throw new ShutdownException("config_reset only available when shutdown");
                Halt(ResetRequest.Plain);
                break;
            case "debug_read":
                DebugRead(values[0], (uint)values[1]);
                break;
            case "debug_write":
                Halt(ResetRequest.Crash); // a flasher must never write memory
                break;
            case "debug_ping":
                Respond("pong", data);
                break;
            case "debug_nop":
                break;
            default:
                if (_isShutdown)
                    Respond("is_shutdown", _shutdownReason);
                else
                    Configure(command, values);
                break;
        }
    }

    /// <summary>Commands that a shutdown refuses.</summary>
    private void Configure(string command, ReadOnlySpan<int> values)
    {
        if (command == "allocate_oids")
        {
            if (_hasOids)
                throw new ShutdownException("oids already allocated");
            _hasOids = true;
        }
        else if (command == "finalize_config")
        {
            if (_isConfigured)
                throw new ShutdownException("Already finalized");
            (_isConfigured, _configCrc) = (true, (uint)values[0]);
        }
    }

    private void Identify(uint offset, int count)
    {
        var dictionary = firmware.CompressedDictionary.Span;
        var piece = offset < dictionary.Length ? dictionary[(int)offset..Math.Min((int)offset + count, dictionary.Length)] : [];
        Span<byte> payload = stackalloc byte[BlockMax + 256];
        var length = 0;
        WriteNumber(payload, ref length, 0);
        WriteNumber(payload, ref length, (int)offset);
        // An answer that does not fit into a block is not sent.
        if (piece.Length >= BlockMax - TrailerSize - HeaderSize - length)
            return;
        payload[length++] = (byte)piece.Length;
        piece.CopyTo(payload[length..]);
        Answer(payload[..(length + piece.Length)]);
    }

    private void DebugRead(int order, uint address)
    {
        var fault = OnRead();
        if (fault == ReadFault.ShutsDown)
            throw new ShutdownException("Command request");
        if (fault == ReadFault.Hangs || Memory.Read(address, order switch { 1 => 2, 2 => 4, _ => 1 }) is not { } value)
            Halt(ResetRequest.Watchdog);
        else
            Respond("debug_result", (int)value);
    }

    private ulong Ticks => (ulong)((Clock - started).TotalSeconds * firmware.ClockFrequency);

    private void Shutdown(string reason)
    {
        if (!_isShutdown)
            _shutdownReason = firmware.StaticString(reason);
        _isShutdown = true;
        Respond("shutdown", (int)Ticks, _shutdownReason);
    }

    private void Respond(string response, params ReadOnlySpan<int> values)
    {
        if (firmware.Response(response) is not { } id)
            return;
        Span<byte> payload = stackalloc byte[BlockMax];
        var length = 0;
        WriteNumber(payload, ref length, id);
        foreach (var value in values)
            WriteNumber(payload, ref length, value);
        Answer(payload[..length]);
    }

    private void Respond(string response, ReadOnlySpan<byte> data)
    {
        if (firmware.Response(response) is not { } id)
            return;
        Span<byte> payload = stackalloc byte[BlockMax];
        var length = 0;
        WriteNumber(payload, ref length, id);
        payload[length++] = (byte)data.Length;
        data.CopyTo(payload[length..]);
        Answer(payload[..(length + data.Length)]);
    }

    /// <summary>Sends a block; without payload it is an ACK or a NAK.</summary>
    private void Answer(ReadOnlySpan<byte> payload)
    {
        var block = new byte[payload.Length + BlockMin];
        block[0] = (byte)block.Length;
        block[1] = (byte)(0x10 | _expected);
        payload.CopyTo(block.AsSpan(HeaderSize));
        var checkedPart = block.AsSpan(..^TrailerSize);
        BinaryPrimitives.WriteUInt16BigEndian(block.AsSpan(checkedPart.Length), VirtualCrc.Compute(checkedPart));
        block[^1] = Sync;
        Transmit(block);
    }

    private static int ReadNumber(ReadOnlySpan<byte> block, ref int at)
    {
        int part = block[at++];
        var value = part & 0x7F;
        if ((part & 0x60) == 0x60)
            value |= -0x20;
        // A number that runs over the payload reads CRC and 7e too, but never beyond the block.
        while ((part & 0x80) != 0 && at < block.Length)
        {
            part = block[at++];
            value = (value << 7) | (part & 0x7F);
        }
        return value;
    }

    private static void WriteNumber(Span<byte> payload, ref int at, int value)
    {
        for (var (shift, limit) = (28, 1L << 26); shift > 0; (shift, limit) = (shift - 7, limit >> 7))
        {
            if (value >= 3 * limit || value < -limit)
                payload[at++] = (byte)((value >> shift) | 0x80);
        }
        payload[at++] = (byte)(value & 0x7F);
    }
}

/// <summary>How a read of memory fails.</summary>
internal enum ReadFault
{
    None,

    /// <summary>The firmware shuts down instead of an answer.</summary>
    ShutsDown,

    /// <summary>The bus faults.</summary>
    Hangs,
}

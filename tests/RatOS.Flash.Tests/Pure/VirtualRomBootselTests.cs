using System.Buffers.Binary;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// The virtual ROM of an RP2040 does what the real one (B1) was seen to do, also where its document says otherwise. All bytes are written
/// out: no codec of the engine is used.
/// </summary>
public sealed class VirtualRomBootselTests
{
    private const byte Out = 0x03, In = 0x84;
    private const uint Base = 0x1000_0000;

    private readonly VirtualFlash _flash = new(VirtualChip.Rp2040);
    private readonly RomRecord _record = new();
    private readonly List<TimeSpan> _reboots = [];
    private readonly RomBootsel _rom;
    private TimeSpan _now = TimeSpan.FromSeconds(1);

    public VirtualRomBootselTests()
    {
        _flash.Preset(Base, [.. Enumerable.Range(0, 0x4000).Select(i => (byte)(i * 7 | 1))]);
        _rom = new(_flash, VirtualChip.Rp2040, _record, _reboots.Add);
    }

    [Fact]
    public void Reads_of_flash_give_zeros_until_EXIT_XIP_and_again_after_SET_CONFIGURATION()
    {
        Assert.All(Read(Base, 256), value => Assert.Equal(0, value));
        Assert.Equal("ok", Run(0x06, 0, ""));
        Assert.Equal(_flash.Read(Base, 256), Read(Base, 256));
        _rom.Control(new UsbSetup(0x00, 9, 1, 0), [], _now);
        Assert.All(Read(Base, 256), value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(0x1000_0100u, 4096)]    // not at a sector
    [InlineData(0x1000_0000u, 2048)]    // half of one
    [InlineData(0x1100_0000u, 4096)]    // outside
    public void An_erase_of_a_wrong_range_is_acknowledged_and_nothing_is_erased(uint address, int size)
    {
        Prepare();
        Assert.Equal("ok", Run(0x03, 0, Words(address, (uint)size)));
        Assert.Equal(0u, Status().Code);
        Assert.Equal(0, _flash.Erases.Sum());
    }

    [Fact]
    public void A_write_of_one_misplaced_page_is_never_acknowledged_and_only_the_status_tells()
    {
        Prepare();
        Assert.Equal("never", Run(0x05, 256, Words(Base + 0x80, 256), new byte[256]));
        Assert.Equal((5u, false), Status());
        Assert.NotEqual(0, _flash.Read(Base + 0x80, 1)[0]);
    }

    [Fact]
    public void Of_two_misplaced_pages_the_data_stalls()
    {
        Prepare();
        Assert.Equal("stall", Run(0x05, 512, Words(Base + 0x80, 512), new byte[512]));
        Assert.Equal((5u, false), Status());
    }

    [Fact]
    public void A_write_over_flash_that_was_not_erased_ends_well_and_only_clears_bits()
    {
        Prepare();
        var before = _flash.Read(Base, 256).ToArray();
        Assert.Equal("ok", Run(0x05, 256, Words(Base, 256), [.. Enumerable.Repeat((byte)0xA5, 256)]));
        Assert.Equal(before.Select(value => (byte)(value & 0xA5)), Read(Base, 256));
    }

    [Fact]
    public void A_halted_interface_runs_again_after_both_halts_are_cleared_and_it_is_reset()
    {
        Prepare();
        Assert.Equal("stall", Run(0x7E, 0, ""));
        Assert.Equal(1u, Status().Code);
        Assert.Equal("stall", Run(0x06, 0, ""));
        Assert.Equal(UsbStatus.Ok, _rom.Control(new UsbSetup(0x41, 0x41, 0, 1), [], _now).Status);
        Assert.Equal("stall", Run(0x06, 0, ""));
        foreach (var endpoint in new[] { In, Out })
            _rom.Control(new UsbSetup(0x02, 1, 0, endpoint), [], _now);
        Prepare();
        Assert.Equal(_flash.Read(Base, 16), Read(Base, 16));
    }

    /// <summary>The address of 2 MiB of flash repeats in the window of 16 MiB.</summary>
    [Fact]
    public void A_small_flash_repeats()
    {
        Prepare();
        Assert.Equal(_flash.Read(Base, 64), Read(Base + 0x20_0000, 64));
        Assert.Equal(_flash.Read(Base, 64), Read(Base + 0xE0_0000, 64));
        Assert.All(Read(Base + 0x10_0000, 64), value => Assert.Equal(0xFF, value));
    }

    /// <summary>44,288 bytes on the real ROM's clock: erase 495 ms, write 128, read back 56.</summary>
    [Fact]
    public void Erase_write_and_read_take_the_measured_times()
    {
        Prepare();
        Within(490, 505, () => Assert.Equal("ok", Run(0x03, 0, Words(Base, 11 * 4096))));
        Within(120, 135, () =>
        {
            for (var at = 0; at < 44_288; at += 4096)
            {
                var length = Math.Min(4096, 44_288 - at);
                Assert.Equal("ok", Run(0x05, length, Words(Base + (uint)at, (uint)length), new byte[length]));
            }
        });
        Within(50, 62, () => Read(Base, 44_288));
    }

    [Fact]
    public void It_boots_when_it_is_told_to_and_has_the_same_serial_on_every_board()
    {
        Assert.Equal("ok", Run(0x02, 0, Words(0, 0, 100)));
        Assert.Equal([TimeSpan.FromMilliseconds(100)], _reboots);
        Assert.Equal(("RP2 Boot", "E0C91200A4A1"), (_rom.Product, _rom.Serial));
    }

    [Fact]
    public void Its_drive_has_no_medium_and_takes_nothing()
    {
        Assert.Equal(36, Drive("12000000240000", 36)?.Length);
        Assert.Null(Drive("00000000000000", 0));
        Assert.Equal(0x3A, Drive("03000000120000", 18)![12]);
        Assert.Null(Drive("2A000000000000", 512));
    }

    private void Prepare()
    {
        Assert.Equal("ok", Run(0x01, 0, "01"));
        Assert.Equal("ok", Run(0x06, 0, ""));
    }

    private void Within(int least, int most, Action act)
    {
        var begin = _now;
        act();
        Assert.InRange((_now - begin).TotalMilliseconds, least, most);
    }

    /// <summary>A command, the data of its data phase, and its acknowledgement.</summary>
    private string Run(byte id, int length, string arguments, byte[]? data = null)
    {
        Span<byte> command = stackalloc byte[32];
        command.Clear();
        Convert.FromHexString("0BD11F43").CopyTo(command);
        (command[4], command[8], command[9]) = (0x33, id, (byte)(arguments.Length / 2));
        BinaryPrimitives.WriteInt32LittleEndian(command[12..], length);
        Convert.FromHexString(arguments).CopyTo(command[16..]);
        if (!Move(Out, command, out _))
            return "stall";
        if (data is not null && !Move(Out, data, out _))
            return "stall";
        if (length > 0 && data is null)
            return "ok";
        if (_rom.BulkDelay(In, _now) == UsbFunction.Never)
            return "never";
        return !Move(In, stackalloc byte[64], out var got) ? "stall" : got == 0 ? "ok" : $"{got} bytes";
    }

    private byte[] Read(uint address, int length)
    {
        Assert.Equal("ok", Run(0x84, length, Words(address, (uint)length)));
        var bytes = new byte[length];
        Assert.True(Move(In, bytes, out var got));
        Assert.Equal(length, got);
        Assert.True(Move(Out, [], out _));
        return bytes;
    }

    private bool Move(byte endpoint, Span<byte> data, out int length)
    {
        var isIn = (endpoint & 0x80) != 0;
        _now += VirtualPrinter.BulkOverhead + (VirtualPrinter.BulkByte * (isIn ? 0 : data.Length));
        _now += _rom.BulkDelay(endpoint, _now);
        var answer = _rom.Bulk(endpoint, data, _now);
        length = answer.Length;
        _now += VirtualPrinter.BulkByte * (isIn ? length : 0);
        return answer.Status == UsbStatus.Ok;
    }

    private (uint Code, bool IsInProgress) Status()
    {
        var status = new byte[16];
        Assert.Equal(16, _rom.Control(new UsbSetup(0xC1, 0x42, 0, 1), status, _now).Length);
        return (BinaryPrimitives.ReadUInt32LittleEndian(status.AsSpan(4)), status[9] != 0);
    }

    /// <summary>A SCSI command; null when it fails.</summary>
    private byte[]? Drive(string scsi, int length)
    {
        var command = Convert.FromHexString($"555342430100000000000000800006{scsi}").Concat(new byte[31]).Take(31).ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(command.AsSpan(8), length);
        _rom.Bulk(RomBootsel.DriveOut, command, _now);
        var data = new byte[length];
        byte[]? got = null;
        if (length > 0 && _rom.Bulk(RomBootsel.DriveIn, data, _now) is { Status: UsbStatus.Ok } answer)
            got = data[..answer.Length];
        _rom.Control(new UsbSetup(0x02, 1, 0, RomBootsel.DriveIn), [], _now);
        var status = new byte[13];
        Assert.Equal(13, _rom.Bulk(RomBootsel.DriveIn, status, _now).Length);
        Assert.Equal(got is null ? 1 : 0, status[12]);
        return got;
    }

    private static string Words(params uint[] words)
    {
        var bytes = new byte[words.Length * 4];
        for (var i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(i * 4), words[i]);
        return Convert.ToHexString(bytes);
    }
}

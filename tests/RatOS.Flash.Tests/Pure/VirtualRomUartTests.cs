using RatOS.Flash.Bootloaders;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// The ROM's UART bootloader, byte by byte (AN3155). No codec of the engine takes part, except in the last test.
/// </summary>
public sealed class VirtualRomUartTests
{
    private static readonly SerialMode Mode = new(115_200, EvenParity: true);

    private readonly VirtualFlash _flash = new(VirtualChip.F446);
    private readonly List<uint> _left = [];
    private readonly List<ResetRequest> _resets = [];
    private readonly List<byte> _said = [];
    private TimeSpan _delay;
    private TimeSpan _now;

    private RomUart Rom(RomBehaviour? behaviour = null, VirtualChip? chip = null, VirtualFlash? flash = null) =>
        new(flash ?? _flash, chip ?? VirtualChip.F446, behaviour ?? new(), new RomRecord(), _left.Add)
        {
            Send = (bytes, delay) =>
            {
                _said.AddRange(bytes.Span);
                _delay = delay;
            },
            Reset = (request, _) => _resets.Add(request),
        };

    private RomUart Synchronised(RomBehaviour? behaviour = null, VirtualChip? chip = null, VirtualFlash? flash = null)
    {
        var rom = Rom(behaviour, chip, flash);
        Assert.Equal("79", Say(rom, "7F"));
        return rom;
    }

    /// <summary>Says bytes and returns the answer; afterwards as much time has passed as it took.</summary>
    private string Say(RomUart rom, string hex, SerialMode? mode = null)
    {
        _said.Clear();
        _delay = TimeSpan.Zero;
        var bytes = Convert.FromHexString(hex);
        rom.Receive(VirtualLine.Received(rom, mode ?? Mode, bytes), _now);
        _now += _delay;
        return Convert.ToHexString(_said.ToArray());
    }

    [Fact]
    public void It_reports_its_version_its_commands_and_its_chip()
    {
        var rom = Synchronised();
        Assert.Equal("790B310001021121314463738292" + "79", Say(rom, "00FF"));
        Assert.Equal("79310000" + "79", Say(rom, "01FE"));
        Assert.Equal("79010421" + "79", Say(rom, "02FD"));
        Assert.Empty(rom.Record.Illegal);
    }

    [Theory]
    [InlineData(1200)]
    [InlineData(57_600)]
    [InlineData(115_200)]
    public void It_follows_the_speed_of_the_first_byte_and_then_keeps_it(int baud)
    {
        var rom = Rom();
        var mode = new SerialMode(baud, EvenParity: true);
        Assert.Equal("79", Say(rom, "7F", mode));
        Assert.Equal("79010421" + "79", Say(rom, "02FD", mode));
        Assert.NotEqual("79010421" + "79", Say(rom, "02FD", new SerialMode(9600, EvenParity: true)));
    }

    [Fact]
    public void A_ROM_whose_first_byte_was_another_one_is_silent_until_its_reset()
    {
        var klipper = Rom();
        Assert.Equal("", Say(klipper, "7E", SerialMode.Klipper));
        Assert.Equal("", Say(klipper, "7F7F7F7F"));
        var noParity = Rom();
        Assert.Equal("", Say(noParity, "7F", new SerialMode(115_200)));
        Assert.Equal("", Say(noParity, "7F"));
    }

    [Fact]
    public void A_second_7F_is_half_a_command_and_a_third_one_is_refused()
    {
        var rom = Synchronised();
        Assert.Equal("", Say(rom, "7F"));
        Assert.Equal("1F", Say(rom, "7F"));
        Assert.Equal("79010421" + "79", Say(rom, "02FD"));
    }

    [Fact]
    public void A_read_returns_what_is_in_flash_without_another_acknowledgement()
    {
        _flash.Preset(0x0800_8000, [0xDE, 0xAD, 0xBE, 0xEF]);
        var rom = Synchronised();
        Assert.Equal("79", Say(rom, "11EE"));
        Assert.Equal("79", Say(rom, "0800800088"));
        Assert.Equal("79DEADBEEF", Say(rom, "03FC"));
        Assert.Empty(rom.Record.Illegal);
    }

    [Fact]
    public void A_write_programs_and_is_acknowledged_when_it_is_done()
    {
        var rom = Synchronised();
        Assert.Equal("79", Say(rom, "31CE"));
        Assert.Equal("79", Say(rom, "0800800088"));
        Assert.Equal("79", Say(rom, "07" + "0102040810204080" + "F8"));
        Assert.Equal(TimeSpan.FromMicroseconds(32), _delay);
        Assert.Equal("0102040810204080", Convert.ToHexString(_flash.Read(0x0800_8000, 8)));
    }

    [Fact]
    public void Wrong_checksums_are_refused_and_not_recorded_as_illegal()
    {
        var rom = Synchronised();
        Assert.Equal("1F", Say(rom, "31CF"));
        Say(rom, "31CE");
        Assert.Equal("1F", Say(rom, "0800800089"));
        Say(rom, "31CE");
        Say(rom, "0800800088");
        Assert.Equal("1F", Say(rom, "03" + "01020408" + "0D"));
        Say(rom, "11EE");
        Say(rom, "0800800088");
        Assert.Equal("1F", Say(rom, "03FD"));
        Say(rom, "44BB");
        Assert.Equal("1F", Say(rom, "0000000203"));
        Assert.Empty(rom.Record.Illegal);
        Assert.Equal((byte)0xFF, _flash.Read(0x0800_8000, 1)[0]);
        Assert.Equal(0, _flash.Erases.Sum());
    }

    [Theory]
    [InlineData("31CE", "0800800189")]                     // not at a word
    [InlineData("31CE", "2000000020")]                     // RAM is legal in AN3155, and not modelled
    [InlineData("31CE", "0800800088", "0401020408101B")]   // 5 bytes
    [InlineData("11EE", "0807FFFF0F", "01FE")]             // over the end
    [InlineData("44BB", "0000000808")]                     // page 8 of 8
    [InlineData("44BB", "FFF00F")]                         // a reserved code
    [InlineData("43BC")]                                   // not in its list
    [InlineData("639C")]
    [InlineData("738C")]
    [InlineData("827D")]
    [InlineData("A15E")]
    public void Forbidden_requests_are_refused_and_recorded(params string[] parts)
    {
        var rom = Synchronised();
        foreach (var part in parts[..^1])
            Assert.Equal("79", Say(rom, part));
        Assert.Equal("1F", Say(rom, parts[^1]));
        Assert.Single(rom.Record.Illegal);
        Assert.Equal(0, _flash.Erases.Sum());
    }

    [Fact]
    public void An_erase_takes_the_time_of_its_pages_and_loses_bytes_meanwhile()
    {
        _flash.Preset(0x0800_8000, new byte[16]);
        var rom = Synchronised();
        Say(rom, "44BB");
        var begin = _now;
        Assert.Equal("79", Say(rom, "0001" + "0002" + "0003" + "00"));
        Assert.Equal(TimeSpan.FromMilliseconds(500), _delay);
        Assert.Equal((0, 1, 1, 0), (_flash.Erases[1], _flash.Erases[2], _flash.Erases[3], _flash.Erases[4]));
        _now = begin + TimeSpan.FromMilliseconds(100);
        Assert.Equal("", Say(rom, "02FD"));   // of two bytes one was kept
        _now = begin + TimeSpan.FromSeconds(1);
        Assert.Equal("79010421" + "79", Say(rom, "FD"));
        Assert.False(rom.Record.WasMassErased);
    }

    [Theory]
    [InlineData((byte)0x31, "44BB", "FFFF00")]
    [InlineData((byte)0x31, "44BB", "FFFE01")]
    [InlineData((byte)0x22, "43BC", "FF00")]
    public void A_mass_erase_is_executed_and_recorded(byte version, string command, string code)
    {
        var rom = Synchronised(chip: VirtualChip.F446 with { Rom = VirtualChip.F446.Rom! with { UartVersion = version } });
        Assert.Equal("79", Say(rom, command));
        Assert.Equal("79", Say(rom, code));
        Assert.True(rom.Record.WasMassErased);
        Assert.All(_flash.Erases, count => Assert.Equal(1, count));
    }

    [Fact]
    public void A_ROM_before_3_0_erases_by_pages_of_one_byte()
    {
        var rom = Synchronised(chip: VirtualChip.F446 with { Rom = VirtualChip.F446.Rom! with { UartVersion = 0x22 } });
        Assert.Equal("790B220001021121314363738292" + "79", Say(rom, "00FF"));
        Assert.Equal("79", Say(rom, "43BC"));
        Assert.Equal("79", Say(rom, "01" + "0203" + "00"));
        Assert.Equal((1, 1), (_flash.Erases[2], _flash.Erases[3]));
    }

    [Fact]
    public void Read_protection_refuses_the_command_and_its_removal_erases_the_chip()
    {
        var rom = Synchronised(new RomBehaviour { IsReadProtected = true });
        foreach (var command in new[] { "11EE", "31CE", "44BB", "21DE" })
            Assert.Equal("1F", Say(rom, command));
        Assert.Equal("79010421" + "79", Say(rom, "02FD"));
        Assert.Empty(rom.Record.Illegal);
        Assert.Equal("7979", Say(rom, "926D"));
        Assert.True(rom.Record.WasMassErased);
        Assert.Equal([ResetRequest.Plain], _resets);
    }

    [Fact]
    public void Protected_sectors_are_neither_erased_nor_written_without_an_error()
    {
        _flash.Protect(2);
        var rom = Synchronised();
        Say(rom, "44BB");
        Assert.Equal("79", Say(rom, "0000000202"));
        Say(rom, "31CE");
        Say(rom, "0800800088");
        Assert.Equal("79", Say(rom, "03010204080C"));
        Assert.Equal((0, (byte)0xFF), (_flash.Erases[2], _flash.Read(0x0800_8000, 1)[0]));
    }

    [Fact]
    public void It_jumps_to_the_given_address_and_then_is_silent()
    {
        var rom = Synchronised();
        Assert.Equal("79", Say(rom, "21DE"));
        Assert.Equal("79", Say(rom, "0800800088"));
        Assert.Equal([0x0800_8000u], _left);
        Assert.Equal("", Say(rom, "02FD"));
    }

    [Fact]
    public void A_ROM_that_ignores_the_jump_keeps_listening()
    {
        var rom = Synchronised();
        rom.Record.LeavesIgnored = 1;
        Say(rom, "21DE");
        Assert.Equal("79", Say(rom, "0800800088"));
        Assert.Empty(_left);
        Assert.Equal("79010421" + "79", Say(rom, "02FD"));
        Assert.Equal(0, rom.Record.LeavesIgnored);
    }

    /// <summary>
    /// A previous program died, or bytes were lost, anywhere in any command. The engine's next bytes end in a refusal, and nothing is
    /// erased, started or written, except perhaps in the block that was being written: there one wrong byte in 256 has the right sum.
    /// </summary>
    [Theory]
    [InlineData("11EE", "0800800088", "FF00")]
    [InlineData("21DE", "0800800088")]
    [InlineData("44BB", "0000000202")]
    [InlineData("44BB", "0000000000")]
    [InlineData("31CE", "0800800088", "FF")]
    [InlineData("31CE", "0800800088", "0B112233445566778899AABBCC07")]
    public void Half_a_command_is_ended_by_the_feed_and_not_executed(params string[] parts)
    {
        var said = Convert.FromHexString(string.Concat(parts));
        for (var length = 1; length < said.Length; length++)
        {
            foreach (var question in new[] { "", "7F7F" })
            {
                var flash = new VirtualFlash(VirtualChip.F446);
                var rom = Synchronised(flash: flash);
                Say(rom, Convert.ToHexString(said[..length]) + question);
                var wasRefused = false;
                for (var fed = 0; fed < 600 && !wasRefused; fed++)
                    wasRefused = Say(rom, Convert.ToHexString(Stm32UartFrame.Feed(fed, 1))).EndsWith("1F", StringComparison.Ordinal);
                // Only an erase that waits for its number of pages takes 7F7F as that number; then a reset is needed.
                Assert.True(
                    wasRefused || (length, parts[0], question) == (2, "44BB", "7F7F"), $"{length} bytes of {string.Concat(parts)}");
                if (wasRefused)
                    Assert.Equal("79010421" + "79", Say(rom, "02FD"));
                Assert.Equal(0, flash.Erases.Sum());
                Assert.Equal(-1, flash.Read(flash.Base, 0x8000).IndexOfAnyExcept((byte)0xFF));
                Assert.Equal(-1, flash.Read(0x0800_800C, 0x1000).IndexOfAnyExcept((byte)0xFF));
                Assert.Empty(_left);
                Assert.False(rom.Record.WasMassErased);
            }
        }
    }
}

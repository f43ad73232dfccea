using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The ROM's USB DFU, byte by byte (AN3156). No codec of the engine takes part.</summary>
public sealed class VirtualRomDfuTests
{
    private readonly VirtualFlash _flash = new(VirtualChip.F446);
    private readonly List<uint> _left = [];
    private TimeSpan _now;

    private RomDfu Rom(RomBehaviour? behaviour = null, VirtualChip? chip = null, VirtualFlash? flash = null) =>
        new(flash ?? _flash, chip ?? VirtualChip.F446, "203739645542", behaviour ?? new(), new RomRecord(), _left.Add);

    private (UsbStatus Status, string Data, TimeSpan Delay) In(RomDfu rom, byte type, byte request, ushort value, int length)
    {
        var data = new byte[length];
        var answer = rom.Control(new UsbSetup(type, request, value, 0), data, _now);
        return (answer.Status, Convert.ToHexString(data.AsSpan(0, answer.Length)), answer.Delay);
    }

    private UsbStatus Out(RomDfu rom, byte request, ushort value, string hex) =>
        rom.Control(new UsbSetup(0x21, request, value, 0), Convert.FromHexString(hex), _now).Status;

    private string Status(RomDfu rom) => In(rom, 0xA1, 3, 0, 6).Data;

    /// <summary>Queues, starts, waits to the end, and returns the last status.</summary>
    private string Download(RomDfu rom, ushort block, string hex)
    {
        Assert.Equal(UsbStatus.Ok, Out(rom, 1, block, hex));
        Status(rom);
        _now += TimeSpan.FromSeconds(40);
        return Status(rom);
    }

    [Fact]
    public void Its_descriptors_are_those_of_the_chip()
    {
        var rom = Rom();
        Assert.Equal("8304", In(rom, 0x80, 6, 0x0100, 18).Data[16..20]);
        Assert.Equal("11DF", In(rom, 0x80, 6, 0x0100, 18).Data[20..24]);
        Assert.Equal("0022", In(rom, 0x80, 6, 0x0100, 18).Data[24..28]);
        var configuration = In(rom, 0x80, 6, 0x0200, 512).Data;
        Assert.Equal("09023600010100C032", configuration[..18]);
        Assert.Equal("0904000000FE010204" + "0904000100FE010205" + "0904000200FE010206" + "0904000300FE010207", configuration[18..90]);
        Assert.Equal("09210BFF0000081A01", configuration[90..]);
        Assert.Equal("04030904", In(rom, 0x80, 6, 0x0300, 255).Data);
        Assert.Equal("1A03320030003300370033003900360034003500350034003200", In(rom, 0x80, 6, 0x0303, 255).Data);
        var layout = Convert.FromHexString(In(rom, 0x80, 6, 0x0304, 255).Data);
        Assert.Equal("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg", System.Text.Encoding.Unicode.GetString(layout.AsSpan(2)));
    }

    [Fact]
    public void It_answers_a_kernels_standard_requests_and_knows_its_alternates()
    {
        var rom = Rom();
        Assert.Equal("0100", In(rom, 0x80, 0, 0, 2).Data);   // self powered
        Assert.Equal("01", In(rom, 0x80, 8, 0, 1).Data);
        Assert.Equal(UsbStatus.Ok, rom.Control(new UsbSetup(0x01, 11, 3, 0), [], _now).Status);
        Assert.Equal("03", In(rom, 0x81, 10, 0, 1).Data);
        Assert.Equal(UsbStatus.Stall, rom.Control(new UsbSetup(0x01, 11, 4, 0), [], _now).Status);
        Assert.Equal("03", In(rom, 0x81, 10, 0, 1).Data);
    }

    [Fact]
    public void An_F429_claims_a_longer_layout_string_than_it_sends()
    {
        var layout = In(Rom(chip: VirtualChip.F429, flash: new VirtualFlash(VirtualChip.F429)), 0x80, 6, 0x0304, 255).Data;
        Assert.True(Convert.FromHexString(layout)[0] > layout.Length / 2);
    }

    [Fact]
    public void A_download_to_an_alternate_that_is_no_flash_is_refused()
    {
        _flash.Preset(0x0800_8000, [1, 2, 3, 4]);
        var rom = Rom();
        rom.Control(new UsbSetup(0x01, 11, 1, 0), [], _now);
        Assert.Equal("0A", Download(rom, 0, "4100800008")[8..10]);
        Assert.NotEmpty(rom.Record.Illegal);
        Assert.Equal(1, _flash.Read(0x0800_8000, 1)[0]);
    }

    [Fact]
    public void A_download_only_queues_and_the_first_status_request_starts_it()
    {
        _flash.Preset(0x0800_8000, new byte[0x4000]);
        var rom = Rom();
        Assert.Equal("000000000200", Status(rom));
        Assert.Equal(UsbStatus.Ok, Out(rom, 1, 0, "4100800008"));
        Assert.Equal(0, _flash.Erases.Sum());
        Assert.Equal("000000000300"[8..10], In(rom, 0xA1, 5, 0, 1).Data); // dfuDNLOAD-SYNC
        Assert.Equal("006400000400", Status(rom));                       // dfuDNBUSY, 100 ms
        Assert.Equal(1, _flash.Erases[2]);
        _now += TimeSpan.FromMilliseconds(250);
        Assert.Equal("000000000500", Status(rom));                       // dfuDNLOAD-IDLE
        Assert.Empty(rom.Record.Illegal);
    }

    [Fact]
    public void An_F4_holds_an_early_status_request_until_it_is_done()
    {
        var rom = Rom();
        Out(rom, 1, 0, "4100800008");
        Status(rom);
        _now += TimeSpan.FromMilliseconds(50);
        Assert.Equal((UsbStatus.Ok, "000000000500", TimeSpan.FromMilliseconds(200)), In(rom, 0xA1, 3, 0, 6));
    }

    [Fact]
    public void A_G0_stalls_an_early_status_request_and_goes_on_working()
    {
        var rom = Rom(chip: VirtualChip.G0B1, flash: new VirtualFlash(VirtualChip.G0B1));
        Out(rom, 1, 0, "4100000008");
        Status(rom);
        _now += TimeSpan.FromMilliseconds(5);
        Assert.Equal(UsbStatus.Stall, In(rom, 0xA1, 3, 0, 6).Status);
        _now += TimeSpan.FromMilliseconds(30);
        Assert.Equal("000000000500", Status(rom));
        Assert.Empty(rom.Record.Illegal);
    }

    [Fact]
    public void Blocks_land_behind_the_address_from_number_two_on()
    {
        var rom = Rom();
        Assert.Equal("000000000500", Download(rom, 0, "2100800008"));
        Assert.Equal("000000000500", Download(rom, 2, "01020304"));
        Assert.Equal("000000000500", Download(rom, 3, "05060708"));
        Assert.Equal("01020304", Convert.ToHexString(_flash.Read(0x0800_8000, 4)));
        Assert.Equal("05060708", Convert.ToHexString(_flash.Read(0x0800_8800, 4)));
    }

    [Fact]
    public void A_failed_write_without_erase_is_not_reported()
    {
        _flash.Preset(0x0800_8000, [0x0F, 0, 0, 0]);
        var rom = Rom();
        Download(rom, 0, "2100800008");
        Assert.Equal("000000000500", Download(rom, 2, "F1FFFFFF"));
        Assert.Equal("01000000", Convert.ToHexString(_flash.Read(0x0800_8000, 4)));
    }

    [Fact]
    public void An_upload_needs_the_idle_state_and_reads_flash()
    {
        _flash.Preset(0x0800_8800, [0xAA, 0xBB, 0xCC, 0xDD]);
        var rom = Rom();
        Download(rom, 0, "2100800008");
        Assert.Equal(UsbStatus.Stall, In(rom, 0xA1, 2, 2, 4).Status);
        Assert.Equal("0F0000000A00", Status(rom));
        Out(rom, 4, 0, "");
        Assert.Equal("AABBCCDD", In(rom, 0xA1, 2, 3, 4).Data);
        Assert.Equal("000000000900", Status(rom));
        Assert.Equal(UsbStatus.Ok, Out(rom, 6, 0, ""));
        Assert.Equal("000000000200", Status(rom));
    }

    [Fact]
    public void It_lists_its_commands() => Assert.Equal("00214192", In(Rom(), 0xA1, 2, 0, 64).Data);

    [Fact]
    public void Entered_by_a_jump_it_begins_in_the_error_state()
    {
        var rom = Rom(new RomBehaviour { AfterJump = true });
        Assert.Equal("0A0000000A00", Status(rom));
        Assert.Equal(UsbStatus.Ok, Out(rom, 4, 0, ""));
        Assert.Equal("000000000200", Status(rom));
    }

    [Fact]
    public void A_download_before_the_last_answer_is_refused()
    {
        var rom = Rom();
        Out(rom, 1, 0, "2100800008");
        Assert.Equal(UsbStatus.Stall, Out(rom, 1, 2, "01020304"));
        Assert.NotEmpty(rom.Record.Illegal);

        rom = Rom();
        Out(rom, 1, 0, "2100800008");
        Status(rom);
        _now += TimeSpan.FromSeconds(1);
        Assert.Equal(UsbStatus.Stall, Out(rom, 1, 2, "01020304"));
        Assert.NotEmpty(rom.Record.Illegal);
    }

    [Theory]
    [InlineData(0, "2100000009", "08")] // behind the flash
    [InlineData(0, "4100000009", "04")]
    public void An_address_outside_of_the_map_is_an_error(int block, string hex, string status) =>
        Assert.Equal($"{status}0000000A00", Download(Rom(), (ushort)block, hex));

    [Fact]
    public void Write_protection_is_reported_for_its_sectors_only()
    {
        _flash.Protect(2);
        var rom = Rom();
        Assert.Equal("040000000A00", Download(rom, 0, "4100800008"));
        Out(rom, 4, 0, "");
        Download(rom, 0, "2100800008");
        Assert.Equal("030000000A00", Download(rom, 2, "01020304"));
        Out(rom, 4, 0, "");
        Assert.Equal("000000000500", Download(rom, 0, "4100C00008"));
    }

    [Fact]
    public void Read_protection_refuses_reads_and_writes()
    {
        var rom = Rom(new RomBehaviour { IsReadProtected = true });
        Assert.Equal(UsbStatus.Stall, In(rom, 0xA1, 2, 2, 64).Status);
        Assert.Equal("0B0000000A00", Status(rom));
        Out(rom, 4, 0, "");
        Assert.Equal("0B0000000A00", Download(rom, 0, "4100800008"));
        Assert.Equal(0, _flash.Erases.Sum());
    }

    [Fact]
    public void A_transfer_longer_than_announced_stalls()
    {
        var rom = Rom();
        Assert.Equal(UsbStatus.Stall, Out(rom, 1, 2, new string('0', 2 * 2049)));
        Out(rom, 4, 0, "");
        Assert.Equal(UsbStatus.Stall, In(rom, 0xA1, 2, 2, 2049).Status);
        Assert.Equal(2, rom.Record.Illegal.Count);
    }

    [Theory]
    [InlineData("41")]
    [InlineData("92")]
    public void A_mass_erase_is_executed_and_recorded(string command)
    {
        _flash.Preset(0x0800_0000, new byte[64]);
        var rom = Rom();
        Assert.Equal("000000000500", Download(rom, 0, command));
        Assert.True(rom.Record.WasMassErased);
        Assert.Equal(0xFF, _flash.Read(0x0800_0000, 1)[0]);
    }

    [Fact]
    public void It_jumps_to_the_address_that_was_set()
    {
        var rom = Rom();
        Download(rom, 0, "2100800008");
        Assert.Equal(UsbStatus.Ok, Out(rom, 1, 2, ""));
        Assert.Empty(_left);
        Assert.Equal("07", Status(rom)[8..10]);
        Assert.Equal([0x0800_8000u], _left);
    }

    [Fact]
    public void A_leave_request_that_was_ignored_can_be_repeated()
    {
        var rom = Rom();
        rom.Record.LeavesIgnored = 1;
        Download(rom, 0, "2100800008");
        Out(rom, 1, 2, "");
        Status(rom);
        Assert.Empty(_left);
        Assert.Equal(UsbStatus.Ok, Out(rom, 6, 0, ""));
        Assert.Equal("000000000200", Status(rom));
        Out(rom, 1, 2, "");
        Status(rom);
        Assert.Single(_left);
    }

    [Fact]
    public void Poll_times_can_be_wrong()
    {
        var rom = Rom(new RomBehaviour { PollTime = TimeSpan.FromMilliseconds(0x012345) });
        Out(rom, 1, 0, "4100800008");
        Assert.Equal("004523010400", Status(rom));
    }
}

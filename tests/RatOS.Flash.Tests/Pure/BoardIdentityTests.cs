using RatOS.Flash.Boards;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>What a board told of itself, and the board that it is taken for later.</summary>
public sealed class BoardIdentityTests
{
    private static readonly byte[] Uid = [0x45, 0x00, 0x29, 0x00, 0x0B, 0x51, 0x38, 0x31, 0x38, 0x30, 0x33, 0x34];

    private static readonly Dictionary<string, string> Constants = new()
    {
        ["MCU"] = "stm32g0b1xx",
        ["CLOCK_FREQ"] = "64000000",
        ["CANBUS_FREQUENCY"] = "1000000",
        ["RESERVE_PINS_CAN"] = "PB0,PB1",
    };

    private static readonly ChipEvidence Chip = new() { Uid = Uid, ApplicationStart = 0x0800_2000, ClockReference = 8_000_000 };

    private static readonly BoardIdentity Told = new(
        new BoardEvidence("v0.12.0", "stm32g0b1xx", Chip) { Constants = Constants },
        new DateTimeOffset(2026, 11, 29, 12, 0, 0, TimeSpan.Zero))
    { Serial = "450029000B51383138303334" };

    [Fact]
    public void A_board_is_recognised_by_its_serial_its_uuid_or_its_port()
    {
        Assert.True(Told.IsOf("450029000B51383138303334", null, null, Constants));
        Assert.False(Told.IsOf("another", null, null, Constants));
        Assert.True(Told.IsOf(null, CanUuid.OfChip(Uid), null, Constants));   // its uuid follows from its chip's id
        Assert.False(Told.IsOf(null, CanUuid.TryParse("a19f7f1b35c1"), null, Constants));
        Assert.True((Told with { Port = "/dev/ttyAMA0" }).IsOf(null, null, "/dev/ttyAMA0", Constants));
        Assert.False(Told.IsOf(null, null, null, Constants));
    }

    [Theory]
    [InlineData("CANBUS_FREQUENCY", "500000")]
    [InlineData("RESERVE_PINS_CAN", "PB8,PB9")]
    [InlineData("CLOCK_FREQ", "48000000")]
    [InlineData("RESERVE_PINS_crystal", "PF0,PF1")]
    public void The_answers_of_other_firmware_are_out_of_date(string name, string value)
    {
        var now = new Dictionary<string, string>(Constants) { [name] = value };
        Assert.False(Told.IsOf(Told.Serial, null, null, now));
        Assert.True(Told.IsOf(Told.Serial, null, null, new Dictionary<string, string>()));   // Klipper does not say
    }

    [Fact]
    public void The_same_chip_has_one_identity_wherever_it_is_connected()
    {
        Assert.True((Told with { Serial = null, Uuid = CanUuid.OfChip(Uid) }).Replaces(Told));
        var other = Told.Evidence with { Chip = Chip with { Uid = new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } } };
        Assert.False((Told with { Evidence = other }).Replaces(Told));
    }

    [Fact]
    public void What_it_told_counts_more_than_a_catalogue()
    {
        var kind = BoardCatalogue.BuiltIn.Find("btt-ebb42-12")!;
        var profile = new PrinterBoard("ebb42", kind) { Facts = [Told.Facts] }.Profile;
        Assert.Equal(0x0800_2000u, profile.ApplicationStart!.Value);
        Assert.Contains("asked on 2026-11-29", profile.ApplicationStart.Where, StringComparison.Ordinal);
        Assert.Contains(profile.Contradictions, contradiction => contradiction.Fact == BoardFact.ApplicationStart);
    }
}

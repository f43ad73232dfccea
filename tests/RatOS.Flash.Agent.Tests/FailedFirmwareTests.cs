using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Which boards go back, and to what: row by row.</summary>
public sealed class FailedFirmwareTests
{
    private const string Complaint = "MCU Protocol error\n\nYour Klipper version is: v0.13.0\nMCU(s) which should be updated:\n"
        + "mcu: Current version v0.11.0\nhead: Current version v0.11.0\nUp-to-date MCU(s):\n<none>\n\n"
        + "mcu 'mcu': Unable to encode: allocate_oids";

    private static readonly FirmwareImage New = Image("v0.13.0-9-g9999999");
    private static readonly FirmwareImage Newer = Image("v0.12.0-2-g2222222");
    private static readonly FirmwareImage Older = Image("v0.12.0-1-g1111111");

    private static readonly KlippyState Ready = new(KlippyActivity.Ready);

    private static FirmwareImage Image(string version) =>
        FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, version, 8 * 1024), version);

    private static BoardReport Report(BoardCondition condition, string? fault, FirmwareImage? written) => new()
    {
        Board = "octopus",
        Condition = condition,
        Fault = fault is null ? null : new(FaultKind.Of(fault), "cause", $"remedy"),
        Sha256 = written?.Sha256,
        NewVersion = written?.Version,
    };

    private static FailedFirmware? Of(
        BoardReport report, KlippyState? before = null, KlippyState? after = null, string? section = "mcu",
        params FirmwareImage[] goods) =>
        FailedFirmware
            .Of(new([report], null, TimeSpan.Zero) { Before = before ?? Ready, After = after ?? Ready }, _ => section,
            _ => goods).SingleOrDefault();

    [Theory]
    [InlineData("not-back")]
    [InlineData("not-back-after-reset")]
    [InlineData("did-not-leave")]
    [InlineData("klipper-silent")]
    [InlineData("klipper-dictionary")]
    [InlineData("other-firmware-runs")]
    public void Firmware_that_was_read_back_equal_and_does_not_start_rolls_back_to_the_newest_good_one(string fault)
    {
        var back = Of(Report(BoardCondition.Unconfirmed, fault, New), goods: [Newer, Older])!;
        Assert.Equal((fault, Newer), (back.Fault.Code, back.Image));
    }

    [Theory]
    [InlineData(BoardCondition.Unconfirmed, "bootloader-after-reset")]   // the jumper is still on
    [InlineData(BoardCondition.Unconfirmed, "other-board-answers")]      // the cables were changed
    [InlineData(BoardCondition.Unconfirmed, "device-lost")]
    [InlineData(BoardCondition.Unconfirmed, "internal-error")]
    [InlineData(BoardCondition.InBootloaderWithoutFirmware, "verify-failed")]
    [InlineData(BoardCondition.InBootloaderUnchanged, "did-not-leave")]
    [InlineData(BoardCondition.Unchanged, "not-back")]
    [InlineData(BoardCondition.Flashed, null)]
    public void Other_faults_cause_no_rollback(BoardCondition condition, string? fault) =>
        Assert.Null(Of(Report(condition, fault, New), goods: [Newer]));

    [Theory]
    [InlineData(KlippyActivity.Error, Complaint, "mcu", "Unable to encode: allocate_oids")]
    [InlineData(KlippyActivity.Shutdown, Complaint, "mcu", "Unable to encode: allocate_oids")]
    [InlineData(KlippyActivity.Error, Complaint, "mcu head", null)]   // its version differs, but Klipper does not fail at it
    [InlineData(KlippyActivity.Error, "mcu 'head': Unknown command: config_stepper\nmore", "mcu head", "Unknown command: config_stepper")]
    [InlineData(KlippyActivity.Error, "mcu 'head': Unknown command: config_stepper", "mcu", null)]
    [InlineData(KlippyActivity.Shutdown, "mcu 'head': gone", "mcu head", null)]
    [InlineData(KlippyActivity.Error, "Pin 'PA1' is not a valid pin name on mcu 'head'", "mcu head", null)]
    [InlineData(KlippyActivity.Error, "Option 'x' is not valid in section 'y'", "mcu", null)]
    [InlineData(KlippyActivity.Error, Complaint, null, null)]
    public void A_Klipper_that_was_ready_causes_a_rollback_only_of_the_board_in_its_error(
        KlippyActivity activity, string message, string? section, string? why)
    {
        var (flashed, after) = (Report(BoardCondition.Flashed, null, New), new KlippyState(activity, message));
        var back = Of(flashed, Ready, after, section, Newer);
        Assert.Equal(why is null, back is null);
        if (why is not null)
        {
            Assert.Equal(("klipper-refuses-firmware", Newer), (back!.Fault.Code, back.Image));
            Assert.Contains(why, back.Fault.Cause, StringComparison.Ordinal);
        }
        // One that was in error before says nothing about the flash.
        Assert.Null(Of(flashed, after, after, section, Newer));
        Assert.Null(Of(flashed, new(KlippyActivity.Absent), after, section, Newer));
    }

    [Fact]
    public void Firmware_that_ran_before_is_never_rolled_back_and_neither_is_a_rollback()
    {
        var silent = Of(Report(BoardCondition.Unconfirmed, "klipper-silent", Newer), goods: [New, Newer, Older])!;
        Assert.Null(silent.Image);
        Assert.Null(Of(Report(BoardCondition.Unconfirmed, "klipper-silent", New))!.Image);
    }

    [Fact]
    public void A_failed_rollback_reports_its_own_condition_and_one_that_never_began_changes_nothing()
    {
        var first = Report(BoardCondition.Unconfirmed, "klipper-silent", New) with { Rollback = new(Older.Version, true, null) };
        Assert.Equal(
            BoardCondition.InBootloaderWithoutFirmware,
            FailedFirmware.Both(first, Report(BoardCondition.InBootloaderWithoutFirmware, "device-lost", Older)).Condition);
        Assert.Equal(
            BoardCondition.Unconfirmed, FailedFirmware.Both(first, Report(BoardCondition.Unchanged, "touch-ignored", Older)).Condition);
        var back = FailedFirmware.Both(first, Report(BoardCondition.Flashed, null, Older));
        Assert.Equal(
            (false, BoardCondition.Running, "klipper-silent", false), (back.Ok, back.Condition, back.Fault!.Code, back.Rollback!.Asks));
        Assert.Contains(Older.Version, back.Fault.Remedy.ToString(), StringComparison.Ordinal);
    }
}

using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Every board of <c>all</c> is in the result: flashed, or with the reason why not.</summary>
public sealed class FlashAllTests
{
    /// <summary>A computer without a Klipper checkout: firmware comes from files alone.</summary>
    private sealed class WithoutBuilds(VirtualPrinter printer, PrinterAccess known) : PrinterAccess
    {
        public override IHardware Hardware => printer;

        public override IKlippy Klippy => printer.Klippy;

        public override TimeProvider Time => printer.Time;

        public override McuFacts Facts => known.Facts;

        public override IEnumerable<PrinterBoard> Described => known.Described;

        public override string Description => "a printer without a checkout";

        public override void Post(Action action) => printer.Time.Post(action);

        public override bool HasKinds => true;
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("1-1.1", "btt-octopus-11")]
    public void A_wrong_name_suggests_kinds_of_the_catalogue_only_with_a_port(string? port, string? suggested)
    {
        var folder = Directory.CreateTempSubdirectory("rf-");
        try
        {
            VirtualTime.Run(async time =>
            {
                var printer = VirtualPrinter.Create("unlisted-in-dfu", time);
                using var log = LogFile.Open(Path.Combine(folder.FullName, "log"), static _ => { });
                var place = new WithoutBuilds(printer, PrinterAccess.Of(printer, new VirtualPlace("v", folder.FullName, 0, null)));
                var local = new LocalBoards(place, new KnownMcus(place, [], null, log), _ => printer.Klippy, log);
                var unknown = await Assert.ThrowsAsync<FlashException>(
                    () => local.PlanAsync(new FlashOptions(["btt-octopus"]) { Port = port }));
                Assert.Equal("unknown-board", unknown.Code);
                Assert.Equal(suggested is not null, unknown.Cause.Contains("Did you mean", StringComparison.Ordinal));
                Assert.Contains(suggested ?? "", unknown.Cause, StringComparison.Ordinal);
                Assert.Contains("Choose one of its boards: mcu.", unknown.Remedy.ToString(), StringComparison.Ordinal);
            });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData(BoardState.Klipper)]
    [InlineData(BoardState.Rom)]
    public void A_board_without_firmware_is_skipped_with_the_reason_or_refused_while_it_waits(BoardState state)
    {
        var folder = Directory.CreateTempSubdirectory("rf-");
        try
        {
            VirtualTime.Run(async time =>
            {
                var voron = Scenario.Find("voron");
                var boards = voron.Boards.Select(board => board.Name == "ebb42" ? board with { State = state } : board);
                var printer = VirtualPrinter.Create(new Scenario("voron", "three boards", [.. boards]), time);
                using var log = LogFile.Open(Path.Combine(folder.FullName, "log"), static _ => { });
                var place = new WithoutBuilds(printer, PrinterAccess.Of(printer, new VirtualPlace("voron", folder.FullName, 0, null)));
                var data = new DataFolder(Path.Combine(folder.FullName, "printer_data"));
                Directory.CreateDirectory(data.Firmware);
                File.WriteAllBytes(Path.Combine(data.Firmware, "octopus.bin"), printer.Boards[0].BuildFirmware());
                var local = new LocalBoards(place, new KnownMcus(place, [], data, log), _ => printer.Klippy, log) { Data = data };
                var report = await local.FlashAsync(new FlashOptions([FlashOptions.All]), static _ => { }, CancellationToken.None);

                Assert.Equal(["ebb42", "octopus", "octopus-pro"], report.Boards.Select(board => board.Board).Order());
                Assert.Equal(BoardCondition.Flashed, report.Boards.Single(board => board.Board == "octopus").Condition);
                Assert.NotNull(report.Boards.Single(board => board.Board == "octopus-pro").SkipReason);
                var ebb = report.Boards.Single(board => board.Board == "ebb42");
                Assert.Equal((state == BoardState.Klipper, state == BoardState.Klipper ? null : "firmware-missing"),
                    (ebb.SkipReason is not null, ebb.Fault?.Code));
            });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

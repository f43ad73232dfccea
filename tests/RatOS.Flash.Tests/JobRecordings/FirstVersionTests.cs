using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>
/// Files that version 0.1 left on printers, and its bundles: <c>Recordings/v0.1</c>. Every later version reads and replays them, so no
/// file in that folder is ever made again.
/// </summary>
public sealed class FirstVersionTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-");
    private readonly LogFile _log;

    public FirstVersionTests() => _log = LogFile.Open(Path.Combine(_folder.FullName, "log"), static _ => { });

    private static string Files => Path.Combine(AppContext.BaseDirectory, "Recordings", "v0.1");

    private static DataFolder Data => new(Path.Combine(Files, "printer_data"));

    private static PrinterBoard Octopus => new("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);

    public void Dispose()
    {
        _log.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("can-toolhead", "ebb42 ok Flashed")]
    [InlineData("cancelled", "octopus cancelled Unchanged")]
    [InlineData("card", "octopus ok Flashed")]
    [InlineData("person-gave-up", "octopus bootloader-not-seen Unchanged")]
    [InlineData("port-held", "octopus port-held Unchanged")]
    [InlineData("recovered", "octopus ok Running")]
    public void Each_bundle_plays_as_it_was_recorded(string name, params string[] verdicts)
    {
        var replay = Replay.Run(Read(name, verdicts));
        Assert.True(replay.Divergence is null, $"{replay.Divergence} after {replay.Events[^1]}");
        Assert.Equal(
            verdicts.Select(verdict => verdict.ToLowerInvariant()),
            replay.Report!.Boards.Select(board =>
                $"{board.Board} {board.Fault?.Code ?? "ok"} {JsonContract.Name(board.Condition)}").Order());
    }

    /// <summary>Version 0.1 erased without reading first, so a write protection was found late.</summary>
    [Theory]
    [InlineData("bad-build", "octopus klipper-silent Unconfirmed")]
    [InlineData("built", "octopus ok Flashed", "octopus-2 build-failed Unchanged")]
    [InlineData("person-step", "octopus ok Flashed")]
    public void A_bundle_of_a_write_plays_until_flash_is_read_before_its_erase(string name, params string[] verdicts)
    {
        var replay = Replay.Run(Read(name, verdicts));
        Assert.Equal((FlashPhase.Erase, FlashEventKind.Begin), (replay.Events[^1].Phase, replay.Events[^1].Kind));
        Assert.Contains("5 bytes [4100800008]", replay.Divergence!.Recorded, StringComparison.Ordinal);   // erase
        Assert.Contains("5 bytes [2100800008]", replay.Divergence.Today, StringComparison.Ordinal);       // set the address
    }

    private static JobRecording Read(string name, string[] verdicts)
    {
        var recording = BundleFile.Read(Path.Combine(Files, "bundles", name + ".zip"));
        Assert.True(recording.IsWhole, recording.Damage);
        Assert.Equal("0.1.0", recording.Product);
        Assert.Equal(verdicts, recording.Verdicts.Select(verdict => $"{verdict.Board} {verdict.Code} {verdict.Condition}").Order());
        Assert.NotEmpty(RecordingTimeline.Of(recording));
        return recording;
    }

    /// <summary>Version 0.1 wrote firmware for USB to a board on a UART: its virtual boards did not mind.</summary>
    [Fact]
    public void A_bundle_in_which_firmware_went_to_a_board_on_another_link_is_refused_today()
    {
        var replay = Replay.Run(BundleFile.Read(Path.Combine(Files, "bundles", "uart-rom.zip")));
        Assert.NotNull(replay.Divergence);
        Assert.Equal("firmware-other-link", replay.Events[^1].Report?.Fault?.Code);
    }

    [Fact]
    public void A_recording_beside_a_journal_is_read()
    {
        var recording = BundleFile.Read(Path.Combine(Data.Jobs, "20261129-125037-108b", "recording.gz"));
        Assert.True(recording.IsWhole, recording.Damage);
        Assert.Null(Replay.Run(recording).Divergence);
    }

    [Fact]
    public void The_history_is_unchanged()
    {
        var jobs = Journal.ReadAll(Data.Jobs);
        Assert.Equal(
            [
                "0178 macro ebb42 flashed ok",
                "b22e request ebb42 flashed ok",
                "e163 request octopus unchanged cancelled",
                "63b3 request octopus unchanged bootloader-not-seen, ebb42 flashed ok, pi flashed ok",
                "78b0 request octopus running klipper-silent",
                "581a request octopus flashed ok",
                "41ab request ebb42 flashed ok",
                "5a04 request octopus flashed ok",
                "b3f6 request octopus unconfirmed klipper-silent",
                "108b request octopus unchanged bootloader-not-seen",
            ],
            jobs.Select(job => Line(job.View())));
        Assert.All(jobs, job => Assert.Equal("done", job.View().State));
        Assert.All(jobs, job => Assert.Null(job.Stopped));
        Assert.Equal("2026-11-29T12:44:41Z", jobs[0].View().Created);
        Assert.Equal(
            ("v0.12.0-10-g1f2a9e1c", "v0.13.0-730-g84104bbbd"),
            jobs[0].View().Boards.Select(board => (board.OldVersion, board.NewVersion)).Single());
        Assert.Equal(28.4, jobs[0].View().Elapsed);
        // Each verdict keeps its cause and its remedy.
        Assert.StartsWith("The firmware of octopus does not answer", jobs[8].View().Boards[0].Fault!.Cause, StringComparison.Ordinal);
        Assert.StartsWith("Take the BOOT0 jumper off", jobs[8].View().Boards[0].Fault!.Remedy, StringComparison.Ordinal);

        // The parts of a report beside its history: a process, a card, a rollback.
        var reports = jobs.Select(job => job.Result!.ToReport().Boards).ToList();
        Assert.Equal([false, false, true], reports[3].Select(board => board.IsProcess));
        Assert.Equal([true, false], new[] { reports[7][0].IsBySdCard, reports[8][0].IsBySdCard });
        Assert.Equal(["octopus"], jobs[7].Header.SdCard!);
        var (back, kept) = (reports[4][0].Rollback!, reports[8][0].Rollback!);
        Assert.Equal(("v0.12.0-10-g1f2a9e1c", false, "flashed"), (back.Version, back.Asks, JsonContract.Name(back.Report!.Condition)));
        Assert.Equal(("v0.13.0-800-g0123456", true, null), (kept.Version, kept.Asks, kept.Report));
    }

    [Fact]
    public void The_steps_of_every_journal_are_read()
    {
        foreach (var job in Journal.ReadAll(Data.Jobs))
        {
            string[] starts = ["{\"event\":\"step\"", "{\"event\":\"verdict\""];
            var written = File.ReadAllLines(job.Path).Where(line => starts.Any(start => line.StartsWith(start, StringComparison.Ordinal)));
            Assert.Equal(written, job.Steps.Select(step => JsonSerializer.Serialize(step, JsonContract.Shapes.JsonStep)));
            // Read and written again they are the same.
            var again = job.Steps.Select(step => JsonStep.Of(step.ToEvent()));
            Assert.Equal(written, again.Select(step => JsonSerializer.Serialize(step, JsonContract.Shapes.JsonStep)));
        }
    }

    [Fact]
    public void A_flash_that_ended_with_the_computer_s_power_is_reported_from_its_journal()
    {
        var job = Assert.Single(Journal.ReadAll(Path.Combine(Files, "killed")));
        Assert.Null(job.Result);
        Assert.Equal("klipper", job.Stopped);
        Assert.Equal("f5dd request octopus in-bootloader-without-firmware interrupted", Line(job.View()));
    }

    [Fact]
    public void The_plan_of_every_job_is_read()
    {
        foreach (var job in Directory.GetDirectories(Data.Jobs))
        {
            foreach (var line in File.ReadLines(Path.Combine(job, "plan.ndjson")))
            {
                var plan = JsonSerializer.Deserialize(line, JsonContract.Shapes.JsonPlan);
                Assert.Equal(line, JsonSerializer.Serialize(plan, JsonContract.Shapes.JsonPlan));
            }
        }
    }

    [Fact]
    public void Klipper_s_answers_about_its_boards_are_read()
    {
        VirtualTime.Run(time =>
        {
            var root = Path.Combine(_folder.FullName, "p");
            var file = new DataFolder(root).Mcus;
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.Copy(Data.Mcus, file);
            var place = new VirtualPlace("octopus", Path.Combine(_folder.FullName, "v"), 0, null);
            var printer = PrinterAccess.Of(VirtualPrinter.Create("octopus", time), place);
            var facts = new KnownMcus(printer, [], new DataFolder(root), _log).Facts;
            Assert.Equal(("v0.13.0-730-g84104bbbd", "ready", "Printer is ready"), (facts.Evidence.Host, facts.State, facts.Message));
            Assert.Equal(["mcu", "mcu ebb42", "mcu pi"], facts.Sections.Select(section => section.Name));
            Assert.Equal(
                ("/dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00", "250000", "command"),
                (facts.Sections[0].Serial, facts.Sections[0].Baud, facts.Sections[0].RestartMethod));
            Assert.Equal(("69fe21cda020", "can0"), (facts.Sections[1].CanbusUuid, facts.Sections[1].CanbusInterface));
            var head = facts.Evidence.Boards["mcu ebb42"];
            Assert.Equal(("v0.12.0-10-g1f2a9e1c", "stm32g0b1xx"), (head.Version, head.Chip));
            Assert.Equal("PA11,PA12", facts.Evidence.Boards["mcu"].Constants["RESERVE_PINS_USB"]);
            Assert.Equal(("1-1.1", null), facts.Ports["mcu"]);
            return Task.CompletedTask;
        });
    }

    [Fact]
    public void Kept_firmware_is_rolled_back_and_failed_firmware_is_not()
    {
        var images = new GoodImages(Data.Good, TimeProvider.System, _log);
        Assert.Equal(
            ["v0.13.0-800-g0123456 confirmed", "v0.13.0-730-g84104bbbd confirmed", "v0.12.0-10-g1f2a9e1c read-out"],
            images.Of("octopus").Select(good => $"{good.Image.Version} {good.About.Source}"));
        // A failed firmware is remembered: the newest good one is rolled back, whichever one the board reports.
        Assert.Equal("v0.13.0-800-g0123456", images.Before("octopus", "v0.13.0-800-g0123456").Version);
        Assert.Equal("v0.13.0-730-g84104bbbd", Assert.Single(images.Of("pi")).Image.Version);
    }

    [Fact]
    public void The_configuration_kept_by_menuconfig_is_built()
    {
        var config = Menuconfig.Kept(Data.Configs, Octopus)!;
        Assert.Contains(("USB_SERIAL_NUMBER", "mine"), config.Declared);
        Assert.Contains(("FLASH_APPLICATION_ADDRESS", "0x8008000"), config.Declared);
    }

    [Fact]
    public void Every_setting_is_read()
    {
        var settings = AgentSettings.Read(Data.Settings);
        Assert.Equal(("Changed", "Auto", true), ($"{settings.Policy}", $"{settings.Rollback}", settings.WhenIdle));
        Assert.Equal(("klipper-1", "/home/pi/klipper", "abc#def"), (settings.KlipperService, settings.KlipperPath, settings.ApiKey));
        Assert.Equal(("ws://192.168.1.7:7125/websocket", "Information"), (settings.MoonrakerUrl?.ToString(), $"{settings.LogLevel}"));
        Assert.Equal(
            [
                "toolhead btt-ebb42-12  a19f7f1b35c1 can1 katapult printer",
                "btt-octopus-11 btt-octopus-11 1-1.3  can0 dfu ",
                "uart btt-skr-mini-e3-30 /dev/ttyAMA0  can0 stm32-uart ",
            ],
            settings.Boards.Select(board => $"{board.Name} {board.Board.Id} {board.Port} {board.CanUuid} {board.CanInterface} "
                + $"{FlashArguments.Bootloaders.First(option => option.Value == board.Bootloader).Key} {board.Power}"));
        Assert.Equal([false, true, true], settings.Boards.Select(board => board.OnlyByPort));
    }

    [Fact]
    public void File_names_are_unchanged()
    {
        // The files that a later agent reads; lock, sockets and builds are created again.
        Assert.True(File.Exists(Data.Between), "between/between.log");
        Assert.True(File.Exists(Data.UpdateNotice), "told");
        Assert.True(File.Exists(Path.Combine(Data.HostMcu, "result")), "host-mcu/result");
        Assert.True(File.Exists(Data.Mcus), "mcus.json");
    }

    private static string Line(JsonJob job) =>
        $"{job.Job} {job.By} {string.Join(", ", job.Boards.Select(board => $"{board.Board} {board.Condition} {CodeOf(board.Fault)}"))}";

    private static string CodeOf(JsonFaultReport? fault) => fault?.Code ?? "ok";
}

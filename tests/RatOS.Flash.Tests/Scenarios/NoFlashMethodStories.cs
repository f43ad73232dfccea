using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>A board that only a person can write is refused with its steps, and with the file that they want.</summary>
[VirtualOnly("nothing of it is on a bus")]
public sealed class NoFlashMethodStories : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-");

    public void Dispose() => _folder.Delete(recursive: true);

    private async Task<(BoardReport Report, List<string> Offered)> FlashAsync(Story story, string kind, BuiltOrNot built)
    {
        var offered = new List<string>();
        var flasher = new Flasher(story.Hardware, story.Printer.Klippy, story.Time, new Services(built, offered), static _ =>
            ValueTask.CompletedTask);
        var report = await flasher.FlashAsync([new FlashRequest(new PrinterBoard("tool", BoardCatalogue.BuiltIn.Find(kind)!), null)],
            CancellationToken.None);
        Assert.Equal(0, story.Printer.Klippy.Stops);
        return (report.Boards.Single(), offered);
    }

    [Fact]
    public void What_a_person_has_to_write_is_built_and_laid_ready_under_its_name() => Story.Of("octopus", async story =>
    {
        var path = Path.Combine(_folder.FullName, "klipper.elf.hex");
        File.WriteAllBytes(path, [1, 2, 3]);
        var image = FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v1"), "klipper.bin");
        var built = new BuiltFirmware(image, path, "", "", "", IsFromCache: false, TimeSpan.Zero);
        var (report, offered) = await FlashAsync(story, "prusa-einsy", new(built, null));
        Assert.Equal(("no-road", true), (report.Fault?.Code, report.Refused));
        Assert.EndsWith("It was built: tool/firmware-prusa-einsy.elf.hex.", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Equal("tool/firmware-prusa-einsy.elf.hex 010203", Assert.Single(offered));
    });

    [Fact]
    public void Firmware_that_cannot_be_built_is_reported_with_the_reason() => Story.Of("octopus", async story =>
    {
        var (report, offered) =
            await FlashAsync(story, "prusa-einsy", new(null, new(FaultKind.ToolchainMissing, "There is no avr-gcc.", $"Install it.")));
        Assert.Equal("no-road", report.Fault?.Code);
        Assert.EndsWith("It could not be built: There is no avr-gcc.", report.Fault!.Cause, StringComparison.Ordinal);
        Assert.Empty(offered);
    });

    [Fact]
    public void Nothing_is_built_for_a_board_that_brings_its_own_updater() => Story.Of("octopus", async story =>
    {
        var (report, offered) = await FlashAsync(story, "beacon", default);
        Assert.DoesNotContain("built", report.Fault!.Cause[..^1].Split(". ")[^1], StringComparison.Ordinal);
        Assert.Empty(offered);
    });

    private sealed class Services(BuiltOrNot built, List<string> offered) : FlashServices
    {
        public override bool CanBuild => true;

        public override Task<IReadOnlyDictionary<string, BuiltOrNot>> BuildAsync(
            IReadOnlyList<PrinterBoard> boards, Func<BuildProgress, ValueTask> progress, CancellationToken cancel) =>
            Task.FromResult<IReadOnlyDictionary<string, BuiltOrNot>>(boards.ToDictionary(board => board.Name, _ => built));

        public override string? Offer(string board, string fileName, ReadOnlyMemory<byte> file)
        {
            offered.Add($"{board}/{fileName} {Convert.ToHexString(file.Span)}");
            return $"{board}/{fileName}";
        }
    }
}

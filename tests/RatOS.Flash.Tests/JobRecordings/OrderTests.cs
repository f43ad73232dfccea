using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>The newest job and the newest firmware are the last that were made, whatever the clock said before.</summary>
public sealed class OrderTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ratos-flash-order");
    private readonly LogFile _log;

    public OrderTests() => _log = LogFile.Open(Path.Combine(_folder.FullName, "log"), static _ => { });

    public void Dispose()
    {
        _log.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData(new string[0], "20261129-120000-x")]
    [InlineData(new[] { "20261129-110000-a" }, "20261129-120000-x")]
    [InlineData(new[] { "20261129-120000-a" }, "20261129-120001-x")]
    [InlineData(new[] { "20370101-000000-a", "20200101-000000-b" }, "20370101-000001-x")]
    [InlineData(new[] { "lost+found", "", "99991231-235959-a", "99999999-999999-b", "2037" }, "20261129-120000-x")]
    public void A_name_sorts_after_all_others(string[] others, string expected) =>
        Assert.Equal(expected, SequenceName.Next(others, Now, "x"));

    [Fact]
    public void A_clock_that_was_ahead_deletes_neither_the_newest_job_nor_the_newest_good_firmware()
    {
        var jobs = Path.Combine(_folder.FullName, "jobs");
        for (var i = 0; i < 60; i++)
            Directory.CreateDirectory(Path.Combine(jobs, $"2037010{i / 10}-0000{i % 10:00}-beef"));
        VirtualTime.Run(time =>
        {
            var board = new PrinterBoard("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);
            var job = new Job("request", new FlashOptions(["octopus"]), [new FlashRequest(board, null)], time);
            using (Journal.Create(jobs, job))
                Journal.Prune(jobs, _log);
            Assert.Equal(job.Id, Assert.Single(Journal.ReadAll(jobs)).Header.Job);

            var good = new GoodImages(Path.Combine(_folder.FullName, "good"), time, _log);
            var folder = Directory.CreateDirectory(Path.Combine(_folder.FullName, "good", "octopus")).FullName;
            for (var i = 0; i < 3; i++)
                File.WriteAllText(Path.Combine(folder, $"2037010{i + 1}-000000-beef.bin"), "");
            foreach (var version in (string[])["v0.12.1", "v0.12.2", "v0.12.1"])
            {
                var image = FirmwareImage.Parse(VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, version), version);
                good.Keep("octopus", image, "confirmed", null);
            }
            Assert.Equal(["v0.12.1", "v0.12.2"], good.Of("octopus").Select(kept => kept.Image.Version));
            return Task.CompletedTask;
        });
    }

    [Fact]
    public void Ten_thousand_folders_of_jobs_are_listed_and_not_read()
    {
        var jobs = Path.Combine(_folder.FullName, "jobs");
        for (var i = 0; i < 10_000; i++)
        {
            var job = Directory.CreateDirectory(Path.Combine(jobs, $"20260101-{i:000000}-beef")).FullName;
            if (i % 100 == 0)
                File.WriteAllText(Path.Combine(job, "journal.ndjson"), new string('x', 1_000_000));
        }
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Empty(Journal.ReadAll(jobs));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
        Journal.Prune(jobs, _log);
        Assert.Equal(10_000 - 200, Directory.GetDirectories(jobs).Length);
    }

    [Theory]
    [InlineData("a\u009b31mb", "a?31mb")]
    [InlineData("a\u202eb\u2066c", "a?b?c")]
    [InlineData("a\u200bb\ufeffc\u2028d", "a?b?c?d")]
    [InlineData("a\u001b[31m\u007f", "a?[31m?")]
    [InlineData("Künstler 火", "Künstler 火")]
    public void Text_of_devices_has_no_hidden_characters(string text, string expected)
    {
        Assert.Equal(expected, PlainText.Of(text, 256));
        Assert.Equal(expected, DataDictionary.Clean(text));
        Assert.Equal(expected, Agent.Contract.Text.Clean(text));
    }

    [Fact]
    public void Definitions_of_many_megabytes_together_are_passed_over()
    {
        for (var i = 0; i < 100; i++)
        {
            var folder = Directory.CreateDirectory(Path.Combine(_folder.FullName, "boards", $"b{i:000}")).FullName;
            File.WriteAllText(Path.Combine(folder, "board-definition.json"), $"{{\"id\": \"b{i}\", \"name\": \"Board {i}\"}}");
            File.WriteAllText(Path.Combine(folder, "firmware.config"), string.Concat(Enumerable.Repeat("CONFIG_X=y\n", 20_000)));
        }
        var catalogue = RatOsCatalogue.Load(Path.Combine(_folder.FullName, "boards"));
        Assert.Contains(catalogue.Findings, finding => finding.Text.Contains("more than 1 MiB together", StringComparison.Ordinal));
        Assert.InRange(catalogue.Catalogue.Boards.Length - BoardCatalogue.BuiltIn.Boards.Length, 3, 8);
    }
}

using System.IO.Compression;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>
/// Bundles as tests: put one into <c>Recordings/bundles</c> and add its result here. If a later engine diverges from it, make the bundle
/// again. The explicit test below makes those of the virtual printer (<c>-explicit only</c>).
/// </summary>
public sealed class RecordedBundleTests
{
    private static readonly Dictionary<string, (string Scenario, InjectedFaults Faults)> OfTheVirtualPrinter = new(StringComparer.Ordinal)
    {
        ["dfu-success"] = ("octopus", InjectedFaults.None),
        ["katapult-success"] = ("octopus-katapult", InjectedFaults.None),
        ["verify-failed"] = ("octopus", new InjectedFaults { WornAt = 0x0800_9001 }),
        ["not-back"] =
            ("octopus-katapult", new InjectedFaults { Transfers = [new(300, TransferFaultKind.Unplug, TimeSpan.FromSeconds(-1))] }),
    };

    [Theory]
    [InlineData("dfu-success", "ok", "Flashed")]
    [InlineData("katapult-success", "ok", "Flashed")]
    [InlineData("verify-failed", "verify-failed", "InBootloaderWithoutFirmware")]
    [InlineData("not-back", "device-lost", "InBootloaderWithoutFirmware")]
    public void Each_replays_as_recorded(string name, string code, string condition)
    {
        var recording = BundleFile.Read(Path.Combine(AppContext.BaseDirectory, "Recordings", "bundles", name + ".zip"));
        Assert.True(recording.IsWhole, recording.Damage);
        Assert.Equal(("octopus", condition, code), Assert.Single(recording.Verdicts));
        var replay = Replay.Run(recording);
        Assert.True(replay.Divergence is null, $"{replay.Divergence} after {replay.Events[^1]}");
        Assert.Equal((code, condition), (replay.Report!.Boards[0].Fault?.Code ?? "ok", $"{replay.Report.Boards[0].Condition}"));
    }

    [Fact]
    public void Every_bundle_is_replayed() =>
        Assert.Equal(
            typeof(RecordedBundleTests).GetMethod(nameof(Each_replays_as_recorded))!.GetCustomAttributesData()
                .Where(data => data.AttributeType == typeof(InlineDataAttribute))
                .Select(data => ((IEnumerable<System.Reflection.CustomAttributeTypedArgument>)data.ConstructorArguments[0].Value!)
                    .First().Value + ".zip").Order(StringComparer.Ordinal),
            Directory.GetFiles(Path.Combine(TidyTests.Root, "tests", "RatOS.Flash.Tests", "Recordings", "bundles"))
                .Select(Path.GetFileName)
            .Order(StringComparer.Ordinal));

    [Fact(Explicit = true)]
    public void Make_the_bundles_of_the_virtual_printer_again()
    {
        var folder =
            Directory.CreateDirectory(Path.Combine(TidyTests.Root, "tests", "RatOS.Flash.Tests", "Recordings", "bundles")).FullName;
        foreach (var (name, (scenario, faults)) in OfTheVirtualPrinter)
        {
            using var zip = new ZipArchive(File.Create(Path.Combine(folder, name + ".zip")), ZipArchiveMode.Create);
            var entry = zip.CreateEntry(BundleFile.RecordingName, CompressionLevel.SmallestSize);
            entry.LastWriteTime = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
            using var stream = entry.Open();
            stream.Write(RecordedJob.Record(scenario, faults).Bytes);
        }
    }
}

using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Agent.Support;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Tests.Seeds;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>One folder for each job, one zip for a bug report, and damaged or malicious zips.</summary>
[Collection(WholeMachine.Name)]   // it measures the memory of the process
public sealed class BundleTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ratos-flash-bundle");

    private DataFolder Data => new(Path.Combine(_folder.FullName, "printer_data"));

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_flash_leaves_one_folder_and_its_bundle_replays()
    {
        Flash("octopus");
        var job = Assert.Single(Directory.GetDirectories(Data.Jobs));
        Assert.Equal(["journal.ndjson", "plan.ndjson", "recording.gz"], Directory.GetFiles(job).Select(Path.GetFileName).Order());
        Assert.Contains("\"event\":\"plan\"", File.ReadAllText(Path.Combine(job, "plan.ndjson")), StringComparison.Ordinal);
        Assert.True(Assert.Single(Journal.ReadAll(Data.Jobs)).View().Ok);
        Assert.InRange(new FileInfo(Path.Combine(job, "recording.gz")).Length, 1000, 400_000);

        var file = Bundle(null);
        Assert.Matches(@"/logs/ratos-flash-\d{8}-\d{6}-octopus\.zip$", file);
        using (var zip = ZipFile.OpenRead(file))
        {
            var names = zip.Entries.Select(entry => entry.FullName).ToList();
            foreach (var name in (string[])["README.txt", "timeline.txt", "recording.txt", "plan.ndjson", "journal.ndjson", "outcome.json",
                    "images.txt", "versions.txt", "usb.txt", "ports.txt", "power.txt", "kernel.txt", "config/moonraker.conf"])
                Assert.Contains(name, names);
            Assert.Contains("octopus is Flashed, ok", Of(zip, "timeline.txt"), StringComparison.Ordinal);
            Assert.Contains(Product.Version, Of(zip, "versions.txt"), StringComparison.Ordinal);
            Assert.True(JsonDocument.Parse(Of(zip, "outcome.json")).RootElement.GetProperty("ok").GetBoolean());
            Assert.DoesNotContain("hunter2", Of(zip, "config/moonraker.conf"), StringComparison.Ordinal);
            Assert.Contains("Not in it:", Of(zip, "README.txt"), StringComparison.Ordinal);
            Assert.Contains("- logs/klippy.log", Of(zip, "README.txt"), StringComparison.Ordinal);
        }
        Assert.Empty(Directory.GetFiles(Path.Combine(Data.Root, "logs"), "*.part"));
        foreach (var recording in (string[])[file, Path.Combine(job, "recording.gz")])
        {
            var replay = Replay.Run(BundleFile.Read(recording));
            Assert.Null(replay.Divergence);
            Assert.True(replay.Report!.Ok);
        }
    }

    [Fact]
    public void A_flash_succeeds_where_no_recording_can_be_written_and_the_bundle_says_so()
    {
        // A folder of that name is in the way, as on a disk that takes nothing.
        Flash("octopus", job => Directory.CreateDirectory(Path.Combine(job, "recording.gz")));
        Assert.True(Journal.ReadAll(Data.Jobs)[0].View().Ok);
        using var zip = ZipFile.OpenRead(Bundle(null));
        Assert.Contains("- recording: ", Of(zip, "README.txt"), StringComparison.Ordinal);
        Assert.Contains("point-of-no-return", Of(zip, "timeline.txt"), StringComparison.Ordinal);
        Assert.Equal(
            "bundle-unreadable",
            Assert.Throws<FlashException>(() => BundleFile.Read(Directory.GetFiles(Path.Combine(Data.Root, "logs"), "*.zip")[0])).Code);
    }

    [Fact]
    public void A_bundle_without_any_job_is_written_and_an_unknown_job_is_refused()
    {
        Prepare();
        Assert.EndsWith("-printer.zip", Bundle(null), StringComparison.Ordinal);
        Assert.Equal("unknown-job", Assert.Throws<FlashException>(() => Bundle("beef")).Code);
    }

    [Theory]
    [InlineData("/dev/full/x.zip")]
    [InlineData("/proc/x.zip")]
    [InlineData("/nowhere/at/all/x.zip")]
    public void A_bundle_that_cannot_be_written_is_a_fault_and_leaves_nothing(string output)
    {
        Prepare();
        Assert.Equal("bundle-unwritable", Assert.Throws<FlashException>(() => Bundle(null, output)).Code);
    }

    [Fact]
    public void Old_bundles_and_recordings_are_deleted()
    {
        Prepare();
        var logs = Path.Combine(Data.Root, "logs");
        for (var i = 0; i < 20; i++)
            File.WriteAllText(Path.Combine(logs, $"ratos-flash-20250101-0000{i:00}-octopus.zip"), "");
        File.WriteAllText(Path.Combine(logs, "ratos-flash-my-own.zip"), "");
        Bundle(null);
        Assert.Equal(10 + 1, Directory.GetFiles(logs, "*.zip").Length);
        Assert.True(File.Exists(Path.Combine(logs, "ratos-flash-my-own.zip")));

        for (var i = 0; i < 5; i++)
        {
            var job = Directory.CreateDirectory(Path.Combine(Data.Jobs, $"20250101-00000{i}-beef")).FullName;
            File.WriteAllText(Path.Combine(job, "journal.ndjson"), "");
            using var file = File.Create(Path.Combine(job, "recording.gz"));
            file.SetLength(JobRecorder.MostBytes / 3);
        }
        using var log = LogFile.Open(Path.Combine(_folder.FullName, "log"), static _ => { });
        JobRecorder.Prune(Data.Jobs, log);
        Assert.Equal(
            ["20250101-000002-beef", "20250101-000003-beef", "20250101-000004-beef"],
            Directory.GetFiles(Data.Jobs, "recording.gz", SearchOption.AllDirectories)
                .Select(file => Path.GetFileName(Path.GetDirectoryName(file))).Order());
        Assert.Equal(5, Directory.GetFiles(Data.Jobs, "journal.ndjson", SearchOption.AllDirectories).Length);
    }

    [Theory]
    [InlineData("api_key: hunter2 and more", "api_key: (removed)")]
    [InlineData("  password = 'hunter2'", "  password = '(removed)'")]
    [InlineData("{\"ssid\":\"my house\",\"size\":3}", "{\"ssid\":\"(removed)\",\"size\":3}")]
    [InlineData("    psk=\"hunter2\"", "    psk=\"(removed)\"")]
    [InlineData("mqtt://ann:hunter2@broker:1883", "(url)")]
    [InlineData("write to ann.b+x@example.org today", "write to (e-mail) today")]
    [InlineData("/home/ann/printer_data/config", "/home/(user)/printer_data/config")]
    [InlineData("link/ether b8:27:eb:01:02:03 inet 192.168.1.20/24", "link/ether (mac) inet (address)/24")]
    [InlineData("listening at 127.0.0.1", "listening at 127.0.0.1")]
    [InlineData("Jan 1 annsprinter kernel: usb 1-1", "Jan 1 (host) kernel: usb 1-1")]
    [InlineData("serial: /dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00",
        "serial: /dev/serial/by-id/usb-Klipper_stm32f446xx_btt-octopus-11-if00")]
    [InlineData("canbus_uuid: a19f7f1b35c1", "canbus_uuid: a19f7f1b35c1")]
    [InlineData("step_pin: PF13 # motor 0", "step_pin: PF13 # motor 0")]
    public void Private_texts_are_removed_and_nothing_else(string text, string expected)
    {
        Assert.Equal(expected, new Redaction("annsprinter").Of(text));
        Assert.Equal(
            $"5 job x 0 {Uri.EscapeDataString(expected)} = ok :00",
            new Redaction("annsprinter").OfRecording($"5 job x 0 {Uri.EscapeDataString(text)} = ok :00"));
    }

    [Fact]
    public void Names_that_point_outside_a_zip_are_ignored()
    {
        var file = Zip(zip =>
        {
            foreach (var name in (string[])["../../evil", "/etc/evil", "recording.txt/../evil", "C:\\evil", "recording.txt"])
                Put(zip, name, name == "recording.txt" ? RecordedJob.Record("octopus").Bytes : "evil"u8.ToArray());
        });
        var before = Directory.GetFileSystemEntries(_folder.FullName, "*", SearchOption.AllDirectories);
        Assert.Null(Replay.Run(BundleFile.Read(file)).Divergence);
        Assert.Equal(before, Directory.GetFileSystemEntries(_folder.FullName, "*", SearchOption.AllDirectories));
    }

    private string Fifo()
    {
        var fifo = Path.Combine(_folder.FullName, "fifo.zip");
        using var made = System.Diagnostics.Process.Start("mkfifo", [fifo]);
        made.WaitForExit();
        return fifo;
    }

    [Fact]
    public void Malicious_zips_end_in_a_fault()
    {
        var whole = RecordedJob.Record("octopus").Bytes;
        foreach (var (file, why) in new[]
        {
            (Zip(static zip => Put(zip, "readme.txt", [1])), "it contains no recording"),
            (Zip(zip => { Put(zip, "recording.txt", whole); Put(zip, "recording.txt", whole); }), "more than one"),
            (Plain("PK\u0003\u0004 and no more"u8.ToArray()), ""),
            (Plain([]), "it is empty or no regular file"),
            ("/dev/null", "it is empty or no regular file"),
            (Fifo(), "it is empty or no regular file"),
            (Plain([0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8]), "torn"),
            (Sparse(), "too much for any bundle"),
            (Path.Combine(_folder.FullName, "missing.zip"), "the file does not exist"),
            (_folder.FullName, "it is a directory"),
        })
        {
            var fault = Assert.Throws<FlashException>(() => BundleFile.Read(file));
            Assert.Equal("bundle-unreadable", fault.Code);
            Assert.Contains(why, fault.Cause, StringComparison.Ordinal);
        }
        // Ten megabytes of zip that would be ten gigabytes; its beginning is a recording.
        var bomb = Zip(zip =>
        {
            using var entry = zip.CreateEntry("recording.txt", CompressionLevel.Fastest).Open();
            entry.Write("ratos-flash-recording 1 0.1.0 2030-01-01T00:00:00Z\n"u8);
            var block = new byte[1024 * 1024];
            for (var i = 0; i < 256; i++)
                entry.Write(block);
        });
        Assert.Contains("longer than any recording", BundleFile.Read(bomb).Damage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_small_zip_that_names_the_same_bytes_again_and_again_takes_bounded_memory()
    {
        var text = new StringBuilder("ratos-flash-recording 1 0.1.0 2030-01-01T00:00:00Z\n0 job image 0 0 sha 65536 = ok\n");
        for (var i = 0; i < 32; i++)
            text.Append(CultureInfo.InvariantCulture, $"0 job part 0 0 :{new string('0', 4096)} = ok\n");
        for (var i = 0; i < 350_000; i++)
            text.Append(CultureInfo.InvariantCulture, $"1 usb write 0 1-1 :0.{i % 30_000}.30000 = ok\n");
        var bomb = Zip(zip => Put(zip, "recording.txt", Encoding.UTF8.GetBytes(text.ToString())));
        Assert.InRange(new FileInfo(bomb).Length, 1, 2_000_000);
        text.Clear();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var recording = BundleFile.Read(bomb);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 0, 100 << 20);
        Assert.Contains("more memory than any recording", recording.Damage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_zip_of_too_many_files_is_refused_before_it_is_opened()
    {
        var file = Zip(static zip =>
        {
            for (var i = 0; i < 1100; i++)
                Put(zip, $"{i}", []);
        });
        Assert.Contains("more than 1000 files", Assert.Throws<FlashException>(() => BundleFile.Read(file)).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_recording_is_read_as_a_whole_and_takes_less_than_a_hundred_megabytes()
    {
        var lines = Encoding.UTF8.GetString(RecordedJob.Record("octopus").Bytes).Split('\n');
        var (head, end) = (Array.FindIndex(lines, line => line.Contains(" job begin ", StringComparison.Ordinal)), lines.Length - 2);
        var middle = lines[(head + 1)..end].Where(line => !line.Contains(" job ", StringComparison.Ordinal)).ToList();
        var text = new StringBuilder(string.Join('\n', lines[..(head + 1)]) + "\n");
        // Time does not run backwards in it.
        for (var hour = 1; text.Length < CallRecorder.MostText; hour++)
        {
            foreach (var words in middle.Select(line => line.Split(' ', 2)))
            {
                var at = long.Parse(words[0], CultureInfo.InvariantCulture) + (hour * TimeSpan.TicksPerHour);
                text.Append(at).Append(' ').Append(words[1]).Append('\n');
            }
        }
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text.ToString()));
        text.Clear();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var recording = JobRecording.Read(stream, "full");
        var taken = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.Null(recording.Damage);
        Assert.InRange(taken, 0, 100 << 20);
        GC.KeepAlive(recording);
    }

    [Fact]
    public void A_zip_with_random_damage_is_a_fault_or_a_shorter_recording()
    {
        var whole = File.ReadAllBytes(Zip(static zip => Put(zip, "recording.txt", RecordedJob.Record("octopus").Bytes)));
        for (var seed = 0; seed < 60; seed++)
        {
            var (dice, bytes) = (new Random(seed), whole.ToArray());
            for (var left = dice.Next(1, 8); left > 0; left--)
                bytes[dice.Next(bytes.Length)] ^= (byte)(1 << dice.Next(8));
            try
            {
                Replay.Run(BundleFile.Read(Plain(seed % 3 == 0 ? bytes[..dice.Next(bytes.Length)] : bytes)));
            }
            catch (FlashException fault)
            {
                Assert.NotEqual("internal-error", fault.Code);
            }
        }
    }

    private void Prepare()
    {
        foreach (var name in (string[])["logs", "config", "comms"])
            Directory.CreateDirectory(Path.Combine(Data.Root, name));
        File.WriteAllText(Path.Combine(Data.Root, "config", "moonraker.conf"), "[notifier]\npassword: hunter2\n");
    }

    /// <summary>As the command line does without an agent.</summary>
    private void Flash(string scenario, Action<string>? onJob = null)
    {
        Prepare();
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create(scenario, time);
            using var log = LogFile.Open(Path.Combine(_folder.FullName, "log"), static _ => { });
            var place = PrinterAccess.Of(printer, Place(scenario));
            var local = new LocalBoards(place, new KnownMcus(place, [], Data, log), _ => printer.Klippy,
                log)
            { Data = Data, BeforeFlash = () => onJob?.Invoke(Directory.GetDirectories(Data.Jobs)[0]) };
            using var recorder = new CallRecorder(time, log.Say);
            using var over = new CancellationTokenSource();
            var queue = new FlashQueue(local, Data.Jobs, (_, _) => printer.Klippy, token =>
                Task.Delay(Timeout.InfiniteTimeSpan, time, token), log)
            { Recorder = recorder };
            var options = new FlashOptions(["all"]);
            var job = queue.Add(new Job("command-line", options, await local.RequestAsync(options), time));
            var work = queue.RunAsync(over.Token);
            Assert.True((await job.Done).Ok);
            over.Cancel();
            await work;
        });
    }

    private string Bundle(string? job, string? output = null)
    {
        var file = "";
        VirtualTime.Run(time =>
        {
            file = new Bundle(Data, PrinterAccess.Of(VirtualPrinter.Create("octopus", time), Place("octopus"))).Write(job, output);
            return Task.CompletedTask;
        });
        return file;
    }

    private VirtualPlace Place(string scenario) => new(scenario, Path.Combine(_folder.FullName, "virtual"), 0, null);

    private static string Of(ZipArchive zip, string name)
    {
        using var reader = new StreamReader(zip.GetEntry(name)!.Open(), Encoding.UTF8);
        return reader.ReadToEnd();
    }

    private string Zip(Action<ZipArchive> fill)
    {
        var path = Path.Combine(_folder.FullName, $"{Guid.NewGuid():N}.zip");
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        fill(zip);
        return path;
    }

    private string Plain(byte[] bytes)
    {
        var path = Path.Combine(_folder.FullName, $"{Guid.NewGuid():N}.zip");
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private string Sparse()
    {
        var path = Path.Combine(_folder.FullName, "large.zip");
        using var file = File.Create(path);
        file.SetLength(5L * 1024 * 1024 * 1024);
        return path;
    }

    private static void Put(ZipArchive zip, string name, byte[] bytes)
    {
        using var entry = zip.CreateEntry(name).Open();
        entry.Write(bytes);
    }
}

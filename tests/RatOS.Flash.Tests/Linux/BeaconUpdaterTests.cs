using System.Runtime.Versioning;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Tests.Linux;

/// <summary>The maker's updater as a child process. Its Python is a shell here, and its script tells what it got.</summary>
[SupportedOSPlatform("linux")]
public sealed class BeaconUpdaterTests : IDisposable
{
    private static readonly Device Beacon = new()
    {
        Port = "1-1.2",
        Number = 7,
        Usb = new UsbId(0x04d8, 0xe72b),
        Product = "Beacon RevH",
        Release = 0x2010,
        Node = "/dev/ttyACM0; echo $HOME",
    };

    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("rf-");
    private readonly List<string> _lines = [];

    public void Dispose() => _home.Delete(recursive: true);

    private BeaconUpdater Updater => new(Path.Combine(_home.FullName, "klipper"), $"{Path.Combine(_home.FullName, "bin")}:/usr/bin:/bin");

    private string Write(string path, string text)
    {
        var file = Path.Combine(_home.FullName, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return file;
    }

    /// <summary>A home as the maker's install.sh leaves it, under the name that RatOS gives to the checkout.</summary>
    private void Install(string script, string checkout = "beacon")
    {
        Write("bin/dfu-util", "#!/bin/sh\n");
        Write("klippy-env/bin/python", "#!/bin/sh\nexec /bin/sh \"$@\"\n");
        Write($"{checkout}/update_firmware.py", script);
    }

    private Task<int> RunAsync(CancellationToken kill = default) => Updater.RunAsync(Beacon, _lines.Add, kill);

    [Fact]
    public async Task It_gets_its_arguments_without_a_shell_and_its_exit_code_and_lines_are_kept()
    {
        Install("for word in \"$@\"; do echo \"<$word>\"; done; echo last >&2; exit 3\n");
        Assert.Null(Updater.Check("beacon"));
        Assert.Equal(3, await RunAsync());
        Assert.Equal(["<update>", "</dev/ttyACM0; echo $HOME>", "<--no-sudo>"], _lines.Where(line => line != "last"));
        Assert.Contains("last", _lines);
        Assert.EndsWith("beacon/update_firmware.py update all --no-sudo", Updater.CommandFor(Beacon with { Node = null }),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_kill_ends_its_children_too()
    {
        Install("echo begun; sleep 60\n");
        using var kill = new CancellationTokenSource();
        var begun = new TaskCompletionSource();
        var run = Updater.RunAsync(Beacon, _ => begun.TrySetResult(), kill.Token);
        await begun.Task;
        await kill.CancelAsync();
        // Its pipes are closed only when the sleep is gone as well.
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(50)));
    }

    [Fact]
    public async Task The_checkout_whose_module_Klipper_loads_goes_before_others()
    {
        Install("echo other\n");
        var module = Write("elsewhere/beacon.py", "");
        Write("elsewhere/update_firmware.py", "echo linked\n");
        Directory.CreateDirectory(Path.Combine(_home.FullName, "klipper/klippy/extras"));
        File.CreateSymbolicLink(Path.Combine(_home.FullName, "klipper/klippy/extras/beacon.py"), module);
        Assert.Equal(0, await RunAsync());
        Assert.Equal(["linked"], _lines);
    }

    [Theory]
    [InlineData("beacon", "no {0}/beacon_klipper/update_firmware.py, no {0}/beacon/update_firmware.py")]
    [InlineData("klippy-env", "needs {0}/klippy-env/bin/python")]
    [InlineData("bin", "needs dfu-util")]
    public void What_is_missing_is_named_before_anything_is_touched(string missing, string cause)
    {
        Install("");
        Directory.Delete(Path.Combine(_home.FullName, missing), recursive: true);
        if (missing == "bin" && File.Exists("/usr/bin/dfu-util"))
            return;
        var fault = Updater.Check("beacon")!;
        Assert.Equal(FaultKind.ProbeUpdaterMissing, fault.Kind);
        Assert.Contains(cause.Replace("{0}", _home.FullName, StringComparison.Ordinal), fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_checkout_of_Klipper_nothing_is_called() =>
        Assert.Contains("ratos-flash confirm", new BeaconUpdater(null).Check("beacon")!.Remedy.ToString(), StringComparison.Ordinal);

    [Fact]
    public async Task A_program_that_cannot_be_started_is_a_fault()
    {
        Install("");
        File.Delete(Path.Combine(_home.FullName, "klippy-env/bin/python"));
        var fault = await Assert.ThrowsAsync<FlashException>(() => RunAsync());
        Assert.Contains("could not be started", fault.Cause, StringComparison.Ordinal);
    }
}

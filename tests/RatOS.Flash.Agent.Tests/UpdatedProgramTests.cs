using System.Collections.Immutable;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Tests;

/// <summary>After an update by Moonraker, which replaces the program's folder alone.</summary>
[SupportedOSPlatform("linux")]
public sealed partial class UpdatedProgramTests : IDisposable
{
    private static readonly (string Template, string Installed)[] Files =
    [
        ("ratos-flash.service", "etc/systemd/system/ratos-flash-left.service"),
        ("ratos-flash-host-mcu.service", "etc/systemd/system/ratos-flash-host-mcu-left.service"),
        ("ratos-flash-host-mcu", "usr/local/lib/ratos-flash/host-mcu"),
        ("ratos-flash-moonraker.conf", "home/pi/printer_left_data/config/ratos-flash-moonraker.conf"),
    ];

    private readonly string _root = Directory.CreateTempSubdirectory("rf-updated-").FullName;

    public UpdatedProgramTests()
    {
        foreach (var (template, installed) in Files)
        {
            var text = File.ReadAllText(Path.Combine(FlashOptionTests.Root, "config", template));
            Write($"program/config/{template}", text);
            Write(installed, Name().Replace(text, "/home/pi/some-thing"));
        }
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [GeneratedRegex("@[A-Z]+@", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Name();

    private string At(string path) => Path.Combine(_root, path);

    private void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(path))!);
        File.WriteAllText(At(path), text);
    }

    private ImmutableArray<string> Old() =>
        new InstalledFiles(_root, At("program"), new DataFolder(At("home/pi/printer_left_data"))).FindOld();

    [Fact]
    public void Files_as_install_sh_fills_them_in_are_of_this_version() => Assert.Empty(Old());

    [Fact]
    public void A_file_that_is_not_there_is_not_old()
    {
        foreach (var (_, installed) in Files)
            File.Delete(At(installed));
        Assert.Empty(Old());
    }

    [Fact]
    public void Every_line_that_another_version_has_is_seen()
    {
        foreach (var (template, installed) in Files)
        {
            var text = File.ReadAllText(At(installed));
            var lines = text.TrimEnd().Split('\n');
            for (var i = 0; i < lines.Length; i++)
            {
                foreach (var other in (string[])[lines[i] + "x", "x" + lines[i]])
                {
                    // A name at the end or at the beginning of a line stands for any text.
                    var own = File.ReadAllLines(At($"program/config/{template}"))[i];
                    if (other.EndsWith('x') ? own.EndsWith('@') && own.Length > 1 : own.StartsWith('@'))
                        continue;
                    Write(installed, string.Join('\n', [.. lines[..i], other, .. lines[(i + 1)..]]));
                    Assert.Equal(["/" + installed], Old());
                }
            }
            Write(installed, text + "one more\n");
            Assert.Equal(["/" + installed], Old());
            Write(installed, text);
        }
        Assert.Empty(Old());
    }

    [Fact]
    public void Moonrakers_settings_may_lack_the_update_manager_as_install_sh_writes_them_without_one()
    {
        var file = Files[^1].Installed;
        var text = File.ReadAllText(At(file));
        Write(file, text[..text.IndexOf("[update_manager", StringComparison.Ordinal)].TrimEnd() + "\n");
        Assert.Empty(Old());
        Write(Files[0].Installed, File.ReadAllText(At(Files[0].Installed)).TrimEnd()[..^20]);
        Assert.Equal(["/" + Files[0].Installed], Old());
    }

    [Fact]
    public void Doctor_names_the_files_and_the_command()
    {
        Write("program/config/ratos-flash-host-mcu", "# newer\n");
        var finding = Assert.Single(DoctorChecks.Run(new DoctorFacts
        {
            User = "pi",
            Rules = "",
            Folder = "/home/pi/ratos-flash",
            OldFiles = Old(),
            Now = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero),
        }));
        Assert.Equal("installation-old", finding.Id);
        Assert.StartsWith(
            "Of another version than the program: /usr/local/lib/ratos-flash/host-mcu. ", finding.Text, StringComparison.Ordinal);
        Assert.Equal("/home/pi/ratos-flash/install.sh", finding.ToJson().Remedy);
    }

    [Fact]
    public void The_version_that_runs_is_kept_once_with_what_install_sh_needs_and_nothing_else()
    {
        var (folder, kept) = (At("program"), At("kept"));
        Write("program/ratos-flash", "v1");
        File.SetUnixFileMode(At("program/ratos-flash"), (UnixFileMode)0x1ED);
        Assert.False(LastVersion.IsNew(folder, kept));   // a checkout
        Write("program/release_info.json", "1");
        Write("program/install.sh", "");
        Write("program/moonraker-component/page/page.html", "");
        Write("program/mine/photo.jpg", "");
        Write("kept.new/left-over", "");   // the computer was switched off
        Assert.True(LastVersion.IsNew(folder, kept));
        Assert.Contains(kept, LastVersion.Keep(folder, kept), StringComparison.Ordinal);
        Assert.False(LastVersion.IsNew(folder, kept));
        Assert.Equal((UnixFileMode)0x1ED, File.GetUnixFileMode(At("kept/ratos-flash")));
        Assert.True(File.Exists(At("kept/moonraker-component/page/page.html")) && File.Exists(At("kept/config/ratos-flash.service")));
        Assert.False(Directory.Exists(At("kept/mine")) || File.Exists(At("kept/left-over")) || Directory.Exists(At("kept.new")));

        Write("program/release_info.json", "2");
        Assert.True(LastVersion.IsNew(folder, kept));
        LastVersion.Keep(folder, kept);
        Assert.Equal("2", File.ReadAllText(At("kept/release_info.json")));
    }

    [Fact]
    public void A_copy_that_cannot_be_made_is_said_and_the_one_before_stays()
    {
        Write("program/ratos-flash", "v1");
        Write("program/release_info.json", "1");
        LastVersion.Keep(At("program"), At("kept"));
        Write("program/release_info.json", "2");
        Write("kept.new", "a file, where the copy is made");
        Assert.Contains("could be kept", LastVersion.Keep(At("program"), At("kept")), StringComparison.Ordinal);
        Assert.Equal("1", File.ReadAllText(At("kept/release_info.json")));
    }
}

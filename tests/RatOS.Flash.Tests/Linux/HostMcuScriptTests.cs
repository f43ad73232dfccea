using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.Versioning;
using RatOS.Flash.Agent.Moonraker;

namespace RatOS.Flash.Tests.Linux;

/// <summary>The script that runs as root and takes a program from the user's folder.</summary>
[SupportedOSPlatform("linux")]
public sealed class HostMcuScriptTests : IDisposable
{
    private static readonly string Script = Path.Combine(TidyTests.Root, "config", "ratos-flash-host-mcu");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-host-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void No_process_of_the_user_gets_a_file_of_roots()
    {
        var commands = File.ReadLines(Script).Select(line => line.Trim()).Where(line => !line.StartsWith('#') && !line.Contains("()"));
        // What such a process writes goes into a pipe, or into a file that it opens itself.
        Assert.All(
            commands.Where(line => line.Contains("take ") || line.Contains("as_user ")),
            line => Assert.DoesNotMatch("(take|as_user) [^|]*[0-9]?>", line.Replace("'cat >\"$1~\" && mv -fT -- \"$1~\" \"$1\"'", "")));
        Assert.True(MoonrakerHostMcu.IsSafe(File.ReadAllText(Script)));
    }

    [Fact]
    public void The_script_of_the_first_version_is_known_to_be_unsafe() =>
        Assert.False(MoonrakerHostMcu.IsSafe("#   host-mcu USER FOLDER TARGET\n  take klipper_mcu.new $((most + 1)) >\"$new\""));

    [Theory]
    [InlineData("linux", "done")]
    [InlineData("stm32f446xx", "refused: it is not Klipper's Linux process")]
    public void A_program_is_installed_through_a_pipe_and_another_is_refused(string mcu, string answer)
    {
        File.SetUnixFileMode(_folder.FullName, (UnixFileMode)0x1FF);
        var folder = _folder.CreateSubdirectory("in").FullName;
        File.SetUnixFileMode(folder, (UnixFileMode)0x1FF);
        var target = Path.Combine(_folder.FullName, "klipper_mcu");
        using var dictionary = new MemoryStream();
        using (var zlib = new ZLibStream(dictionary, CompressionLevel.SmallestSize, leaveOpen: true))
            zlib.Write(System.Text.Encoding.ASCII.GetBytes($"{{\"config\": {{\"MCU\": \"{mcu}\"}}}}"));
        byte[] program = [.. File.ReadAllBytes("/bin/sh"), .. dictionary.ToArray()];
        File.WriteAllBytes(Path.Combine(folder, "klipper_mcu.new"), program);
        File.WriteAllText(Path.Combine(folder, "request"), "install 0123456789abcdef\n");
        var user = Environment.UserName == "root" ? "nobody" : Environment.UserName;
        using var script = Process.Start(new ProcessStartInfo("bash", [Script, user, folder, target])
        {
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        script.WaitForExit();
        Assert.Equal($"0123456789abcdef {answer}\n", File.ReadAllText(Path.Combine(folder, "result")));
        Assert.Equal(answer == "done", File.Exists(target) && File.ReadAllBytes(target).SequenceEqual(program));
    }
}

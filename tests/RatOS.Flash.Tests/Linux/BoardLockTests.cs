using System.Diagnostics;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware.Linux;
using RatOS.Flash.Tests.Scenarios;

namespace RatOS.Flash.Tests.Linux;

/// <summary>One lock for each board of this computer, in a folder where anyone may create files.</summary>
public sealed class BoardLockTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-");

    private string PathOf(string place) => Path.Combine(_folder.FullName, $"ratos-flash.{place}.lock");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_second_flash_of_a_board_is_refused_until_the_first_one_ends()
    {
        using (BoardLock.Take("1-1.3", "octopus", _folder.FullName))
        {
            var fault = Assert.Throws<FlashException>(() => BoardLock.Take("1-1.3", "btt-octopus-11", _folder.FullName));
            Assert.Equal(FaultKind.BoardInUse, fault.Kind);
            Assert.Equal($"Another ratos-flash (process {Environment.ProcessId}) is flashing octopus.", fault.Cause);
            Assert.StartsWith("Wait until it is done", fault.Remedy.ToString(), StringComparison.Ordinal);
            using var other = BoardLock.Take("1-1.4", "ebb42", _folder.FullName);
            Assert.NotNull(other);
        }
        using var again = BoardLock.Take("1-1.3", "octopus", _folder.FullName);
        Assert.NotNull(again);
    }

    /// <summary>flock(2) ends with its process: one that was killed leaves a file and no lock.</summary>
    [Fact]
    public async Task The_lock_of_another_process_ends_with_it()
    {
        var file = PathOf("1-1.3");
        using (var holder = Process.Start("flock", ["-x", "-o", file, "sh", "-c", $"echo 4711 octopus >'{file}'; exec sleep 60"]))
        {
            string? fault;
            while ((fault = Fault()) is null || !fault.Contains("4711", StringComparison.Ordinal))
                await Task.Delay(20);
            Assert.Contains("(process 4711) is flashing octopus", fault, StringComparison.Ordinal);
            holder.Kill(entireProcessTree: true);
            await holder.WaitForExitAsync();
        }
        using var mine = BoardLock.Take("1-1.3", "octopus", _folder.FullName);
        Assert.NotNull(mine);

        string? Fault()
        {
            try
            {
                using var held = BoardLock.Take("1-1.3", "octopus", _folder.FullName);
                return null;
            }
            catch (FlashException inUse)
            {
                return inUse.Cause;
            }
        }
    }

    [Theory]
    [InlineData("ln -s")]
    [InlineData("ln")]
    [InlineData("mkfifo")]
    public void A_trap_in_its_place_is_neither_followed_nor_written(string trap)
    {
        var target = Path.Combine(_folder.FullName, "precious");
        File.WriteAllText(target, "kept");
        var command = trap == "mkfifo" ? $"mkfifo {PathOf("1-1.3")}" : $"{trap} {target} {PathOf("1-1.3")}";
        using (var made = Process.Start("sh", ["-c", command]))
            made.WaitForExit();
        using var held = BoardLock.Take("1-1.3", "octopus", _folder.FullName);
        Assert.Null(held);
        Assert.Equal("kept", File.ReadAllText(target));
    }

    [Fact]
    public void A_board_that_another_process_flashes_is_refused_before_Klipper_is_stopped() => Story.Of("octopus", async story =>
    {
        story.LockBoard = (place, board) => BoardLock.Take(place, board, _folder.FullName);
        using (BoardLock.Take("1-1.1", "octopus", _folder.FullName))
        {
            var report = await story.FailedAsync("octopus", "board-in-use", BoardCondition.Unchanged);
            Assert.True(report.Refused);
            Assert.Equal(0, story.Printer.Klippy.Stops);
        }
        // During a flash it is held; afterwards it is free.
        var held = 0;
        story.OnEvent = step =>
        {
            if (step.Phase == FlashPhase.Write && step.Kind == FlashEventKind.Begin)
                held += Assert.Throws<FlashException>(() => BoardLock.Take("1-1.1", "octopus", _folder.FullName)).Cause.Length;
        };
        await story.FlashedAsync("octopus");
        Assert.NotEqual(0, held);
        using var after = BoardLock.Take("1-1.1", "octopus", _folder.FullName);
        Assert.NotNull(after);
    });
}

using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Boards;

/// <summary>Firmware that a board has run.</summary>
/// <param name="Image">The firmware.</param>
/// <param name="About">Where it came from.</param>
/// <param name="Path">Its file.</param>
internal sealed record GoodImage(FirmwareImage Image, JsonGood About, string Path);

/// <summary>
/// The firmware that a rollback writes: the last three that each board was proved to run, and the one that was read out before the first
/// flash. One folder for each board, in it a .bin and a .json with the same name for each firmware, newest last.
/// </summary>
/// <param name="folder">Of all boards.</param>
/// <param name="time">The only clock.</param>
/// <param name="log">Takes what is damaged.</param>
internal sealed class GoodImages(string folder, TimeProvider time, LogFile log)
{
    private const int Kept = 3;
    private const int LongestNote = 4096;
    private const int LargestImage = 8 * 1024 * 1024;

    /// <summary>A board's firmware, newest first. Damaged files are skipped.</summary>
    public IReadOnlyList<GoodImage> Of(string board)
    {
        var found = new List<GoodImage>();
        foreach (var file in Files(board))
        {
            try
            {
                var json = ForeignJson.Mend(RegularFile.Read(Path.ChangeExtension(file, ".json"), LargestImage));
                if (JsonSerializer.Deserialize(json.Span, JsonContract.Shapes.JsonGood) is not { Sha256: not null } about)
                    continue;
                var image = FirmwareImage.Parse(RegularFile.Read(file, LargestImage), file);
                if (image.Sha256 == about.Sha256)
                    found.Add(new(image, about, file));
                else
                    log.Say($"{file} is damaged and skipped.");
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException or FlashException)
            {
                log.Say($"{file} is skipped: {fault.Message}");
            }
        }
        return found;
    }

    /// <summary>
    /// What a board rolls back to: the newest that it does not run now. After firmware that failed it is unknown what it runs: the newest
    /// that is not the failed one.
    /// </summary>
    /// <exception cref="FlashException"><c>nothing-to-roll-back</c>.</exception>
    public FirmwareImage Before(string board, string? running)
    {
        var failed = File.Exists(FailedFile(board)) ? TextFile.Read(FailedFile(board), LongestNote) : null;
        return Of(board).FirstOrDefault(good => failed is null ? good.Image.Version != running : good.Image.Sha256 != failed)?.Image
            ?? throw FlashFaults.NothingToRollBack(board, folder);
    }

    /// <summary>Marks firmware that was written and does not run, until the board is proved to run another one.</summary>
    public void Failed(string board, string sha256)
    {
        try
        {
            AtomicFile.Write(FailedFile(board), Encoding.ASCII.GetBytes(sha256));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Cannot mark the failed firmware of {board}: {fault.Message}");
        }
    }

    /// <summary>Keeps firmware, and forgets the oldest beyond three.</summary>
    /// <param name="board">The board's name.</param>
    /// <param name="image">The firmware.</param>
    /// <param name="source"><c>confirmed</c> or <c>read-out</c>.</param>
    /// <param name="built">Null for firmware that was not built here.</param>
    public void Keep(string board, FirmwareImage image, string source, BuiltFirmware? built)
    {
        try
        {
            var place = Path.Combine(folder, Text.FileName(board));
            Directory.CreateDirectory(place);
            if (source == "confirmed")
                File.Delete(FailedFile(board));
            // The same firmware again is no second generation.
            var same = Of(board).Where(good => good.Image.Sha256 == image.Sha256).Select(good => good.Path).ToList();
            var name = SequenceName.Next(Files(board).Select(Path.GetFileName), time.GetUtcNow(), $"{image.Sha256[..8]}.bin");
            var about = new JsonGood(
                "good", board, name, image.Version, image.Mcu, image.Sha256, image.Bytes.Length, source,
                built?.ConfigHash, built?.SourceId, built?.ConfigText);
            AtomicFile.Write(Path.Combine(place, name), image.Bytes.Span);
            var json = JsonSerializer.SerializeToUtf8Bytes(about, JsonContract.Shapes.JsonGood);
            AtomicFile.Write(Path.Combine(place, Path.ChangeExtension(name, ".json")), json);
            foreach (var old in same.Concat(Files(board).Except(same).Skip(Kept)).ToList())
                Delete(old);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Cannot keep the firmware of {board} for a rollback: {fault.Message}");
        }
    }

    private static void Delete(string image)
    {
        File.Delete(Path.ChangeExtension(image, ".json"));
        File.Delete(image);
    }

    private IEnumerable<string> Files(string board)
    {
        var place = Path.Combine(folder, Text.FileName(board));
        return Directory.Exists(place) ? Directory.EnumerateFiles(place, "*.bin").OrderDescending(StringComparer.Ordinal) : [];
    }

    private string FailedFile(string board) => Path.Combine(folder, Text.FileName(board), "failed");
}

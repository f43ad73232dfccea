using System.Globalization;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Agent.Boards;

/// <summary>A firmware that a board has run.</summary>
/// <param name="Image">Its bytes.</param>
/// <param name="About">Where it came from.</param>
internal sealed record GoodImage(FirmwareImage Image, JsonGood About);

/// <summary>
/// The last firmwares that each board was proven to run, three generations, and before the first of ours the one that was read out of it: what goes back when a new one
/// does not work. A folder a board; in it a .bin and a .json of one name each, newest last.
/// </summary>
internal sealed class GoodImages(string folder, TimeProvider time, LogFile log)
{
    private const int Kept = 3;
    private const int LargestImage = 8 * 1024 * 1024;

    /// <summary>Newest first; what is damaged is passed over.</summary>
    public IReadOnlyList<GoodImage> Of(string board)
    {
        var found = new List<GoodImage>();
        foreach (var file in Files(board))
        {
            try
            {
                if (new FileInfo(file).Length > LargestImage || JsonSerializer.Deserialize(File.ReadAllText(Path.ChangeExtension(file, ".json")), JsonContract.Shapes.JsonGood) is not { Sha256: not null } about)
                    continue;
                var image = FirmwareImage.Parse(File.ReadAllBytes(file), file);
                if (image.Sha256 == about.Sha256)
                    found.Add(new(image, about));
                else
                    log.Say($"{file} is damaged and passed over.");
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException or FlashException)
            {
                log.Say($"{file} is passed over: {fault.Message}");
            }
        }
        return found;
    }

    /// <summary>What a board should go back to: the newest that it does not run now. One that was given a firmware that does not do may run anything: the newest but that.</summary>
    /// <exception cref="FlashException">There is none.</exception>
    public FirmwareImage Before(string board, string? running)
    {
        var failed = File.Exists(FailedFile(board)) ? File.ReadAllText(FailedFile(board)) : null;
        return Of(board).FirstOrDefault(good => failed is null ? good.Image.Version != running : good.Image.Sha256 != failed)?.Image ?? throw FlashFaults.NothingToRollBack(board, folder);
    }

    /// <summary>This firmware was written and does not do. It stands until the board is proven to run one that does.</summary>
    public void Failed(string board, string sha256)
    {
        try
        {
            AtomicFile.Write(FailedFile(board), Encoding.ASCII.GetBytes(sha256));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"That a firmware of {board} does not do cannot be kept: {fault.Message}");
        }
    }

    /// <param name="source"><c>confirmed</c>, or <c>read-out</c>.</param>
    /// <param name="built">Null for a firmware that was not built here.</param>
    public void Keep(string board, FirmwareImage image, string source, BuiltFirmware? built)
    {
        try
        {
            var place = Path.Combine(folder, Text.FileName(board));
            Directory.CreateDirectory(place);
            if (source == "confirmed")
                File.Delete(FailedFile(board));
            // The same once more is no generation of its own.
            foreach (var same in Of(board).Where(good => good.Image.Sha256 == image.Sha256))
                Delete(Path.Combine(place, same.About.File));
            var name = $"{time.GetUtcNow().ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}-{image.Sha256[..8]}.bin";
            var about = new JsonGood("good", board, name, image.Version, image.Mcu, image.Sha256, image.Bytes.Length, source, built?.ConfigHash, built?.SourceId, built?.ConfigText);
            AtomicFile.Write(Path.Combine(place, name), image.Bytes.Span);
            AtomicFile.Write(Path.Combine(place, Path.ChangeExtension(name, ".json")), JsonSerializer.SerializeToUtf8Bytes(about, JsonContract.Shapes.JsonGood));
            foreach (var old in Files(board).Skip(Kept))
                Delete(old);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"The firmware of {board} cannot be kept for a way back: {fault.Message}");
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

using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Agent.Cli;

/// <summary>A firmware file in words.</summary>
internal static class FirmwareText
{
    /// <summary>A file of the firmware folder, in a line.</summary>
    public static Line Of(JsonFile file)
    {
        var name = Text.Clean(file.File);
        if (file.Firmware is not { } firmware)
            return new($"{name}: {file.Error?.Cause ?? "no firmware"}", Tone.Warning, Indent: 2);
        var boards = file.Boards.Length == 0 ? "fits none of this printer's boards" : $"for {string.Join(", ", file.Boards)}";
        return new($"{name}: {firmware.Version}, {firmware.Mcu}, {boards}, sha256 {firmware.Sha256}", Tone.Normal, Indent: 2);
    }

    public static IEnumerable<Line> Of(string file, FirmwareImage image, uint? start, FlashException? misfit)
    {
        yield return Of("file", Text.Clean(file));
        yield return Of("kind", $"{image.Dictionary.App} firmware ({JsonContract.Name(image.Container)})");
        yield return Of("version", image.Version);
        yield return Of("chip", image.Mcu + (Mcu.Find(image.Mcu) is null && !image.IsHostProcess ? " (not known to this version)" : ""));
        if (start is { } address)
            yield return Of("built for", $"application start {address:x8}");
        if (BuildTransport.Of(image.Dictionary.Config) is { } link)
            yield return Of("speaks over", $"{link}");
        if (!image.IsHostProcess)
        {
            var trouble = misfit is null ? "" : $" - {misfit.Cause}";
            yield return Of("vectors", $"stack {image.InitialStack:x8}, reset {image.ResetVector:x8}{trouble}");
        }
        yield return Of("size", $"{image.Bytes.Length} bytes");
        yield return Of("sha256", image.Sha256);
        var dictionary = image.Dictionary;
        var (commands, responses) = (dictionary.Commands.Count, dictionary.Responses.Count);
        yield return Of("dictionary", $"{commands} commands, {responses} responses, {image.CompressedDictionary.Length} bytes compressed");
        yield return Of("compiler", image.Dictionary.BuildVersions);
        if (misfit is not null)
            yield return Of("next step", misfit.Remedy.In(FrontEnd.CommandLine));

        static Line Of(string key, string value) => Line.Of($"{key + ":",-13} ", value) with { LabelTone = Tone.Dim };
    }
}

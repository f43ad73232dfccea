using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Agent.Contract;

internal sealed record JsonFirmware(
    string Event, string File, string Container, string App, string Version, string Mcu, string? Start, string? InitialStack,
    string? ResetVector, int Size,
    string Sha256, string BuildVersions, IReadOnlyDictionary<string, string> Config, int Commands, int Responses, JsonFaultReport? Fault,
    string? Link)
{
    public static JsonFirmware Of(string file, FirmwareImage image, uint? start, FlashException? misfit) => new(
        "firmware", file, JsonContract.Name(image.Container), image.Dictionary.App, image.Version, image.Mcu, JsonContract.Hex(start),
        image.IsHostProcess ? null : JsonContract.Hex(image.InitialStack),
        image.IsHostProcess ? null : JsonContract.Hex(image.ResetVector), image.Bytes.Length, image.Sha256,
        image.Dictionary.BuildVersions, image.Dictionary.Config, image.Dictionary.Commands.Count, image.Dictionary.Responses.Count,
        misfit is null ? null : JsonFaultReport.Of(FaultReport.Of(misfit)).In(FrontEnd.CommandLine),
        BuildTransport.Of(image.Dictionary.Config)?.ToString());
}

namespace RatOS.Flash.Agent.Contract;

/// <summary>A file of the firmware folder.</summary>
/// <param name="File">Its name.</param>
/// <param name="Size">In bytes.</param>
/// <param name="Firmware">What it holds; missing where it cannot be flashed.</param>
/// <param name="Error">Why it cannot be flashed.</param>
/// <param name="Boards">The boards of this printer that it fits: chip, application start, link.</param>
internal sealed record JsonFile(string File, long Size, JsonFirmware? Firmware, JsonFaultReport? Error, string[] Boards)
{
    /// <summary><c>file</c> in a line of <c>--json</c>.</summary>
    public string? Event { get; init; }

    public JsonFile In(Core.FrontEnd frontEnd) => this with { Error = Error?.In(frontEnd) };
}

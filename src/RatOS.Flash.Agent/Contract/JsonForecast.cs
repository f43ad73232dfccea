namespace RatOS.Flash.Agent.Contract;

/// <summary>What an update of Klipper that Moonraker offers means for the boards.</summary>
/// <param name="Version">The offered Klipper.</param>
/// <param name="Boards">The boards that need new firmware after it.</param>
/// <param name="Of">How many boards the printer has.</param>
/// <param name="Text">The same in words.</param>
internal sealed record JsonForecast(string Version, string[] Boards, int Of, string Text);

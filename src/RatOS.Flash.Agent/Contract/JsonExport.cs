namespace RatOS.Flash.Agent.Contract;

/// <summary>The file of <c>ratos-flash export</c>, for <c>ratos-flash import</c> of another installation.</summary>
/// <param name="Format">Always <see cref="Name"/>.</param>
/// <param name="Version">1.</param>
/// <param name="Product">The version that wrote it.</param>
/// <param name="Settings">Values of <c>[agent]</c>; none that decides what is executed or where the agent connects, and no key.</param>
/// <param name="Boards">The boards that the user set anything of.</param>
internal sealed record JsonExport(
    string Format, int Version, string Product, Dictionary<string, string>? Settings, JsonExportedBoard[] Boards)
{
    public const string Name = "ratos-flash-export", Tool = "ratos-flash";

    public const int Newest = 1;
}

/// <param name="Board">Its name.</param>
/// <param name="Section">Its section of printer.cfg.</param>
/// <param name="Serial">Its <c>serial:</c> there.</param>
/// <param name="Uuid">Its <c>canbus_uuid:</c> there.</param>
/// <param name="Values">Of its section of ratos-flash.conf, and facts that the user told.</param>
/// <param name="Config">Its kept build configuration, a <c>.config</c> of Klipper.</param>
internal sealed record JsonExportedBoard(
    string Board, string? Section, string? Serial, string? Uuid, Dictionary<string, string>? Values, string? Config);

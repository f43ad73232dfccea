using System.Globalization;
using System.Text.Json;

namespace RatOS.Flash.Tests.Described;

/// <summary>A real build of Klipper as <c>Described/README.md</c> tells.</summary>
/// <param name="Name">Such as <c>f446-usb-8000-12m</c>: chip, link, start, crystal.</param>
/// <param name="Config">The symbols of its .config that a person can set.</param>
/// <param name="Needed">Those of them without which olddefconfig gives another configuration.</param>
/// <param name="Derived">Symbols that follow from those.</param>
/// <param name="Constants">Of its dictionary, numbers as text.</param>
/// <param name="Commands">Names of its dictionary's commands that depend on options.</param>
/// <param name="FlashKib">Of its part; 0 for an AVR.</param>
/// <param name="Words">Of memory and registers when it runs.</param>
public sealed record DescribedBuild(
    string Name,
    IReadOnlyDictionary<string, string> Config,
    IReadOnlyList<string> Needed,
    IReadOnlyDictionary<string, string> Derived,
    IReadOnlyDictionary<string, string> Constants,
    IReadOnlyList<string> Commands,
    int FlashKib,
    IReadOnlyDictionary<uint, uint> Words)
{
    private static readonly Lazy<IReadOnlyList<DescribedBuild>> Recorded = new(static () =>
        [.. Read(Path.Combine(AppContext.BaseDirectory, "Described", "builds.jsonl"))]);

    public static IReadOnlyList<DescribedBuild> All => Recorded.Value;

    /// <summary>Where its code begins.</summary>
    public uint? Start => Derived.TryGetValue("FLASH_APPLICATION_ADDRESS", out var text) ? Hex(text) : null;

    /// <summary>The end of the RAM that it was built for: its first word.</summary>
    public uint? RamEnd => Derived.TryGetValue("RAM_START", out var begin) ? Hex(begin) + Hex(Derived["RAM_SIZE"]) : null;

    /// <summary>Its .config before olddefconfig.</summary>
    public string ConfigText => "CONFIG_LOW_LEVEL_OPTIONS=y\n" + string.Concat(Config.Select(symbol => symbol.Value switch
    {
        "n" => $"# CONFIG_{symbol.Key} is not set\n",
        var value when symbol.Key is "INITIAL_PINS" or "USB_SERIAL_NUMBER" => $"CONFIG_{symbol.Key}=\"{value}\"\n",
        var value => $"CONFIG_{symbol.Key}={value}\n",
    }));

    public override string ToString() => Name;

    private static IEnumerable<DescribedBuild> Read(string file)
    {
        var commands = new Dictionary<int, IReadOnlyList<string>>();
        foreach (var line in File.ReadLines(file))
        {
            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            if (root.TryGetProperty("names", out var names))
                commands[root.GetProperty("commands").GetInt32()] = [.. names.EnumerateArray().Select(name => name.GetString()!)];
            if (!root.TryGetProperty("name", out var build))
                continue;
            yield return new DescribedBuild(
                build.GetString()!, Texts(root, "config"),
                [.. root.GetProperty("needed").EnumerateArray().Select(symbol => symbol.GetString()!)],
                Texts(root, "derived"), Texts(root, "constants"),
                commands[root.GetProperty("commands").GetInt32()], root.GetProperty("flashKib").GetInt32(),
                Texts(root, "words").ToDictionary(word => Hex(word.Key), word => Hex(word.Value)));
        }
    }

    private static Dictionary<string, string> Texts(JsonElement root, string name) => root.GetProperty(name).EnumerateObject()
        .ToDictionary(member => member.Name, member => member.Value.ToString(), StringComparer.Ordinal);

    private static uint Hex(string text) => uint.Parse(
        text.AsSpan(text.StartsWith("0x", StringComparison.Ordinal) ? 2 : 0), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}

using System.Text.Encodings.Web;
using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;

namespace RatOS.Flash.Agent.Migration;

/// <summary>Collects what the user set: for another installation, or for the day after this one.</summary>
internal static class SettingsExport
{
    /// <summary>For people as well: the file is kept and compared.</summary>
    public static readonly JsonShapes Shapes = new(new JsonSerializerOptions(JsonShapes.Default.Options)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
    });

    /// <param name="data">The printer's folder.</param>
    /// <param name="mcus">Its boards.</param>
    /// <exception cref="Core.FlashException">A kept configuration is damaged, or the settings cannot be read.</exception>
    public static JsonExport Of(DataFolder data, KnownMcus mcus)
    {
        var sections = ForeignText.Sections(AgentSettings.TextOf(data.Settings), hasComments: true);
        var values = new Dictionary<string, Dictionary<string, string>>(StringComparer.OrdinalIgnoreCase);
        foreach (var section in sections.Where(section => section.Name.StartsWith("board ", StringComparison.Ordinal)))
            values[section.Name[6..].Trim()] = Given([section], AgentSettings.BoardKeys);
        foreach (var (board, answers) in mcus.Facts.Answers)
        {
            var own = values.TryGetValue(board, out var known) ? known : values[board] = [];
            foreach (var (fact, value) in answers)
                own.TryAdd(fact, value);
        }
        var configs = Directory.Exists(data.Configs) ? Directory.EnumerateFiles(data.Configs, "*.config")
            .Select(file => Path.GetFileNameWithoutExtension(file)).Where(name => name.Length > 0).ToList() : [];
        var inventory = mcus.Look();
        var names = values.Keys.Union(configs, StringComparer.OrdinalIgnoreCase).Order(StringComparer.OrdinalIgnoreCase);
        var boards = names.Select(name =>
        {
            var section = inventory.Mcus.FirstOrDefault(mcu => string.Equals(mcu.Name, name, StringComparison.OrdinalIgnoreCase))?.Section;
            var host = mcus.Facts.Sections.FirstOrDefault(other => other.Name == section);
            return new JsonExportedBoard(name, section, host?.Serial, host?.CanbusUuid, values.GetValueOrDefault(name),
                configs.Find(config => string.Equals(config, name, StringComparison.OrdinalIgnoreCase)) is { } config
                    ? Menuconfig.TextOf(data.Configs, config) : null);
        }).ToArray();
        var agent = Given(sections.Where(section => section.Name == "agent"), SettingsImport.Portable);
        return new(JsonExport.Name, JsonExport.Newest, Product.Version, agent, boards);
    }

    /// <summary>Of keys that come again the last value, as the agent reads them.</summary>
    private static Dictionary<string, string> Given(IEnumerable<ForeignSection> sections, string[] keys) =>
        sections.SelectMany(section => section.Values).Where(pair => pair.Value.Length > 0 && keys.Contains(pair.Key))
            .GroupBy(pair => pair.Key).ToDictionary(group => group.Key, group => group.Last().Value);
}

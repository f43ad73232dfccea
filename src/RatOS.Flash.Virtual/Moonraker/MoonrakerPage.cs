using System.Text;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The page of the product's own component, from the program itself (moonraker-component/page).</summary>
internal static class MoonrakerPage
{
    private const string Path = "/server/ratos_flash/page";
    private const string Resources = "page/";
    private const string Head = "<head>\n<meta name=\"frame-origins\" content=\"\">";

    private static readonly Dictionary<string, string> Types = new(StringComparer.Ordinal)
    {
        [".css"] = "text/css; charset=UTF-8",
        [".js"] = "text/javascript; charset=UTF-8",
        [".svg"] = "image/svg+xml",
    };

    private static readonly Lazy<Dictionary<string, HttpAnswer>> Files = new(Read);

    /// <summary>The file at a path; null for none.</summary>
    public static HttpAnswer? Find(string path) => Files.Value.GetValueOrDefault(path);

    private static Dictionary<string, HttpAnswer> Read()
    {
        var files = new Dictionary<string, HttpAnswer>(StringComparer.Ordinal);
        var assembly = typeof(MoonrakerPage).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Resources, StringComparison.Ordinal)))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            var (name, text) = (resource[Resources.Length..], reader.ReadToEnd());
            if (name == "page.html")
                files[Path] = File(text.Replace("<head>", Head, StringComparison.Ordinal), "text/html; charset=UTF-8");
            else if (Types.TryGetValue(System.IO.Path.GetExtension(name), out var type))
                files[$"{Path}/{name}"] = File(text, type);
        }
        return files;
    }

    private static HttpAnswer File(string text, string type) => new(200, Encoding.UTF8.GetBytes(text), type);
}

namespace RatOS.Flash.Tests;

/// <summary>Documents that are made from the code. <c>RATOS_FLASH_WRITE_DOCS=1</c> updates them.</summary>
internal static class Docs
{
    private const string Variable = "RATOS_FLASH_WRITE_DOCS";

    private static readonly Lock Gate = new();   // tests that own parts of one file run side by side

    /// <summary>The whole file is this text.</summary>
    public static void Check(string name, string text) => Check(name, _ => text);

    /// <summary>The part of the file between the comments <c>begin SECTION</c> and <c>end SECTION</c> is this text.</summary>
    public static void Check(string name, string section, string text) => Check(name, old =>
    {
        var (begin, end) = ($"<!-- begin {section} -->\n", $"<!-- end {section} -->");
        var (from, to) = (old.IndexOf(begin, StringComparison.Ordinal), old.IndexOf(end, StringComparison.Ordinal));
        Assert.True(from >= 0 && to >= from, $"docs/{name} has no section {section}");
        return old[..(from + begin.Length)] + text + old[to..];
    });

    private static void Check(string name, Func<string, string> write)
    {
        lock (Gate)
        {
            var file = Path.Combine(TidyTests.Root, "docs", name);
            var old = File.Exists(file) ? File.ReadAllText(file) : "";
            var text = write(old);
            if (text != old && Environment.GetEnvironmentVariable(Variable) == "1")
                File.WriteAllText(file, old = text);
            Assert.True(text == old, $"docs/{name} is stale: run the tests with {Variable}=1 and look at what changed");
        }
    }
}

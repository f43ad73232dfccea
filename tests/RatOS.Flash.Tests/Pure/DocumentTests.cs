namespace RatOS.Flash.Tests.Pure;

/// <summary>What a reader of README, ARCHITECTURE and <c>docs</c> relies on: links lead somewhere, and short pages stay short.</summary>
public sealed class DocumentTests
{
    private static IEnumerable<string> Pages => Directory.EnumerateFiles(TidyTests.Root, "*.md")
        .Concat(Directory.EnumerateFiles(Path.Combine(TidyTests.Root, "docs"), "*.md"));

    [Theory]
    [InlineData("README.md", 120)]
    [InlineData("ARCHITECTURE.md", 90)]
    public void README_and_ARCHITECTURE_stay_short(string name, int most) =>
        Assert.InRange(File.ReadAllLines(Path.Combine(TidyTests.Root, name)).Length, 1, most);

    [Fact]
    public void Every_link_within_the_documents_leads_to_a_file_and_to_a_heading()
    {
        var links = from page in Pages
                    from part in File.ReadAllText(page).Split("](").Skip(1)
                    let target = part[..part.IndexOf(')', StringComparison.Ordinal)]
                    where !target.Contains("://", StringComparison.Ordinal)
                    select (Page: page, Target: target);
        Assert.True(links.Count() > 40, "the links are no longer found");
        Assert.All(links, link =>
        {
            var (file, anchor) = link.Target.Split('#') is [var name, .. var rest] ? (name, rest.FirstOrDefault()) : (link.Target, null);
            var path = file.Length == 0 ? link.Page : Path.Combine(Path.GetDirectoryName(link.Page)!, file);
            Assert.True(File.Exists(path), $"{Path.GetFileName(link.Page)}: there is no {file}");
            if (anchor is not null)
                Assert.Contains(anchor, Headings(path));
        });
    }

    [Fact]
    public void Every_page_is_linked_from_another_one()
    {
        var all = string.Concat(Pages.Select(File.ReadAllText));
        Assert.All(Pages.Select(Path.GetFileName).Where(name => name != "README.md"), name => Assert.True(
            all.Contains($"{name})", StringComparison.Ordinal) || all.Contains($"{name}#", StringComparison.Ordinal), name));
    }

    /// <summary>GitHub's anchors: lower case, blanks as hyphens, letters and digits alone.</summary>
    private static IEnumerable<string> Headings(string path) => File.ReadLines(path).Where(line => line.StartsWith('#'))
        .Select(line => line.TrimStart('#').Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_'))
        .Select(heading => string.Concat(heading).Replace(' ', '-'));
}

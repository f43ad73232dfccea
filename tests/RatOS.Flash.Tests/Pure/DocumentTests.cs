using System.Text.Json;

namespace RatOS.Flash.Tests.Pure;

/// <summary>README, ARCHITECTURE and <c>docs</c>: links lead to files and headings, and short pages stay short.</summary>
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

    /// <summary>Names in code and JSON values are a contract, so text in backquotes may hold any word.</summary>
    [Fact]
    public void The_documents_and_settings_use_the_words_of_the_field()
    {
        string[] avoided =
        [
            "whoever", "nobody", "somebody", "anybody", "anew", "heed", "heeds", "heeded", "let alone", "lets alone", "rung", "rungs",
            "ladder", "road", "roads", "weather", "by itself", "by themselves", "by hand", "mend", "mends", "mended", "truth",
        ];
        string[] others = ["install.sh", "moonraker-component/ratos_flash.py", "src/RatOS.Flash.Agent/99-ratos-flash.rules"];
        var settings = Directory.EnumerateFiles(Path.Combine(TidyTests.Root, "config"));
        foreach (var file in Pages.Concat(settings).Concat(others.Select(name => Path.Combine(TidyTests.Root, name))))
        {
            // The even pieces are outside of backquotes.
            var text = string.Join(' ', File.ReadAllText(file).Split('`').Where((_, i) => i % 2 == 0));
            var letters = string.Concat(text.ToLowerInvariant().Select(c => char.IsLetter(c) ? c : ' '));
            var words = $" {string.Join(' ', letters.Split(' ', StringSplitOptions.RemoveEmptyEntries))} ";
            var found = avoided.Where(word => words.Contains($" {word} ", StringComparison.Ordinal));
            Assert.Equal([], found.Select(word => $"{Path.GetFileName(file)}: {word}"));
        }
    }

    [Fact]
    public void Every_page_is_linked_from_another_one()
    {
        var all = string.Concat(Pages.Select(File.ReadAllText));
        Assert.All(Pages.Select(Path.GetFileName).Where(name => name != "README.md"), name => Assert.True(
            all.Contains($"{name})", StringComparison.Ordinal) || all.Contains($"{name}#", StringComparison.Ordinal), name));
    }

    [Fact]
    public void The_page_on_JSON_names_every_event_member_and_value_of_the_contract()
    {
        string[] ofOurFilesAlone =
            ["good", "mcus.json", "job in a journal", "klipper", "(mcu)", "(identity)", "(registers)", "answer of the agent"];
        string[] ofSettings = ["policy", "probes", "rollback"];
        var members = Contract.GetProperty("json").EnumerateObject().Where(shape => !ofOurFilesAlone.Contains(shape.Name))
            .SelectMany(shape => shape.Value.EnumerateObject()).Select(member => member.Name.TrimEnd('?')).Where(name => name != "event");
        var values = Contract.GetProperty("values").EnumerateObject().Where(kind => !ofSettings.Contains(kind.Name))
            .SelectMany(kind => kind.Value.EnumerateArray()).Select(value => value.GetString()!);
        var events = new[] { "events", "requestedBy" }.SelectMany(list => Contract.GetProperty("agent").GetProperty(list).EnumerateArray())
            .Select(name => name.GetString()!).Except(ofOurFilesAlone);
        AssertNames(["json.md"], members.Concat(values).Concat(events));
    }

    [Fact]
    public void The_page_on_the_agent_names_every_method_argument_and_member_of_an_answer()
    {
        var answer = Contract.GetProperty("json").GetProperty("answer of the agent").EnumerateObject().Select(member => member.Name);
        var agent = Contract.GetProperty("agent").EnumerateObject().Where(list => list.Name is not ("events" or "requestedBy"))
            .SelectMany(list => list.Value.EnumerateArray());
        AssertNames(["agent-api.md"], answer.Select(name => name.TrimEnd('?')).Concat(agent.Select(name => name.GetString()!)));
    }

    [Fact]
    public void The_pages_for_users_name_every_macro_setting_verb_and_option()
    {
        var settings = Contract.GetProperty("settings").EnumerateObject().SelectMany(section => section.Value.EnumerateArray());
        var policies = new[] { "policy", "probes", "rollback" }
            .SelectMany(name => Contract.GetProperty("values").GetProperty(name).EnumerateArray());
        AssertNames(["usage.md", "recovery.md"], settings.Concat(policies).Select(name => name.GetString()!));
        var pages = string.Concat(new[] { "usage.md", "recovery.md", "virtual-printer.md" }.Select(Read));
        var macros = Contract.GetProperty("moonraker").GetProperty("macros").EnumerateObject().Where(macro => !macro.Name.StartsWith('_'));
        Assert.All(
            macros.Select(macro => macro.Name).Concat(Verbs(Contract.GetProperty("commandLine"), "ratos-flash")),
            word => Assert.Contains(word, pages, StringComparison.Ordinal));
    }

    private static JsonElement Contract { get; } = JsonDocument.Parse(Read("contract.json")).RootElement;

    private static string Read(string page) => File.ReadAllText(Path.Combine(TidyTests.Root, "docs", page));

    /// <summary>Each name stands on one of these pages as code.</summary>
    private static void AssertNames(string[] pages, IEnumerable<string> names)
    {
        var text = string.Concat(pages.Select(Read));
        Assert.Equal([], names.Distinct().Where(name => !text.Contains($"`{name}`", StringComparison.Ordinal)));
    }

    /// <summary>Verbs as they are typed, and options.</summary>
    private static IEnumerable<string> Verbs(JsonElement verb, string typed) =>
        verb.EnumerateObject().SelectMany(member => member.Name switch
        {
            "arguments" => [],
            "options" => member.Value.EnumerateArray().Select(option => option.GetString()!.Split(' ')[0]),
            var name => Verbs(member.Value, $"{typed} {name}").Prepend($"{typed} {name}"),
        });

    /// <summary>GitHub's anchors: lower case, blanks as hyphens, letters and digits alone.</summary>
    private static IEnumerable<string> Headings(string path) => File.ReadLines(path).Where(line => line.StartsWith('#'))
        .Select(line => line.TrimStart('#').Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_'))
        .Select(heading => string.Concat(heading).Replace(' ', '-'));
}

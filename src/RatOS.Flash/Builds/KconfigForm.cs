using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Builds;

/// <summary>
/// Klipper's menu as a form. Klipper's own kconfiglib evaluates it in a process of its own, which ends with each request. What is saved is
/// the same configuration as that of <see cref="Menuconfig"/>.
/// </summary>
/// <param name="tree">The sources; only read.</param>
/// <param name="folder">The folder of the configurations.</param>
/// <param name="cacheFolder">The folder of builds, on the same file system.</param>
public sealed class KconfigForm(KlipperTree tree, string folder, string cacheFolder)
{
    /// <summary>Klipper's largest menus have about 20 KB.</summary>
    private const int LongestAnswer = 2 << 20;

    private const int LongestCause = 300;
    private const string Python = "python3";
    private const string Evaluator = "lib/kconfiglib/kconfiglib.py";

    private static readonly Lazy<string> Script = new(static () =>
    {
        using var text = new StreamReader(typeof(KconfigForm).Assembly.GetManifestResourceStream("kconfig_form.py")!);
        return text.ReadToEnd();
    });

    private readonly string _folder = Path.GetFullPath(folder);

    /// <summary>Search path for Python, in the form of PATH.</summary>
    public string SearchPath { get; init; } = Tools.UsualPath;

    /// <summary>A slow computer needs 3 seconds the first time.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Evaluates all assignments of a form, in their order, on top of the board's configuration.</summary>
    /// <param name="board">The board, without the facts of a kept configuration.</param>
    /// <param name="preset">The configuration where none is kept.</param>
    /// <param name="set">Symbols without <c>CONFIG_</c> and their values. Values that no .config may have are refused.</param>
    /// <param name="saves">Keep the result, unless an assignment is refused.</param>
    /// <param name="cancel">Ends the process.</param>
    /// <exception cref="FlashException">The menu cannot be evaluated, or the result is for another board; then nothing is kept.</exception>
    public async Task<FilledForm> FillAsync(
        PrinterBoard board, Func<BuildConfig> preset, IReadOnlyList<OptionValue> set, bool saves, CancellationToken cancel)
    {
        CheckTools(board.Name);
        var file = Menuconfig.FileOf(_folder, board.Name) ?? throw BuildFaults.ConfigUnusable(board.Name, "its name is none for a file");
        var kept = Menuconfig.Text(file, board.Name);
        try
        {
            var cache = new BuildCache(Path.GetFullPath(cacheFolder), 0, TimeProvider.System);
            using var directory = cache.OpenDirectory();
            await File.WriteAllTextAsync(directory.Config, kept ?? preset().Text, cancel);
            var version = tree.VersionAsync(cancel);
            var fine = set.Where(option => Kconfig.IsPlain(option.Value)).ToList();
            var answer = await EvaluateAsync(board.Name, cache, directory, fine, cancel);
            var unfit = set.Except(fine).Select(option =>
                new RefusedOption(option.Name, option.Value, "it has characters that none may have"));
            ImmutableArray<RefusedOption> refused = [.. unfit, .. answer.Refused];
            var isSaved = saves && refused.IsEmpty;
            if (isSaved)
            {
                Directory.CreateDirectory(_folder);
                Menuconfig.Keep(directory.Config, await File.ReadAllTextAsync(directory.Config, cancel), file, board);
            }
            var known = BoardSymbols.InWords(board.Profile, board.Serial);
            return new FilledForm(await version, [.. answer.Nodes.Select(node => Marked(node, known))])
            {
                IsKept = isSaved || kept is not null,
                IsSaved = isSaved,
                Changed = isSaved ? [] : answer.Changed,
                Refused = refused,
            };
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ExternalException)
        {
            throw BuildFaults.BuildFolder(_folder, fault.Message.TrimEnd('.'));
        }
    }

    /// <summary>Compares a configuration from elsewhere with the present one, after this Klipper completed both.</summary>
    /// <param name="board">The board, without the facts of a kept configuration.</param>
    /// <param name="preset">The configuration where none is kept.</param>
    /// <param name="text">The other configuration, of any age.</param>
    /// <param name="cancel">Ends the process.</param>
    /// <exception cref="FlashException">The menu cannot be evaluated, or the text is for another board or Klipper.</exception>
    public async Task<ConfigComparison> CompareAsync(
        PrinterBoard board, Func<BuildConfig> preset, string text, CancellationToken cancel)
    {
        CheckTools(board.Name);
        if (BuildConfig.Contradiction(text, board) is var (symbol, own, theirs))
            throw BuildFaults.OptionsOfOtherBoard(board.Name, symbol, own, theirs);
        var other = Menuconfig.Of(board, text);
        var file = Menuconfig.FileOf(_folder, board.Name) ?? throw BuildFaults.ConfigUnusable(board.Name, "its name is none for a file");
        var present = Menuconfig.Text(file, board.Name);
        // Where the application begins is no default of Klipper's that a board could be trusted to have.
        if (present is null && (board.Profile.ApplicationStart is not null || board.Profile.Chip?.Value is "linux" || board.Profile.IsAvr))
            present = preset().Text;
        try
        {
            var completed = await CompletedAsync(other.Text);
            other.Check(completed.Text, board.Name);
            Menuconfig.CheckFor(board, completed.Text);
            var now = present is null ? [] : Shown((await CompletedAsync(present)).Nodes).ToDictionary();
            return new(completed.Text, present is not null, [.. BuildConfig.Dropped(other.Text, completed.Text)],
                [.. Shown(completed.Nodes).Where(option => option.Value != now.GetValueOrDefault(option.Key))
                    .Select(option => new OptionChange(option.Key, now.GetValueOrDefault(option.Key), option.Value))]);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ExternalException)
        {
            throw BuildFaults.BuildFolder(cacheFolder, fault.Message.TrimEnd('.'));
        }

        async Task<(string Text, OptionNode[] Nodes)> CompletedAsync(string text)
        {
            var cache = new BuildCache(Path.GetFullPath(cacheFolder), 0, TimeProvider.System);
            using var directory = cache.OpenDirectory();
            await File.WriteAllTextAsync(directory.Config, text, cancel);
            var answer = await EvaluateAsync(board.Name, cache, directory, [], cancel);
            return (await File.ReadAllTextAsync(directory.Config, cancel), answer.Nodes);
        }
    }

    private void CheckTools(string board)
    {
        if (new Tools(SearchPath).Find(Python) is null)
            throw BuildFaults.ToolchainMissing(board, Python, Python);
        if (!File.Exists(Path.Combine(tree.Path, Evaluator)))
            throw BuildFaults.NotAKlipperTree(tree.Path, $"{Evaluator} is missing");
    }

    /// <summary>The options of a menu and their values, by prompts: a choice has no symbol of its own.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Shown(IEnumerable<OptionNode> nodes)
    {
        // That one only shows others. Optional features of small chips are shown twice: in the menu's order the first counts.
        return All(nodes).Where(node => node.Value is not null && node.Name != BoardSymbols.LowLevelOptions)
            .DistinctBy(node => (node.Name, node.Prompt)).GroupBy(node => node.Prompt, StringComparer.Ordinal)
            .SelectMany(group => group.Select(node =>
                KeyValuePair.Create(group.Count() == 1 ? node.Prompt : $"{node.Prompt} ({node.Name})", node.Value!)));

        static IEnumerable<OptionNode> All(IEnumerable<OptionNode> nodes) => nodes.SelectMany(node => All(node.Nodes ?? []).Prepend(node));
    }

    /// <summary>Python ignores its variables, the user's packages and modules in Klipper's folder, and writes nothing there.</summary>
    private async Task<FormAnswer> EvaluateAsync(
        string board, BuildCache cache, BuildDirectory directory, IEnumerable<OptionValue> set, CancellationToken cancel)
    {
        // It works in real time, whatever clock its caller has.
        using var late = new CancellationTokenSource(Patience, TimeProvider.System);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancel, late.Token);
        var environment = tree.GitEnvironment(null);
        environment["TMPDIR"] = directory.Temporary;
        var request = new FormRequest(directory.Config, [.. set.Select(option => (string[])[option.Name, option.Value])]);
        try
        {
            var (exit, output, errors) = await new Tools(SearchPath).ExchangeAsync(
                Python, ["-I", "-X", $"pycache_prefix={cache.Bytecode}", "-c", Script.Value], tree.Path, environment,
                JsonSerializer.Serialize(request, FormJson.Default.FormRequest), LongestAnswer, ended.Token);
            if (exit != 0)
                throw BuildFaults.OptionsUnreadable(board, CauseIn(errors) ?? $"Python ended with exit code {exit}");
            return JsonSerializer.Deserialize(output, FormJson.Default.FormAnswer) is { Nodes: not null } answer ? answer
                : throw BuildFaults.OptionsUnreadable(board, "the answer is empty");
        }
        catch (JsonException fault)
        {
            throw BuildFaults.OptionsUnreadable(board, $"the answer is damaged: {fault.Message.TrimEnd('.')}");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw BuildFaults.OptionsUnreadable(board, $"it took more than {Patience.TotalSeconds:0} s");
        }
    }

    /// <summary>The last line: of an exception, what it is.</summary>
    private static string? CauseIn(string errors) =>
        errors.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).LastOrDefault() is { } last
            ? string.Concat(last.Take(LongestCause).Select(c => char.IsControl(c) ? ' ' : c)).TrimEnd('.') : null;

    private static OptionNode Marked(OptionNode node, IReadOnlyDictionary<string, string> known) => node with
    {
        Board = ((string?[])[node.Name, .. node.Options?.Select(option => option.Name) ?? []]).OfType<string>()
            .Select(known.GetValueOrDefault).FirstOrDefault(words => words is not null),
        Nodes = node.Nodes?.Select(below => Marked(below, known)).ToArray(),
    };
}

/// <summary>An option and the value that a user gives it.</summary>
public sealed record OptionValue(string Name, string Value);

/// <summary>An assignment that did not take.</summary>
/// <param name="Reason">Why, as part of a sentence.</param>
public sealed record RefusedOption(string Name, string Value, string Reason);

/// <summary>A configuration from elsewhere beside the present one.</summary>
/// <param name="Completed">The other one's text, as this Klipper completed it.</param>
/// <param name="HasPresent">There is a present one: kept, or made of what is known of the board.</param>
/// <param name="Dropped">Symbols of the other one that this Klipper does not have, without <c>CONFIG_</c>.</param>
/// <param name="Changes">Options of the menu that differ, in its order; all where there is no present one.</param>
public sealed record ConfigComparison(
    string Completed, bool HasPresent, ImmutableArray<string> Dropped, ImmutableArray<OptionChange> Changes);

/// <summary>An option with another value.</summary>
/// <param name="Prompt">Its text in the menu.</param>
/// <param name="Before">The present value, of a choice the chosen symbol; null where the menu did not show it.</param>
/// <param name="After">The other value.</param>
public sealed record OptionChange(string Prompt, string? Before, string After);

/// <summary>The menu with all assignments.</summary>
/// <param name="Klipper">The version whose menu it is.</param>
/// <param name="Nodes">What the menu shows, in its order.</param>
public sealed record FilledForm(string Klipper, ImmutableArray<OptionNode> Nodes)
{
    /// <summary>A configuration of this board is kept.</summary>
    public bool IsKept { get; init; }

    /// <summary>This request saved it.</summary>
    public bool IsSaved { get; init; }

    /// <summary>Names of what is shown and differs from the configuration below; of a choice the option that is chosen now.</summary>
    public IReadOnlyList<string> Changed { get; init; } = [];

    public ImmutableArray<RefusedOption> Refused { get; init; } = [];
}

/// <summary>An entry of the menu.</summary>
/// <param name="Kind"><c>menu</c>, <c>choice</c>, <c>bool</c>, <c>int</c>, <c>hex</c>, <c>string</c> or <c>comment</c>.</param>
/// <param name="Prompt">Its text.</param>
/// <param name="Assignable">The user can change it.</param>
public sealed record OptionNode(string Kind, string Prompt, bool Assignable)
{
    /// <summary>Its symbol; null for menus, comments and most choices.</summary>
    public string? Name { get; init; }

    /// <summary>As Kconfig writes it, without quotes; of a choice the name of the chosen option.</summary>
    public string? Value { get; init; }

    public string? Help { get; init; }

    /// <summary>The least and the greatest value.</summary>
    public string[]? Range { get; init; }

    /// <summary>What a choice offers.</summary>
    public OptionOfChoice[]? Options { get; init; }

    /// <summary>What is known of the board, and by whom.</summary>
    public string? Board { get; init; }

    /// <summary>Entries below it.</summary>
    public OptionNode[]? Nodes { get; init; }
}

/// <summary>An option of a choice, which is chosen by setting it to <c>y</c>.</summary>
public sealed record OptionOfChoice(string Name, string Prompt, string? Help);

/// <summary>Both are of <c>kconfig_form.py</c>.</summary>
internal sealed record FormRequest(string Config, string[][] Set);

/// <inheritdoc cref="FormRequest"/>
internal sealed record FormAnswer(OptionNode[] Nodes, string[] Changed, RefusedOption[] Refused);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(FormRequest))]
[JsonSerializable(typeof(FormAnswer))]
internal sealed partial class FormJson : JsonSerializerContext;

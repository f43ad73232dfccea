using System.CommandLine;
using System.CommandLine.Invocation;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Cli;

/// <summary><c>--help</c>: of the program its verbs in groups, of a verb its arguments and options.</summary>
/// <param name="verbs">The groups of verbs.</param>
/// <param name="common">The options of every verb, in groups.</param>
internal sealed class Help(IReadOnlyList<(string Title, Command[] Verbs)> verbs, IReadOnlyList<(string Title, Option[] Options)> common)
    : SynchronousCommandLineAction
{
    private const string Program = "ratos-flash";
    private const int MostColumns = 100;
    private const int LabelWidth = 22;

    /// <summary>A verb's help needs none of its arguments.</summary>
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parsed)
    {
        var columns = Math.Min(MostColumns, Terminal.Size.Columns);
        var command = parsed.CommandResult.Command;
        foreach (var line in command is RootCommand ? OfProgram(command) : OfVerb(command))
        {
            foreach (var row in line.Wrap(columns))
                Terminal.Out.WriteLine(row);
        }
        return ExitCode.Done;
    }

    private IEnumerable<Line> OfProgram(Command root)
    {
        yield return new(root.Description!);
        yield return new("");
        yield return new($"Usage: {Program} VERB [OPTIONS]");
        foreach (var (title, commands) in verbs)
        {
            yield return new("");
            yield return new($"{title}:");
            foreach (var verb in commands.SelectMany(verb => verb.Subcommands.Count > 0 ? verb.Subcommands : (IEnumerable<Command>)[verb]))
            {
                foreach (var line in Entry(Usage(verb), verb.Description!))
                    yield return line;
            }
        }
        foreach (var line in Common())
            yield return line;
        yield return new("");
        yield return new($"`{Program} VERB --help` describes a verb.");
    }

    private IEnumerable<Line> OfVerb(Command verb)
    {
        yield return new($"{verb.Description}.");
        yield return new("");
        foreach (var command in verb.Subcommands.Count > 0 ? verb.Subcommands : (IEnumerable<Command>)[verb])
            yield return new($"Usage: {Program} {Usage(command)} [OPTIONS]");
        if (verb.Arguments.Count > 0)
        {
            yield return new("");
            yield return new("Arguments:");
            foreach (var line in verb.Arguments.SelectMany(argument => Entry(Name(argument), argument.Description!)))
                yield return line;
        }
        if (verb.Options.Count > 0)
        {
            yield return new("");
            yield return new("Options:");
            foreach (var line in verb.Options.SelectMany(Entry))
                yield return line;
        }
        foreach (var line in Common())
            yield return line;
    }

    private IEnumerable<Line> Common()
    {
        foreach (var (title, options) in common)
        {
            yield return new("");
            yield return new($"{title}:");
            foreach (var line in options.SelectMany(Entry))
                yield return line;
        }
    }

    private static IEnumerable<Line> Entry(Option option)
    {
        // Long names are below each other, whether or not they have a short one.
        var alias = option.Aliases.FirstOrDefault(alias => alias is ['-', not '-' and not '?']) is { } letter ? $"{letter}, " : "    ";
        return Entry($"{alias}{option.Name}{(option.HelpName is null ? "" : $" {option.HelpName}")}", option.Description!);
    }

    private static IEnumerable<Line> Entry(string label, string text) => label.Length <= LabelWidth
        ? [Line.Of($"  {label.PadRight(LabelWidth)} ", text)]
        : [new($"  {label}"), Line.Of(new string(' ', LabelWidth + 3), text)];

    private static string Usage(Command verb)
    {
        var names = verb.Parents.OfType<Command>().Where(parent => parent is not RootCommand).Append(verb).Select(command => command.Name);
        return string.Join(' ', names.Concat(verb.Arguments.Select(Name)));
    }

    private static string Name(Argument argument)
    {
        var name = argument.Name + (argument.Arity.MaximumNumberOfValues > 1 ? "..." : "");
        return argument.Arity.MinimumNumberOfValues > 0 ? name : $"[{name}]";
    }
}

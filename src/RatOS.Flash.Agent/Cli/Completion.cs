using System.CommandLine;
using System.CommandLine.Completions;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Completion of verbs, options and their values for a shell, from the table of verbs itself.</summary>
internal static class Completion
{
    public static readonly string[] Shells = ["bash", "zsh", "fish"];

    /// <summary>The script that the shell loads.</summary>
    /// <param name="root">Every verb and option.</param>
    /// <param name="shell">One of <see cref="Shells"/>.</param>
    public static string For(RootCommand root, string shell)
    {
        var verbs = Verbs(root).ToList();
        return shell switch { "bash" => Bash(verbs), "zsh" => Zsh(verbs), _ => Fish(verbs) };
    }

    /// <param name="Words">How it is typed: <c>flash</c>, <c>firmware inspect</c>.</param>
    /// <param name="Description">A few words.</param>
    /// <param name="Options">Its own, then those of every verb.</param>
    /// <param name="Values">The values of its argument, where there are only these.</param>
    /// <param name="TakesFile">Its argument is a file.</param>
    private sealed record Verb(string Words, string Description, IReadOnlyList<Given> Options, string[] Values, bool TakesFile);

    /// <param name="Names">With their dashes.</param>
    /// <param name="Description">A few words.</param>
    /// <param name="Value">Name of its value; null for a switch.</param>
    /// <param name="Values">The only values; empty for any.</param>
    private sealed record Given(string[] Names, string Description, string? Value, string[] Values)
    {
        public bool TakesFile => Value is "FILE" or "DIR";
    }

    private static IEnumerable<Verb> Verbs(RootCommand root)
    {
        var common = root.Options.Where(option => option.Recursive).Select(GivenOf).ToList();
        foreach (var verb in root.Subcommands)
        {
            foreach (var command in verb.Subcommands.Count > 0 ? verb.Subcommands : (IEnumerable<Command>)[verb])
            {
                yield return new(
                    command == verb ? verb.Name : $"{verb.Name} {command.Name}", command.Description!,
                    [.. command.Options.Select(GivenOf), .. common], [.. command.Arguments.SelectMany(ValuesOf)],
                    command.Arguments.Any(argument => argument.Name is "FILE" or "BUNDLE"));
            }
        }
    }

    private static Given GivenOf(Option option)
    {
        var isSwitch = option.Arity.MaximumNumberOfValues == 0 || option.ValueType == typeof(bool);
        string[] names = [option.Name, .. option.Aliases.Where(alias => alias.StartsWith('-') && alias != "-?")];
        return new(
            names, option.Description!, isSwitch ? null : option.HelpName ?? "VALUE",
            isSwitch ? [] : [.. ValuesOf(option)]);
    }

    private static IEnumerable<string> ValuesOf(Symbol symbol) => symbol.GetCompletions(CompletionContext.Empty).Select(item => item.Label);

    private static string Bash(List<Verb> verbs)
    {
        var cases = verbs.Select(verb =>
            $"    '{verb.Words}') options='{string.Join(' ', [.. verb.Values, .. verb.Options.SelectMany(option => option.Names)])}'"
            + $"{(verb.TakesFile ? " files=1" : "")} ;;");
        var valued = verbs.SelectMany(verb => verb.Options).Where(option => option.Value is not null).DistinctBy(option => option.Names[0])
            .ToList();
        var values = valued.Select(option => $"    {string.Join('|', option.Names)}) COMPREPLY=($(compgen "
            + $"{(option.TakesFile ? "-f" : $"-W '{string.Join(' ', option.Values)}'")} -- \"$word\")); return ;;");
        return $$"""
            # Completion of ratos-flash for bash, written by `ratos-flash completion bash`.
            _ratos_flash() {
              local word=${COMP_WORDS[COMP_CWORD]} verb='' options='' files='' i
              COMPREPLY=()
              case ${COMP_WORDS[COMP_CWORD-1]} in
            {{string.Join('\n', values)}}
              esac
              for ((i = 1; i < COMP_CWORD; i++)); do
                case " {{string.Join(' ', verbs.SelectMany(verb => verb.Words.Split(' ')).Distinct())}} " in
                  *" ${COMP_WORDS[i]} "*)
                    case "$verb" in
                      '') verb=${COMP_WORDS[i]} ;;
                      {{string.Join('|', Groups(verbs))}}) verb="$verb ${COMP_WORDS[i]}" ;;
                    esac ;;
                esac
              done
              case "$verb" in
            {{string.Join('\n', cases)}}
            {{string.Join('\n', Groups(verbs).Select(group => $"    {group}) options='{string.Join(' ', Members(verbs, group))}' ;;"))}}
                '') options='{{string.Join(' ', FirstWords(verbs))}}' ;;
              esac
              COMPREPLY=($(compgen -W "$options" -- "$word"))
              if [ -n "$files" ] && [ "${word:0:1}" != - ]; then COMPREPLY=($(compgen -f -- "$word")); fi
            }
            complete -o filenames -F _ratos_flash ratos-flash

            """;
    }

    private static string Zsh(List<Verb> verbs)
    {
        var cases = verbs.Select(verb => $"    '{verb.Words}') _arguments -S {string.Join(' ', verb.Options.SelectMany(ZshOf))} "
            + $"'*:argument:{(verb.TakesFile ? "_files" : verb.Values.Length > 0 ? $"({string.Join(' ', verb.Values)})" : " ")}' ;;");
        var first = FirstWords(verbs).Select(word => Quoted($"{word}:{verbs.Find(verb => verb.Words.Split(' ')[0] == word)!.Description}"));
        var groups = Groups(verbs).Select(group =>
            $"    {group}) if (( CURRENT == 3 )); then compadd {string.Join(' ', Members(verbs, group))}; return; fi; "
            + "verb=\"$verb $words[3]\" ;;");
        return $$"""
            #compdef ratos-flash
            # Completion of ratos-flash for zsh, written by `ratos-flash completion zsh`.
            _ratos_flash() {
              local -a verbs
              if (( CURRENT == 2 )); then
                verbs=({{string.Join(' ', first)}})
                _describe verb verbs
                return
              fi
              local verb=$words[2]
              case $verb in
            {{string.Join('\n', groups)}}
              esac
              case $verb in
            {{string.Join('\n', cases)}}
              esac
            }
            if [ "$funcstack[1]" = _ratos_flash ]; then _ratos_flash "$@"; else compdef _ratos_flash ratos-flash; fi

            """;
    }

    private static IEnumerable<string> ZshOf(Given option)
    {
        var value = option.Value is null ? ""
            : $":{option.Value}:{(option.TakesFile ? "_files" : option.Values.Length > 0 ? $"({string.Join(' ', option.Values)})" : " ")}";
        var words = option.Description.Replace("[", "(", StringComparison.Ordinal).Replace("]", ")", StringComparison.Ordinal)
            .Replace(":", "\\:", StringComparison.Ordinal);
        return option.Names.Select(name => Quoted($"{name}[{words}]{value}"));
    }

    private static string Fish(List<Verb> verbs)
    {
        var lines = new List<string>
        {
            "# Completion of ratos-flash for fish, written by `ratos-flash completion fish`.",
            "complete -c ratos-flash -f",
        };
        foreach (var word in FirstWords(verbs))
        {
            var words = verbs.Find(verb => verb.Words.Split(' ')[0] == word)!.Description;
            lines.Add($"complete -c ratos-flash -n __fish_use_subcommand -a {word} -d {Quoted(words)}");
        }
        foreach (var verb in verbs)
        {
            var (first, last) = (verb.Words.Split(' ')[0], verb.Words.Split(' ')[^1]);
            if (first != last)
                lines.Add($"complete -c ratos-flash -n '__fish_seen_subcommand_from {first}' -a {last} -d {Quoted(verb.Description)}");
            var condition = $"-n '__fish_seen_subcommand_from {last}'";
            if (verb.Values.Length > 0)
                lines.Add($"complete -c ratos-flash {condition} -a '{string.Join(' ', verb.Values)}'");
            if (verb.TakesFile)
                lines.Add($"complete -c ratos-flash {condition} -F");
            foreach (var option in verb.Options)
            {
                var names = string.Join(' ', option.Names.Select(name => name.StartsWith("--", StringComparison.Ordinal)
                    ? $"-l {name[2..]}" : $"-s {name[1..]}"));
                var value = option.Value is null ? "" : option.TakesFile ? " -r -F"
                    : option.Values.Length > 0 ? $" -x -a '{string.Join(' ', option.Values)}'" : " -x";
                lines.Add($"complete -c ratos-flash {condition} {names}{value} -d {Quoted(option.Description)}");
            }
        }
        return string.Join('\n', lines) + "\n";
    }

    private static IEnumerable<string> FirstWords(List<Verb> verbs) => verbs.Select(verb => verb.Words.Split(' ')[0]).Distinct();

    /// <summary>Verbs that have verbs of their own.</summary>
    private static IEnumerable<string> Groups(List<Verb> verbs) =>
        verbs.Where(verb => verb.Words.Contains(' ', StringComparison.Ordinal)).Select(verb => verb.Words.Split(' ')[0]).Distinct();

    private static IEnumerable<string> Members(List<Verb> verbs, string group) =>
        verbs.Where(verb => verb.Words.StartsWith(group + " ", StringComparison.Ordinal)).Select(verb => verb.Words[(group.Length + 1)..]);

    private static string Quoted(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}

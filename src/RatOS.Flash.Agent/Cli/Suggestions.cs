using System.CommandLine;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Cli;

/// <summary>Verbs and options that were meant by words that are none.</summary>
internal static class Suggestions
{
    /// <summary>The parser names the .NET type that a value cannot be: users do not know it.</summary>
    public static string WithoutType(string message) =>
        message.IndexOf(" as expected type ", StringComparison.Ordinal) is > 0 and var at ? $"{message[..at]}." : message;

    /// <summary>A sentence for each word of the command line that is near to a verb or an option.</summary>
    public static IEnumerable<string> Of(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var options = command.Options.Concat(parsed.RootCommandResult.Command.Options).Where(option => !option.Hidden)
            .SelectMany(option => option.Aliases.Prepend(option.Name)).Where(name => name.StartsWith("--", StringComparison.Ordinal));
        string[] names = [.. options, .. command.Subcommands.Select(verb => verb.Name)];
        foreach (var word in parsed.Tokens.Select(token => token.Value).Distinct(StringComparer.Ordinal))
        {
            var candidates = names.Where(name => name.StartsWith('-') == word.StartsWith('-')).ToList();
            if (candidates.Contains(word) || (!word.StartsWith('-') && command is not RootCommand && command.Subcommands.Count == 0))
                continue;
            if (candidates.Where(name => FuzzyMatch.IsNear(word, name)).MinBy(name => FuzzyMatch.Distance(word, name)) is { } near)
                yield return $"Did you mean `{near}`?";
        }
    }
}

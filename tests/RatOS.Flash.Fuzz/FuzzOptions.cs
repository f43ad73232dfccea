using System.Globalization;

namespace RatOS.Flash.Fuzz;

/// <summary>The command line.</summary>
/// <param name="Target">The name of a target, or <c>all</c>.</param>
/// <param name="Files">Inputs to run once, instead of fuzzing.</param>
internal sealed record FuzzOptions(string Target, IReadOnlyList<string> Files)
{
    public const string Usage =
        "fuzz TARGET|all [--seconds N] [--seed S] [--corpus DIR] [--failures DIR] [--keep]\nfuzz replay TARGET FILE...";

    /// <summary>Of processor time, for all targets together.</summary>
    public int Seconds { get; init; } = 60;

    public int Seed { get; init; } = 1;

    /// <summary>A folder of inputs for each target.</summary>
    public string? Corpus { get; init; }

    /// <summary>Where inputs that fail are written.</summary>
    public string Failures { get; init; } = Path.Combine("artifacts", "fuzz");

    /// <summary>Writes the small inputs that reach new code into <see cref="Corpus"/>.</summary>
    public bool Keeps { get; init; }

    /// <summary>Null for a command line that is none.</summary>
    public static FuzzOptions? Parse(IReadOnlyList<string> arguments)
    {
        if (arguments is ["replay", var one, _, ..])
            return new(one, [.. arguments.Skip(2)]);
        if (arguments is not [{ } target, ..] || target.StartsWith('-'))
            return null;
        var options = new FuzzOptions(target, []);
        for (var i = 1; i < arguments.Count; i++)
        {
            if (arguments[i] == "--keep")
            {
                options = options with { Keeps = true };
                continue;
            }
            if (++i == arguments.Count)
                return null;
            var value = arguments[i];
            var isNumber = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number);
            switch (arguments[i - 1])
            {
                case "--seconds" when isNumber:
                    options = options with { Seconds = number };
                    break;
                case "--seed" when isNumber:
                    options = options with { Seed = number };
                    break;
                case "--corpus":
                    options = options with { Corpus = value };
                    break;
                case "--failures":
                    options = options with { Failures = value };
                    break;
                default:
                    return null;
            }
        }
        return options;
    }

    /// <summary>The same as text, for the second copy of this program.</summary>
    public string[] ToArguments() => Files.Count > 0 ? ["replay", Target, .. Files]
        :
        [
            Target, "--seconds", Seconds.ToString(CultureInfo.InvariantCulture), "--seed", Seed.ToString(CultureInfo.InvariantCulture),
            "--failures", Failures, .. Corpus is null ? [] : (string[])["--corpus", Corpus], .. Keeps ? ["--keep"] : (string[])[],
        ];
}

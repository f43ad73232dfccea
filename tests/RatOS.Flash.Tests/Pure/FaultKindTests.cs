using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

public sealed class FaultKindTests
{
    private static readonly (string Name, FaultKind Kind)[] Entries =
        [.. typeof(FaultKind).GetProperties(BindingFlags.Public | BindingFlags.Static)
            .Where(property => property.PropertyType == typeof(FaultKind))
            .Select(property => (property.Name, (FaultKind)property.GetValue(null)!))];

    [Fact]
    public void Every_entry_is_named_after_its_code()
    {
        Assert.Equal(FaultKind.All.Count, Entries.Length);
        Assert.All(Entries, entry => Assert.Equal(entry.Kind.Code, JsonNamingPolicy.KebabCaseLower.ConvertName(entry.Name)));
    }

    [Fact]
    public void A_known_code_gives_its_entry_and_another_one_a_kind_without_policy()
    {
        Assert.Same(FaultKind.KatapultSilent, FaultKind.Of("katapult-silent"));
        Assert.True(FaultKind.Of("katapult-silent").Retry);

        var foreign = FaultKind.Of("of-a-later-version");
        Assert.Equal("of-a-later-version", foreign.Code);
        Assert.Equal(foreign, FaultKind.Of("of-a-later-version"));
        Assert.False(foreign.Retry || foreign.WorthRollBack || foreign.BootloaderAnswered);
        Assert.Equal(OperatorStep.None, foreign.OperatorStep);
        Assert.DoesNotContain(foreign, FaultKind.All);
    }

    [Fact]
    public void Only_the_catalogue_knows_a_fault_by_the_text_of_its_code() => Assert.DoesNotContain(
        TidyTests.Sources().Where(file => !file.Contains("RatOS.Flash/Core/", StringComparison.Ordinal)).SelectMany(File.ReadLines),
        line => TextComparison.IsMatch(line));

    private static readonly Regex TextComparison = new(
        "(\\bCode\\)? (is|==|!=) (not )?\\(?\"[a-z])|(\\bCode: (not )?\\(?\"[a-z])",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        TimeSpan.FromSeconds(10));

    [Fact]
    public void Every_fault_is_of_a_kind_in_the_catalogue() =>
        Assert.All(FaultList.All, fault => Assert.Contains(FaultKind.Of(fault.Code), FaultKind.All));
}

using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

public sealed class RemedyTests
{
    private static readonly RemedyAction Yes = new("add `--yes`", "press \"Flash anyway\"");

    [Fact]
    public void Each_front_end_reads_its_own_words()
    {
        Remedy remedy = $"Read them, or {Yes}. {Yes}, {3} times.";
        Assert.Equal("Read them, or add `--yes`. Add `--yes`, 3 times.", remedy.In(FrontEnd.CommandLine));
        Assert.Equal("Read them, or press \"Flash anyway\". Press \"Flash anyway\", 3 times.", remedy.In(FrontEnd.Browser));
        Assert.Equal(remedy.In(FrontEnd.Browser), remedy.OnlyInBrowser);
        Assert.Equal([Yes, Yes], remedy.Actions);
        Assert.Null(remedy.First);
    }

    [Fact]
    public void Plain_text_is_the_same_everywhere()
    {
        Remedy remedy = $"Check the path.";
        Assert.Equal(("Check the path.", null), (remedy.In(FrontEnd.Browser), remedy.OnlyInBrowser));
        Assert.Equal(remedy, Remedy.Of("Check the path.", "Check the path."));
    }

    [Fact]
    public void One_that_was_kept_as_text_keeps_both_wordings()
    {
        Remedy remedy = $"{Yes}.";
        var kept = Remedy.Of(remedy.In(FrontEnd.CommandLine), remedy.In(FrontEnd.Browser));
        Assert.Equal(remedy, kept);
        Assert.NotEqual(remedy, Remedy.Of("Add `--yes`.", "Nothing."));
    }
}

using RatOS.Flash.Chips;

namespace RatOS.Flash.Tests.Described;

/// <summary>Real builds of Klipper, from what they leave in the registers of their chips.</summary>
public sealed class DescribedBuildsTests
{
    private const uint VectorTable = 0xE000_ED08;

    public static TheoryData<string> Builds => [.. DescribedBuild.All.Select(build => build.Name)];

    [Fact]
    public void They_are_of_all_links_and_of_most_chips_that_the_engine_knows()
    {
        Assert.True(DescribedBuild.All.Count >= 40, $"{DescribedBuild.All.Count} builds");
        Assert.All(
            (string[])["USBSERIAL", "SERIAL", "CANSERIAL", "USBCANBUS"],
            link => Assert.Contains(DescribedBuild.All, build => build.Derived.ContainsKey(link)));
    }

    [Theory]
    [MemberData(nameof(Builds))]
    public void Its_vectors_stand_at_its_start_and_end_its_ram(string name)
    {
        var build = DescribedBuild.All.Single(build => build.Name == name);
        if (build.Start is not { } start || !build.Words.TryGetValue(start, out var stack))
            return;
        Assert.Equal(build.RamEnd, stack);
        Assert.Equal(1u, build.Words[start + 4] % 2);
        if (Mcu.Find(build.Constants["MCU"]) is not null && build.Words[VectorTable] >= start)
            Assert.Contains(build.Words[VectorTable], (uint[])[start, 0x2000_0000]);
    }
}

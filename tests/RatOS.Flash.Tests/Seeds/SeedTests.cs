using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Tests.Seeds;

/// <summary>
/// Thousands of flashes with faults drawn from a seed, as <c>ratos-flash seeds</c> runs them. <see cref="FlashInvariants"/> checks
/// each one, and the simulated operator recovers a failed board by its remedy. A failure names its seed and the command that repeats it.
/// </summary>
[Collection(WholeMachine.Name)]
public sealed class SeedTests
{
    private const int Flashes = 10_000;

    // Other tests look at them too.
    private static readonly Lazy<IReadOnlyList<SeededFlash>> Swept = new(() =>
    {
        var flashes = new SeededFlash[Flashes];
        Parallel.For(0, Flashes, seed => flashes[seed] = SeededFlash.Run(seed).WithoutTrace());
        return flashes;
    });

    internal static IReadOnlyList<SeededFlash> All => Swept.Value;

    [Fact]
    public void Ten_thousand_flashes_with_faults_keep_the_invariants_and_every_remedy_works()
    {
        var broken = All.Where(flash => flash.Trial.Outcome == TrialOutcome.Broken).ToList();
        Assert.True(
            broken.Count == 0,
            string.Join("\n\n", broken.Take(4)
                .Select(flash => $"{flash.Command}\n{InjectedFaults.FromSeed(flash.Seed)}\n{string.Join('\n', flash.Trial.Problems)}")));
        TestContext.Current.TestOutputHelper?.WriteLine(
            string.Join('\n', All.GroupBy(flash => flash.Trial.Code).OrderByDescending(group => group.Count())
            .Select(group => $"{group.Count(),6} {group.Key,-24} first: seed {group.First().Seed}, {group.First().Scenario}")));
    }

    /// <summary>The faults must bite, and most boards must come through them.</summary>
    [Theory]
    [InlineData(false, 10)]
    [InlineData(true, 8)]
    public void Most_faults_make_a_difference_and_most_boards_recover_automatically(bool onCan, int codes)
    {
        var flashes = All.Where(flash => SeededFlash.IsOnCan(flash.Seed) == onCan).ToList();
        Assert.InRange(flashes.Count(flash => flash.Trial.Code == "flashed"), flashes.Count / (onCan ? 3 : 2), flashes.Count * 95 / 100);
        Assert.True(flashes.Select(flash => flash.Trial.Code).Distinct().Count() > codes, "hardly any fault was met");
    }

    [Fact]
    public void The_same_seed_gives_the_same_trace()
    {
        for (var seed = 0; seed < 100; seed++)
            Assert.Equal(SeededFlash.Run(seed).Trial.Trace, SeededFlash.Run(seed).Trial.Trace);
    }

    /// <summary>Seed 12 ignores the first two requests for the bootloader, and answers the third one as Klipper.</summary>
    [Fact]
    public void The_requests_of_seed_12_are_counted_as_they_were() => Assert.StartsWith(
        "octopus was asked 3 times for its bootloader and stayed in Klipper. "
            + "It re-enumerated as Klipper once and ignored the request twice.",
        SeededFlash.Run(12, "octopus").Trial.Report.Boards.Single().Fault!.Cause,
        StringComparison.Ordinal);

    /// <summary>Seeds beyond the ten thousand that once told a lie.</summary>
    [Theory]
    [InlineData(57_633, "uart-katapult", false)]   // a wedged Katapult on a wire, called unchanged
    [InlineData(93_053, "manta-m8p", true)]        // a board that had left and lingered in the list, called silent
    public void Seeds_that_once_failed_pass(int seed, string scenario, bool isFlashed)
    {
        var trial = SeededFlash.Run(seed, scenario).Trial;
        Assert.Equal(isFlashed, trial.Code == "flashed");
        Assert.Empty(trial.Problems);
    }
}

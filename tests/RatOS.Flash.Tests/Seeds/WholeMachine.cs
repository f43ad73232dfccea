namespace RatOS.Flash.Tests.Seeds;

/// <summary>
/// Tests that take all cores for themselves: beside those that wait for a real process or kernel they would starve them.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WholeMachine
{
    public const string Name = "the whole machine";
}

using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Contract;

/// <summary>What a job does, as the journal and the history show it. New ones may come, none changes.</summary>
internal static class JobKind
{
    public const string Flash = "flash";
    public const string Identify = "identify";
    public const string Recover = "recover";
    public const string RollBack = "rollback";

    public static string Of(FlashOptions options) => options.Job switch
    {
        FlashJob.Identify => Identify,
        FlashJob.Recover => Recover,
        _ => options.RollsBack ? RollBack : Flash,
    };

    /// <summary>In words, before the outcome; empty for a flash, and for one of a journal that does not say it.</summary>
    public static string Words(string? kind) => kind switch
    {
        Identify => "identify: ",
        Recover => "recover: ",
        RollBack => "roll back: ",
        _ => "",
    };

    /// <summary>Null for a kind that does not exist: journals may be damaged.</summary>
    public static string? Known(string? kind) => kind is Flash or Identify or Recover or RollBack ? kind : null;
}

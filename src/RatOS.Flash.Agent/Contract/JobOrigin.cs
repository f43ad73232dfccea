namespace RatOS.Flash.Agent.Contract;

/// <summary>Where a job came from, as the journal, the history and events show it. New ones may come, none changes.</summary>
internal static class JobOrigin
{
    public const string Macro = "macro";
    public const string Request = "request";
    public const string CommandLine = "command-line";
    public const string Screen = "screen";
    public const string Page = "page";
    public const string Prompt = "prompt";
    public const string Update = "update";
}

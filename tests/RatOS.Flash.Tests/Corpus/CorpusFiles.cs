namespace RatOS.Flash.Tests.Corpus;

internal static class CorpusFiles
{
    public static string Path(string name) => System.IO.Path.Combine(TidyTests.Root, "tests", "RatOS.Flash.Tests", "Corpus", name);
}

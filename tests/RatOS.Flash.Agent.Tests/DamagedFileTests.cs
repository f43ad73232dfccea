using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;

namespace RatOS.Flash.Agent.Tests;

/// <summary>The agent's own files after a power cut or a hand in them. Fuzzers found these.</summary>
public sealed class DamagedFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ratos-flash-damaged").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_verdict_that_names_another_board_is_about_the_board_of_its_step()
    {
        var path = Write("journal.ndjson",
            """
            {"event":"job","job":"j","by":"macro","created":"2026-01-01T00:00:00Z","boards":["ebb42"],"images":{},"version":"0.1.0"}
            {"event":"verdict","seq":1,"at":1,"board":"ebb42","phase":"prove","kind":"verdict","message":"","report":{"board":"x","ok":true,
            """.TrimEnd() + "\"refused\":false,\"condition\":\"flashed\",\"size\":1,\"elapsed\":1,\"notes\":[]}}\n");
        var record = JournalRecord.Read(path, 1024)!;
        Assert.Equal("ebb42", Assert.Single(record.Interrupted().Boards).Board);
        Assert.Equal("ebb42", Assert.Single(record.View().Boards).Board);
        Assert.Equal(Flashing.BoardCondition.Flashed, record.EndOf("ebb42").Condition);
    }

    [Theory]
    [InlineData("{\"board\":\"octopus\"}", true)]
    [InlineData("{\"board\":\"octo", false)]
    [InlineData("[]", false)]
    [InlineData("", false)]
    public void A_button_whose_arguments_are_damaged_is_none(string arguments, bool works)
    {
        const string token = "00112233445566778899aabbccddeeff";
        using var log = LogFile.Open(Path.Combine(_folder, "log"), static _ => { });
        var buttons = new PromptButtons(Write("buttons", $"{token} flash {arguments}\n"), log);
        Assert.Equal(works, buttons.Press($"flash {token}") is not null);
        Assert.False(buttons.IsOpen);
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}

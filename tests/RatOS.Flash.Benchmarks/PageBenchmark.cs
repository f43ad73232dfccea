using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// What pages cost the agent, and what a flash sends to each of them: three boards are flashed side by side at the chips' own speed, first
/// with one listener, then with three pages open.
/// </summary>
internal static class PageBenchmark
{
    private const int Pages = 3;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(20);

    /// <param name="program">The published program: one process is the printer with Moonraker, another the agent and its boards.</param>
    /// <returns>Whether every figure is as it should be.</returns>
    public static async Task<bool> MeasureAsync(string program)
    {
        var folder = Directory.CreateTempSubdirectory("rf-").FullName;
        using var printer = UnitEnvironment.Start(
            program, [], "virtual", "--scenario", "voron", "--no-agent", "--moonraker", "0", "--folder", folder);
        var first = await printer.StandardOutput.ReadLineAsync()
            ?? throw new InvalidOperationException(await printer.StandardError.ReadToEndAsync());
        var address = new Uri($"ws://{first.Split("http://")[1].Split(' ')[0]}/websocket");
        using var agent = UnitEnvironment.Start(
            program, [], "agent", "--virtual", "--scenario", "voron", "--folder", Path.Combine(folder, "boards"),
            "--data", Path.Combine(folder, "printer_data"), "--log", "/dev/null");
        using var client = await OpenAsync(address);
        while (!(await AskAsync(client, "status")).TryGetProperty("result", out _))
            await Task.Delay(20, CancellationToken.None);   // until the agent has connected
        await Task.Delay(Idle, CancellationToken.None);
        var idle = LoadBenchmark.PrivateDirty(agent);

        var (alone, _) = await FlashAsync(client, agent);
        var pages = new List<ClientWebSocket>();
        for (var i = 0; i < Pages; i++)
        {
            pages.Add(await OpenAsync(address));
            foreach (var request in (string[])["status", "boards", "history"])
                await AskAsync(pages[i], request);
        }
        var others = pages.Select(DrainAsync).ToList();
        var (most, heard) = await FlashAsync(client, agent);

        var begin = heard[0].At;
        var dialog = heard.First(message => message.Text.Contains("notify_update_response", StringComparison.Ordinal)).At - begin;
        var events = heard.Where(message => message.Text.Contains("notify_agent_event", StringComparison.Ordinal)).ToList();
        var busiest = events.Max(one => events.Count(other => other.At >= one.At && other.At - one.At < TimeSpan.FromSeconds(1)));
        var bytes = events.Max(one => events.Where(other => other.At >= one.At && other.At - one.At < TimeSpan.FromSeconds(1))
            .Sum(other => other.Text.Length)) / 1000.0;
        agent.Kill();
        printer.Kill();
        await Task.WhenAll(others);
        pages.ForEach(page => page.Dispose());
        await printer.WaitForExitAsync();
        Directory.Delete(folder, recursive: true);

        (string What, string Ours, string Most, double Ratio)[] rows =
        [
            ("The request until the dialog's first line", $"{dialog.TotalMilliseconds:0} ms", "100 ms", dialog.TotalMilliseconds / 100),
            // Its end does not wait for its turn.
            ("Events in the busiest second", $"{busiest}", "10, and the end", busiest / 11.0),
            ("Their bytes, for each page", $"{bytes:0.0} KB", "20 KB", bytes / 20),
            ("Private dirty memory in a flash: three pages beside none", $"{most / 1024.0:0.0} MB", $"1.2 x {alone / 1024.0:0.0} MB",
                most / 1.2 / alone),
            ("The same beside the idle agent", $"{most / 1024.0:0.0} MB", $"1.2 x {idle / 1024.0:0.0} MB", most / 1.2 / idle),
        ];
        return Figures.Print("a flash of three boards, seen by pages", rows);
    }

    private sealed record Heard(TimeSpan At, string Text);

    /// <summary>Flashes all boards.</summary>
    /// <returns>The agent's memory at its most, in KiB, and the messages since the request.</returns>
    private static async Task<(long Most, List<Heard> Heard)> FlashAsync(ClientWebSocket client, Process agent)
    {
        var heard = new List<Heard> { new(Stopwatch.GetElapsedTime(0), "") };
        await SendAsync(client, "flash", ",\"arguments\":{\"board\":\"all\",\"force\":true,\"by\":\"page\"}");
        var most = 0L;
        while (true)
        {
            var text = await AgentBenchmark.ReceiveAsync(client);
            heard.Add(new(Stopwatch.GetElapsedTime(0), text));
            most = Math.Max(most, LoadBenchmark.PrivateDirty(agent));
            if (text.Contains("\"error\":", StringComparison.Ordinal) && text.Contains("\"id\":1", StringComparison.Ordinal))
                throw new InvalidOperationException(text);
            if (text.Contains("notify_agent_event", StringComparison.Ordinal)
                && text.Contains("\"state\":\"done\"", StringComparison.Ordinal))
                return (most, heard);
        }
    }

    private static async Task<ClientWebSocket> OpenAsync(Uri address)
    {
        var socket = new ClientWebSocket();
        await socket.ConnectAsync(address, CancellationToken.None);
        return socket;
    }

    private static Task SendAsync(ClientWebSocket client, string method, string arguments) => client.SendAsync(
        Encoding.UTF8.GetBytes("{\"jsonrpc\":\"2.0\",\"method\":\"server.extensions.request\",\"params\":{\"agent\":\"ratos_flash\","
            + $"\"method\":\"{method}\"{arguments}}},\"id\":1}}"),
        WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

    private static async Task<JsonElement> AskAsync(ClientWebSocket client, string method)
    {
        await SendAsync(client, method, "");
        while (true)
        {
            using var message = JsonDocument.Parse(await AgentBenchmark.ReceiveAsync(client));
            if (message.RootElement.TryGetProperty("id", out _))
                return message.RootElement.Clone();
        }
    }

    /// <summary>Reads until Moonraker is gone: a page that does not read is dropped.</summary>
    private static async Task DrainAsync(ClientWebSocket page)
    {
        try
        {
            while (true)
                await AgentBenchmark.ReceiveAsync(page);
        }
        catch (WebSocketException)
        {
            // By this program.
        }
    }
}

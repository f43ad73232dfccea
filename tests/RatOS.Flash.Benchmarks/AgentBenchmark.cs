using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// The native agent beside a Klipper with little time to spare: what it takes while nothing happens, and how soon it is there when
/// something does.
/// </summary>
internal static class AgentBenchmark
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(60);

    /// <param name="program">The published ratos-flash: it is the printer, in one process, and the agent, in another.</param>
    /// <returns>Whether every figure is as it should be.</returns>
    public static async Task<bool> MeasureAsync(string program)
    {
        var folder = Directory.CreateTempSubdirectory("rf-").FullName;
        using var printer = UnitEnvironment.Start(program, [], "virtual", "--no-agent", "--moonraker", "0", "--folder", folder);
        var first = await printer.StandardOutput.ReadLineAsync()
            ?? throw new InvalidOperationException(await printer.StandardError.ReadToEndAsync());
        var moonraker = first.Split("http://")[1].Split(' ')[0];
        using var client = new ClientWebSocket();
        await client.ConnectAsync(new Uri($"ws://{moonraker}/websocket"), CancellationToken.None);

        var begin = Stopwatch.GetTimestamp();
        using var agent = UnitEnvironment.Start(program, [], "agent", "--data", Path.Combine(folder, "printer_data"), "--log", "/dev/null");
        // A macro that is not refused: registered, and known to Klipper.
        while (!(await AskAsync(client, "printer.gcode.script", """{"script":"FLASH_STATUS"}""", "\"id\""))
            .Contains("\"ok\"", StringComparison.Ordinal))
        {
            if (Stopwatch.GetElapsedTime(begin) > TimeSpan.FromSeconds(10))
                throw new InvalidOperationException("the agent never came");
        }
        var start = Stopwatch.GetElapsedTime(begin);

        await ListenAsync(client, TimeSpan.FromSeconds(5));
        var before = Cpu(agent);
        await ListenAsync(client, Idle);
        var (share, memory) = ((Cpu(agent) - before) / Idle, Memory(agent));

        begin = Stopwatch.GetTimestamp();
        await AskAsync(client, "printer.gcode.script", """{"script":"FLASH_MCU BOARD=btt-octopus-11"}""", "notify_agent_event");
        var press = Stopwatch.GetElapsedTime(begin);

        agent.Kill();
        printer.Kill();
        await printer.WaitForExitAsync();
        Directory.Delete(folder, recursive: true);
        (string What, string Ours, string Most, double Ratio)[] rows =
        [
            ("Resident memory, connected, after a minute", $"{memory:0.0} MB", "25 MB", memory / 25),
            ("Share of a core, one notification a second", string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.000} %"),
                "0.1 %", share / 0.001),
            ("Start of the process until macros reach it", $"{start.TotalMilliseconds:0} ms", "100 ms", start.TotalMilliseconds / 100),
            ("A macro until the first event of its job", $"{press.TotalMilliseconds:0} ms", "50 ms", press.TotalMilliseconds / 50),
        ];
        return Figures.Print("the agent", rows);
    }

    private static TimeSpan Cpu(Process process)
    {
        process.Refresh();
        return process.TotalProcessorTime;
    }

    private static double Memory(Process process)
    {
        process.Refresh();
        return process.WorkingSet64 / 1e6;
    }

    /// <summary>Sends a request, and returns the first message that has this text.</summary>
    private static async Task<string> AskAsync(ClientWebSocket client, string method, string parameters, string until)
    {
        await client.SendAsync(Encoding.UTF8.GetBytes($$"""{"jsonrpc":"2.0","method":"{{method}}","params":{{parameters}},"id":1}"""),
            WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        while (true)
        {
            var message = await ReceiveAsync(client);
            if (message.Contains(until, StringComparison.Ordinal))
                return message;
        }
    }

    /// <summary>Hears what comes for a while; Moonraker drops who does not.</summary>
    private static async Task ListenAsync(ClientWebSocket client, TimeSpan time)
    {
        var begin = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begin) < time)
            await ReceiveAsync(client);   // one a second comes for certain
    }

    /// <summary>The next message, whole.</summary>
    public static async Task<string> ReceiveAsync(ClientWebSocket client)
    {
        using var whole = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var part = await client.ReceiveAsync(buffer, CancellationToken.None);
            whole.Write(buffer, 0, part.Count);
            if (part.EndOfMessage)
                return Encoding.UTF8.GetString(whole.ToArray());
        }
    }
}

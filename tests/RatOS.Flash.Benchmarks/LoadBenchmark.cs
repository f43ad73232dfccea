using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace RatOS.Flash.Benchmarks;

/// <summary>
/// Requests from both doors, the agent's own socket and Moonraker's, beside flashes of a virtual board: what they cost in memory, and
/// whether anything waits for them that must not.
/// </summary>
/// <param name="program">ratos-flash: it is the printer with Moonraker, in one process, and the agent with its boards, in another.</param>
internal sealed class LoadBenchmark(string program) : IAsyncDisposable
{
    private const int PerSecond = 1000;
    private const double Share = 0.95;   // a busy computer may send a little less
    private const int OwnClients = 4;
    private const int PerTick = 10;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>systemd's limit in this measurement; the unit has 30 s.</summary>
    private static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(4);

    // With an id each is answered; the last two are junk.
    private static readonly string[] Own =
    [
        "\"method\":\"status\"", "\"method\":\"plan\",\"params\":{\"board\":\"octopus\"}", "\"method\":\"boards\"",
        "\"method\":\"history\"", "\"method\":\"job\",\"params\":{\"job\":\"none\"}", "\"method\":\"plan\",\"params\":{\"boards\":[1,2]}",
        "\"method\":\"nothing\",\"params\":[[[[1e300]]]]",
    ];

    private static readonly string[] ByMoonraker =
    [
        Extension("status"), Extension("plan"), Extension("boards"), Extension("history"), Extension("nothing"),
        "\"method\":\"printer.gcode.script\",\"params\":{\"script\":\"FLASH_STATUS\"}",
        "\"method\":\"printer.gcode.script\",\"params\":{\"script\":\"RESPOND TYPE=command MSG=\\\"action:ratos_flash flash x\\\"\"}",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("rf-").FullName;
    private readonly List<TimeSpan> _pings = [];
    private readonly List<Process> _processes = [];
    private long _sent, _answered;

    private string Data => Path.Combine(_folder, "printer_data");

    /// <param name="program">The published program.</param>
    /// <param name="seconds">Of load.</param>
    /// <returns>Whether every figure is as it should be.</returns>
    public static async Task<bool> MeasureAsync(string program, int seconds)
    {
        await using var load = new LoadBenchmark(program);
        return await load.RunAsync(TimeSpan.FromSeconds(seconds));
    }

    private async Task<bool> RunAsync(TimeSpan time)
    {
        var printer = Start([], "virtual", "--no-agent", "--moonraker", "0", "--folder", _folder);
        var first = await printer.StandardOutput.ReadLineAsync()
            ?? throw new InvalidOperationException(await printer.StandardError.ReadToEndAsync());
        var moonraker = new Uri($"ws://{first.Split("http://")[1].Split(' ')[0]}/websocket");
        using var notify = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        var notifyPath = Path.Combine(_folder, "notify");
        notify.Bind(new UnixDomainSocketEndPoint(notifyPath));
        using var over = new CancellationTokenSource();
        var heard = HearAsync(notify, over.Token);
        var agent = Start(
            [("NOTIFY_SOCKET", notifyPath), ("WATCHDOG_USEC", ((long)Watchdog.TotalMicroseconds).ToString(CultureInfo.InvariantCulture))],
            "agent", "--virtual", "--folder", Path.Combine(_folder, "boards"), "--data", Data, "--log", "/dev/null");
        await UntilAsync(() => File.Exists(Path.Combine(Data, "comms", "ratos-flash.sock")), "the agent's socket");
        await Task.Delay(Idle, CancellationToken.None);
        var fresh = PrivateDirty(agent);
        await OnceAsync(moonraker);
        await Task.Delay(Idle, CancellationToken.None);
        var idle = PrivateDirty(agent);

        // A flash alone, then one after another beside the load.
        var (most, flashes) = (0L, new List<string>());
        using var loadOver = new CancellationTokenSource();
        var (load, begin, alone) = (Task.CompletedTask, 0L, 0L);
        using (var client = await OwnClient.OpenAsync(Data))
        {
            await FlashOnceAsync(client);
            (alone, most, begin) = (most, 0, Stopwatch.GetTimestamp());
            load = LoadAsync(moonraker, loadOver.Token);
            while (Stopwatch.GetElapsedTime(begin) < time)
            {
                await FlashOnceAsync(client);
                var now = Stopwatch.GetElapsedTime(begin).TotalSeconds;
                Console.Error.WriteLine($"{now:0} s: {_sent} sent, {_answered} answered, {most} KiB, {flashes.Count} flashes");
            }
        }
        var took = Stopwatch.GetElapsedTime(begin);
        await loadOver.CancelAsync();
        await load;
        most = Math.Max(most, PrivateDirty(agent));
        await over.CancelAsync();
        await heard;
        var longest = _pings.Zip(_pings.Skip(1), (one, next) => next - one).Append(TimeSpan.Zero).Max();
        var bad = flashes.Count(flash => flash.Length > 0);
        foreach (var flash in flashes.Where(flash => flash.Length > 0))
            Console.Error.WriteLine(flash);
        var rate = _sent / took.TotalSeconds;
        (string What, string Ours, string Most, double Ratio)[] rows =
        [
            ("Requests a second", $"{rate:0}", $"at least {PerSecond * Share:0}", PerSecond * Share / rate),
            ("Requests without an answer at the end", $"{_sent - _answered} of {_sent}", "0", _sent - _answered),
            ("Private dirty memory, the most, beside the idle agent's", $"{most / 1024.0:0.0} MB", $"2 x {idle / 1024.0:0.0} MB",
                most / 2.0 / idle),
            ("The same, beside an agent that was not asked anything yet", $"{most / 1024.0:0.0} MB", $"2 x {fresh / 1024.0:0.0} MB",
                most / 2.0 / fresh),
            ("The same, beside an agent that flashes without load", $"{most / 1024.0:0.0} MB", $"2 x {alone / 1024.0:0.0} MB",
                most / 2.0 / alone),
            ("Longest time between two watchdog pings", $"{longest.TotalSeconds:0.00} s", $"{Watchdog.TotalSeconds:0} s",
                longest / Watchdog),
            ("Flashes that did not end OK", $"{bad} of {flashes.Count}", "0", bad),
        ];
        return Figures.Print("the agent under load", rows);

        async Task FlashOnceAsync(OwnClient client)
        {
            var flash = FlashAsync(client);
            while (!flash.IsCompleted)
            {
                most = Math.Max(most, PrivateDirty(agent));
                await Task.WhenAny(flash, Task.Delay(TimeSpan.FromMilliseconds(100), CancellationToken.None));
            }
            flashes.Add(await flash);
        }
    }

    /// <summary>One request of each kind: what its first use takes stays with the program.</summary>
    private async Task OnceAsync(Uri moonraker)
    {
        using var own = await OwnClient.OpenAsync(Data);
        foreach (var request in Own.SkipLast(1))   // the last one is answered with an error
            await own.AskAsync(request);
        using var web = new ClientWebSocket();
        await web.ConnectAsync(moonraker, CancellationToken.None);
        var (before, reader) = (Interlocked.Read(ref _answered), CountAsync(web));
        for (var id = 0; id < ByMoonraker.Length; id++)
        {
            await web.SendAsync(
                Encoding.UTF8.GetBytes(Request(ByMoonraker[id], id)), WebSocketMessageType.Text, true, CancellationToken.None);
        }
        await UntilAsync(() => Interlocked.Read(ref _answered) == before + ByMoonraker.Length, "the answers of Moonraker");
        web.Abort();
        await reader;
        Interlocked.Exchange(ref _answered, 0);
    }

    private async Task LoadAsync(Uri moonraker, CancellationToken over)
    {
        var own = new List<OwnClient>();
        for (var i = 0; i < OwnClients; i++)
            own.Add(await OwnClient.OpenAsync(Data));
        using var web = new ClientWebSocket();
        await web.ConnectAsync(moonraker, CancellationToken.None);
        var readers = own.Select(client => client.CountAsync(() => Interlocked.Increment(ref _answered))).Append(CountAsync(web)).ToList();
        var begin = Stopwatch.GetTimestamp();
        for (var id = 0; !over.IsCancellationRequested;)
        {
            // As many as are due, so that a late tick loses none.
            var due = (long)(Stopwatch.GetElapsedTime(begin).TotalSeconds * PerSecond) - _sent;
            for (var i = 0; i < Math.Min(due, PerTick * 4); i++, id++, _sent++)
            {
                if (id % 2 == 0)
                    await own[id / 2 % OwnClients].SendAsync(Request(Own[id / 2 % Own.Length], id));
                else
                    await web.SendAsync(
                        Encoding.UTF8.GetBytes(Request(ByMoonraker[id / 2 % ByMoonraker.Length], id)), WebSocketMessageType.Text, true,
                        CancellationToken.None);
            }
            await Task.Delay(PerTick, CancellationToken.None);
        }
        var last = Stopwatch.GetTimestamp();
        while (Interlocked.Read(ref _answered) < _sent && Stopwatch.GetElapsedTime(last) < Patience)
            await Task.Delay(PerTick, CancellationToken.None);
        own.ForEach(client => client.Dispose());
        web.Abort();
        await Task.WhenAll(readers);
    }

    /// <summary>Flashes the board by the own socket, and waits for its end.</summary>
    /// <returns>Empty where it ended OK.</returns>
    private static async Task<string> FlashAsync(OwnClient client)
    {
        var asked = await client.AskAsync("\"method\":\"flash\",\"params\":{\"board\":\"octopus\",\"force\":true}");
        if (!asked.TryGetProperty("job", out var job))
            return $"refused: {asked}";
        var end = await client.AskAsync($"\"method\":\"follow\",\"params\":{{\"job\":{job.GetRawText()}}}");
        return end.TryGetProperty("result", out var result) && result.GetProperty("ok").GetBoolean() ? "" : $"failed: {end}";
    }

    private async Task CountAsync(ClientWebSocket web)
    {
        var buffer = new byte[64 * 1024];
        using var message = new MemoryStream();
        try
        {
            while (true)
            {
                var part = await web.ReceiveAsync(buffer, CancellationToken.None);
                message.Write(buffer, 0, part.Count);
                if (!part.EndOfMessage)
                    continue;
                // Notifications have no id.
                if (Encoding.UTF8.GetString(message.ToArray()).Contains("\"id\":", StringComparison.Ordinal))
                    Interlocked.Increment(ref _answered);
                message.SetLength(0);
            }
        }
        catch (Exception ended) when (ended is WebSocketException or OperationCanceledException)
        {
            // By this program.
        }
    }

    private async Task HearAsync(Socket notify, CancellationToken over)
    {
        var buffer = new byte[256];
        try
        {
            while (true)
            {
                var length = await notify.ReceiveAsync(buffer, over);
                if (Encoding.ASCII.GetString(buffer, 0, length) == "WATCHDOG=1")
                    _pings.Add(Stopwatch.GetElapsedTime(0));
            }
        }
        catch (OperationCanceledException)
        {
            // The measurement is over.
        }
    }

    private Process Start((string Name, string Value)[] environment, params string[] arguments)
    {
        var process = UnitEnvironment.Start(program, environment, arguments);
        _processes.Add(process);
        return process;
    }

    /// <summary>Memory that is this process's own and was written, in KiB (proc_pid_smaps(5)).</summary>
    public static long PrivateDirty(Process process) => File.ReadLines($"/proc/{process.Id}/smaps_rollup")
        .Where(line => line.StartsWith("Private_Dirty:", StringComparison.Ordinal))
        .Sum(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));

    private static async Task UntilAsync(Func<bool> isTrue, string what)
    {
        for (var begin = Stopwatch.GetTimestamp(); !isTrue();)
        {
            if (Stopwatch.GetElapsedTime(begin) > Patience)
                throw new InvalidOperationException($"never: {what}");
            await Task.Delay(PerTick, CancellationToken.None);
        }
    }

    private static string Extension(string method) =>
        $"\"method\":\"server.extensions.request\",\"params\":{{\"agent\":\"ratos_flash\",\"method\":\"{method}\"}}";

    private static string Request(string words, int id) => $"{{\"jsonrpc\":\"2.0\",{words},\"id\":{id}}}";

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A client of the agent's own socket: messages end with the byte 03.</summary>
    private sealed class OwnClient : IDisposable
    {
        private const byte Etx = 3;

        private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly byte[] _buffer = new byte[64 * 1024];
        private readonly List<byte> _rest = [];

        public static async Task<OwnClient> OpenAsync(string data)
        {
            var client = new OwnClient();
            await client._socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(data, "comms", "ratos-flash.sock")));
            return client;
        }

        public async Task SendAsync(string message)
        {
            ReadOnlyMemory<byte> rest = Encoding.UTF8.GetBytes(message + (char)Etx);
            while (!rest.IsEmpty)
                rest = rest[await _socket.SendAsync(rest)..];
        }

        /// <summary>The result of a request; events that come before it are passed over.</summary>
        public async Task<JsonElement> AskAsync(string words)
        {
            await SendAsync(Request(words, 1));
            while (true)
            {
                if (await NextAsync() is not { } message)
                    throw new InvalidOperationException("the agent closed its socket");
                using var document = JsonDocument.Parse(message);
                if (document.RootElement.TryGetProperty("id", out _))
                    return document.RootElement.GetProperty("result").Clone();
            }
        }

        /// <summary>Reads answers until the socket is closed.</summary>
        public async Task CountAsync(Action answered)
        {
            while (await NextAsync() is not null)
                answered();
        }

        public void Dispose() => _socket.Dispose();

        private async Task<byte[]?> NextAsync()
        {
            for (int end; (end = _rest.IndexOf(Etx)) >= 0 || await MoreAsync();)
            {
                if (end < 0)
                    continue;
                var message = _rest.GetRange(0, end).ToArray();
                _rest.RemoveRange(0, end + 1);
                return message;
            }
            return null;
        }

        private async Task<bool> MoreAsync()
        {
            try
            {
                var length = await _socket.ReceiveAsync(_buffer);
                _rest.AddRange(_buffer.AsSpan(0, length));
                return length > 0;
            }
            catch (Exception closed) when (closed is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }
}

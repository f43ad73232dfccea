using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>
/// A printer with Moonraker and the agent over real sockets: a test presses buttons and checks the result. After every story
/// Klipper has to run, and no board may be left unable to.
/// </summary>
internal sealed class AgentStory : IAsyncDisposable
{
    /// <summary>Virtual time passes this much faster than real time; both sides of each socket share it.</summary>
    private const double Pace = 10;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rf-");
    private readonly List<(FlashAgent Agent, CancellationTokenSource Over, Task Work)> _agents = [];
    private readonly LogFile _log;

    private AgentStory(
        VirtualTime time, Scenario scenario, MoonrakerSetup setup, AgentSettings? settings, InjectedFaults? faults, bool isWeb)
    {
        Time = time;
        Data = new DataFolder(Path.Combine(_folder.FullName, "printer_data"));
        foreach (var name in (string[])["comms", "logs", "config"])
            Directory.CreateDirectory(Path.Combine(Data.Root, name));
        _log = LogFile.Open(Data.LogIfThere, static _ => { });
        Settings = settings ?? new AgentSettings { Policy = FlashPolicy.Never };
        Printer = VirtualPrinter.Create(scenario, time, faults ?? InjectedFaults.None);
        Moonraker = VirtualMoonraker.Start(Printer, setup with
        {
            UnixSocket = isWeb ? null : Data.Moonraker,
            Port = 0,
            DataFolder = Data.Root,
            HostMcuFolder = faults?.HasNoHostMcuUnit == true ? null : Data.HostMcu,
        });
        if (isWeb)
            Settings = Settings with { MoonrakerUrl = new Uri($"ws://127.0.0.1:{Moonraker.Port}/websocket") };
        // Without its socket the agent takes the address of this file: never that of a Moonraker which runs beside the tests.
        var config = Directory.CreateDirectory(Path.GetDirectoryName(Data.PrinterConfig)!);
        File.WriteAllText(Path.Combine(config.FullName, "moonraker.conf"), $"[server]\nhost: 127.0.0.1\nport: {Moonraker.Port}\n");
    }

    private VirtualPlace Place => new("test", Path.Combine(_folder.FullName, "v"), 0, null) { Processes = Processes };

    /// <summary>The processes of the printer's computer, in the form of proc(5).</summary>
    public string Processes => Path.Combine(_folder.FullName, "proc");

    /// <summary>The folder of the printer's user.</summary>
    public string Home => _folder.FullName;

    public VirtualTime Time { get; }

    public DataFolder Data { get; }

    public AgentSettings Settings { get; set; }

    public VirtualPrinter Printer { get; }

    public VirtualMoonraker Moonraker { get; }

    public LogFile LogFile => _log;

    public string Log => string.Concat(Directory.GetFiles(Path.Combine(Data.Root, "logs")).Select(file =>
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }));

    public static void Of(Func<AgentStory, Task> tell, string scenario = "octopus", MoonrakerSetup? setup = null,
        AgentSettings? settings = null, InjectedFaults? faults = null, bool isAlone = false, bool isWeb = false, string? firmware = null,
        params IEnumerable<string> otherBoards)
    {
        var printer = VirtualPrinter.Scenarios.Single(known => known.Name == scenario);
        printer = printer with
        {
            Boards =
            [
                .. printer.Boards,
                .. otherBoards.SelectMany(name => VirtualPrinter.Scenarios.Single(known => known.Name == name).Boards),
            ],
        };
        if (firmware is not null)
            printer = printer with { Boards = [.. printer.Boards.Select(board => board with { Version = firmware })] };
        var time = new VirtualTime { IsLive = true, Pace = Pace, YieldsToLoad = true };
        time.Run(async () =>
        {
            await using var story = new AgentStory(time, printer, setup ?? new(), settings, faults, isWeb);
            try
            {
                if (!isAlone)
                    await story.StartAgentAsync();
                await tell(story);
                await story.UntilAsync(() => story.Printer.Klippy.IsRunning, "Klipper runs at the end");
                await story.UntilAsync(() => story.Moonraker.Dialog is [] or [.., "(complete)"], "the dialog is complete");
                await story.StopAgentsAsync();
                story.CheckPrinter();
            }
            catch (Exception fault) when (fault is not OutOfMemoryException)
            {
                throw new InvalidOperationException(
                    $"{fault.Message}\n--- console\n{string.Join('\n', story.Moonraker.Console)}\n--- "
                    + $"calls\n{string.Join(' ', story.Moonraker.Calls.TakeLast(60))}\n--- log\n{story.Log}", fault);
            }
            return true;
        });
    }

    /// <summary>Starts an agent and waits until it is registered.</summary>
    public async Task StartAgentAsync(bool waits = true)
    {
        var (over, calls) = (new CancellationTokenSource(), Moonraker.Calls.Count);
        var agent = new FlashAgent(PrinterAccess.Of(Printer, Place),
            Data, Settings, _log);
        var work = agent.RunAsync(static () => { }, over.Token);
        _agents.Add((agent, over, work));
        if (waits)
            await UntilRegisteredAsync(calls);
    }

    /// <summary>What a button of the last prompt sends when it is pressed.</summary>
    public string Button(string label) =>
        Moonraker.Console.Last(line => line.Contains($"button {label}|", StringComparison.Ordinal)).Split('|')[1];

    /// <summary>Puts a file into the firmware folder.</summary>
    /// <returns>The sha256 of its firmware.</returns>
    public string Upload(string name, byte[] firmware)
    {
        File.WriteAllBytes(Path.Combine(Data.Firmware, name), firmware);
        return FirmwareImage.Parse(firmware, name).Sha256;
    }

    /// <summary>Another program flashes the board while Klipper is stopped.</summary>
    /// <param name="names">Default: octopus.</param>
    public async Task FlashWithoutAgentAsync(params IReadOnlyList<string> names)
    {
        var printer = PrinterAccess.Of(Printer, Place);
        var boards = new LocalBoards(printer, new KnownMcus(printer, [], null, _log), static _ => new Klipper.NoKlippy(), _log);
        var options = new FlashOptions(names.Count == 0 ? ["octopus"] : [.. names]);
        Assert.True((await boards.FlashAsync(options, static _ => { }, CancellationToken.None)).Ok);
    }

    /// <summary>A second process for the same printer.</summary>
    public Task StartAgentAgainAsync() =>
        new FlashAgent(PrinterAccess.Of(Printer, Place), Data, Settings,
            _log).RunAsync(static () => { }, CancellationToken.None);

    /// <summary>Waits until the newest job has begun a phase.</summary>
    public Task UntilPhaseAsync(string phase) =>
        UntilAsync(() => Jobs is [.., var job] && job.Steps.Any(step => step.Phase == phase), $"the flash is in phase {phase}");

    /// <summary>As systemd does: asks them to end, and waits until they have.</summary>
    public async Task StopAgentsAsync()
    {
        foreach (var (_, over, work) in _agents.ToList())
        {
            await over.CancelAsync();
            await work;
        }
        _agents.Clear();
    }

    /// <summary>Asks the agents to end, without waiting.</summary>
    public void AskToStop() => _agents.ForEach(agent => agent.Over.Cancel());

    public bool HasStopped => _agents.TrueForAll(agent => agent.Work.IsCompleted);

    /// <summary>An update came whose Klipper cannot talk to the boards' old firmware.</summary>
    public async Task BreakProtocolAsync()
    {
        Printer.Klippy.ProtocolDiffers = true;
        await Printer.Klippy.StopAsync(CancellationToken.None);
        await Printer.Klippy.StartAsync();
    }

    /// <summary>As a user types it into the console.</summary>
    public Task<GcodeResult> TypeAsync(string line) => Moonraker.RunGcodeAsync(line);

    /// <summary>As any client of Moonraker: <c>server.extensions.request</c>, over its socket.</summary>
    public async Task<JsonElement> RequestAsync(string method, params (string Name, object? Value)[] arguments)
    {
        using var over = new CancellationTokenSource();
        var client = new MoonrakerConnection(new(Data.Moonraker, Settings.MoonrakerUrl, Settings.ApiKey), Time, _log);
        var line = client.RunAsync(over.Token);
        try
        {
            Assert.True(await client.WaitConnectedAsync(Patience, CancellationToken.None));
            var given = new System.Text.Json.Nodes.JsonObject();
            foreach (var (name, value) in arguments)
                given[name] = JsonSerializer.SerializeToNode(value);
            return await client.CallAsync("server.extensions.request",
                new() { ["agent"] = "ratos_flash", ["method"] = method, ["arguments"] = given });
        }
        finally
        {
            await over.CancelAsync();
            await line;
        }
    }

    /// <summary>Waits, on the printer's clock, until something is true.</summary>
    public async Task UntilAsync(Func<bool> isTrue, string what)
    {
        var begin = Time.Now;
        while (!isTrue())
        {
            Assert.True(Time.Now - begin < Patience, $"never: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), Time);
        }
    }

    /// <summary>Waits until the agent has registered its methods: Klipper may be in error.</summary>
    public Task UntilMethodsAsync(int callsBefore = 0) => UntilAsync(
        () => Moonraker.Calls.Skip(callsBefore).Count(call => call == "connection.register_remote_method") >= RemoteMethods.All.Length,
        "the agent is registered");

    /// <summary>
    /// Waits until the agent has registered its methods and greeted a Klipper that is ready, since there were so many calls.
    /// </summary>
    public async Task UntilRegisteredAsync(int callsBefore)
    {
        await UntilMethodsAsync(callsBefore);
        await UntilAsync(() => Moonraker.Calls.Skip(callsBefore).Contains("server.ratos_flash.macro"), "the agent has greeted Klipper");
        // The macros' variable is set by a script, which takes its turn, and without our component by another call.
        await Task.Delay(TimeSpan.FromSeconds(0.5), Time);
    }

    /// <summary>Waits until a console line has this text.</summary>
    public Task UntilSaidAsync(string text) =>
        UntilAsync(() => Moonraker.Console.Any(line => line.Contains(text, StringComparison.Ordinal)), $"the console says '{text}'");

    /// <summary>Waits until so many jobs are over, and Klipper runs; the last one.</summary>
    public async Task<JsonJob> UntilOverAsync(int jobs = 1)
    {
        await UntilAsync(() => Jobs.Count(job => job.Result is not null) >= jobs, $"{jobs} jobs are over");
        await Task.Delay(TimeSpan.FromSeconds(1), Time);
        return Jobs[^1].View();
    }

    public IReadOnlyList<JournalRecord> Jobs => Journal.ReadAll(Data.Jobs);

    /// <summary>By the board's memory and not by a report.</summary>
    public bool Runs(string version, int board = 0) => Printer.Boards[board].State == BoardState.Klipper
        && Printer.PrinterBoards[board].RunningVersion == version;

    private void CheckPrinter()
    {
        Assert.True(Printer.Klippy.IsRunning, "Klipper does not run at the end");
        Assert.Equal(Moonraker.Dialog.Count > 0, Moonraker.Dialog.Any(line => line == "(complete)"));
        Assert.True(Moonraker.Dialog.Count == 0 || Moonraker.Dialog[^1] == "(complete)", "a dialog was left open");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, over, work) in _agents)
        {
            await over.CancelAsync();
            await work.ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
        await Moonraker.DisposeAsync();
        _log.Dispose();
        _folder.Delete(recursive: true);
    }
}

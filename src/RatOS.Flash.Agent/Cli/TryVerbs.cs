using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;
using RatOS.Flash.Virtual.Trials;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs that need no hardware. Each returns the exit code.</summary>
internal sealed class TryVerbs(VerbContext context)
{
    private const int StandardUsbIpPort = 3240;

    private readonly PrinterAccess _printer = context.Printer;
    private readonly Output _output = context.Output;

    public Task<int> ListScenariosAsync()
    {
        _output.Scenarios(VirtualPrinter.Scenarios);
        return Task.FromResult(ExitCode.Done);
    }

    public Task<int> ResetAsync()
    {
        _printer.Reset();
        _output.Say($"{_printer.Description} is back in its initial state.");
        return Task.FromResult(ExitCode.Done);
    }

    /// <summary>Runs the whole virtual printer with its Moonraker and its agent, until Ctrl-C or SIGTERM.</summary>
    public async Task<int> VirtualAsync(int port, string[]? login, bool withAgent)
    {
        using var over = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(over.Cancel);
        var data = context.Data!;
        var setup = new MoonrakerSetup { Port = port, Login = login is [var user, var password] ? (user, password) : null };
        await VirtualHost.RunAsync(_printer, data, setup, context.Log, withAgent, moonraker => Ready(moonraker.Port), over.Token);
        return ExitCode.Done;

        void Ready(int port)
        {
            var board = new KnownMcus(_printer, [], null, context.Log).Look().All.First().Name;
            _output.Say($"{_printer.Description}: Moonraker at http://127.0.0.1:{port} and {data.Moonraker}, until Ctrl-C.");
            _output.Say($"Page: http://127.0.0.1:{port}/server/ratos_flash/page", 6);
            _output.Say(
                $"Macro: curl -d '{{\"script\":\"FLASH_MCU BOARD={board}\"}}' -H 'Content-Type: application/json' "
                + $"http://127.0.0.1:{port}/printer/gcode/script", 7);
            _output.Say($"Agent: ratos-flash {(withAgent ? "watch" : "agent")} --data {data.Root}", 7);
        }
    }

    /// <summary>Runs many virtual printers, each with a Moonraker and an agent, until Ctrl-C or SIGTERM.</summary>
    /// <param name="setup">Which.</param>
    /// <param name="isReset">They are put back to their beginning instead.</param>
    public async Task<int> FarmAsync(FarmSetup setup, bool isReset)
    {
        using var over = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(over.Cancel);
        var farm = new VirtualFarm(Path.GetDirectoryName(context.Data!.Root)!, setup, (VirtualTime)_printer.Time, context.Log);
        if (isReset)
        {
            farm.Reset();
            _output.Say($"{setup.Printers} virtual printers are back in their initial state.");
            return ExitCode.Done;
        }
        await farm.RunAsync(members =>
        {
            foreach (var member in members)
                _output.Say($"{member.Name}: http://127.0.0.1:{member.Port}{(member.State.Length > 0 ? $" ({member.State})" : "")}");
            _output.Say($"Inventory for Ansible: {farm.Inventory}. {members.Count} virtual printers run until Ctrl-C.");
        }, over.Token);
        return ExitCode.Done;
    }

    /// <summary>Serves the boards by USB/IP until Ctrl-C or SIGTERM.</summary>
    public async Task<int> ServeAsync(int port, bool attach)
    {
        using var over = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(over.Cancel);
        try
        {
            await _printer.ServeAsync(port, attach, Ready, _output.Bus, over.Token);
        }
        finally
        {
            _printer.Save();
        }
        return ExitCode.Done;

        void Ready(int port)
        {
            var tcp = port == StandardUsbIpPort ? "" : $" --tcp-port {port}";
            _output.Say($"Serving {_printer.Description} by USB/IP on 127.0.0.1:{port} until Ctrl-C. On the computer that uses a board: "
                + $"`sudo modprobe vhci-hcd`, `sudo usbip{tcp} attach -r HOST -b {_printer.Facts.Ports.GetValueOrDefault("mcu").Port}`.");
        }
    }

    /// <summary>Serves the boards' serial lines as pseudo terminals until Ctrl-C or SIGTERM.</summary>
    public async Task<int> PtyAsync(string folder)
    {
        var ended = new TaskCompletionSource();
        using var interrupts = context.OnInterrupt(() => ended.TrySetResult());
        using (var ptys = _printer.OpenPtys(folder))
        {
            foreach (var (board, link, terminal) in ptys.Ports)
                _output.Say($"{board}: {link} -> {terminal}");
            _output.Say($"{_printer.Description} is connected until Ctrl-C.");
            await ended.Task;
        }
        _printer.Save();
        return ExitCode.Done;
    }

    /// <summary>
    /// Runs seeded faulty flashes on virtual printers, in virtual time, and counts the outcomes. A flash has the last outcome that holds:
    /// <list type="bullet">
    /// <item>recovered: the faults made a difference, each board runs its new firmware, confirmed, or its old one, Klipper is ready;</item>
    /// <item>operator step: a board needed an operator step, and then ran the new firmware, confirmed, with Klipper ready;</item>
    /// <item>broken: an invariant of a flash did not hold (<see cref="FlashInvariants"/>), or no operator step of a remedy helped.</item>
    /// </list>
    /// The other flashes met none of the faults that were drawn for them. They are counted apart.
    /// </summary>
    /// <param name="count">How many, 1 or more.</param>
    /// <param name="from">The first seed, 0 or more.</param>
    /// <param name="output">Shows each broken flash with its seed and the command that repeats it.</param>
    /// <returns>Failed if any flash is broken.</returns>
    public static int Seeds(int count, int from, Output output)
    {
        var ends = new Dictionary<(TrialOutcome Outcome, SimulatedStep? Step, bool Undisturbed), int>();
        Parallel.For(0, count, i =>
        {
            var flash = SeededFlash.Run(from + i);
            lock (ends)
            {
                var end = (flash.Trial.Outcome, flash.Trial.Step, flash.IsUndisturbed);
                ends[end] = ends.GetValueOrDefault(end) + 1;
                output.Seed(flash);
            }
        });
        var (flashed, old, steps) = (Count(TrialOutcome.Flashed), Count(TrialOutcome.OldFirmware), Count(TrialOutcome.OperatorStep));
        output.Seeds(new SeedCount(count, flashed, old, steps, Count(TrialOutcome.Broken))
        {
            Undisturbed = ends.Where(end => end.Key.Undisturbed).Sum(end => end.Value),
            Steps = Enum.GetValues<SimulatedStep>().ToDictionary(
                step => step, step => ends.Where(end => end.Key.Step == step).Sum(end => end.Value)),
        });
        return Count(TrialOutcome.Broken) == 0 ? ExitCode.Done : ExitCode.Failed;

        int Count(TrialOutcome outcome) => ends.Where(end => end.Key.Outcome == outcome && !end.Key.Undisturbed).Sum(end => end.Value);
    }
}

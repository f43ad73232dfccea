using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Cli;

/// <summary>What a farm of virtual printers looks like.</summary>
/// <param name="Printers">How many, 1 or more.</param>
/// <param name="Scenario">Of each.</param>
/// <param name="Seed">Of everything that is drawn: the same number draws the same farm.</param>
/// <param name="FirstPort">Of the first Moonraker; the others follow. 0 for any free ones.</param>
internal sealed record FarmSetup(int Printers, string Scenario, int Seed, int FirstPort)
{
    /// <summary>The share of printers with faults, 0 to 1.</summary>
    public double Faults { get; init; }

    /// <summary>The share that prints for <see cref="PrintTime"/> from the start on.</summary>
    public double Printing { get; init; }

    /// <summary>The share that is switched off.</summary>
    public double Off { get; init; }

    public const int UsualPrinters = 8;

    public static readonly TimeSpan PrintTime = TimeSpan.FromSeconds(60);
}

/// <summary>Many virtual printers in one process and on one clock, each with a Moonraker and an agent of its own.</summary>
/// <param name="folder">Keeps each printer in a folder, and <c>inventory.yml</c> for Ansible.</param>
/// <param name="setup">Which printers.</param>
/// <param name="time">Their clock.</param>
/// <param name="log">Of all agents.</param>
internal sealed class VirtualFarm(string folder, FarmSetup setup, VirtualTime time, LogFile log)
{
    /// <param name="Name">Its folder and its host in the inventory.</param>
    /// <param name="Port">Of its Moonraker.</param>
    /// <param name="State">In words; empty for an idle printer without faults.</param>
    internal sealed record Member(string Name, int Port, string State)
    {
        public int? Faults { get; init; }
        public bool IsOff { get; init; }
        public bool IsPrinting { get; init; }
    }

    public string Inventory => Path.Combine(folder, "inventory.yml");

    /// <summary>Puts each printer back to its beginning.</summary>
    public void Reset()
    {
        // One that was always off has none.
        var kept = Draw().Where(member => Directory.Exists(Path.Combine(folder, member.Name))).Select(PrinterOf).ToList();
        foreach (var (_, place) in kept.Where(printer => Directory.Exists(printer.Place.Data)))
            new DataFolder(place.Data).Lock().Dispose();   // none of them runs
        kept.ForEach(static printer => printer.Access.Reset());
    }

    /// <summary>Runs all printers until it is cancelled.</summary>
    /// <param name="ready">Called once, when each agent answers.</param>
    /// <param name="over">The proper end.</param>
    public async Task RunAsync(Action<IReadOnlyList<Member>> ready, CancellationToken over)
    {
        // One that cannot run ends them all.
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(over);
        var waiting = setup.Printers;
        var members = Draw().ToArray();
        var works = new Task[members.Length];
        for (var i = 0; i < members.Length; i++)
        {
            var place = i;
            works[i] = RunAsync(members[i], port =>
            {
                members[place] = members[place] with { Port = port };
                if (--waiting > 0)
                    return;
                WriteInventory(members);
                ready(members);
            }, ended.Token);
        }
        await Task.WhenAny([.. works, UntilAsync(over)]);
        await ended.CancelAsync();
        await Task.WhenAll(works);
    }

    private Task UntilAsync(CancellationToken over) =>
        Task.Delay(Timeout.InfiniteTimeSpan, time, over).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());

    private async Task RunAsync(Member member, Action<int> ready, CancellationToken over)
    {
        if (member.IsOff)
        {
            ready(member.Port == 0 ? FreePort() : member.Port);
            await UntilAsync(over);
            return;
        }
        var (printer, place) = PrinterOf(member);
        await VirtualHost.RunAsync(printer, new(place.Data), new() { Port = member.Port }, log, withAgent: true, moonraker =>
        {
            if (member.IsPrinting)
            {
                (moonraker.Print.PrintState, moonraker.Print.FileName) = ("printing", "benchy.gcode");
                time.Schedule(FarmSetup.PrintTime, () => moonraker.Print.PrintState = "complete");
            }
            ready(moonraker.Port);
        }, over);
    }

    private (PrinterAccess Access, VirtualPlace Place) PrinterOf(Member member)
    {
        var place = new VirtualPlace(setup.Scenario, Path.Combine(folder, member.Name), time.Pace, member.Faults) { IsLive = true };
        var faults = member.Faults is { } seed ? InjectedFaults.FromSeed(seed) : InjectedFaults.None;
        return (PrinterAccess.Of(VirtualPrinter.Load(place.Folder, setup.Scenario, time, faults), place), place);
    }

    private IEnumerable<Member> Draw()
    {
        var digits = setup.Printers.ToString(CultureInfo.InvariantCulture).Length;
        var random = new Random(setup.Seed);
        for (var i = 1; i <= setup.Printers; i++)
        {
            // As many draws for each printer: a larger farm begins with the same ones.
            var (isOff, isPrinting, isFaulty) = (random.NextDouble() < setup.Off, random.NextDouble() < setup.Printing,
                random.NextDouble() < setup.Faults);
            int? faults = isFaulty && !isOff ? (setup.Seed * 1000) + i : null;
            string[] states = isOff ? ["off"]
                : [.. isPrinting ? ["prints for 60 s"] : (string[])[], .. faults is { } seed ? [$"faults of seed {seed}"] : (string[])[]];
            yield return new(
                $"printer-{i.ToString($"d{digits}", CultureInfo.InvariantCulture)}",
                setup.FirstPort == 0 ? 0 : setup.FirstPort + i - 1, string.Join(", ", states))
            {
                Faults = faults,
                IsOff = isOff,
                IsPrinting = isPrinting && !isOff,
            };
        }
    }

    /// <summary>A port that nothing listens on.</summary>
    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private void WriteInventory(IEnumerable<Member> members)
    {
        var text = new StringBuilder(
            """
            printers:
              vars:
                ansible_connection: local
                ansible_python_interpreter: "{{ ansible_playbook_python }}"
              hosts:

            """);
        foreach (var member in members)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"    {member.Name}: {{ratos_flash_moonraker: \"http://127.0.0.1:{member.Port}\"}}");
            text.Append(member.State.Length > 0 ? $"   # {member.State}\n" : "\n");
        }
        AtomicFile.Write(Inventory, Encoding.UTF8.GetBytes(text.ToString()));
    }
}

/// <summary>A virtual printer with its Moonraker, and with its agent.</summary>
internal static class VirtualHost
{
    /// <param name="printer">A virtual printer.</param>
    /// <param name="data">Its folder, which is made.</param>
    /// <param name="setup">Its Moonraker, without the paths in that folder.</param>
    /// <param name="log">Of the agent.</param>
    /// <param name="withAgent">False: the agent is another process.</param>
    /// <param name="ready">Called once, when it answers.</param>
    /// <param name="over">The proper end.</param>
    public static async Task RunAsync(
        PrinterAccess printer, DataFolder data, MoonrakerSetup setup, LogFile log, bool withAgent, Action<VirtualMoonraker> ready,
        CancellationToken over)
    {
        var isNew = !Directory.Exists(data.Root);
        Directory.CreateDirectory(Path.GetDirectoryName(data.Moonraker)!);
        if (isNew)
            File.WriteAllText(Path.Combine(data.Root, VirtualPlace.Mark), "made by: ratos-flash virtual\n");
        try
        {
            await using var moonraker = printer.OpenMoonraker(
                setup with { UnixSocket = data.Moonraker, HostMcuFolder = data.HostMcu, DataFolder = data.Root });
            if (withAgent)
            {
                using var agent = new FlashAgent(printer, data, ConfirmedSettings.OfValid(data), log);
                await agent.RunAsync(() => ready(moonraker), over);
                return;
            }
            ready(moonraker);
            var ended = Task.Delay(Timeout.InfiniteTimeSpan, printer.Time, over);
            await ended.ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
        finally
        {
            printer.Save();
        }
    }
}

using System.Runtime.InteropServices;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Flashing;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The printer that a verb works on, and where its results go.</summary>
/// <param name="Printer">The printer.</param>
/// <param name="Data">Its folder; null for a virtual printer without an agent.</param>
/// <param name="Output">For a terminal, a pipe or a program.</param>
/// <param name="Log">The log file.</param>
internal sealed record VerbContext(PrinterAccess Printer, DataFolder? Data, Output Output, LogFile Log)
{
    private static readonly TimeSpan MoonrakerLimit = TimeSpan.FromSeconds(15);

    /// <summary>Its folder, or this user's.</summary>
    public DataFolder Folder => Data ?? DataFolder.Default;

    /// <summary>
    /// The boards by way of the agent if one runs. Without one this process works on them itself: through Moonraker, or, if that is down as
    /// well, as long as no other program has their ports.
    /// </summary>
    /// <param name="noKlipper">Klipper is left alone.</param>
    /// <param name="isFlash">It changes boards: locked and journalled.</param>
    /// <param name="work">What to do with them; returns the exit code.</param>
    public async Task<int> WithBoardsAsync(bool noKlipper, bool isFlash, Func<BoardService, Task<int>> work)
    {
        if (Data is null)
        {
            var mcus = new KnownMcus(Printer, [], null, Log);
            return await work(new LocalBoards(Printer, mcus, _ => noKlipper ? new NoKlippy() : Printer.Klippy, Log));
        }
        if (!noKlipper && AgentBoards.TryOpen(Data) is { } agent)
        {
            using (agent)
                return await work(agent);
        }
        if (!Directory.Exists(Data.Root))
        {
            // A computer without a printer of its own: boards on a bench.
            return await work(new LocalBoards(Printer, new KnownMcus(Printer, [], null, Log), static _ => new NoKlippy(), Log)
            {
                BeforeFlash = noKlipper ? null : Printer.CheckAlone,
            });
        }
        using var over = new CancellationTokenSource();
        var settings = ConfirmedSettings.Of(Data);
        var moonraker = new MoonrakerConnection(new(Data.Moonraker, settings.MoonrakerUrl, settings.ApiKey), Printer.Time, Log);
        var line = !noKlipper && moonraker.Place.IsKnown ? moonraker.RunAsync(over.Token) : Task.CompletedTask;
        try
        {
            var isUp = !line.IsCompleted && await moonraker.WaitConnectedAsync(MoonrakerLimit, CancellationToken.None);
            // One that is down has refused by now; one that says nothing may be about to start a print.
            if (!isUp && !line.IsCompleted && isFlash && !moonraker.IsRefused)
                throw moonraker.Fault($"no answer within {MoonrakerLimit.TotalSeconds:0} s");
            if (isUp)
                await Printer.FreePortsAsync();
            return await work(LocalBoardsOf(isUp, noKlipper, isFlash, settings, moonraker));
        }
        finally
        {
            await over.CancelAsync();
            await line;
        }
    }

    /// <summary>The boards as they were known last. Neither Klipper nor the agent is asked.</summary>
    public LocalBoards KeptBoards()
    {
        var settings = Data is null ? null : ConfirmedSettings.Of(Data);
        return new(Printer, new KnownMcus(Printer, settings?.Boards ?? [], Data, Log), static _ => new NoKlippy(), Log)
        {
            Data = Data,
            KlipperPath = settings is null ? null : Printer.KlipperSources(settings),
        };
    }

    private BoardService LocalBoardsOf(bool isUp, bool noKlipper, bool isFlash, AgentSettings settings, MoonrakerConnection moonraker)
    {
        var mcus = new KnownMcus(Printer, settings.Boards, Data, Log) { KlipperPath = Printer.KlipperSources(settings) };
        var local = new LocalBoards(Printer, mcus, options => Klippy(options, null), Log)
        {
            Data = Data,
            KlipperPath = Printer.KlipperSources(settings),
            HostMcu = isUp ? new MoonrakerHostMcu(moonraker, Data!, Printer.Time) : Printer.HostMcu,
            Probes = Printer.Probes(settings),
            Refresh = isUp ? () => mcus.RefreshAsync(ByMoonraker(null, null)) : null,
            SwitchPower = isUp ? MoonrakerPower.Of(moonraker) : null,
            PowerDevices = settings.PowerDevices,
            Rollback = settings.Rollback,
            BeforeFlash = isUp || noKlipper ? null : Printer.CheckAlone,
            Earlier = board => Journal.Earlier(Data!.Jobs, board),
        };
        return isFlash ? new LoneBoards(local, Data!, (job, journal) => Klippy(job.Options, journal), Printer.Time, Log) : local;

        MoonrakerKlippy ByMoonraker(FlashOptions? options, Action<string, bool>? journal) => new(moonraker, Printer.Time)
        {
            Options = options,
            Journal = journal,
            Service = settings.KlipperService,
            FindFlasher = Printer.FindFlasher,
        };

        IKlippy Klippy(FlashOptions? options, Action<string, bool>? journal) =>
            isUp ? ByMoonraker(options, journal) : noKlipper ? new NoKlippy() : Printer.Klippy;
    }

    /// <summary>
    /// Calls back on the printer's thread at each Ctrl-C, SIGTERM and closed terminal. These end nothing by themselves then: a half-written
    /// board is worse than a late exit.
    /// </summary>
    /// <param name="stop">The proper end of the verb.</param>
    /// <param name="needsReader">Also called when standard output has lost its reader.</param>
    public IDisposable OnInterrupt(Action stop, bool needsReader = false)
    {
        var all = new Registrations();
        if (needsReader)
            all.Add(Terminal.ReaderGone.Register(Stop));
        foreach (var signal in Ends)
        {
            all.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                Stop();
            }));
        }
        return all;

        void Stop() => Printer.Post(() =>
        {
            if (!all.AreOver)   // what it would stop is gone
                stop();
        });
    }

    private static readonly PosixSignal[] Ends = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT];

    private sealed class Registrations : IDisposable
    {
        private readonly List<IDisposable> _all = [];

        public bool AreOver { get; private set; }

        public void Add(IDisposable registration) => _all.Add(registration);

        public void Dispose()
        {
            AreOver = true;
            foreach (var registration in _all)
                registration.Dispose();
        }
    }
}

using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual;

namespace RatOS.Flash.Agent;

/// <summary>The printer that the command line works on, and the thread and clock it works by. The real one joins it with hardware access.</summary>
internal sealed class Printer
{
    private readonly VirtualPrinter _virtual;
    private readonly VirtualTime _time;
    private readonly VirtualPlace _place;

    private Printer(VirtualPrinter printer, VirtualTime time, VirtualPlace place) => (_virtual, _time, _place) = (printer, time, place);

    public IHardware Hardware => _virtual;

    public IKlippy Klippy => _virtual.Klippy;

    public TimeProvider Time => _time;

    public IReadOnlyList<PrinterBoard> Boards => _virtual.PrinterBoards;

    public string Description => $"virtual printer '{_place.Scenario}'";

    /// <summary>Runs a verb on the printer's own clock and thread; without a place, for verbs that need no printer.</summary>
    public static int Run(VirtualPlace? place, Func<Printer?, Task<int>> verb)
    {
        if (place is null)
            return verb(null).GetAwaiter().GetResult();
        var time = new VirtualTime { Pace = place.Pace, IsLive = place.IsLive };
        return time.Run(async () =>
        {
            var printer = VirtualPrinter.Load(place.Folder, place.Scenario, time, place.Seed is { } seed ? Faultiness.FromSeed(seed) : Faultiness.None);
            return await verb(new Printer(printer, time, place));
        });
    }

    /// <summary>The firmware that this printer's Klipper would build for the board.</summary>
    public FirmwareImage? Build(PrinterBoard board) =>
        _virtual.Boards.FirstOrDefault(candidate => candidate.Name == board.Name) is { } found
            ? FirmwareImage.Parse(found.BuildFirmware(), $"the {VirtualPrinter.HostVersion} build for {board.Name}") : null;

    /// <summary>Runs something on the printer's thread, from any other.</summary>
    public void Post(Action action) => _time.Post(action);

    public void Save() => _virtual.Save(_place.Folder);

    /// <summary>The boards' serial lines for other programs.</summary>
    public VirtualPtys OpenPtys(string folder) => VirtualPtys.Open(_virtual, folder);

    /// <summary>Forgets what was done to it.</summary>
    public void Reset()
    {
        if (Directory.Exists(_place.Folder))
            Directory.Delete(_place.Folder, recursive: true);
    }
}

/// <summary>Which virtual printer, where it is kept, and how it behaves.</summary>
/// <param name="Scenario">Its name.</param>
/// <param name="Pace">Virtual seconds for each real one; 0 for as fast as it can.</param>
/// <param name="Seed">Null for one that behaves.</param>
internal sealed record VirtualPlace(string Scenario, string? Keep, double Pace, int? Seed)
{
    /// <summary>Other programs talk to it, so its time is theirs.</summary>
    public bool IsLive { get; init; }

    public const string DefaultScenario = "octopus";

    public string Folder => Keep ?? Path.Combine(Folders.State(), "virtual", Path.GetFileName(Scenario));
}

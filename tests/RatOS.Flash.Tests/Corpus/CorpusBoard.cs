using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Printer;
using RatOS.Flash.Tests.Scenarios;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Corpus;

/// <summary>
/// A virtual board as one of the corpus may truly be, on a printer that says no more of it than its section: it is asked, its build
/// configuration is made of the answers, and it is flashed.
/// </summary>
internal sealed record CorpusBoard(BoardTruth Truth, string Port)
{
    private const string CanRate = "1000000";

    private static readonly Device Adapter = new() { Port = "1-1.5", Number = 0, Usb = UsbId.KlipperCanBridge, Serial = "0033" };

    public bool IsCan => Truth.Link?.Kind == FirmwareLinkKind.Can;

    /// <summary>What it ends with: null when it was flashed and proven, else the fault; and what is wrong in its configuration.</summary>
    public (FaultReport? Fault, IReadOnlyList<string> Wrong, bool IsBuilt) Flash()
    {
        var scenario = new Scenario("corpus", "one board", Truth.At("mcu", Port))
        {
            CanBitrate = 1_000_000,
            CanAdapterPort = IsCan ? "1-1.5" : null,
            OtherDevices = IsCan ? [Adapter] : [],
        };
        (FaultReport?, IReadOnlyList<string>, bool) outcome = default;
        Story.Of(scenario, InjectedFaults.None, async story =>
        {
            var (wrong, isBuilt) = (new List<string>(), false);
            story.Builds = board =>
            {
                try
                {
                    var config = BuildConfig.For(board.Profile, board.Serial);
                    wrong.AddRange(Differing(config));
                    isBuilt = true;
                    var image = story.Build("mcu");
                    return new(new BuiltFirmware(image, "", config.Text, "", "", IsFromCache: false, TimeSpan.Zero), null);
                }
                catch (FlashException fault)
                {
                    return new(null, fault);
                }
            };
            var found = Inventory(story).Mcus.Single(mcu => mcu.Section == "mcu");
            var report = await story.FlashAsync(CancellationToken.None,
                new FlashRequest(found.BoardToFlash(), null) { Findings = found.Findings });
            var fault = report.Boards.Single().Fault;
            if (fault is null)
                Assert.Equal(VirtualPrinter.HostVersion, story.Board.RunningFirmware?.Version);
            Assert.True(story.Board.IsBootAreaIntact);
            outcome = (fault, wrong, isBuilt);
        });
        return outcome;
    }

    /// <summary>What printer.cfg and Klipper say: the section, and the report of a Klipper that is ready.</summary>
    private PrinterInventory Inventory(Story story)
    {
        var (board, seen) = (story.Board, story.Printer.Look());
        var device = seen.Devices.FirstOrDefault(device => device.Port == Port && device.Can is null);
        var section = new McuSection("mcu")
        {
            CanbusUuid = IsCan ? CanUuid.Read(board.CanUuidBytes).ToString() : null,
            Serial = IsCan ? null : Truth.Link?.Kind == FirmwareLinkKind.Uart ? device?.Node
                : $"/dev/serial/by-id/usb-Klipper_{Truth.Chip.Name}_{device?.Serial}-if00",
        };
        var dictionary = DataDictionary.Parse(VirtualDictionary.Compressed(Truth.Build, board.RunningFirmware!.Version, "gcc"));
        var told = new McuEvidence(dictionary.Version, dictionary.Mcu) { Constants = dictionary.Config };
        return PrinterInventory.Create([section], seen, [], BoardCatalogue.BuiltIn, [],
            new KlippyEvidence(VirtualPrinter.HostVersion, new Dictionary<string, McuEvidence> { ["mcu"] = told }));
    }

    private IEnumerable<string> Differing(BuildConfig config)
    {
        var (build, declared) = (Truth.Build, config.Declared.ToDictionary(symbol => symbol.Symbol, symbol => symbol.Value));
        if (declared.GetValueOrDefault("MCU") != build.Chip.Name)
            yield return $"chip {declared.GetValueOrDefault("MCU")}";
        // Other chips have one start, or one clock, and no symbol to choose it.
        var isStm32 = Mcu.Find(build.Chip.Name) is { IsStm32: true };
        var start = declared.GetValueOrDefault("FLASH_APPLICATION_ADDRESS");
        if ((start is not null || isStm32) && start != $"0x{build.Start:x}")
            yield return $"start {start}";
        var clock = declared.GetValueOrDefault("CLOCK_REF_FREQ");
        if ((clock is not null || isStm32) && clock != $"{Math.Max(build.Clock.Hertz, 1)}")
            yield return $"clock {clock}";
        var link = build.Link;
        var symbol = link.Kind switch { FirmwareLinkKind.Uart => "SERIAL", FirmwareLinkKind.Can => "CANSERIAL", _ => "USBSERIAL" };
        if (declared.GetValueOrDefault(symbol) != "y")
            yield return $"no {symbol}";
        if (link is { Kind: FirmwareLinkKind.Uart, Rate: { } baud } && declared.GetValueOrDefault("SERIAL_BAUD") != $"{baud}")
            yield return $"baud {declared.GetValueOrDefault("SERIAL_BAUD")}";
        if (!IsCan)
            yield break;
        if (declared.GetValueOrDefault("CANBUS_FREQUENCY") != CanRate)
            yield return $"rate {declared.GetValueOrDefault("CANBUS_FREQUENCY")}";
        var pins = link.Pins!.Replace("gpio", "", StringComparison.Ordinal).Split(',');
        if (!declared.ContainsKey($"STM32_MMENU_CANBUS_{pins[0]}_{pins[1]}")
            && declared.GetValueOrDefault("RPXXXX_CANBUS_GPIO_RX") != pins[0])
            yield return "other CAN pins";
    }
}

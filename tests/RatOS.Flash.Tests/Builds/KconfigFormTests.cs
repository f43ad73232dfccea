using System.Diagnostics;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;
using RatOS.Flash.Printer;
using RatOS.Flash.Tests.Scenarios;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Builds;

/// <summary>Klipper's menu as a form: real processes, on a small tree and, where one is named, on Klipper's own.</summary>
public sealed class KconfigFormTests : IDisposable
{
    private static readonly PrinterBoard Octopus = new("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);

    private readonly StandInTree _standIn = null!;

    public KconfigFormTests()
    {
        Assert.SkipUnless(StandInTree.CanBuild, "make, python3, git, setsid or nice is missing");
        _standIn = new StandInTree();
    }

    /// <summary>Choices for a board of each family; a text without quotes, as in a form.</summary>
    public static TheoryData<string> RealBoards =>
    [
        "MACH_STM32 MACH_STM32F446 STM32_FLASH_START_8000 STM32_CLOCK_REF_12M STM32_USB_PA11_PA12 INITIAL_PINS=PA1,!PB2",
        "MACH_STM32 MACH_STM32F446 STM32_FLASH_START_0000 STM32_MMENU_CANBUS_PB8_PB9 CANBUS_FREQUENCY=500000",
        "MACH_RPXXXX MACH_RP2040 RPXXXX_FLASH_START_4000 RPXXXX_CANBUS RPXXXX_CANBUS_GPIO_RX=8 RPXXXX_CANBUS_GPIO_TX=9",
        "MACH_LPC176X MACH_LPC1769 LPC_FLASH_START_4000 LPC_USB USB_SERIAL_NUMBER_CHIPID=n USB_SERIAL_NUMBER=mine",
        "MACH_AVR MACH_atmega2560 AVR_SERIAL_UART1 SERIAL_BAUD=115200",
        "MACH_LINUX",
    ];

    private string Kept => Path.Combine(_standIn.Root, "configs", "octopus.config");

    public void Dispose() => _standIn?.Dispose();

    private Task<FilledForm> FillAsync(PrinterBoard board, bool saves, params (string Name, string Value)[] set) =>
        FillAsync(_standIn.Open(), board, saves, set);

    private Task<FilledForm> FillAsync(KlipperTree tree, PrinterBoard board, bool saves, (string Name, string Value)[] set,
        double patience = 60, string? searchPath = null) =>
        new KconfigForm(tree, Path.GetDirectoryName(Kept)!, _standIn.Cache)
        {
            SearchPath = searchPath ?? _standIn.SearchPath,
            Patience = TimeSpan.FromSeconds(patience),
        }.FillAsync(board, () => Menuconfig.Preset(board, null),
            [.. set.Select(option => new OptionValue(option.Name, option.Value))], saves, CancellationToken.None);

    private static OptionNode Find(FilledForm form, string prompt) => form.Nodes.Single(node => node.Prompt == prompt);

    [Fact]
    public async Task A_form_begins_with_what_is_known_of_the_board_and_names_the_source()
    {
        var board = Octopus with { Facts = [BoardFacts.OfFirmware("stm32f446xx", new Dictionary<string, string>())] };
        var before = _standIn.Snapshot();
        var form = await FillAsync(board, saves: false);
        Assert.Equal((_standIn.Describe(), false, false), (form.Klipper, form.IsKept, form.IsSaved));
        Assert.Empty(form.Changed);
        Assert.Empty(form.Refused);
        var (chip, start) = (Find(form, "Processor model"), Find(form, "Bootloader offset"));
        Assert.Equal(("choice", "MACH_STM32F446", true), (chip.Kind, chip.Value, chip.Assignable));
        Assert.Equal("stm32f446xx, by its running firmware", chip.Board);
        Assert.Contains("MACH_STM32G0B1", chip.Options!.Select(option => option.Name));
        Assert.Equal(("STM32_FLASH_START_8000", $"application at 08008000, by {board.Profile.ApplicationStart!.Where}"),
            (start.Value, start.Board));
        var low = Find(form, "Low-level options");
        Assert.Equal(("bool", "y", "May break it.", null), (low.Kind, low.Value, low.Help, low.Board));
        var serial = Find(form, "USB ids").Nodes!.Single();
        Assert.Equal(("string", "btt-octopus-11"), (serial.Kind, serial.Value));
        // Neither the kept configurations nor Klipper's folder: compiled scripts go where those of builds go.
        Assert.Equal(before, _standIn.Snapshot());
        Assert.False(File.Exists(Kept));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_standIn.Cache, "work")));
    }

    [Fact]
    public async Task Assignments_change_what_is_shown_and_those_that_do_not_take_are_refused_with_the_reason()
    {
        var form = await FillAsync(Octopus, saves: true, ("MACH_AVR", "y"), ("SERIAL_BAUD", "fast"), ("USB_SERIAL_NUMBER", "x"),
            ("MCU", "z"), ("LOW_LEVEL_OPTIONS", "2"));
        Assert.Equal("250000", Find(form, "Baud rate").Value);
        Assert.DoesNotContain(form.Nodes, node => node.Prompt == "USB ids");
        Assert.Equal(["MACH_AVR", "MACH_atmega2560", "SERIAL_BAUD"], form.Changed);
        Assert.Equal(["SERIAL_BAUD it is not a number", "USB_SERIAL_NUMBER the menu does not offer it with the other options as they are",
            "MCU this Klipper has no such option", "LOW_LEVEL_OPTIONS it is neither y nor n"],
            form.Refused.Select(option => $"{option.Name} {option.Reason}"));
        Assert.False(form.IsSaved);
        Assert.False(File.Exists(Kept));
    }

    [Theory]
    [InlineData("a\"b")]
    [InlineData("a\\b")]
    [InlineData("a\nCONFIG_MCU=\"x\"")]
    [InlineData("$(shell reboot)")]
    [InlineData("`reboot`")]
    [InlineData("ä")]
    public async Task A_value_that_make_or_a_shell_could_take_for_a_command_reaches_neither(string value)
    {
        var form = await FillAsync(Octopus, saves: true, ("USB_SERIAL_NUMBER", value));
        Assert.Equal("it has characters that none may have", form.Refused.Single().Reason);
        Assert.Equal((false, "btt-octopus-11"), (form.IsSaved, Find(form, "USB ids").Nodes!.Single().Value));
    }

    [Fact]
    public async Task A_configuration_from_elsewhere_may_not_contradict_what_the_board_said()
    {
        var form = new KconfigForm(_standIn.Open(), Path.GetDirectoryName(Kept)!, _standIn.Cache) { SearchPath = _standIn.SearchPath };
        const string text = "CONFIG_MACH_STM32=y\nCONFIG_MACH_STM32F446=y\nCONFIG_MCU=\"stm32f446xx\"\nCONFIG_STM32_FLASH_START_8000=y\n"
            + "CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000\nCONFIG_USBSERIAL=y\n";
        var board = new PrinterBoard("octopus", Board.Unknown("octopus"))
        {
            Facts = [new(FactSource.Board, "its running firmware") { Chip = "stm32f446xx", ApplicationStart = 0x0800_8000 }],
        };
        Assert.NotEmpty((await form.CompareAsync(board, () => Menuconfig.Preset(board, null), text, CancellationToken.None)).Completed);
        board = board with { Facts = [board.Facts[0] with { ApplicationStart = 0x0800_0000 }] };
        var refused = await Assert.ThrowsAsync<FlashException>(
            () => form.CompareAsync(board, () => Menuconfig.Preset(board, null), text, CancellationToken.None));
        Assert.Contains("_ADDRESS is 0x8008000, but the board has 0x8000000", refused.Cause, StringComparison.Ordinal);
        Assert.False(File.Exists(Kept));
    }

    [Fact]
    public async Task What_is_saved_is_the_configuration_of_menuconfig_and_the_next_form_begins_with_it()
    {
        var form = await FillAsync(Octopus, saves: true, ("USB_SERIAL_NUMBER", "mine"));
        Assert.Equal((true, true), (form.IsKept, form.IsSaved));
        Assert.Empty(form.Changed);
        Assert.Contains(("USB_SERIAL_NUMBER", "mine"), Menuconfig.Kept(Path.GetDirectoryName(Kept), Octopus)!.Declared);
        var again = await FillAsync(Octopus, saves: false, ("LOW_LEVEL_OPTIONS", "n"));
        Assert.Equal((true, false), (again.IsKept, again.IsSaved));
        Assert.Equal(["LOW_LEVEL_OPTIONS"], again.Changed);
        Assert.Equal([Kept], Directory.GetFileSystemEntries(Path.GetDirectoryName(Kept)!));
    }

    [Theory]
    [InlineData("MACH_STM32G0B1", "CONFIG_MCU is stm32g0b1xx, but the board has stm32f446xx.")]
    [InlineData("STM32_FLASH_START_0000", "CONFIG_FLASH_APPLICATION_ADDRESS is 0x8000000, but the board has 0x8008000.")]
    public async Task Options_for_another_board_are_not_kept(string option, string cause)
    {
        var fault = await Assert.ThrowsAsync<FlashException>(() => FillAsync(Octopus, saves: true, (option, "y")));
        Assert.Equal(("config-drift", false), (fault.Code, File.Exists(Kept)));
        Assert.EndsWith(cause, fault.Cause, StringComparison.Ordinal);
        Assert.Equal([option], (await FillAsync(Octopus, saves: false, (option, "y"))).Changed);
    }

    [Fact]
    public async Task Saved_options_for_another_chip_than_the_running_one_end_in_a_blocker_and_not_in_a_flash()
    {
        // Of a board in no catalogue only the running firmware tells the chip, and the running firmware may change.
        var unknown = new PrinterBoard("octopus", Board.Unknown("octopus"))
        {
            Facts = [BoardFacts.OfFirmware("stm32f446xx", new Dictionary<string, string>()) with { ApplicationStart = 0x0800_8000 }],
        };
        var form = await FillAsync(unknown, saves: true, ("MACH_STM32G0B1", "y"), ("STM32_FLASH_START_0000", "y"));
        Assert.True(form.IsSaved);
        _standIn.Prebuild(VirtualChip.G0B1, 0x0800_0000);
        var built = await _standIn.Builder().BuildAsync(
            new BuildRequest("octopus", Menuconfig.Kept(Path.GetDirectoryName(Kept), unknown)!), static _ => ValueTask.CompletedTask,
            CancellationToken.None);
        Story.Of("octopus", async story =>
        {
            var old = story.Board.RunningFirmware;
            var board = Menuconfig.Described(Path.GetDirectoryName(Kept), story.Known("octopus") with
            {
                Board = unknown.Board,
                Facts = unknown.Facts,
            });
            var report = (await story.FlashAsync(CancellationToken.None, new FlashRequest(board, built.Image))).Boards.Single();
            Assert.True(report.Refused, report.Fault?.Cause);
            Assert.Equal((0, old), (story.Printer.Klippy.Stops, story.Board.RunningFirmware));
        });
    }

    [Theory]
    [InlineData("config X", "couldn't parse 'config X'")]
    [InlineData("hang", "it took more than 2 s")]
    [InlineData("flood", "Python ended with exit code 137")]
    [InlineData("hoard", "MemoryError")]
    public async Task A_menu_that_cannot_be_evaluated_is_a_fault_with_its_cause(string kconfig, string cause)
    {
        _standIn.Write("src/Kconfig", $"# stand-in\n{kconfig}\n");
        var fault = await Assert.ThrowsAsync<FlashException>(() => FillAsync(
            _standIn.Open(), Octopus, saves: true, [], patience: kconfig == "hang" ? 2 : 60));
        Assert.Equal(("menuconfig-failed", false), (fault.Code, File.Exists(Kept)));
        Assert.Contains(cause, fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_Python_or_kconfiglib_the_fault_says_so()
    {
        var fault = await Assert.ThrowsAsync<FlashException>(
            () => FillAsync(_standIn.Open(), Octopus, saves: false, [], searchPath: _standIn.Tools));
        Assert.Equal("toolchain-missing", fault.Code);
        Assert.Contains("python3 is missing", fault.Cause, StringComparison.Ordinal);
        Directory.Delete(Path.Combine(_standIn.Folder, "lib"), recursive: true);
        Assert.Equal("not-a-klipper-tree", (await Assert.ThrowsAsync<FlashException>(() => FillAsync(Octopus, saves: false))).Code);
    }

    /// <summary>Where a Klipper tree is named: byte for byte what its own make writes from the same choices.</summary>
    [Theory]
    [MemberData(nameof(RealBoards))]
    public async Task What_is_saved_is_what_Klippers_make_writes(string choices)
    {
        var klipper = Environment.GetEnvironmentVariable("RATOS_FLASH_KLIPPER");
        Assert.SkipUnless(klipper is not null, "RATOS_FLASH_KLIPPER names no Klipper tree");
        (string Name, string Value)[] set = [.. ("LOW_LEVEL_OPTIONS " + choices).Split(' ')
            .Select(choice => (choice + "=y").Split('=')).Select(pair => (pair[0], pair[1]))];
        var board = new PrinterBoard("octopus", Board.Unknown("octopus"))
        {
            Facts = [BoardFacts.OfFirmware("atmega328p", new Dictionary<string, string>())],
        };
        var form = await FillAsync(KlipperTree.Open(klipper), board, saves: true, set);
        Assert.Empty(form.Refused);
        var file = Path.Combine(_standIn.Root, "own.config");
        await File.WriteAllTextAsync(file, string.Concat(set.Select(option =>
            $"CONFIG_{option.Name}={(option.Name is "INITIAL_PINS" or "USB_SERIAL_NUMBER" ? $"\"{option.Value}\"" : option.Value)}\n")));
        using var make = Process.Start(new ProcessStartInfo(
            "make", ["-s", "-C", klipper, $"KCONFIG_CONFIG={file}", $"OUT={_standIn.Root}/out/", "olddefconfig"])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
        await make.StandardOutput.ReadToEndAsync();
        await make.WaitForExitAsync();
        Assert.Equal(await File.ReadAllTextAsync(file), await File.ReadAllTextAsync(Kept));
    }
}

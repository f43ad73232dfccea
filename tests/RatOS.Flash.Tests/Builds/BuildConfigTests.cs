using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Tests.Pure;

namespace RatOS.Flash.Tests.Builds;

public sealed class BuildConfigTests
{
    private static readonly Board Octopus = BoardCatalogue.BuiltIn.Find("btt-octopus-11")!;
    private static readonly Board Ebb42 = BoardCatalogue.BuiltIn.Find("btt-ebb42-12")!;
    private static readonly Board Rp = BoardCatalogue.BuiltIn.Find("btt-sb-2209-10-rp")!;

    /// <summary>As RatOS keeps one, shortened, with what matters of a completed file.</summary>
    private const string Raw = """
        #
        # Automatically generated file; DO NOT EDIT.
        CONFIG_LOW_LEVEL_OPTIONS=y
        CONFIG_MACH_STM32=y
        CONFIG_MACH_STM32F446=y
        CONFIG_BOARD_DIRECTORY="stm32"
        CONFIG_MCU="stm32f446xx"
        CONFIG_CLOCK_FREQ=180000000
        CONFIG_STM32_FLASH_START_8000=y
        CONFIG_FLASH_START=0x8008000
        CONFIG_CLOCK_REF_FREQ=12000000
        CONFIG_STM32_CLOCK_REF_12M=y
        CONFIG_STM32_USB_PA11_PA12=y
        # CONFIG_STM32_SERIAL_USART1 is not set
        CONFIG_USBSERIAL=y
        CONFIG_USB_VENDOR_ID=0x1d50
        # CONFIG_USB_SERIAL_NUMBER_CHIPID is not set
        CONFIG_USB_SERIAL_NUMBER="btt-octopus-11"
        CONFIG_CANBUS_FREQUENCY=500000
        CONFIG_INITIAL_PINS="!PA1"

        """;

    /// <summary>What today's Klipper makes of it.</summary>
    private const string Completed = """
        CONFIG_LOW_LEVEL_OPTIONS=y
        # CONFIG_MACH_AVR is not set
        CONFIG_MACH_STM32=y
        CONFIG_MCU="stm32f446xx"
        CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000
        CONFIG_CLOCK_REF_FREQ=12000000
        CONFIG_STM32_CLOCK_REF_12M=y
        CONFIG_STM32_USB_PA11_PA12=y
        CONFIG_USBSERIAL=y
        CONFIG_USB_VENDOR_ID=0x1d50
        # CONFIG_USB_SERIAL_NUMBER_CHIPID is not set
        CONFIG_USB_SERIAL_NUMBER="btt-octopus-11"
        CONFIG_CANBUS_FREQUENCY=1000000
        CONFIG_INITIAL_PINS="!PA1"

        """;

    [Fact]
    public void A_board_of_the_catalogue_is_written_out_in_full()
    {
        var config = BuildConfig.For(BoardProfile.Of(Octopus), "btt-octopus-11-t0");
        Assert.Equal(
            """
            CONFIG_LOW_LEVEL_OPTIONS=y
            CONFIG_MACH_STM32=y
            CONFIG_MACH_STM32F446=y
            CONFIG_STM32_CLOCK_REF_12M=y
            CONFIG_STM32_FLASH_START_8000=y
            CONFIG_STM32_USB_PA11_PA12=y
            CONFIG_USB_SERIAL_NUMBER="btt-octopus-11-t0"
            # CONFIG_USB_SERIAL_NUMBER_CHIPID is not set

            """,
            config.Text);
        Assert.Equal(
            [("CLOCK_REF_FREQ", "12000000"), ("FLASH_APPLICATION_ADDRESS", "0x8008000"), ("MCU", "stm32f446xx"), ("USBSERIAL", "y"),
                ("USB_SERIAL_NUMBER", "btt-octopus-11-t0")],
            config.Declared);
    }

    [Fact]
    public void Every_board_with_a_chip_has_a_configuration_whose_start_is_the_boards()
    {
        var boards = BoardCatalogue.BuiltIn.Boards.Where(board => board.McuName is not null).ToList();
        Assert.True(boards.Count >= 45);
        Assert.All(boards, board =>
        {
            var config = BuildConfig.For(board);
            Assert.Equal(board.McuName, config.Mcu);
            if (board.ApplicationStart is { } start && config.Text.Contains("_FLASH_START_", StringComparison.Ordinal))
                Assert.Matches($"_FLASH_START_0*{start & 0xFFFFFF:X}=y", config.Text);
        });
        Assert.Equal("config-unusable", Assert.Throws<FlashException>(() => BuildConfig.For(BoardCatalogue.BuiltIn.Find("beacon")!)).Code);
    }

    [Fact]
    public void An_rp2040_is_called_by_todays_names_and_by_those_of_v0_12()
    {
        var text = BuildConfig.For(Rp).Text;
        foreach (var symbol in (string[])["MACH_RPXXXX", "MACH_RP2040", "RPXXXX_FLASH_START_0100", "RP2040_FLASH_START_0100",
                "RPXXXX_USB", "RP2040_USB"])
            Assert.Contains($"CONFIG_{symbol}=y\n", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BuildLink.Can, "PB0_PB1", 500_000, "CONFIG_STM32_MMENU_CANBUS_PB0_PB1=y", "CONFIG_CANBUS_FREQUENCY=500000")]
    [InlineData(BuildLink.Can, "PA11_PA12", null, "CONFIG_STM32_CANBUS_PA11_PA12=y", "CONFIG_CANBUS_FREQUENCY=1000000")]
    [InlineData(BuildLink.UsbCanBridge, "PD0_PD1", 500_000, "CONFIG_STM32_USBCANBUS_PA11_PA12=y", "CONFIG_STM32_CMENU_CANBUS_PD0_PD1=y")]
    [InlineData(BuildLink.Uart, "USART2", 115_200, "CONFIG_STM32_SERIAL_USART2=y", "CONFIG_SERIAL_BAUD=115200")]
    public void Other_transports_come_with_their_pins_and_rates(BuildLink link, string pins, int? rate, string first, string second)
    {
        var config = BuildConfig.For(Linked(Ebb42, new(link, pins, rate)), null);
        Assert.Contains(first + "\n", config.Text, StringComparison.Ordinal);
        Assert.Contains(second + "\n", config.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("USB_SERIAL_NUMBER", config.Text, StringComparison.Ordinal);
        // Declared as well: another pair of pins after completion is drift.
        Assert.Equal("config-drift",
            Drift(config, Completed.Replace("stm32f446xx", "stm32g0b1xx", StringComparison.Ordinal).Replace("0x8008000", "0x8000000",
                StringComparison.Ordinal).Replace("CLOCK_REF_FREQ=12000000", "CLOCK_REF_FREQ=8000000", StringComparison.Ordinal)).Code);
    }

    /// <summary>A bridge's firmware has no constant for its bus, and a wrong bitrate silences every board on it.</summary>
    [Fact]
    public void A_bridge_whose_bitrate_nothing_tells_is_asked_for_it()
    {
        var missing = Assert.Throws<FlashException>(() => BuildConfig.For(Linked(Ebb42, new(BuildLink.UsbCanBridge, "PD0_PD1")), null));
        Assert.Equal(FaultKind.FactMissing, missing.Kind);
        Assert.Equal(
            ("link", "bridge 1000000", 3), (missing.Question!.Fact, missing.Question.Choices[0].Value, missing.Question.Choices.Length));
    }

    [Theory]
    [InlineData("PB8_PB9\nCONFIG_EVIL")]
    [InlineData("../x")]
    public void Pins_that_are_none_are_refused(string pins) =>
        Assert.Equal("config-unusable",
            Assert.Throws<FlashException>(() => BuildConfig.For(Linked(Ebb42, new(BuildLink.Can, pins)), null)).Code);

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("$(reboot)")]
    [InlineData("a\"b")]
    public void A_usb_serial_that_udev_or_make_could_not_bear_is_refused(string serial)
    {
        Assert.Equal("config-unusable", Assert.Throws<FlashException>(() => BuildConfig.For(BoardProfile.Of(Octopus), serial)).Code);
        Assert.Equal("config-unusable", Assert.Throws<FlashException>(() => BuildConfig.FromText(Raw, Octopus, serial)).Code);
    }

    [Fact]
    public void A_running_firmware_tells_its_transport()
    {
        Assert.Equal(new BuildTransport(BuildLink.Can, "PB0_PB1", 500_000),
            Of("""{"MCU":"stm32g0b1xx","CLOCK_FREQ":64000000,"CANBUS_FREQUENCY":500000,"RESERVE_PINS_CAN":"PB0,PB1"}"""));
        Assert.Equal(new BuildTransport(BuildLink.UsbCanBridge, "4_5", 1_000_000),
            Of("""{"MCU":"rp2040","CLOCK_FREQ":12000000,"CANBUS_FREQUENCY":1000000,"CANBUS_BRIDGE":1,"RESERVE_PINS_CAN":"gpio4,gpio5"}"""));
        Assert.Equal(BuildTransport.Usb, Of("""{"MCU":"stm32f446xx","CLOCK_FREQ":180000000,"RESERVE_PINS_USB":"PA11,PA12"}"""));
        Assert.Equal(new BuildTransport(BuildLink.Uart, "USART2", 115_200),
            Of("""{"MCU":"stm32f446xx","CLOCK_FREQ":180000000,"SERIAL_BAUD":115200,"RESERVE_PINS_serial":"PA3,PA2"}"""));
        // Pins without a known name: a UART all the same, of which nothing can be built.
        Assert.Equal(new BuildTransport(BuildLink.Uart, null, 250_000), Of("""{"MCU":"rp2040","SERIAL_BAUD":250000}"""));
        Assert.Equal(new BuildTransport(BuildLink.Uart, null, 250_000),
            Of("""{"MCU":"stm32f446xx","SERIAL_BAUD":250000,"RESERVE_PINS_serial":"PZ9,PZ8"}"""));
        Assert.Equal(BuildTransport.Usb, Of("""{"MCU":"rp2040","CLOCK_FREQ":12000000}"""));
        Assert.Equal(new BuildTransport(BuildLink.UsbCanBridge, "PD0_PD1"),   // a bridge names no bitrate
            Of("""{"MCU":"stm32h723xx","CANBUS_BRIDGE":1,"RESERVE_PINS_CAN":"PD0,PD1","RESERVE_PINS_USB":"PA11,PA12"}"""));
        Assert.Null(Of("""{"MCU":"stm32f446xx","CLOCK_FREQ":180000000}"""));

        static BuildTransport? Of(string config) =>
            BuildTransport.Of(DataDictionary.Parse(Images.Compress(System.Text.Encoding.UTF8.GetBytes(
            """{"version":"v1","commands":{},"responses":{},"config":""" + config + "}"))).Config);
    }

    [Fact]
    public void A_kept_text_loses_its_comments_line_ends_and_computed_symbols_alone()
    {
        var text = BuildConfig.FromText(Raw.ReplaceLineEndings("\r\n"), Octopus).Text;
        Assert.DoesNotContain('\r', text);
        Assert.Equal(BuildConfig.FromText(Raw, Octopus).Text, text);
        Assert.DoesNotContain("BOARD_DIRECTORY", text, StringComparison.Ordinal);
        Assert.DoesNotContain("CONFIG_MCU", text, StringComparison.Ordinal);
        foreach (var line in (string[])["CONFIG_STM32_FLASH_START_8000=y", "CONFIG_INITIAL_PINS=\"!PA1\"",
                "# CONFIG_STM32_SERIAL_USART1 is not set", "CONFIG_USB_VENDOR_ID=0x1d50"])
            Assert.Contains(line + "\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_chosen_pins_decide_where_a_text_names_the_wrong_link()
    {
        // As in RatOS's btt-skr-2-407: Klipper makes USBSERIAL of it.
        var text = Raw.Replace("CONFIG_USBSERIAL=y", "CONFIG_SERIAL=y\nCONFIG_SERIAL_BAUD=250000", StringComparison.Ordinal);
        var config = BuildConfig.FromText(text, Octopus, "mine");
        Assert.DoesNotContain(config.Declared, declared => declared.Symbol.StartsWith("SERIAL", StringComparison.Ordinal));
        Assert.Contains(("STM32_USB_PA11_PA12", "y"), config.Declared);
        Assert.Contains(("USB_SERIAL_NUMBER", "mine"), config.Declared);
        config.Check(Completed.Replace("btt-octopus-11", "mine", StringComparison.Ordinal), "octopus");
    }

    [Fact]
    public void The_usb_serial_of_a_kept_text_is_replaced_and_stays_a_text()
    {
        var config = BuildConfig.FromText(Raw, Octopus, "4711");
        Assert.Contains("CONFIG_USB_SERIAL_NUMBER=\"4711\"\n", config.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("btt-octopus-11", config.Text, StringComparison.Ordinal);
        Assert.Contains(("USB_SERIAL_NUMBER", "4711"), config.Declared);
    }

    [Theory]
    [InlineData("CONFIG_INITIAL_PINS=\"$(shell reboot)\"")]
    [InlineData("CONFIG_INITIAL_PINS=\"`reboot`\"")]
    [InlineData("CONFIG_X=\"a;b\"")]
    [InlineData("CONFIG_X=y\nall: ; reboot")]
    [InlineData("$(shell reboot)")]
    [InlineData("include /etc/passwd")]
    [InlineData("CONFIG_BAD NAME=y")]
    [InlineData("CONFIG_X=a\\")]
    public void A_text_that_make_or_a_shell_would_run_is_refused(string hostile)
    {
        var fault = Assert.Throws<FlashException>(() => BuildConfig.FromText(Raw + hostile, Octopus));
        Assert.Equal("config-unusable", fault.Code);
        Assert.Contains("line ", fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_of_ten_megabytes_is_refused() =>
        Assert.Contains("64 KiB", Assert.Throws<FlashException>(() => BuildConfig.FromText(new string('#', 10 << 20), Octopus)).Cause,
            StringComparison.Ordinal);

    [Fact]
    public void What_became_what_was_meant_passes_under_new_names_and_with_new_defaults()
    {
        // FLASH_START has a new name, and CAN's default speed is another: of no effect in a build for USB.
        BuildConfig.FromText(Raw, Octopus).Check(Completed, "octopus");
        BuildConfig.For(Octopus).Check(Completed, "octopus");
        BuildConfig.For(Octopus).Check(Completed.Replace("FLASH_APPLICATION_ADDRESS", "FLASH_START", StringComparison.Ordinal), "octopus");
        BuildConfig.For(Octopus).Check(Completed.ReplaceLineEndings("\r\n"), "octopus");
    }

    [Theory]
    [InlineData("CONFIG_MCU=\"stm32f446xx\"", "CONFIG_MCU=\"stm32f103xe\"", "MCU", "stm32f446xx", "stm32f103xe")]
    [InlineData("=0x8008000", "=0x8000000", "FLASH_APPLICATION_ADDRESS", "0x8008000", "0x8000000")]
    [InlineData("CONFIG_CLOCK_REF_FREQ=12000000", "CONFIG_CLOCK_REF_FREQ=8000000", "CLOCK_REF_FREQ", "12000000", "8000000")]
    [InlineData("CONFIG_USBSERIAL=y", "CONFIG_SERIAL=y", "USBSERIAL", "y", "nothing")]
    [InlineData("\"btt-octopus-11\"", "\"12345\"", "USB_SERIAL_NUMBER", "btt-octopus-11", "12345")]
    [InlineData("CONFIG_INITIAL_PINS=\"!PA1\"", "", "INITIAL_PINS", "!PA1", "nothing")]
    [InlineData("CONFIG_STM32_USB_PA11_PA12=y", "CONFIG_STM32_USB_PB14_PB15=y", "STM32_USB_PA11_PA12", "y", "nothing")]
    [InlineData("CONFIG_USB_VENDOR_ID=0x1d50", "CONFIG_USB_VENDOR_ID=0x2e8a", "USB_VENDOR_ID", "0x1d50", "0x2e8a")]
    public void Silent_drift_is_refused_with_symbol_wanted_and_got(string was, string becomes, string symbol, string wanted, string got)
    {
        var fault = Drift(BuildConfig.FromText(Raw, Octopus), Completed.Replace(was, becomes, StringComparison.Ordinal));
        Assert.Equal("config-drift", fault.Code);
        Assert.Contains($"CONFIG_{symbol} should be {wanted}, but becomes {got}.", fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void The_lost_chip_is_named_before_what_went_with_it() =>
        Assert.Contains("CONFIG_MCU should be rp2040, but becomes atmega2560",
            Drift(BuildConfig.For(Rp), "CONFIG_MACH_AVR=y\nCONFIG_MCU=\"atmega2560\"\nCONFIG_SERIAL=y\n").Cause, StringComparison.Ordinal);

    [Fact]
    public void Another_speed_is_drift_in_a_build_for_can()
    {
        const string can = "CONFIG_CANSERIAL=y\nCONFIG_CANBUS_FREQUENCY=500000\n";
        var config = BuildConfig.FromText(can, Ebb42 with { CrystalHz = null });
        const string completed = "CONFIG_MCU=\"stm32g0b1xx\"\nCONFIG_FLASH_APPLICATION_ADDRESS=0x8000000\n";
        config.Check(completed + can, "ebb42");
        Assert.Contains("CANBUS_FREQUENCY should be 500000, but becomes 1000000",
            Drift(config, completed + can.Replace("500000", "1000000", StringComparison.Ordinal)).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_for_another_chip_or_start_than_the_boards_is_refused()
    {
        Assert.Contains("CONFIG_MCU should be stm32g0b1xx", Assert.Throws<FlashException>(() => BuildConfig.FromText(Raw, Ebb42)).Cause,
            StringComparison.Ordinal);
        var config = BuildConfig.FromText(Raw, Octopus with { FlashStartEffective = "0x8000000" });
        Assert.Contains("should be 0x8000000, but becomes 0x8008000", Drift(config, Completed).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Order_and_comments_do_not_make_another_configuration()
    {
        Assert.Equal(BuildConfig.Hash(Completed),
            BuildConfig.Hash(string.Join('\n', Completed.Split('\n').Reverse()) + "\n# hello\n# CONFIG_NEW is not set\n"));
        Assert.NotEqual(BuildConfig.Hash(Completed), BuildConfig.Hash(Completed.Replace("PA1\"", "PA2\"", StringComparison.Ordinal)));
    }

    private static FlashException Drift(BuildConfig config, string completed) =>
        Assert.Throws<FlashException>(() => config.Check(completed, "my board"));

    private static BoardProfile Linked(Board board, BuildTransport link) =>
        BoardProfile.Of(board).With(new BoardFacts(FactSource.Board, "its running firmware") { Link = link });
}

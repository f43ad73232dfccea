using System.IO.Compression;
using System.Text.Json;
using RatOS.Flash.Chips;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A virtual board of any chip: what its firmware says of itself, and which images come up on it.</summary>
public sealed class BoardTruthTests
{
    private static readonly BoardTruth F446 = new() { Machine = "STM32F446", Start = 0x0800_8000, Clock = ClockSource.Crystal(12) };

    private static readonly BoardTruth Uart = F446 with { Link = new(FirmwareLinkKind.Uart, "PA3,PA2", 115_200) };

    private static readonly BoardTruth Node = new()
    {
        Machine = "STM32G0B1",
        Start = 0x0800_2000,
        Link = new(FirmwareLinkKind.Can, "PB0,PB1", 500_000),
        Bootloader = BootStage.Katapult,
    };

    private static readonly BoardTruth Bridge = F446 with { Link = new(FirmwareLinkKind.CanBridge, "PD0,PD1"), BridgeRate = 500_000 };

    private static string PortOf(BoardTruth truth) => truth.Link?.Kind switch
    {
        FirmwareLinkKind.Uart => "ttyAMA0",
        FirmwareLinkKind.Can => "can0",
        _ => "1-1.1",
    };

    private static void With(BoardTruth truth, Func<VirtualPrinter, VirtualBoard, Task> story, InjectedFaults? faults = null) =>
        VirtualTime.Run(time =>
        {
            var scenario = new Scenario("truth", "one board", truth.At("mcu", PortOf(truth)))
            {
                CanBitrate = 500_000,
                CanAdapterPort = truth.Link?.Kind == FirmwareLinkKind.Can ? "1-1.5" : null,
                OtherDevices = truth.Link?.Kind == FirmwareLinkKind.Can
                    ? [new Device { Port = "1-1.5", Number = 0, Usb = UsbId.KlipperCanBridge, Serial = "0033" }] : [],
            };
            var printer = VirtualPrinter.Create(scenario, time, faults);
            return story(printer, printer.Boards[0]);
        });

    private static async Task<KlipperClient> ConnectAsync(VirtualPrinter printer, VirtualBoard board)
    {
        await printer.Klippy.StopAsync(default);
        var device = printer.Look().Devices.First(device => device.Port == board.Port);
        var mode = board.Program!.Mode;
        return await KlipperClient.ConnectAsync(await printer.OpenSerialAsync(device, mode), "mcu", printer.Time, default);
    }

    private static JsonElement Constants(BoardTruth truth)
    {
        var flash = new VirtualFlash(truth.Chip);
        flash.Preset(truth.Build.Start, VirtualFirmware.Build(truth.Build, "v0.13.0"));
        var firmware = VirtualFirmware.WouldStart(flash, truth.Chip, truth.Build.Start).Running!;
        using var zlib = new ZLibStream(new MemoryStream(firmware.CompressedDictionary.ToArray()), CompressionMode.Decompress);
        return JsonDocument.Parse(zlib).RootElement.GetProperty("config").Clone();
    }

    [Fact]
    public void A_board_of_every_chip_of_Klippers_Kconfig_runs_its_firmware() => Assert.All(KconfigChips.All, chip =>
    {
        var hasUsb = chip.Family is not (VirtualFamily.Avr or VirtualFamily.Hc32f460 or VirtualFamily.Samc21)
            && chip.Machine is not ("STM32G070" or "STM32G071" or "STM32F031");
        var link = !hasUsb ? new FirmwareLink(FirmwareLinkKind.Uart, "PA10,PA9", 250_000) : null;
        With(new BoardTruth { Machine = chip.Machine, Link = link }, (printer, board) =>
        {
            Assert.Equal((BoardState.Klipper, chip.Name), (board.State, board.RunningFirmware?.Mcu));
            Assert.NotNull(board.Program);
            return Task.CompletedTask;
        });
    });

    [Fact]
    public void Chips_that_the_engine_knows_have_the_same_data_there() => Assert.All(KconfigChips.All, chip =>
    {
        if (Mcu.Find(chip.Name) is not { } mcu)
            return;
        Assert.True(mcu.IsRamEnd(chip.RamEnd), $"{chip.Machine}: {chip.RamEnd:x8}");
        Assert.Equal((chip.Machine, chip.FlashBase), (chip.Machine, mcu.FlashBase));
        if (!mcu.IsStm32)
            return;
        Assert.Equal((chip.Machine, chip.UidAddress, chip.FlashSizeAddress), (chip.Machine, mcu.UidAddress, mcu.FlashSizeAddress));
        Assert.True(chip.IdCode == 0 || mcu.IdCodes.Contains((int)(chip.IdCode & 0xFFF)), $"{chip.Machine}: {chip.IdCode:x8}");
        Assert.Equal((chip.Machine, chip.EmptyCheck), (chip.Machine, mcu.EmptyCheck));
    });

    [Fact]
    public void The_dictionary_names_clock_pins_and_rates_as_a_build_does()
    {
        var usb = Constants(F446 with { InitialPins = "!PB7" });
        Assert.Equal(("PA11,PA12", "PH0,PH1", "!PB7", 180_000_000), (Text(usb, "RESERVE_PINS_USB"), Text(usb, "RESERVE_PINS_crystal"),
            Text(usb, "INITIAL_PINS"), usb.GetProperty("CLOCK_FREQ").GetInt32()));
        Assert.Equal((1, 23), (usb.GetProperty("STEPPER_STEP_BOTH_EDGE").GetInt32(), usb.GetProperty("STEPPER_OPTIMIZED_EDGE").GetInt32()));
        var plain = Constants(F446 with { OptimizesStepEdges = false, Clock = ClockSource.Internal });
        Assert.Equal((null, null, null),
            (Text(plain, "STEPPER_OPTIMIZED_EDGE"), Text(plain, "RESERVE_PINS_crystal"), Text(plain, "INITIAL_PINS")));
        var uart = Constants(Uart);
        Assert.Equal(("PA3,PA2", 115_200, null), (Text(uart, "RESERVE_PINS_serial"), uart.GetProperty("SERIAL_BAUD").GetInt32(),
            Text(uart, "RESERVE_PINS_USB")));
        var node = Constants(Node);
        Assert.Equal(("PB0,PB1", 500_000, "PF0,PF1"), (Text(node, "RESERVE_PINS_CAN"), node.GetProperty("CANBUS_FREQUENCY").GetInt32(),
            Text(node, "RESERVE_PINS_crystal")));
        var bridge = Constants(Bridge);
        Assert.Equal((1, "PD0,PD1", "PA11,PA12"), (bridge.GetProperty("CANBUS_BRIDGE").GetInt32(), Text(bridge, "RESERVE_PINS_CAN"),
            Text(bridge, "RESERVE_PINS_USB")));
        Assert.False(bridge.TryGetProperty("CANBUS_FREQUENCY", out _));
        Assert.Null(Text(Constants(new() { Machine = "STM32F103" }), "RESERVE_PINS_crystal"));
        Assert.Equal("PB14,PB15", Text(Constants(new() { Machine = "STM32H743", Link = new(FirmwareLinkKind.Usb, "PB14,PB15") }),
            "RESERVE_PINS_USB1"));
        var rp2040 = Constants(new() { Machine = "RP2040", Link = new(FirmwareLinkKind.CanBridge, "gpio8,gpio9") });
        Assert.Equal(("gpio8,gpio9", null), (Text(rp2040, "RESERVE_PINS_CAN"), Text(rp2040, "RESERVE_PINS_USB")));
        Assert.Equal(("PB22,PB23", "PA24,PA25"), (Text(Constants(new() { Machine = "SAME54P20" }), "RESERVE_PINS_crystal"),
            Text(Constants(new() { Machine = "SAME54P20" }), "RESERVE_PINS_USB")));
        Assert.Equal(128_000_000, Constants(new() { Machine = "N32G452" }).GetProperty("CLOCK_FREQ").GetInt32());

        static string? Text(JsonElement constants, string name) => constants.TryGetProperty(name, out var value) ? value.ToString() : null;
    }

    [Fact]
    public void A_reduced_build_lacks_the_commands_that_it_leaves_out() => With(
        new BoardTruth
        {
            Machine = "STM32F042",
            Link = new(FirmwareLinkKind.Uart, "PA3,PA2", 250_000),
            MissingCommands = "config_neopixel config_st7920",
        },
        async (printer, board) =>
        {
            await using var client = await ConnectAsync(printer, board);
            var commands = (await client.IdentifyAsync(default)).Commands.Keys;
            Assert.DoesNotContain(commands, name => name is "config_neopixel" or "config_st7920");
            Assert.Contains("config_adxl345", commands);
        });

    [Fact]
    public void Vectors_that_are_none_leave_the_start_unknown() => With(F446, async (printer, board) =>
    {
        board.Flash.Preset(board.ApplicationStart, BitConverter.GetBytes(0x2000_1234));   // no end of its RAM
        await using var client = await ConnectAsync(printer, board);
        await client.IdentifyAsync(default);
        var chip = await client.AskChipAsync(Chips.Mcu.Find("stm32f446xx")!, null, default, asksAll: true);
        Assert.NotNull(chip.Uid);
        Assert.Null(chip.ApplicationStart);
    });

    public static TheoryData<string> Misfits =>
    [
        "crystal", "internal", "start", "uart pins", "uart on usb", "can rate", "can pins", "can on usb", "bridge rate", "usb on uart",
    ];

    [Theory]
    [MemberData(nameof(Misfits))]
    public void An_image_for_another_clock_start_or_link_does_not_come_up(string misfit)
    {
        var (truth, build) = misfit switch
        {
            "crystal" => (F446, F446 with { Clock = ClockSource.Crystal(8) }),
            "internal" => (F446, F446 with { Clock = ClockSource.Internal }),
            "start" => (F446, F446 with { Start = 0x0801_0000 }),
            "uart pins" => (Uart, Uart with { Link = new(FirmwareLinkKind.Uart, "PA10,PA9", 115_200) }),
            "uart on usb" => (F446, Uart),
            "can rate" => (Node, Node with { Link = new(FirmwareLinkKind.Can, "PB0,PB1", 1_000_000) }),
            "can pins" => (Node, Node with { Link = new(FirmwareLinkKind.Can, "PB8,PB9", 500_000) }),
            "can on usb" => (F446, F446 with { Link = new(FirmwareLinkKind.Can, "PB8,PB9", 500_000) }),
            "bridge rate" => (Bridge, Bridge with { BridgeRate = 1_000_000 }),
            _ => (Uart, F446),
        };
        With(truth, async (printer, board) =>
        {
            Assert.True(IsUp(printer, board));
            Flash(board, truth.Build);
            await ResetAsync(printer, board);
            Assert.True(IsUp(printer, board));
            Flash(board, build.Build);
            await ResetAsync(printer, board);
            Assert.False(IsUp(printer, board));
        });

        static bool IsUp(VirtualPrinter printer, VirtualBoard board) => board is { State: BoardState.Klipper, Program: not null }
            && printer.Look().Devices.Any(device => device.Port == board.Port);

        static void Flash(VirtualBoard board, FirmwareBuild build) =>
            board.Flash.Preset(board.ApplicationStart, VirtualFirmware.Build(build, "v0.13.0"));

        static Task ResetAsync(VirtualPrinter printer, VirtualBoard board)
        {
            board.PressReset();
            return Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
        }
    }

    [Fact]
    public void An_image_for_a_crystal_with_the_same_registers_comes_up() => With(
        F446 with { Clock = ClockSource.Crystal(25) },
        async (printer, board) =>
        {
            var build = (F446 with { Clock = ClockSource.Crystal(24) }).Build;
            board.Flash.Preset(board.ApplicationStart, VirtualFirmware.Build(build, "v0.13.0"));
            board.PressReset();
            await Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
            Assert.Equal(BoardState.Klipper, board.State);
        });

    [Fact]
    public void Without_a_text_in_the_build_the_USB_serial_is_the_chips_id() => With(
        F446 with { Uid = Convert.FromHexString("0D951C95602F417C2D017E07") },
        async (printer, board) =>
        {
            Assert.Equal("0D951C95602F417C2D017E07", printer.Look().Devices.Single(device => device.Usb == UsbId.Klipper).Serial);
            board.Flash.Preset(board.ApplicationStart, VirtualFirmware.Build((F446 with { UsbSerial = "12345" }).Build, "v0.13.0"));
            board.PressReset();
            await Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
            Assert.Equal("12345", printer.Look().Devices.Single(device => device.Usb == UsbId.Klipper).Serial);
        });

    [Fact]
    public void A_real_image_is_judged_by_what_its_builder_states() => VirtualTime.Run(async time =>
    {
        var setup = F446.At("mcu", "1-1.1") with { ClockOfRealImage = _ => ClockSource.Crystal(8) };
        var board = VirtualPrinter.Create(new Scenario("real", "one board", setup), time).Boards[0];
        var image = VirtualFirmware.Build(F446.Build, "v0.13.0");
        image.AsSpan(8, 4).CopyTo(image.AsSpan(32));   // no mark of an invented image: its statement is not looked for
        board.Flash.Preset(board.ApplicationStart, image);
        board.PressReset();
        await Task.Delay(TimeSpan.FromSeconds(5), time);
        Assert.Equal((BoardState.Hung, "it is built for a crystal of 8 MHz, and the board has a crystal of 12 MHz"),
            (board.State, board.HangReason));
    });

    [Fact]
    public void A_bad_read_hangs_the_firmware_until_its_watchdog_resets_it() => With(F446, async (printer, board) =>
    {
        await ReadGapAsync(printer, board);
        Assert.Contains(printer.Look().Devices, device => device.Port == "1-1.1");   // its pull-up stays on
        await Task.Delay(TimeSpan.FromMilliseconds(500), printer.Time);
        Assert.NotNull(board.Program);
        await Task.Delay(TimeSpan.FromMilliseconds(20), printer.Time);
        Assert.Null(board.Program);
        await printer.WaitForAsync(
            seen => seen.Devices.FirstOrDefault(device => device.Port == "1-1.1"), TimeSpan.FromSeconds(9), printer.Time, default);
        Assert.Equal(BoardState.Klipper, board.State);
    });

    [Fact]
    public void A_bad_read_kills_an_HC32F460_until_its_power_is_cut() => With(
        new BoardTruth { Machine = "HC32F460", Start = 0x8000, Link = new(FirmwareLinkKind.Uart, "PA15,PA9", 250_000) },
        async (printer, board) =>
        {
            await ReadGapAsync(printer, board);
            await Task.Delay(TimeSpan.FromMinutes(1), printer.Time);
            Assert.Equal(BoardState.Hung, board.State);
            board.PowerOff();
            board.PowerOn();
            await Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
            Assert.Equal(BoardState.Klipper, board.State);
        });

    /// <summary>Sends <c>debug_read order=2 addr=0x30000000</c>, by its number in every virtual build, as the first block.</summary>
    private static async Task ReadGapAsync(VirtualPrinter printer, VirtualBoard board)
    {
        await printer.Klippy.StopAsync(default);
        byte[] block = [12, 0x10, 12, 2, 0x83, 0x80, 0x80, 0x80, 0x00, 0, 0, 0x7E];
        var crc = VirtualCrc.Compute(block.AsSpan(0, 9));
        (block[9], block[10]) = ((byte)(crc >> 8), (byte)crc);
        board.Program!.Receive(block, printer.Time.Now);
    }

    [Fact]
    public void A_swapped_board_is_another_individual_with_the_same_firmware() => With(F446, async (printer, board) =>
    {
        var before = board.Serial;
        board.Swap();
        await Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
        Assert.Equal((BoardState.Klipper, "v0.12.0-10-g1f2a9e1c"), (board.State, board.RunningFirmware?.Version));
        Assert.NotEqual(before, printer.Look().Devices.Single(device => device.Usb == UsbId.Klipper).Serial);
    });

    [Fact]
    public void A_dictionary_can_lie_about_the_chip_until_the_board_is_flashed() => With(
        F446,
        async (printer, board) =>
        {
            Assert.Equal("stm32f072xb", board.RunningFirmware!.Mcu);
            board.Flash.Preset(board.ApplicationStart, board.BuildFirmware());
            board.PressReset();
            await Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
            Assert.Equal("stm32f446xx", board.RunningFirmware!.Mcu);
        },
        new() { DictionaryMcu = "stm32f072xb" });

    [Theory]
    [InlineData(2, 0xE000_ED08u, 0x4002_1000u)]   // the vector table at a peripheral
    [InlineData(2, 0x4002_3804u, 0u)]             // the registers of a G0: no PLLCFGR there
    [InlineData(2, 0x4002_100Cu, 0x5700_3013u)]
    public void Registers_can_be_wrong(int order, uint address, uint expected) => With(
        F446,
        async (printer, board) =>
        {
            Assert.Equal((expected, false), await AskAsync(printer, board, order, address));
        },
        new() { VectorTable = 0x4002_1000, RegistersOf = "STM32G0B1" });

    [Fact]
    public void A_read_can_shut_the_firmware_down_or_hang_it_once()
    {
        With(F446, async (printer, board) => Assert.Equal((null, true), await AskAsync(printer, board, 2, 0xE000_ED08)),
            new() { ReadsShutDown = true });
        With(
            F446,
            async (printer, board) =>
            {
                Assert.Equal((null, false), await AskAsync(printer, board, 2, 0xE000_ED08));
                await Task.Delay(TimeSpan.FromSeconds(5), printer.Time);
                Assert.Equal((0x0800_8000u, false), await AskAsync(printer, board, 2, 0xE000_ED08));
            },
            new() { HangsAtRead = 1 });
    }

    [Fact]
    public void A_board_can_be_swapped_some_time_after_it_was_asked() => With(
        F446,
        async (printer, board) =>
        {
            var serial = board.Serial;
            await AskAsync(printer, board, 2, 0xE000_ED08);
            await Task.Delay(TimeSpan.FromSeconds(19), printer.Time);
            Assert.Equal(serial, board.Serial);
            await Task.Delay(TimeSpan.FromSeconds(6), printer.Time);
            Assert.NotEqual(serial, board.Serial);
            Assert.Equal(BoardState.Klipper, board.State);
        },
        new() { SwappedAfter = TimeSpan.FromSeconds(20) });

    /// <summary>The answer to one <c>debug_read</c>, null without one, and whether the firmware is shut down afterwards.</summary>
    private static async Task<(uint? Value, bool IsShutdown)> AskAsync(VirtualPrinter printer, VirtualBoard board, int order, uint address)
    {
        await printer.Klippy.StopAsync(default);
        var answers = new List<byte[]>();
        board.Answered = (bytes, _) => answers.Add(bytes.ToArray());
        byte[] number = [(byte)(0x80 | (address >> 28)), (byte)(0x80 | (address >> 21)), (byte)(0x80 | (address >> 14)),
            (byte)(0x80 | (address >> 7)), (byte)(address & 0x7F)];
        byte[] block = [12, 0x10, 12, (byte)order, .. number, 0, 0, 0x7E];
        var crc = VirtualCrc.Compute(block.AsSpan(0, 9));
        (block[9], block[10]) = ((byte)(crc >> 8), (byte)crc);
        var program = (KlipperProgram)board.Program!;
        program.Receive(block, printer.Time.Now);
        board.Answered = null;
        // debug_result of an F4 is 129, in two bytes.
        var result = answers.FirstOrDefault(answer => answer.Length > 7 && answer[2] == 0x81 && answer[3] == 0x01);
        return (result is null ? null : Number(result.AsSpan(4)), program.IsShutdown);

        static uint Number(ReadOnlySpan<byte> bytes)
        {
            var value = (bytes[0] & 0x60) == 0x60 ? uint.MaxValue << 7 : 0;
            for (var i = 0; ; i++)
            {
                value = i == 0 ? (value | (bytes[0] & 0x7Fu)) : (value << 7) | (bytes[i] & 0x7Fu);
                if ((bytes[i] & 0x80) == 0)
                    return value;
            }
        }
    }
}

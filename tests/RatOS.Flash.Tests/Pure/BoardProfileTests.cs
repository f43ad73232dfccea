using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A fact has a source, the strongest source counts, and sources that differ are named.</summary>
public sealed class BoardProfileTests
{
    private static readonly Board Octopus = BoardCatalogue.BuiltIn.Find("btt-octopus-11")!;

    private static BoardFacts Running(string chip, params (string, string)[] constants) =>
        BoardFacts.OfFirmware(chip, constants.ToDictionary(constant => constant.Item1, constant => constant.Item2));

    [Fact]
    public void A_kind_alone_tells_what_the_catalogue_has()
    {
        var profile = BoardProfile.Of(Octopus);
        Assert.Equal(new("stm32f446xx", FactSource.Catalogue, "the catalogue"), profile.Chip);
        Assert.Equal(new(0x0800_8000, FactSource.Catalogue, "the catalogue"), profile.ApplicationStart);
        Assert.Equal((12_000_000, BuildTransport.Usb), (profile.ClockReference!.Value, profile.Link!.Value));
        Assert.Equal(0x0804_0000u, profile.FlashEnd);   // an F446 may have 256 KiB
        Assert.Null(profile.FlashSize);
        Assert.Empty(profile.Contradictions);
    }

    [Fact]
    public void The_board_itself_counts_more_than_its_bus_the_user_the_catalogue_and_printer_cfg()
    {
        BoardFacts Of(FactSource source) => new(source, $"{source}") { InitialPins = $"{source}" };
        FactSource[] weakestFirst = [FactSource.Inference, FactSource.KlipperConfig, FactSource.Catalogue, FactSource.User,
            FactSource.Bus, FactSource.Board];
        for (var i = 0; i < weakestFirst.Length; i++)
        {
            var profile = new BoardProfile("octopus", Octopus, weakestFirst[..(i + 1)].Select(Of));
            Assert.Equal(new($"{weakestFirst[i]}", weakestFirst[i], $"{weakestFirst[i]}"), profile.InitialPins);
            Assert.Equal(i, profile.Contradictions.Count(contradiction => contradiction.Fact == BoardFact.InitialPins));
        }
    }

    [Fact]
    public void A_contradiction_names_both_sources_and_both_values()
    {
        var profile = BoardProfile.Of(Octopus)
            .With(Running("stm32f407xx", ("RESERVE_PINS_serial", "PA10,PA9"), ("SERIAL_BAUD", "250000"), ("INITIAL_PINS", "!PA1")));
        Assert.Equal(
            ["Chip: stm32f407xx by its running firmware, stm32f446xx by the catalogue",
                "Link: Uart by its running firmware, Usb by the catalogue"],
            profile.Contradictions.Select(contradiction => $"{contradiction}"));
        Assert.Equal((new BuildTransport(BuildLink.Uart, "USART1", 250_000), "!PA1"), (profile.Link!.Value, profile.InitialPins!.Value));
    }

    [Fact]
    public void Text_in_another_case_and_silence_are_no_contradiction()
    {
        var profile = BoardProfile.Of(Octopus).With(Running("STM32F446xx"))
            .With(new BoardFacts(FactSource.User, "its user") { UsbSerial = "BTT-Octopus-11" });
        Assert.Empty(profile.Contradictions);
    }

    [Fact]
    public void An_unknown_flash_size_is_that_of_the_smallest_part() => Assert.All(Mcu.All, mcu =>
    {
        Assert.InRange(mcu.SmallestFlash, Math.Min(mcu.FlashSize, 64u * 1024), mcu.FlashSize);
        Assert.Equal(mcu.FlashBase + mcu.SmallestFlash, BoardProfile.Of(Octopus with { McuName = mcu.Name }).FlashEnd);
    });

    [Fact]
    public void The_chips_own_flash_size_ends_the_flash()
    {
        var profile = BoardProfile.Of(Octopus).With(new BoardEvidence("v0.12.0", "stm32f446xx", new ChipEvidence { FlashKib = 256 }));
        Assert.Equal((new Fact<uint>(256 * 1024, FactSource.Board, "its running firmware"), 0x0804_0000u),
            (profile.FlashSize, profile.FlashEnd!.Value));
    }

    [Fact]
    public void What_the_user_named_and_what_the_board_says_meet_in_one_profile()
    {
        var board = new PrinterBoard("octopus", Octopus)
        {
            Bootloader = Drivers.Find("katapult"),
            Power = "printer",
            Facts = [Running("stm32f446xx", ("RESERVE_PINS_USB", "PA11,PA12")),
                new(FactSource.KlipperConfig, "printer.cfg") { UsbSerial = "mine" }],
        };
        var profile = board.Profile;
        Assert.Equal(("katapult", FactSource.User), (profile.Bootloader!.Value, profile.Bootloader.Source));
        Assert.Equal(("printer", BuildTransport.Usb), (profile.PowerDevice!.Value, board.RunningLink));
        Assert.Equal("UsbSerial: btt-octopus-11 by the catalogue, mine by printer.cfg", $"{Assert.Single(profile.Contradictions)}");
    }

    [Theory]
    [InlineData(0x0800_8000u, null, null)]
    [InlineData(0x0800_0000u, null, "wrong-start")]   // the catalogue has 08008000
    [InlineData(null, "0x8010000", "wrong-start")]     // menuconfig
    [InlineData(null, "0x8008000", null)]
    [InlineData(0x0800_8000u, "0x8010000", "wrong-start")]
    public void A_plan_is_blocked_by_a_contradiction_about_the_start(uint? runs, string? chosen, string? code)
    {
        var device = new Device { Port = "1-1.1", Number = 5, Usb = UsbId.Klipper, Serial = "btt-octopus-11", Product = "stm32f446xx" };
        var board = new PrinterBoard("octopus", Octopus)
        {
            Facts = chosen is null ? []
                : [BoardFacts.OfConfig(new Dictionary<string, string> { ["FLASH_APPLICATION_ADDRESS"] = chosen, ["USBSERIAL"] = "y" })],
        };
        var evidence = new BoardEvidence("v0.12.0", "stm32f446xx", new ChipEvidence { ApplicationStart = runs });
        BoardPlan Plan(PrinterBoard known) => FlashPlan.Create([new FlashRequest(known, null)], new DeviceList(1, [device]),
            new(KlippyActivity.Ready), new Dictionary<string, BoardEvidence> { ["octopus"] = evidence }).Boards[0];
        Assert.Equal(code, Plan(board).Blocker?.Code);
        if (code is not null && runs is not null)
            Assert.Contains($"{runs:x8} according to its running firmware", Plan(board).Blocker!.Cause, StringComparison.Ordinal);
    }

    /// <summary>An EBB42 of the catalogue is one on USB; on CAN it has Katapult below.</summary>
    [Fact]
    public void The_catalogues_start_of_a_board_for_USB_does_not_block_it_on_CAN()
    {
        var uuid = CanUuid.OfChip("HOSTPEER-001"u8);
        var board = new PrinterBoard("ebb42", BoardCatalogue.BuiltIn.Find("btt-ebb42-12")!) { CanUuid = uuid };
        var evidence = new BoardEvidence("v0.12.0", "stm32g0b1xx", new ChipEvidence { ApplicationStart = 0x0800_2000, Katapult = true });
        var plan = FlashPlan.Create([new FlashRequest(board, null)],
            new DeviceList(1, [new Device { Port = "can0", Number = 3, Can = new CanLink(true, 1_000_000, "1-1.1") }]),
            new(KlippyActivity.Stopped), new Dictionary<string, BoardEvidence> { ["ebb42"] = evidence }).Boards[0];
        Assert.Null(plan.Blocker);
        Assert.Equal(0x0800_2000u, plan.Profile.ApplicationStart!.Value);
    }

    [Fact]
    public void A_contradiction_about_the_link_is_recorded_and_one_about_the_chip_blocks()
    {
        var device =
            new Device
            {
                Port = "1-1.1",
                Number = 5,
                Usb = UsbId.Klipper,
                Serial = "btt-octopus-11",
                Product = "stm32f446xx",
                Node = "/dev/ttyACM0"
            };
        BoardPlan Plan(string chip) => FlashPlan.Create(
            [new FlashRequest(new PrinterBoard("octopus", Octopus) { Facts = [Running("stm32f446xx", ("RESERVE_PINS_CAN", "PB8,PB9"))] },
                null)],
            new DeviceList(1, [device]), new(KlippyActivity.Ready),
            new Dictionary<string, BoardEvidence> { ["octopus"] = new("v0.12.0", chip, null) }).Boards[0];
        Assert.Null(Plan("stm32f446xx").Blocker);
        Assert.Equal([BoardFact.Link], Plan("stm32f446xx").Profile.Contradictions.Select(contradiction => contradiction.Fact));
        Assert.Equal("octopus should be a stm32f446xx, but its firmware runs on a stm32f407xx.", Plan("stm32f407xx").Blocker?.Cause);
        Assert.Equal("wrong-mcu", Plan("stm32f999xx").Blocker?.Code);
    }
}

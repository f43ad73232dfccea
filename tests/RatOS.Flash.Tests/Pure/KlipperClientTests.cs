using System.Text;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The client against the virtual firmware, which shares no code with it and was pinned by the same recording.</summary>
public sealed class KlipperClientTests
{
    private static readonly byte[] Uid = Convert.FromHexString("2B0007000C50425539393020");

    public static TheoryData<string, bool> Chips()
    {
        var data = new TheoryData<string, bool>();
        foreach (var chip in VirtualChip.All)
        {
            data.Add(chip.Name, false);
            data.Add(chip.Name, true);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Chips))]
    public async Task Identify_returns_the_very_bytes_of_the_image(string name, bool uart)
    {
        var chip = VirtualChip.All.Single(chip => chip.Name == name);
        var (line, image) = Board(chip, uart: uart);
        await using var client = await Connect(line);

        var dictionary = await client.IdentifyAsync(default);

        Assert.Equal(image.CompressedDictionary.ToArray(), client.CompressedDictionary.ToArray());
        Assert.Equal((name, image.Version), (dictionary.Mcu, dictionary.Version));
        var pieces = client.CompressedDictionary.Length / 40 + 1;
        // UART's send buffer holds one answer and a half: what was asked for too early is asked for again.
        Assert.InRange(line.Written.Count, pieces, uart ? pieces * 3 / 2 : pieces * 5 / 4);
        Assert.InRange(line.Now.TotalMilliseconds, 0, uart ? 500 : 100);
    }

    [Fact]
    public async Task The_recorded_firmware_is_identified()
    {
        var recorded = new byte[4009];
        foreach (var response in KlipperRecording.Lines.Where(line => line.Note == "identify_response"))
        {
            Assert.True(KlipperBlock.TryTake(response.Bytes, out _, out _, out var payload));
            Assert.True(KlipperBlock.TryReadNumber(ref payload, out _));
            Assert.True(KlipperBlock.TryReadNumber(ref payload, out var offset));
            payload[1..].CopyTo(recorded.AsSpan(offset));
        }
        var firmware = new VirtualFirmware(recorded);
        var line = new ProgramLine((send, reset) =>
            new KlipperProgram(firmware, VirtualChip.F446, new VirtualFlash(VirtualChip.F446), Uid) { Send = send, Reset = reset });
        await using var client = await Connect(line);

        var dictionary = await client.IdentifyAsync(default);

        Assert.Equal(recorded, client.CompressedDictionary.ToArray());
        Assert.Equal(("linux", "v0.13.0-730-g84104bbbd"), (dictionary.Mcu, dictionary.Version));
        Assert.False(await client.ResetAsync());
        Assert.Equal(ChipEvidence.None, await client.AskChipAsync(Mcu.Find("stm32f446xx")!, 0x0800_8000, default));
    }

    [Fact]
    public async Task Every_damage_on_the_line_is_overcome()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var uart = seed % 2 == 1;
            var (line, image) = Board(VirtualChip.All[seed % VirtualChip.All.Length], uart: uart, damage: 0.002 * (seed % 50), seed: seed);
            await using var client = await Connect(line);
            try
            {
                await client.IdentifyAsync(default);
                Assert.False((await client.GetConfigAsync(default)).IsShutdown);
            }
            catch (FlashException fault)
            {
                // A flipped bit that the 16 bits of the checksum do not see is the only excuse, and it was not met.
                Assert.Fail($"seed {seed}: {fault.Message}");
            }
            Assert.True(image.CompressedDictionary.Span.SequenceEqual(client.CompressedDictionary.Span), $"seed {seed}");
            Assert.True(line.Now < TimeSpan.FromSeconds(20), $"seed {seed} took {line.Now}");
            Assert.Empty(line.Resets);
        }
    }

    [Fact]
    public async Task What_klippy_left_on_the_line_does_not_matter()
    {
        var (line, image) = Board(VirtualChip.F446);
        await using (var klippy = await Connect(line))
            await klippy.IdentifyAsync(default);
        await line.WriteAsync(Convert.FromHexString("1E1004"));
        line.Inject(Convert.FromHexString("30130050283CB27A7436DAB6"));
        line.Inject(Convert.FromHexString("0519" + "03407E"));
        await using var client = await Connect(line);

        await client.IdentifyAsync(default);
        Assert.Equal(image.CompressedDictionary.ToArray(), client.CompressedDictionary.ToArray());
    }

    [Fact]
    public async Task Silence_ends_after_two_and_a_half_seconds()
    {
        var line = new ProgramLine(null);
        await using var client = await Connect(line);
        var fault = await Assert.ThrowsAsync<FlashException>(() => client.IdentifyAsync(default));
        Assert.Equal("klipper-silent", fault.Code);
        Assert.Equal("The firmware of Octopus does not answer while it is being identified.", fault.Cause);
        Assert.InRange(line.Now.TotalSeconds, 2.5, 2.6);
    }

    [Fact]
    public async Task Acknowledging_everything_and_answering_nothing_is_silence_too()
    {
        ProgramLine line = null!;
        line = new ProgramLine((send, reset) => new Parrot { Send = send, Reset = reset });
        await using var client = await Connect(line);
        Assert.Equal("klipper-silent", (await Assert.ThrowsAsync<FlashException>(() => client.IdentifyAsync(default))).Code);
        Assert.InRange(line.Now.TotalSeconds, 2.5, 2.6);
    }

    [Fact]
    public async Task A_cancel_ends_a_question()
    {
        var line = new ProgramLine(null);
        await using var client = await Connect(line);
        var identify = client.IdentifyAsync(new CancellationToken(canceled: true));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => identify);
        Assert.Equal(TimeSpan.Zero, line.Now);
    }

    [Fact]
    public void A_dictionary_without_an_end_is_refused()
    {
        var identification = new Identification();
        var link = new KlipperLink();
        var message = new byte[64];
        var fault = Assert.Throws<FlashException>(() =>
        {
            for (var piece = 0; piece < 10_000; piece++)
            {
                identification.Ask(link);
                while (!link.NextFrame(TimeSpan.Zero).IsEmpty)
                {
                }
                var length = 1 + KlipperBlock.WriteNumber(message.AsSpan(1), piece * 40);
                message[length++] = 40;
                Assert.True(identification.Take(link, message.AsSpan(0, length + 40)));
                var ack = new byte[KlipperBlock.MaxLength];
                ack.AsSpan(0, KlipperBlock.Write(ack, piece + 1, [])).CopyTo(link.Space.Span);
                link.Received(5);
                Assert.True(link.TryTake(TimeSpan.Zero, out _));
                identification.Settle(link);
            }
        });
        Assert.Equal("The board's data dictionary cannot be read: it does not end within 65520 bytes.", fault.Cause);
    }

    [Fact]
    public void An_answer_that_comes_twice_is_not_taken_for_the_next_questions_answer()
    {
        // The first question's answer (values 512) comes once more before the second one's (1057); all carry the firmware's next number.
        var link = new KlipperLink();
        int[] first = [0], second = [0];
        Assert.True(Ask(new Question([0x0C], 5, first), Answer(1, 512)));
        Assert.False(Ask(new Question([0x0C], 5, second), Answer(1, 512)));
        Assert.Equal((512, 0), (first[0], second[0]));

        bool Ask(Question question, byte[] answer)
        {
            question.Ask(link);
            while (!link.NextFrame(TimeSpan.Zero).IsEmpty)
            {
            }
            answer.CopyTo(link.Space.Span);
            link.Received(answer.Length);
            return link.TryTake(TimeSpan.Zero, out var message) && question.Take(link, message);
        }

        static byte[] Answer(int sequence, int value)
        {
            var payload = new byte[8];
            payload[0] = 5;
            var length = 1 + KlipperBlock.WriteNumber(payload.AsSpan(1), value);
            var block = new byte[KlipperBlock.MaxLength];
            return block[..KlipperBlock.Write(block, sequence, payload.AsSpan(0, length))];
        }
    }

    [Theory]
    [InlineData("0000")]             // no data
    [InlineData("000005AA")]         // fewer bytes than it says
    [InlineData("000001AABB")]       // more
    [InlineData("000101AA")]         // not where it was asked for
    [InlineData("0081A02001AA")]     // never asked for
    [InlineData("007F01AA")]         // before the beginning
    [InlineData("070001AA")]         // another message
    public void An_answer_to_something_else_is_passed_over(string hex)
    {
        var identification = new Identification();
        var link = new KlipperLink();
        identification.Ask(link);
        Assert.False(identification.Take(link, Convert.FromHexString(hex)));
        Assert.True(identification.Take(link, Convert.FromHexString("000001AA")));
        Assert.True(identification.IsDone);
    }

    [Fact]
    public async Task State_is_asked_and_an_emergency_stop_shows_in_it()
    {
        var (line, _) = Board(VirtualChip.G0B1);
        await using var client = await Connect(line);
        Assert.Equal(new KlipperConfig(false, 0, false, 0), await client.GetConfigAsync(default));

        await client.EmergencyStopAsync();
        Assert.True((await client.GetConfigAsync(default)).IsShutdown);
        await client.IdentifyAsync(default);
        Assert.Empty(line.Resets);
    }

    [Fact]
    public async Task A_chip_reports_its_type_and_its_Katapult()
    {
        var (line, _) = Board(VirtualChip.F446, boot: Katapult(0x2000_0200, 0x0800_0A10));
        await using var client = await Connect(line);

        var evidence = await client.AskChipAsync(Mcu.Find("stm32f446xx")!, 0x0800_8000, default);

        Assert.Equal(Uid, evidence.Uid!.Value.ToArray());
        Assert.Equal((512, 0x421, true), (evidence.FlashKib, evidence.IdCode, evidence.Katapult));
        Assert.Equal("203739645542", new DfuSeDriver().SerialOf(evidence));
        Assert.Equal("2B0007000C50425539393020", new KatapultDriver().SerialOf(evidence));
        Assert.Empty(line.Resets);
    }

    [Fact]
    public void The_serial_of_the_rom_follows_from_the_uid() =>
        Assert.Equal("3941335F3434",
            new DfuSeDriver().SerialOf(new ChipEvidence { Uid = Convert.FromHexString("27000E000551343438333339") }));

    [Theory]
    [InlineData(0x2000_0200u, 0x0800_0A10u, 0x0800_0A18u)] // the mark stands elsewhere
    [InlineData(0x2000_0204u, 0x0800_0A10u, 0x0800_0A10u)] // the firmware could not leave its request there
    [InlineData(0x2000_0200u, 0x0800_0A14u, 0x0800_0A14u)] // not aligned as Klipper wants it
    [InlineData(0x2000_0200u, 0x0800_8000u, 0x0800_0A10u)] // in the application
    [InlineData(0xFFFF_FFFFu, 0xFFFF_FFFEu, 0x0800_0A10u)] // erased
    [InlineData(0x2000_0200u, 0x0000_0000u, 0x0800_0A10u)] // below all flash
    public async Task Another_bootloader_is_not_katapult_and_nothing_outside_is_read(uint stack, uint mark, uint markAt)
    {
        var (line, _) = Board(VirtualChip.F446, boot: Katapult(stack, mark, markAt));
        await using var client = await Connect(line);
        Assert.False((await client.AskChipAsync(Mcu.Find("stm32f446xx")!, 0x0800_8000, default)).Katapult);
        Assert.Empty(line.Resets);
    }

    [Fact]
    public async Task Every_chip_can_be_asked_without_a_crash()
    {
        foreach (var chip in VirtualChip.All)
        {
            var mcu = Mcu.Find(chip.Name)!;
            foreach (var offset in mcu.Offsets)
            {
                var start = mcu.FlashBase + offset;
                var (line, _) = Board(chip, start);
                await using var client = await Connect(line);
                var evidence = await client.AskChipAsync(mcu, start, default);
                Assert.Empty(line.Resets);
                Assert.Equal(mcu.UidAddress is null ? null : "203739645542", new DfuSeDriver().SerialOf(evidence));
                Assert.Equal(mcu.FlashSizeAddress is null ? null : chip.FlashSize / 1024, evidence.FlashKib);
                Assert.Equal(chip.IdCode == 0 ? null : (int)chip.IdCode & 0xFFF, evidence.IdCode);
                Assert.Equal(offset == mcu.Offsets[0] ? null : false, evidence.Katapult);
            }
        }
    }

    [Fact]
    public async Task A_firmware_for_another_chip_is_asked_for_nothing()
    {
        var (line, _) = Board(VirtualChip.H723);
        await using var client = await Connect(line);
        await client.IdentifyAsync(default);
        var written = line.Written.Count;
        Assert.Equal(ChipEvidence.None, await client.AskChipAsync(Mcu.Find("stm32f446xx")!, 0x0800_8000, default));
        Assert.Equal(written, line.Written.Count);
    }

    [Theory]
    [InlineData(0x1FFF_7A10u, 4, true)]
    [InlineData(0x1FFF_7A18u, 4, true)]
    [InlineData(0x1FFF_7A1Cu, 4, false)]
    [InlineData(0x1FFF_7A0Cu, 4, false)]
    [InlineData(0x1FFF_7A22u, 2, true)]
    [InlineData(0x1FFF_7A20u, 4, false)]
    [InlineData(0xE004_2000u, 4, true)]
    [InlineData(0xE004_2004u, 4, false)]
    [InlineData(0x0800_0000u, 4, true)]
    [InlineData(0x0800_0000u, 1, false)]
    [InlineData(0x0800_0002u, 4, false)]
    [InlineData(0x0800_7FFCu, 4, true)]
    [InlineData(0x0800_8004u, 4, true)]
    [InlineData(0x0800_8008u, 4, false)]
    [InlineData(0x4002_3804u, 4, true)]
    [InlineData(0x4002_3808u, 4, false)]
    [InlineData(0xE000_ED08u, 4, true)]
    [InlineData(0xE000_ED0Cu, 4, false)]
    [InlineData(0x07FF_FFFCu, 4, false)]
    [InlineData(0xFFFF_FFFCu, 4, false)]
    [InlineData(0u, 4, false)]
    public void Only_listed_addresses_may_be_read(uint address, int size, bool allowed)
    {
        var mcu = Mcu.Find("stm32f446xx")!;
        var fault = Record.Exception(() => new ReadableMemory(mcu, mcu.FlashSize) { ApplicationStart = 0x0800_8000 }.Guard(address, size));
        Assert.Equal(allowed, fault is null);
        Assert.True(fault is null or InvalidOperationException);
    }

    [Fact]
    public async Task A_reset_is_sent_once_and_the_board_leaves()
    {
        foreach (var chip in VirtualChip.All)
        {
            var (line, _) = Board(chip);
            await using var client = await Connect(line);
            Assert.True(await client.ResetAsync());
            Assert.Equal([ResetRequest.SkipKatapult], line.Resets);
            await Assert.ThrowsAsync<DeviceGoneException>(() => client.IdentifyAsync(default));
        }
    }

    [Fact]
    public async Task A_reset_on_a_wire_is_not_repeated_into_the_bootloader()
    {
        var (line, _) = Board(VirtualChip.F446, uart: true, leavesOnReset: false);
        await using var client = await Connect(line);
        await client.IdentifyAsync(default);
        var before = line.Written.Count;
        Assert.True(await client.ResetAsync());
        Assert.Single(line.Resets);
        Assert.Equal(before + 1, line.Written.Count);
    }

    [Fact]
    public async Task The_request_for_the_bootloader_on_a_wire_is_33_literal_bytes()
    {
        var (line, _) = Board(VirtualChip.F446, uart: true);
        await KlipperClient.RequestBootloaderAsync(line);
        Assert.Equal([0x7E, 0x20, 0x1C, 0x20, .. Encoding.ASCII.GetBytes("Request Serial Bootloader!!"), 0x20, 0x7E],
            Assert.Single(line.Written));
        Assert.Equal([ResetRequest.Bootloader], line.Resets);
    }

    [Fact]
    public async Task A_line_that_is_gone_says_so()
    {
        var (line, _) = Board(VirtualChip.F446);
        await using var client = await Connect(line);
        await client.ResetAsync();
        await Assert.ThrowsAsync<DeviceGoneException>(() => client.GetConfigAsync(default));
    }

    private static Task<KlipperClient> Connect(ProgramLine line) => KlipperClient.ConnectAsync(line, "Octopus", line.Time, default);

    private static (ProgramLine Line, FirmwareImage Image) Board(
        VirtualChip chip, uint? start = null, bool uart = false, double damage = 0, int seed = 0, byte[]? boot = null,
        bool leavesOnReset = true)
    {
        var mcu = Mcu.Find(chip.Name)!;
        var from = start ?? mcu.FlashBase + mcu.Offsets[1];
        var bytes = VirtualFirmware.Build(chip, from, "v0.13.0-730-g84104bbbd");
        var image = FirmwareImage.Parse(mcu.ImageStart(from) == from ? bytes : [.. Images.BootCode(), .. bytes], "klipper.bin");
        Assert.Null(image.CheckCompatibility(mcu, from, mcu.FlashEnd));
        var flash = new VirtualFlash(chip);
        flash.Preset(from, bytes);
        if (boot is not null)
            flash.Preset(chip.FlashBase, boot);
        var firmware = new VirtualFirmware(image.CompressedDictionary);
        return (new ProgramLine(
            (send, reset) =>
            new KlipperProgram(firmware, chip, flash, Uid, uart ? McuLink.Uart : McuLink.Usb) { Send = send, Reset = reset }, damage, seed,
            leavesOnReset, uart), image);
    }

    private static byte[] Katapult(uint stack, uint mark, uint? markAt = null)
    {
        var boot = new byte[0x1000];
        Images.Word(boot, 0, stack);
        Images.Word(boot, 4, mark + 9);
        "CanBoot!"u8.CopyTo(boot.AsSpan((int)((markAt ?? mark) - 0x0800_0000)));
        return boot;
    }
}

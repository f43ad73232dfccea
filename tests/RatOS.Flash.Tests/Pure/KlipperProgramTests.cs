using System.Globalization;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

public sealed class KlipperProgramTests
{
    private static readonly byte[] Uid = Convert.FromHexString("2B0007000C50425539393020");

    private readonly List<(byte[] Bytes, TimeSpan Delay)> _sent = [];
    private readonly List<(ResetRequest Request, TimeSpan Delay)> _resets = [];
    private readonly VirtualFlash _flash = new(VirtualChip.F446);

    private KlipperProgram Create(VirtualFirmware firmware, bool uart = false, VirtualChip? chip = null, VirtualFlash? flash = null) =>
        new(firmware, chip ?? VirtualChip.F446, flash ?? _flash, Uid, uart ? McuLink.Uart : McuLink.Usb)
        {
            Send = (bytes, delay) => _sent.Add((bytes.ToArray(), delay)),
            Reset = (request, delay) => _resets.Add((request, delay)),
        };

    private KlipperProgram F446(bool uart = false)
    {
        _flash.Preset(0x0800_8000, VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.13.0-730-g84104bbbd"));
        return Create(VirtualFirmware.WouldStart(_flash, VirtualChip.F446, 0x0800_8000).Running!, uart);
    }

    /// <summary>Sends bytes a second after the last ones and returns all that comes back, in hex.</summary>
    private string Ask(KlipperProgram program, string hex)
    {
        _sent.Clear();
        _now += TimeSpan.FromSeconds(1);
        program.Receive(Convert.FromHexString(hex), _now);
        return string.Concat(_sent.Select(sent => Convert.ToHexStringLower(sent.Bytes)));
    }

    private TimeSpan _now;

    /// <summary>A block around a payload, built here and not by the code under test.</summary>
    private static string Block(int sequence, string payload)
    {
        byte[] body = [(byte)((payload.Length / 2) + 5), (byte)(0x10 | sequence), .. Convert.FromHexString(payload)];
        var crc = 0xFFFF;
        foreach (var value in body)
        {
            // CRC-16/MCRF4XX by byte, as Klipper's klippy/msgproto.py has it.
            var b = value ^ (crc & 0xFF);
            b = (b ^ (b << 4)) & 0xFF;
            crc = (((b << 8) | (crc >> 8)) ^ (b >> 4) ^ (b << 3)) & 0xFFFF;
        }
        return Convert.ToHexStringLower(body) + crc.ToString("x4", CultureInfo.InvariantCulture) + "7e";
    }

    private sealed record Exchange(string Request, List<string> Answers);

    private static List<Exchange> JobRecording()
    {
        var exchanges = new List<Exchange>();
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Recordings", "klipper_linux_identify.txt")))
        {
            if (line.StartsWith("> ", StringComparison.Ordinal))
                exchanges.Add(new Exchange(line.Split(' ')[1], []));
            else if (line.StartsWith("< ", StringComparison.Ordinal))
                exchanges[^1].Answers.Add(line.Split(' ')[1]);
        }
        return exchanges;
    }

    /// <summary>The dictionary that the recorded process handed out: the pieces of 40 bytes, behind the VLQ of the offset.</summary>
    private static byte[] RecordedDictionary(List<Exchange> recording)
    {
        var dictionary = new List<byte>();
        foreach (var exchange in recording)
        {
            if (exchange.Answers.Count != 2)
                continue;
            var answer = Convert.FromHexString(exchange.Answers[0]);
            if (answer[2] != 0)
                continue;
            var lengthAt = 3;
            while ((answer[lengthAt] & 0x80) != 0)
                lengthAt++;
            dictionary.AddRange(answer.AsSpan(lengthAt + 2, answer[lengthAt + 1]));
        }
        return [.. dictionary];
    }

    [Fact]
    public void The_recorded_conversation_of_a_real_firmware_comes_out_byte_for_byte()
    {
        var recording = JobRecording();
        var dictionary = RecordedDictionary(recording);
        Assert.Equal(4009, dictionary.Length);
        var firmware = new VirtualFirmware(dictionary);
        Assert.Equal(("v0.13.0-730-g84104bbbd", "linux"), (firmware.Version, firmware.Mcu));
        // Only the clock is the recorded process's own: of three answers (uptime, clock, shutdown) we compare all but its bytes and the
        // CRC.
        string[] withClock = ["7a", "7b", "78"];
        var compared = 0;
        var program = Create(firmware);
        foreach (var (request, answers) in recording)
        {
            Ask(program, request);
            Assert.Equal(answers.Count, _sent.Count);
            for (var i = 0; i < answers.Count; i++)
            {
                var answer = Convert.ToHexStringLower(_sent[i].Bytes);
                if (withClock.Contains(answers[i][4..6]) && answers[i].Length > 10)
                    Assert.Equal((answers[i][2..6], LastArgument(answers[i])), (answer[2..6], LastArgument(answer)));
                else
                    Assert.Equal(answers[i], answer);
                compared++;
            }
            if (_resets.Count > 0)
            {
                // The process executes itself again.
                Assert.Equal([(ResetRequest.Plain, TimeSpan.FromMicroseconds(100))], _resets);
                _resets.Clear();
                program = Create(firmware);
            }
        }
        Assert.True(compared > 220, $"{compared} answers");

        // shutdown's static_string_id, which follows the clock; the others end with the clock itself.
        static string LastArgument(string block) => block[4..6] == "78" ? block[^8..^6] : "";
    }

    [Fact]
    public void The_whole_dictionary_comes_in_pieces_of_40()
    {
        var program = F446();
        var expected = VirtualFirmware.WouldStart(_flash, VirtualChip.F446, 0x0800_8000).Running!.CompressedDictionary.ToArray();
        var got = new List<byte>();
        for (var sequence = 0; ; sequence++)
        {
            var offset = got.Count;
            var vlq = offset < 96 ? $"{offset:x2}" : $"{0x80 | (offset >> 7):x2}{offset & 0x7F:x2}";
            Ask(program, Block(sequence & 15, $"01{vlq}28"));
            Assert.Equal(2, _sent.Count);
            var (header, piece) = (offset < 96 ? 5 : 6, _sent[0].Bytes); // len, seq, id, offset, count
            got.AddRange(piece.AsSpan(header, piece[header - 1]));
            if (piece[header - 1] < 40)
                break;
        }
        Assert.Equal(expected, got);
    }

    [Theory]
    [InlineData("010038", 64 + 5)]   // 56 bytes at an offset of one byte: a full block, and the ACK
    [InlineData("010039", 5)]        // 57 do not fit: only the ACK
    [InlineData("01816037", 64 + 5)] // 55 at an offset of two bytes
    [InlineData("01816038", 5)]
    public void A_piece_that_does_not_fit_is_not_sent(string payload, int expected) =>
        Assert.Equal(expected, Ask(F446(), Block(0, payload)).Length / 2);

    [Fact]
    public void A_wrong_sequence_number_is_answered_with_the_right_one_and_nothing_happens() =>
        Assert.Equal("05109e817e", Ask(F446(), "081501002830c87e"));

    [Fact]
    public void The_clock_runs_with_the_time()
    {
        var program = F446();
        Ask(program, Block(0, "05"));
        var first = _sent[0].Bytes;
        Ask(program, Block(1, "05"));
        Assert.NotEqual(first[3..^3], _sent[0].Bytes[3..^3]);
        Assert.Equal(0x7E, first[2]); // clock is -2 in an F446 build
    }

    [Fact]
    public void A_reset_answers_nothing_and_bypasses_Katapult()
    {
        var program = F446();
        Assert.Equal("", Ask(program, Block(0, "78")));
        Assert.Equal([ResetRequest.SkipKatapult], _resets.Select(reset => reset.Request));
        Assert.Equal("", Ask(program, Block(1, "07")));
    }

    [Fact]
    public void The_reset_of_another_build_does_something_else()
    {
        var program = F446();
        Assert.NotEqual("", Ask(program, Block(0, "70")));
        Assert.Empty(_resets);
    }

    [Fact]
    public void A_shutdown_is_announced_instead_of_the_ack_and_ends_only_by_clear_shutdown()
    {
        var program = F446();
        Ask(program, Block(0, "03"));
        var shutdown = Assert.Single(_sent).Bytes;
        Assert.Equal((0x7B, 8), (shutdown[2], shutdown[^4])); // shutdown = -5, "Command request"
        Assert.Equal(Block(2, "7a08") + Block(2, ""), Ask(program, Block(1, "0801")));        // allocate_oids: is_shutdown = -6
        Assert.Equal(Block(3, "7f00000100") + Block(3, ""), Ask(program, Block(2, "07")));    // config = -1
        Assert.Equal(Block(4, ""), Ask(program, Block(3, "02")));                             // clear_shutdown
        Assert.Equal(Block(5, "7f00000000") + Block(5, ""), Ask(program, Block(4, "07")));
        Ask(program, Block(5, "02"));
        Assert.Equal((0x7B, 2), (_sent[0].Bytes[2], _sent[0].Bytes[^4])); // "Shutdown cleared when not shutdown"
    }

    [Fact]
    public void An_unknown_command_shuts_the_firmware_down()
    {
        Ask(F446(), Block(0, "8f7f"));
        var shutdown = Assert.Single(_sent).Bytes;
        Assert.Equal((0x7B, 5), (shutdown[2], shutdown[^4])); // "Invalid command"
    }

    [Fact]
    public void A_command_cut_short_shuts_the_firmware_down()
    {
        Ask(F446(), Block(0, "0100"));
        Assert.Equal((0x7B, 7), (_sent[0].Bytes[2], _sent[0].Bytes[^4])); // "Command parser error"
    }

    [Theory]
    [InlineData(2, 0x1FFF_7A10u, 0x0007_002Bu)] // UID, first word
    [InlineData(2, 0x1FFF_7A18u, 0x2030_3939u)] // UID, last word
    [InlineData(0, 0x1FFF_7A1Bu, 0x20u)]
    [InlineData(1, 0x1FFF_7A22u, 512u)]         // flash size in KB
    [InlineData(2, 0xE004_2000u, 0x1000_0421u)] // IDCODE
    [InlineData(2, 0x0800_8000u, 0x2002_0000u)] // the application's stack pointer
    [InlineData(2, 0x0807_FFFCu, 0xFFFF_FFFFu)] // flash to its end
    public void A_running_board_can_be_read(int order, uint address, uint expected)
    {
        var answer = Ask(F446(), Block(0, $"0c{order:x2}{Vlq(address)}"));
        Assert.Equal(Block(1, $"8101{Vlq(expected)}") + Block(1, ""), answer);
        Assert.Empty(_resets);
    }

    [Theory]
    [InlineData(2, 0x1FFF_8000u)] // a gap
    [InlineData(2, 0x0808_0000u)] // behind the flash
    [InlineData(2, 0x0807_FFFDu)]
    [InlineData(2, 0x1FFF_7A1Au)] // half behind the UID
    [InlineData(2, 0x0010_0000u)] // behind what the flash shows at 0
    public void A_wrong_address_crashes_the_board(int order, uint address)
    {
        var program = F446();
        Assert.Equal("", Ask(program, Block(0, $"0c{order:x2}{Vlq(address)}")));
        Assert.Equal([ResetRequest.Watchdog], _resets.Select(reset => reset.Request));
        Assert.Equal("", Ask(program, Block(0, "07")));
    }

    [Fact]
    public void A_Cortex_M0_crashes_on_an_odd_word()
    {
        var flash = new VirtualFlash(VirtualChip.G0B1);
        flash.Preset(0x0800_0000, VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_0000, "v1"));
        var program = Create(VirtualFirmware.WouldStart(flash, VirtualChip.G0B1, 0x0800_0000).Running!,
            chip: VirtualChip.G0B1, flash: flash);
        Assert.Equal(Block(1, $"79{Vlq(0x2002_4000)}") + Block(1, ""), Ask(program, Block(0, $"0c02{Vlq(0x0800_0000)}")));
        Assert.Equal("", Ask(program, Block(1, $"0c02{Vlq(0x0800_0002)}")));
        Assert.Equal([ResetRequest.Watchdog], _resets.Select(reset => reset.Request));
    }

    [Fact]
    public void Several_commands_in_one_block_answer_in_order_before_one_ack() =>
        Assert.Equal(Block(1, "7f00000000") + Block(1, "7f00000000") + Block(1, ""), Ask(F446(), Block(0, "0707")));

    [Fact]
    public void A_configured_board_keeps_its_configuration_and_refuses_a_second_one()
    {
        var program = F446();
        Assert.Equal(Block(1, ""), Ask(program, Block(0, "0801")));
        Assert.Equal(Block(2, ""), Ask(program, Block(1, "068191d1ac78")));
        Assert.Equal(Block(3, "7f018191d1ac78008800") + Block(3, ""), Ask(program, Block(2, "07")));
        Ask(program, Block(3, "0605"));
        Assert.Equal((0x7B, 13), (_sent[0].Bytes[2], _sent[0].Bytes[^4])); // "Already finalized"
    }

    [Fact]
    public void A_bad_block_is_refused_once_and_the_next_good_one_is_taken()
    {
        var program = F446();
        Assert.Equal(Block(0, ""), Ask(program, "0610070cb47e"));
        Assert.Equal("", Ask(program, "0610070cb47e"));
        Assert.Equal(Block(1, "7f00000000") + Block(1, ""), Ask(program, "7e" + Block(0, "07")));
        Assert.Equal(Block(1, ""), Ask(program, "55555555557e"));
    }

    [Fact]
    public void Bytes_may_come_one_by_one()
    {
        var program = F446(uart: true);
        var block = Block(0, "07");
        for (var i = 0; i < block.Length - 2; i += 2)
            Assert.Equal("", Ask(program, block.Substring(i, 2)));
        Assert.Equal(Block(1, "7f00000000") + Block(1, ""), Ask(program, "7e"));
    }

    [Fact]
    public void The_request_for_the_bootloader_has_an_effect_only_on_a_UART()
    {
        const string request = "7e201c20526571756573742053657269616c20426f6f746c6f616465722121207e";
        Assert.Equal("", Ask(F446(uart: true), request));
        Assert.Equal([ResetRequest.Bootloader], _resets.Select(reset => reset.Request));
        _resets.Clear();
        Assert.Equal(Block(0, ""), Ask(F446(), request));
        Assert.Empty(_resets);
    }

    [Fact]
    public void On_a_UART_the_block_that_shut_down_is_seen_again()
    {
        Ask(F446(uart: true), Block(0, "03"));
        Assert.Equal([0x7B, 0xAC], _sent.Select(sent => sent.Bytes[2] == 0x7B ? 0x7B : 0xAC)); // shutdown, then the NAK that asks for 1
        Assert.Equal(Block(1, ""), Convert.ToHexStringLower(_sent[1].Bytes));
    }

    [Fact]
    public void A_dozen_blocks_at_once_are_answered_one_after_another()
    {
        var program = F446();
        var answer = Ask(program, string.Concat(Enumerable.Range(0, 12).Select(i => Block(i, "07"))));
        Assert.Equal(string.Concat(Enumerable.Range(1, 12).Select(i => Block(i, "7f00000000") + Block(i, ""))), answer);
        Assert.Equal(TimeSpan.FromMicroseconds(100), _sent[0].Delay);
        Assert.Equal(TimeSpan.FromMicroseconds(1200), _sent[^1].Delay);
    }

    private static string Vlq(uint value)
    {
        // As Klipper's protocol document words it: 7 bits at a time, most significant first, with the ranges of a signed number.
        var signed = (int)value;
        var bytes = new List<int> { signed & 0x7F };
        foreach (var (shift, low,
                high) in new[] { (7, -32L, 96L), (14, -4096L, 12288L), (21, -524288L, 1572864L), (28, -67108864L, 201326592L) })
        {
            if (signed < low || signed >= high)
                bytes.Insert(0, ((signed >> shift) & 0x7F) | 0x80);
        }
        return string.Concat(bytes.Select(value => value.ToString("x2", CultureInfo.InvariantCulture)));
    }
}

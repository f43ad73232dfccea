using System.Buffers.Binary;
using System.Globalization;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

public sealed class KatapultProgramTests
{
    private const string Connect = "01881100f17c9903";
    private const string Nack = "0188f10068959903";
    private const string Refused = "0188f20000bf9903";
    private const string EndOfFile = "01881300414f9903";
    private const string Complete = "01881500911b9903";
    private const string Completed = "0188a00115000000002e9903";
    private const string Unknown = "01889000e5e99903";
    private const string ConnectedF446 =
        "0188a00d1100000000010100008000084000000073746d3332663434367878000000000076302e302e312d3130392d673930326633333500c07d9903";

    private static readonly string Recordings = Path.Combine(AppContext.BaseDirectory, "Recordings");

    private readonly List<(byte[] Bytes, TimeSpan At)> _sent = [];
    private readonly List<(ResetRequest Request, TimeSpan At)> _resets = [];
    private TimeSpan _now;

    private KatapultProgram Create(VirtualFlash flash, VirtualChip chip, uint appStart, bool uart = false, uint protocol = 0x0001_0100) =>
        new(flash, chip, appStart, new KatapultTraits { Link = uart ? McuLink.Uart : McuLink.Usb, Protocol = protocol })
        {
            Send = (bytes, delay) => _sent.Add((bytes.ToArray(), _now + delay)),
            Reset = (request, delay) => _resets.Add((request, _now + delay)),
        };

    private (KatapultProgram Katapult, VirtualFlash Flash) F446(bool uart = false)
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        return (Create(flash, VirtualChip.F446, 0x0800_8000, uart), flash);
    }

    /// <summary>Sends bytes some time after the last ones and returns all that comes back, in hex.</summary>
    private string Ask(KatapultProgram katapult, string hex, double afterMilliseconds = 5000)
    {
        _sent.Clear();
        _now += TimeSpan.FromMilliseconds(afterMilliseconds);
        katapult.Receive(Convert.FromHexString(hex), _now);
        return string.Concat(_sent.Select(sent => Convert.ToHexStringLower(sent.Bytes)));
    }

    /// <summary>A frame around a payload, built here and not by the code under test.</summary>
    private static string Frame(int command, params ReadOnlySpan<byte> payload)
    {
        byte[] body = [(byte)command, (byte)(payload.Length / 4), .. payload];
        var crc = 0xFFFF;
        foreach (var value in body)
        {
            // CRC-16/MCRF4XX by byte, as Katapult's scripts/flashtool.py has it.
            var b = value ^ (crc & 0xFF);
            b = (b ^ (b << 4)) & 0xFF;
            crc = (((b << 8) | (crc >> 8)) ^ (b >> 4) ^ (b << 3)) & 0xFFFF;
        }
        var swapped = BinaryPrimitives.ReverseEndianness((ushort)crc).ToString("x4", CultureInfo.InvariantCulture);
        return $"0188{Convert.ToHexStringLower(body)}{swapped}9903";
    }

    private static byte[] Word(uint value)
    {
        var word = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(word, value);
        return word;
    }

    private static string SendBlock(uint address, byte fill) => Frame(0x12, [.. Word(address), .. Enumerable.Repeat(fill, 64)]);

    private static string Sent(uint address) => Frame(0xA0, [0x12, 0, 0, 0, .. Word(address)]);

    private static string RequestBlock(uint address) => Frame(0x14, Word(address));

    private static string Block(uint address, byte fill) => Frame(0xA0, [0x14, 0, 0, 0, .. Word(address), .. Enumerable.Repeat(fill, 64)]);

    /// <summary>The requests of a recorded run, each with all that was answered before the next one.</summary>
    private static List<(string Request, string Answer)> Frames(IEnumerable<string> lines)
    {
        var frames = new List<(string Request, string Answer)>();
        foreach (var line in lines)
        {
            if (line.StartsWith("> ", StringComparison.Ordinal))
                frames.Add((line[2..], ""));
            else if (line.StartsWith("< ", StringComparison.Ordinal) && line[2] != '(')
                frames[^1] = (frames[^1].Request, frames[^1].Answer + line[2..]);
        }
        return frames;
    }

    private static List<(string Request, string Answer)> JobRecording(string name) =>
        Frames(File.ReadLines(Path.Combine(Recordings, name)));

    private void Replay(KatapultProgram katapult, List<(string Request, string Answer)> recording)
    {
        for (var i = 0; i < recording.Count; i++)
        {
            var answer = Ask(katapult, recording[i].Request);
            if (answer != recording[i].Answer)
                Assert.Equal($"{i}: {recording[i].Answer}", $"{i}: {answer}");
        }
    }

    [Theory]
    [InlineData("katapult_f446_usb_flash.frames.txt", "stm32f446xx", 0x0800_8000u, false, "image_f446.bin", 0)]
    [InlineData("katapult_f446_uart250k_flash.frames.txt", "stm32f446xx", 0x0800_8000u, true, "image_f446.bin", 0)]
    [InlineData("katapult_h723_usb_reflash.frames.txt", "stm32h723xx", 0x0802_0000u, false, "image_h723.bin", 1)]
    [InlineData("katapult_g0b1_usb_dblbuf_flash.frames.txt", "stm32g0b1xx", 0x0800_2000u, false, "image_g0b1.bin", 0)]
    public void A_recorded_flash_comes_out_byte_for_byte(string name, string chipName, uint start, bool uart, string imageName, int erases)
    {
        var chip = VirtualChip.All.Single(chip => chip.Name == chipName);
        var flash = new VirtualFlash(chip);
        if (erases > 0)
            flash.Preset(start, Enumerable.Range(0, 40_000).Select(i => (byte)(i * 7)).ToArray()); // what the used chip held before
        var recording = JobRecording(name);
        Assert.True(recording.Count > 370, $"{recording.Count} requests");
        Replay(Create(flash, chip, start, uart), recording);

        var image = File.ReadAllBytes(Path.Combine(Recordings, imageName));
        Assert.Equal(image, flash.Read(start, image.Length).ToArray());
        Assert.False(flash.Read(start + (uint)image.Length, 4096).ContainsAnyExcept((byte)0xFF), "nothing behind the image");
        Assert.Equal(erases, flash.Erases.Sum());
        Assert.Equal([ResetRequest.SkipKatapult], _resets.Select(reset => reset.Request));
    }

    [Fact]
    public void A_recorded_flash_with_a_failing_block_comes_out_byte_for_byte()
    {
        var (katapult, flash) = F446();
        var recording = JobRecording("katapult_flashtool_writefail.frames.txt");
        Assert.Equal(24, recording.Count);
        Replay(katapult, recording[..2]); // CONNECT and the first block, which finds its page blank
        flash.Preset(0x0800_84C0, [0x00]); // a cell that cannot be written
        Replay(katapult, recording[2..]);
        Assert.Equal([ResetRequest.SkipKatapult], _resets.Select(reset => reset.Request)); // it starts what is there, unasked
    }

    public static TheoryData<string> ErrorCases =>
        [.. ErrorLines().Where(line => line.StartsWith("## ", StringComparison.Ordinal)).Select(line => line[3..])];

    private static string[] ErrorLines() => File.ReadAllLines(Path.Combine(Recordings, "katapult_errors.txt"));

    [Theory, MemberData(nameof(ErrorCases))]
    public void A_recorded_error_comes_out_byte_for_byte(string title)
    {
        var lines = ErrorLines().SkipWhile(line => line != $"## {title}").Skip(1)
            .TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal)).ToList();
        var (katapult, _) = F446(title.EndsWith("uart)", StringComparison.Ordinal));
        Replay(katapult, Frames(lines));
        ResetRequest[] expected = lines.Contains("# peer rc 77") ? [ResetRequest.Crash]
            : lines.Contains("# peer rc 43") ? [ResetRequest.SkipKatapult]
            : [];
        Assert.Equal(expected, _resets.Select(reset => reset.Request));
    }

    [Fact]
    public void The_recorded_errors_are_all_there() => Assert.Equal(13, ErrorCases.Count);

    [Fact]
    public void Before_1_1_0_the_answer_to_connect_has_no_version_text()
    {
        var katapult = Create(new VirtualFlash(VirtualChip.F446), VirtualChip.F446, 0x0800_8000, protocol: 0x0001_0000);
        Assert.Equal(
            Frame(0xA0, [0x11, 0, 0, 0, 0, 0, 1, 0, 0, 0x80, 0, 8, 0x40, 0, 0, 0, .. "stm32f446xx\0"u8]),
            Ask(katapult, Connect));
    }

    [Fact]
    public void Complete_answers_first_and_resets_100_ms_later()
    {
        var (katapult, _) = F446();
        Assert.Equal(Completed, Ask(katapult, Complete));
        Assert.Equal([(ResetRequest.SkipKatapult, _now + TimeSpan.FromMicroseconds(100_050))], _resets);
        Assert.Equal(ConnectedF446, Ask(katapult, Connect, afterMilliseconds: 1));
    }

    [Theory]
    [InlineData("stm32f446xx", 0x0800_8000u, 250.0, 0.256 + 0.05)]
    [InlineData("stm32h723xx", 0x0802_0000u, 1000.0, 0.2 + 0.05)]
    [InlineData("stm32f407xx", 0x0802_0000u, 1000.0, 0.256 + 0.05)]
    public void The_answer_waits_for_the_erase(string chipName, uint address, double erase, double program)
    {
        var chip = VirtualChip.All.Single(chip => chip.Name == chipName);
        var flash = new VirtualFlash(chip);
        var katapult = Create(flash, chip, 0x0800_8000);
        Ask(katapult, SendBlock(address, 1));
        Assert.Equal(_now + TimeSpan.FromMilliseconds(program), _sent[0].At); // blank: no erase
        Ask(katapult, SendBlock(address, 2));
        Assert.Equal(_now + TimeSpan.FromMilliseconds(erase + program), _sent[0].At);
        Assert.Equal(1, flash.Erases[flash.SectorAt(address)]);
        Assert.Equal(1, flash.Erases.Sum());
    }

    [Fact]
    public void What_comes_while_the_chip_erases_is_answered_afterwards()
    {
        var (katapult, _) = F446();
        Ask(katapult, SendBlock(0x0800_8000, 1));
        Ask(katapult, SendBlock(0x0800_8000, 2));
        var erased = _sent[0].At;
        Assert.Equal(Block(0x0800_8000, 2), Ask(katapult, RequestBlock(0x0800_8000), afterMilliseconds: 10));
        Assert.Equal(erased + TimeSpan.FromMicroseconds(50), _sent[0].At);
    }

    [Fact]
    public void Sending_a_page_start_again_after_other_blocks_erases_them()
    {
        var (katapult, flash) = F446();
        Assert.Equal(Sent(0x0800_8000), Ask(katapult, SendBlock(0x0800_8000, 1)));
        Assert.Equal(Sent(0x0800_8040), Ask(katapult, SendBlock(0x0800_8040, 2)));
        Assert.Equal(Sent(0x0800_8000), Ask(katapult, SendBlock(0x0800_8000, 1)));
        Assert.Equal(Block(0x0800_8040, 0xFF), Ask(katapult, RequestBlock(0x0800_8040)));
        Assert.Equal(1, flash.Erases.Sum());
        Assert.Equal(Frame(0xA0, [0x13, 0, 0, 0, 2, 0, 0, 0]), Ask(katapult, EndOfFile));
    }

    [Fact]
    public void A_G0_cannot_write_a_block_twice_where_ECC_forbids_it()
    {
        var flash = new VirtualFlash(VirtualChip.G0B1);
        var katapult = Create(flash, VirtualChip.G0B1, 0x0800_2000);
        Ask(katapult, Unknown);
        Ask(katapult, Unknown);
        Assert.Equal(Sent(0x0800_2000), Ask(katapult, SendBlock(0x0800_2000, 0xFF)));
        Assert.Equal(Refused, Ask(katapult, SendBlock(0x0800_2000, 0x12)));
    }

    [Fact]
    public void The_first_answer_is_held_until_there_is_a_second()
    {
        var katapult = Create(new VirtualFlash(VirtualChip.G0B1), VirtualChip.G0B1, 0x0800_2000);
        Assert.Equal("", Ask(katapult, Unknown));
        var answer = Ask(katapult, Connect);
        Assert.StartsWith(Refused + "0188a00d", answer, StringComparison.Ordinal);
        Assert.Equal(Refused, Ask(katapult, Unknown));
    }

    [Fact]
    public void On_UART_no_answer_is_held()
    {
        var katapult = Create(new VirtualFlash(VirtualChip.G0B1), VirtualChip.G0B1, 0x0800_2000, uart: true);
        Assert.Equal(Refused, Ask(katapult, Unknown));
    }

    [Theory]
    [InlineData(5, 5)]
    [InlineData(6, 5)]
    [InlineData(9, 5)]
    public void Six_frames_in_one_transfer_are_too_many(int frames, int answered)
    {
        var (katapult, _) = F446();
        var answer = Ask(katapult, string.Concat(Enumerable.Range(0, frames).Select(i => SendBlock(0x0800_8000 + (64 * (uint)i), 3))));
        Assert.Equal(string.Concat(Enumerable.Range(0, answered).Select(i => Sent(0x0800_8000 + (64 * (uint)i)))), answer);
        Assert.Equal(frames > 5 ? "" : ConnectedF446, Ask(katapult, Connect));
    }

    [Fact]
    public void Blocks_each_in_its_own_transfer_may_come_as_fast_as_they_like()
    {
        var (katapult, flash) = F446();
        for (var i = 0u; i < 256; i++)
            Assert.Equal(Sent(0x0800_8000 + (64 * i)), Ask(katapult, SendBlock(0x0800_8000 + (64 * i), 4), afterMilliseconds: 0));
        Assert.False(flash.Read(0x0800_8000, 16 * 1024).ContainsAnyExcept((byte)4));
    }

    [Fact]
    public void Answers_that_the_transmit_buffer_cannot_hold_are_dropped()
    {
        var (katapult, _) = F446();
        var answers = Enumerable.Range(0, 6).Count(_ => Ask(katapult, RequestBlock(0x0800_8000), afterMilliseconds: 0) != "");
        Assert.InRange(answers, 2, 4);
        Assert.Equal(ConnectedF446, Ask(katapult, Connect));
    }

    [Fact]
    public void A_UART_holds_one_answer_to_a_read()
    {
        var (katapult, _) = F446(uart: true);
        Assert.Equal(Block(0x0800_8000, 0xFF), Ask(katapult, RequestBlock(0x0800_8000)));
        Assert.Equal("", Ask(katapult, RequestBlock(0x0800_8000), afterMilliseconds: 1));
        Assert.Equal(Block(0x0800_8000, 0xFF), Ask(katapult, RequestBlock(0x0800_8000), afterMilliseconds: 4));
    }

    [Fact]
    public void A_UART_holds_two_blocks_and_loses_part_of_a_third()
    {
        var (katapult, _) = F446(uart: true);
        Assert.Equal(
            Sent(0x0800_8000) + Sent(0x0800_8040) + Sent(0x0800_8080),
            Ask(katapult, SendBlock(0x0800_8000, 1)) + Ask(katapult, SendBlock(0x0800_8040, 1), 0.1)
            + Ask(katapult, SendBlock(0x0800_8080, 1), 10));
        Assert.Equal(
            Sent(0x0800_80C0) + Sent(0x0800_8100),
            Ask(katapult, SendBlock(0x0800_80C0, 1) + SendBlock(0x0800_8100, 1) + SendBlock(0x0800_8140, 1)));
        Assert.Equal(Nack, Ask(katapult, SendBlock(0x0800_8140, 1)));
        Assert.Equal("", Ask(katapult, Connect)); // and with that the parser is wedged
    }

    [Fact]
    public void A_UART_hears_nothing_while_its_chip_erases()
    {
        var (katapult, _) = F446(uart: true);
        Ask(katapult, SendBlock(0x0800_8000, 1));
        Ask(katapult, SendBlock(0x0800_8000, 2));
        Assert.Equal("", Ask(katapult, Connect, afterMilliseconds: 10));
        Assert.Equal(Nack, Ask(katapult, Connect)); // the one byte that its receiver held stands in front
    }

    [Fact]
    public void A_wedged_parser_fills_its_buffer_and_never_answers_again()
    {
        var (katapult, _) = F446();
        Assert.Equal(Nack, Ask(katapult, "0188110000009903"));
        for (var i = 0; i < 40; i++)
            Assert.Equal("", Ask(katapult, Connect));
    }

    [Fact]
    public void An_RP2040_writes_a_page_only_when_it_is_left()
    {
        var chip = VirtualChip.Rp2040;
        var flash = new VirtualFlash(chip);
        flash.Preset(0x1000_4000, new byte[8192]);
        var katapult = Create(flash, chip, 0x1000_4000);
        Assert.Equal(Sent(0x1000_4000), Ask(katapult, SendBlock(0x1000_4000, 1)));
        Assert.Equal(TimeSpan.FromMicroseconds(50), _sent[0].At - _now);
        Assert.Equal(Block(0x1000_4000, 0), Ask(katapult, RequestBlock(0x1000_4000)));
        Assert.Equal(Sent(0x1000_4100), Ask(katapult, SendBlock(0x1000_4100, 2)));
        Assert.Equal(TimeSpan.FromMicroseconds(50 + 45_000 + 400), _sent[0].At - _now);
        Assert.Equal(Block(0x1000_4000, 1), Ask(katapult, RequestBlock(0x1000_4000)));
        Assert.Equal(Block(0x1000_4040, 0xFF), Ask(katapult, RequestBlock(0x1000_4040)));
        Assert.Equal(Block(0x1000_4100, 0xFF), Ask(katapult, RequestBlock(0x1000_4100)));
        Assert.Equal(Frame(0xA0, [0x13, 0, 0, 0, 2, 0, 0, 0]), Ask(katapult, EndOfFile));
        Assert.Equal(Block(0x1000_4100, 2), Ask(katapult, RequestBlock(0x1000_4100)));
        // Without the sector's first page nothing is erased, and nothing is said about it.
        Assert.Equal(Sent(0x1000_5100), Ask(katapult, SendBlock(0x1000_5100, 3)));
        Ask(katapult, EndOfFile);
        Assert.Equal(Block(0x1000_5100, 0), Ask(katapult, RequestBlock(0x1000_5100)));
    }

    [Theory]
    [InlineData(0x1000_3FC0u)]
    [InlineData(0x1000_4020u)]
    [InlineData(0x1020_0000u)]
    public void An_RP2040_refuses_what_is_outside_its_flash_or_not_a_block(uint address)
    {
        var katapult = Create(new VirtualFlash(VirtualChip.Rp2040), VirtualChip.Rp2040, 0x1000_4000);
        Assert.Equal(Refused, Ask(katapult, SendBlock(address, 1)));
        Assert.Empty(_resets);
    }

    [Theory]
    [InlineData(0x0808_0000u)]
    [InlineData(0x0807_FFE0u)]
    [InlineData(0x2000_0000u)]
    public void Reading_over_the_end_of_the_flash_is_a_crash(uint address)
    {
        var (katapult, _) = F446();
        Assert.Equal("", Ask(katapult, RequestBlock(address)));
        Assert.Equal([ResetRequest.Crash], _resets.Select(reset => reset.Request));
        Assert.Equal("", Ask(katapult, Connect));
    }
}

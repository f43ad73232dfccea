using System.Globalization;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// Real builds, made again from the words that matter (<c>Recordings/klipper-builds.txt</c>): all are accepted, damaged ones are not.
/// </summary>
public sealed class KlipperBuildTests
{
    private sealed record Build(string Name, string Mcu, uint Start, byte[] Bytes, string Constants)
    {
        public Mcu Chip => Chips.Mcu.Find(Mcu)!;

        public int Handler => (int)(Images.Word(Bytes, 4) - 1 - Start);

        public string? Code(byte[] bytes)
        {
            var image = FirmwareImage.Parse(Chip.ImageStart(Start) == Start ? bytes : [.. Images.BootCode(), .. bytes], "klipper.bin");
            return (image.CheckCompatibility(Chip, Start, Chip.FlashEnd) ?? image.CheckStartUp(Start))?.Kind.Code;
        }
    }

    private static readonly List<Build> Builds = [.. File.ReadLines(Path.Combine("Recordings", "klipper-builds.txt"))
        .Where(line => !line.StartsWith('#')).Select(Parse)];

    public static TheoryData<string> Names => [.. Builds.Select(build => build.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_real_build_is_accepted_and_tells_its_link(string name)
    {
        var build = Builds.Single(build => build.Name == name);
        Assert.Null(build.Code(build.Bytes));
        var link = BuildTransport.Of(FirmwareImage.Parse(build.Bytes, name).Dictionary.Config)!.Link;
        var expected = name switch
        {
            _ when name.Contains("bridge", StringComparison.Ordinal) => BuildLink.UsbCanBridge,
            _ when name.Contains("_can", StringComparison.Ordinal) => BuildLink.Can,
            _ when name.Contains("uart", StringComparison.Ordinal) => BuildLink.Uart,
            _ => BuildLink.Usb,
        };
        Assert.Equal(expected, link);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Start_up_code_that_cannot_be_read_or_leads_nowhere_is_refused(string name)
    {
        var build = Builds.Single(build => build.Name == name);
        // As Klipper's update_mks_robin.py does it: a part of the file is encoded, vectors and dictionary are not.
        Assert.Equal("firmware-strange-code", build.Code(Changed(bytes =>
        {
            for (var at = build.Handler; at < build.Handler + 64; at++)
                bytes[at] ^= 0xA3;
        })));
        Assert.Equal("firmware-strange-code", build.Code(Changed(bytes => Images.Word(bytes, build.Handler, 0xE7FE_E7FE))));
        Assert.Equal("firmware-strange-code", build.Code(Changed(bytes => Images.Word(bytes, Literal(bytes) + 4, build.Start - 3))));
        Assert.NotNull(build.Code(Changed(bytes => Images.Word(bytes, Literal(bytes), 0x2000_1230))));

        byte[] Changed(Action<byte[]> change)
        {
            var bytes = build.Bytes.ToArray();
            change(bytes);
            return bytes;
        }

        int Literal(byte[] bytes) => Enumerable.Range(0, 8).Select(i => (build.Handler & ~3) + (i * 4))
            .First(at => at > 0 && Images.Word(bytes, at) == Images.Word(bytes, 0));
    }

    [Fact]
    public void Bytes_behind_the_linked_end_are_strange_and_padding_is_not()
    {
        var build = Builds.Single(build => build.Name == "stm32f446_8000_usb");
        Assert.Null(build.Code([.. build.Bytes, .. Enumerable.Repeat((byte)0xFF, 512)]));
        Assert.Equal("firmware-strange-code", build.Code([.. build.Bytes, .. Enumerable.Repeat((byte)0x42, 512)]));
    }

    [Fact]
    public void A_plan_names_what_is_strange()
    {
        var build = Builds.Single(build => build.Name == "stm32f446_8000_usb");
        var bytes = build.Bytes.ToArray();
        bytes[build.Handler] ^= 0xFF;
        var board = new PrinterBoard("octopus", BoardCatalogue.BuiltIn.Find("btt-octopus-11")!);
        var device = new Device { Port = "1-1.1", Number = 5, Usb = UsbId.Klipper, Serial = "btt-octopus-11", Product = "stm32f446xx" };
        var plan = FlashPlan.Create([new FlashRequest(board, FirmwareImage.Parse(bytes, "klipper.bin"))], new DeviceList(1, [device]),
            new(KlippyActivity.Ready)).Boards[0];
        Assert.Equal("firmware-strange-code", plan.Blocker?.Code);
        Assert.Contains("there is no reset handler at 0800f00c", plan.Blocker!.Cause, StringComparison.Ordinal);
    }

    private static Build Parse(string line)
    {
        var parts = line.Split(" | ");
        var head = parts[0].Split(' ');
        var (start, size) = (Hex(head[2]), int.Parse(head[3], CultureInfo.InvariantCulture));
        var image = new byte[size];
        for (var i = 0; i < size; i++)
            image[i] = (byte)(i * 73 >> 3) is var noise and not 0x78 ? noise : (byte)0;
        Images.Word(image, 0, Hex(head[4]));
        Images.Word(image, 4, Hex(head[5]));
        for (var i = 2; i < 16; i++)
            Images.Word(image, i * 4, Hex(head[6]));
        Convert.FromHexString("72B6024B").CopyTo(image, (int)(Hex(head[5]) - 1 - start));
        Images.Word(image, (int)Hex(head[7]), Hex(head[4]));
        Images.Word(image, (int)Hex(head[7]) + 4, Hex(head[8]));
        if (parts[1].Split(' ') is [var at, var end, var begin, var copy])
        {
            Images.Word(image, (int)Hex(at), Hex(end));
            Images.Word(image, (int)Hex(at) + 4, Hex(begin));
            Images.Word(image, (int)Hex(at) + 8, Hex(copy));
            // What a UF2's last page has behind it.
            image.AsSpan((int)(Hex(copy) - start + Hex(end) - Hex(begin))).Clear();
        }
        var constants = string.Concat(parts[2].Split(';', StringSplitOptions.RemoveEmptyEntries).Select(one => one.Split('='))
            .Select(pair => int.TryParse(pair[1], out _) ? $",\"{pair[0]}\":{pair[1]}" : $",\"{pair[0]}\":\"{pair[1]}\""));
        var json = Encoding.UTF8.GetString(Images.Json(head[1])).Replace("\"CLOCK_FREQ\":180000000", $"\"CLOCK_FREQ\":180000000{constants}",
            StringComparison.Ordinal);
        Images.Compress(Encoding.UTF8.GetBytes(json)).CopyTo(image, size - 1000);
        return new(head[0], head[1], start, image, parts[2]);
    }

    private static uint Hex(string text) => uint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}

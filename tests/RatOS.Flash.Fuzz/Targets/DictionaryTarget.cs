using System.IO.Compression;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>
/// Data dictionaries: of an image, and of a board that answers to <c>identify</c>. An input is the JSON and is compressed here, or a zlib
/// stream where it begins as one.
/// </summary>
internal sealed class DictionaryTarget : FuzzTarget
{
    private const byte ZlibBegin = 0x78;

    public override string Name => "dictionary";

    public override string Oracle => "Names and versions have no hidden characters, and the same stream reads the same inside of an image.";

    public override IEnumerable<string> Tokens =>
    [
        "\"version\"", "\"build_versions\"", "\"app\"", "\"commands\"", "\"responses\"", "\"config\"", "\"enumerations\"", "\"MCU\"",
        "\"CLOCK_FREQ\"", "\"CANBUS_FREQUENCY\"", "\"CANBUS_BRIDGE\"", "\"RESERVE_PINS_USB\"", "\"RESERVE_PINS_CAN\"",
        "\"RESERVE_PINS_serial\"", "\"SERIAL_BAUD\"", "PA11,PA12", "\\ud800", "\\u0000", "\\u202e", "{}", "[]", ":", ",", "1e300", "null",
        "identify offset=%u count=%c", "v0.13.0-730-g84104bbbd-dirty-20240101_120000-host",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (var chip in (VirtualChip[])[VirtualChip.F446, VirtualChip.Rp2040])
        {
            var image = VirtualFirmware.Build(chip, chip.FlashBase + 0x100, "v0.13.0-730-g84104bbbd", 8 * 1024);
            var packed = FirmwareImage.Parse(image, "seed.bin").CompressedDictionary;
            yield return packed.ToArray();
            yield return Zlib.Inflate(packed, 1 << 20)!;
        }
        yield return Bytes(
            """
            {"app":"Klipper","version":"v0.13.0-730-g84104bbbd","build_versions":"gcc: 12.2.1 binutils: 2.40",
             "commands":{"identify offset=%u count=%c":1,"get_config":7,"reset":-8},"responses":{"identify_response offset=%u data=%.*s":0},
             "enumerations":{"pin":{"PA0":[0,16]},"static_string_id":{"Timer too close":2}},
             "config":{"MCU":"stm32f446xx","CLOCK_FREQ":180000000,"CANBUS_FREQUENCY":1000000,"RESERVE_PINS_CAN":"PD0,PD1"}}
            """);
    }

    public override void Run(byte[] input)
    {
        var packed = input is [ZlibBegin, ..] ? input : Packed(input);
        DataDictionary alone;
        try
        {
            alone = DataDictionary.Parse(packed);
        }
        catch (FlashException)
        {
            Within(packed, null);
            return;
        }
        foreach (var text in (string[])[alone.Version, alone.Mcu, alone.App, alone.BuildVersions, .. alone.Config.Values])
            Hold(!text.Any(PlainText.IsHidden) && text.Length <= 256, "plain texts");
        Hold(alone.Commands.Keys.All(name => !name.Contains(' ', StringComparison.Ordinal)), "names of commands are words");
        BuildTransport.Of(alone.Config)?.ToString();
        var version = KlipperVersion.Parse(alone.Version);
        Hold(KlipperVersion.Parse(version.Text) == version, "a version reads again as itself");
        Within(packed, alone);
    }

    private static void Within(byte[] packed, DataDictionary? alone)
    {
        byte[] image = [.. new byte[64], .. packed, .. Encoding.ASCII.GetBytes("xxxx")];
        var budget = new WorkBudget(16 << 20);
        var found = DataDictionary.Find(image, out var at, budget);
        Hold(at.Offset >= 0 && at.Length >= 0 && at.Offset + at.Length <= image.Length, "a place within the image");
        if (alone is not null && at.Offset == 64)
            Hold(found?.Version == alone.Version && found.Mcu == alone.Mcu, "it is found inside of an image");
    }

    private static byte[] Packed(byte[] json)
    {
        using var stream = new MemoryStream();
        using (var zlib = new ZLibStream(stream, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(json);
        return stream.ToArray();
    }
}

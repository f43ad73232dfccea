using System.Buffers.Binary;
using System.IO.Compression;
using System.Text.Json;
using RatOS.Flash.Boards;
using RatOS.Flash.Chips;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Tests.Described;

/// <summary>A board that runs a <see cref="DescribedBuild"/>: it answers as the build's own firmware and registers do.</summary>
internal sealed class DescribedBoard(DescribedBuild build)
{
    private const uint Erased = 0xFFFF_FFFF;

    private static readonly byte[] Uid = [0x45, 0x00, 0x29, 0x00, 0x0B, 0x51, 0x38, 0x31, 0x38, 0x30, 0x33, 0x34];

    private readonly Mcu? _mcu = Mcu.Find(build.Constants["MCU"]);

    /// <summary>As a USB host sees it: the text of the build, or the chip's id in upper-case hex.</summary>
    public string UsbSerial => build.Config.GetValueOrDefault("USB_SERIAL_NUMBER_CHIPID") == "y"
        ? Convert.ToHexString([.. Uid, .. Uid])[..IdDigits(build.Constants["MCU"])] : build.Config["USB_SERIAL_NUMBER"];

    /// <summary>What is known of it after it was asked, on a printer that says nothing about it.</summary>
    public async Task<BoardProfile> AskAsync()
    {
        var dictionary = Dictionary();
        var chip = _mcu is null ? null : await new ChipInquiry(_mcu, dictionary, Read).AskAllAsync();
        var board = BoardProfile.Of(Board.Unknown("board")).With(BoardEvidence.Of(dictionary, chip));
        return !build.Derived.ContainsKey("USBSERIAL") ? board : board.With(new BoardFacts(FactSource.Bus, "its USB descriptors")
        {
            UsbSerial = UsbSerial,
            UsbId = new UsbId(Number("USB_VENDOR_ID"), Number("USB_DEVICE_ID")),
        });
    }

    private ushort Number(string symbol) => (ushort)(build.Config.TryGetValue(symbol, out var text) ? Convert.ToUInt16(text, 16) : 0);

    private DataDictionary Dictionary()
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, object>
        {
            ["version"] = "v0.13.0-730-g84104bbbd",
            ["config"] = build.Constants,
            ["commands"] = build.Commands.Select((name, i) => (name, i)).ToDictionary(entry => entry.name, entry => entry.i),
            ["responses"] = new Dictionary<string, int>(),
        });
        var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
            zlib.Write(json);
        return DataDictionary.Parse(compressed.ToArray());
    }

    /// <summary>A read of what no build has recorded fails the test: it may be a fault on the real chip.</summary>
    private ValueTask<uint> Read(uint address, int bytes)
    {
        var mcu = _mcu!;
        if (address == mcu.FlashSizeAddress && bytes == 2)
            return new((uint)build.FlashKib);
        if (mcu.UidAddress is { } uid && address >= uid && address < uid + Uid.Length)
            return new(BinaryPrimitives.ReadUInt32LittleEndian(Uid.AsSpan((int)(address - uid))));
        if (address == mcu.IdCodeAddress)
            return new((uint)mcu.IdCodes[0]);
        if (build.Words.TryGetValue(address, out var word))
            return new(word);
        // Below its start and above its end. There is no bootloader that it could know.
        if (address >= mcu.FlashBase && address < mcu.FlashBase + (uint)(build.FlashKib * 1024))
            return new(Erased);
        throw new InvalidOperationException($"{address:x8} was read");
    }

    /// <summary>Klipper src/*/chipid.c: 8, 12 or 16 bytes.</summary>
    private static int IdDigits(string mcu) => mcu[..2] switch { "rp" => 16, "st" => 24, _ => 32 };
}

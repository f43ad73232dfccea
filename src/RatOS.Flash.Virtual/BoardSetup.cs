using System.Security.Cryptography;
using System.Text;

namespace RatOS.Flash.Virtual;

/// <summary>What sits below the application.</summary>
public enum BootStage
{
    /// <summary>Nothing: the application begins where the flash does.</summary>
    None,

    /// <summary>The bootloader that BTT and others deliver: flashes <c>firmware.bin</c> from an SD card, has no USB (facts: "Stock SD bootloaders").</summary>
    StockSd,

    Katapult,
}

/// <summary>How a virtual board is built and plugged in: what does not change while its story runs, except the port.</summary>
public sealed record BoardSetup
{
    /// <summary>The board's name in the printer.</summary>
    public required string Name { get; init; }

    /// <summary>Its id in the catalogue; by RatOS's convention the USB serial of its firmware as well.</summary>
    public required string BoardId { get; init; }

    public required VirtualChip Chip { get; init; }

    /// <summary>USB port path such as <c>1-1.3</c>, or the name of a wired serial port: that makes it a board without USB.</summary>
    public required string Port { get; init; }

    public BootStage Boot { get; init; }

    /// <summary>Where the application begins.</summary>
    public required uint Start { get; init; }

    /// <summary>The USB serial that its firmware announces; null for the catalogue id.</summary>
    public string? UsbSerial { get; init; }

    /// <summary>12 bytes in memory order; left out they follow from the name.</summary>
    public byte[]? Uid { get; init; }

    /// <summary>Runs on when its USB cable is pulled. Tool boards without 24 V lose their power then.</summary>
    public bool SelfPowered { get; init; } = true;

    /// <summary>Katapult was built to stay after two quick resets.</summary>
    public bool DoubleReset { get; init; } = true;

    /// <summary>The empty check's flag changes at power-on alone: after a good flash a reset still starts the ROM (facts: "Offset-0 boards").</summary>
    public bool EmptyCheckSticks { get; init; }

    /// <summary>A card in the slot makes the ROM listen elsewhere than on USB (facts: "SD slot must be empty").</summary>
    public bool CardDeafensRom { get; init; } = true;

    /// <summary>RDP level 1.</summary>
    public bool ReadProtected { get; init; }

    /// <summary>A ROM that shows the same serial on every chip, such as <c>200364500000</c>.</summary>
    public string? DeadDfuSerial { get; init; }

    /// <summary>H7 revision V: see the facts' quirks.</summary>
    public bool RomSitsInBusy { get; init; }

    /// <summary>How Katapult was built.</summary>
    internal KatapultTraits Katapult { get; init; } = new();

    public bool OverUart => Port.StartsWith("tty", StringComparison.Ordinal);

    public string Serial => UsbSerial ?? BoardId;

    public byte[] ChipId => Uid ?? SHA256.HashData(Encoding.UTF8.GetBytes($"{Name} at {Port}"))[..12];

    /// <summary>What stands below the application: vectors that are plausible for its kind, and noise.</summary>
    internal byte[] BootImage()
    {
        var image = new byte[Start - Chip.FlashBase];
        if (Boot == BootStage.None || image.Length == 0)
            return [];
        new Random(image.Length + (int)Boot).NextBytes(image);
        image.AsSpan(image.Length * 3 / 4).Fill(0xFF);
        // The RP2040's first 256 bytes are its second boot stage.
        var vectors = Chip.FlashBase == 0x1000_0000 ? 0x100 : 0;
        BitConverter.TryWriteBytes(image.AsSpan(vectors), Chip.RamEnd);
        for (var at = 4; at < 0x1C0; at += 4)
            BitConverter.TryWriteBytes(image.AsSpan(vectors + at), Chip.FlashBase + (uint)vectors + 0x1E9);
        BitConverter.TryWriteBytes(image.AsSpan(vectors + 4), Chip.FlashBase + (uint)vectors + 0x1C9);
        if (Boot == BootStage.Katapult)
            KatapultSignature.CopyTo(image.AsSpan(vectors + 0x1C0)); // 9 below the odd reset vector
        return image;
    }

    internal static ReadOnlySpan<byte> KatapultSignature => "CanBoot!"u8;
}

/// <summary>What a board does at the moment.</summary>
public enum BoardState
{
    Off,

    /// <summary>A boot stage has not yet decided.</summary>
    Booting,

    /// <summary>The stock bootloader found no application and loops for ever, without USB.</summary>
    LoopsInBootloader,

    /// <summary>The application crashed: silent until reset or power.</summary>
    Hung,
    Klipper,
    Katapult,
    Dfu,

    /// <summary>The ROM runs, but took another interface than USB.</summary>
    DeafRom,
}

using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Firmware;

/// <summary>The container of the firmware file.</summary>
public enum FirmwareContainer
{
    [ContractName("bin")] Bin,
    [ContractName("uf2")] Uf2,
    [ContractName("elf")] Elf,
}

/// <summary>A Klipper firmware from any file that Klipper's build makes: its bytes, and its data dictionary.</summary>
/// <remarks>The content decides the kind of file, never its name.</remarks>
public sealed class FirmwareImage
{
    private const int MaxFile = 8 << 20;

    private readonly StartupCode _code;

    private FirmwareImage(
        string name, FirmwareContainer container, ReadOnlyMemory<byte> bytes, uint? loadAddress, DataDictionary dictionary,
            (int Offset, int Length) at)
    {
        Name = name;
        Container = container;
        Bytes = bytes;
        LoadAddress = loadAddress;
        Dictionary = dictionary;
        CompressedDictionary = bytes.Slice(at.Offset, at.Length);
        Sha256 = Convert.ToHexStringLower(Core.Sha256.HashData(bytes.Span));
        if (IsHostProcess)
            return;

        // A dictionary alone is longer than a vector table, so the words are there.
        _code = new StartupCode(bytes);
        if (dictionary.Mcu == "rp2040" && bytes.Length >= SecondStage.Length + StartupCode.VectorWords * 4
            && !StartupCode.IsRam(_code.InitialStack)
            && StartupCode.IsRam(_code.Vector(SecondStage.Length / 4)))
        {
            BootCode = SecondStage.Length;
            _code = new StartupCode(bytes[BootCode..]);
        }
        (InitialStack, ResetVector) = (_code.InitialStack, _code.ResetVector);
    }

    /// <summary>The file's name as the user gave it.</summary>
    public string Name { get; }

    public FirmwareContainer Container { get; }

    /// <summary>
    /// The bytes to write, without any container: from the application's start on or, when <see cref="BootCode"/> is not 0, from that many
    /// bytes before it. Of a host process the whole file.
    /// </summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>Address of the first of <see cref="Bytes"/>; null for a .bin, which does not know.</summary>
    public uint? LoadAddress { get; }

    /// <summary>Bytes before the vector table that belong to the image: 256 on an RP2040 without bootloader, else 0.</summary>
    public int BootCode { get; }

    /// <summary>Word 0 of the vector table; 0 for a host process.</summary>
    public uint InitialStack { get; }

    /// <summary>Word 1 of the vector table, with the Thumb bit; 0 for a host process.</summary>
    public uint ResetVector { get; }

    public DataDictionary Dictionary { get; }

    /// <summary>
    /// The dictionary exactly as it stands in the image: a board that runs this image returns these very bytes to <c>identify</c>.
    /// </summary>
    public ReadOnlyMemory<byte> CompressedDictionary { get; }

    /// <summary>Of <see cref="Bytes"/>, lower-case hex.</summary>
    public string Sha256 { get; }

    public string Mcu => Dictionary.Mcu;

    public string Version => Dictionary.Version;

    /// <summary>A process for the computer itself (Klipper's Linux MCU), not for a chip.</summary>
    public bool IsHostProcess => Dictionary.Mcu == "linux";

    /// <summary>Reads and opens a firmware file of at most 8 MiB.</summary>
    /// <exception cref="FlashException">Unreadable, or refused by <see cref="Parse"/>.</exception>
    public static FirmwareImage Open(string path)
    {
        var name = Path.GetFileName(path.AsSpan().TrimEnd('/')).ToString();
        try
        {
            return Parse(RegularFile.Read(path, MaxFile), name);
        }
        catch (UnauthorizedAccessException)
        {
            throw FirmwareFaults.FirmwareUnreadable(path, "no permission");
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            throw FirmwareFaults.FirmwareUnreadable(path, e.Message.TrimEnd('.'));
        }
    }

    /// <summary>Opens a .bin, .uf2 or .elf.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">Its name for faults.</param>
    /// <exception cref="FlashException">It is no Klipper firmware, is cut short, or is of a kind that Klipper's build never
    /// makes.</exception>
    public static FirmwareImage Parse(ReadOnlyMemory<byte> file, string name)
    {
        var span = file.Span;
        if (span.IsEmpty)
            throw FirmwareFaults.FirmwareCutShort(name, "it is empty");
        if (DfuKind(span) is { } kind)
            throw FirmwareFaults.FirmwareDfuFile(name, kind);

        if (Uf2.Looks(span))
        {
            var (address, bytes, family) = Uf2.Open(span, name);
            var image = Create(name, FirmwareContainer.Uf2, bytes, address);
            return family == Uf2.Rp2350 && image.Mcu != "rp2350"
                ? throw FirmwareFaults.FirmwareContainer(name,
                    $"its UF2 blocks are for an RP2350, but the firmware in them is for {image.Mcu}")
                : image;
        }
        if (Elf.Looks(span))
        {
            if (Elf.Open(span, name) is { } chip)
                return Create(name, FirmwareContainer.Elf, chip.Bytes, chip.Address);
            var process = Create(name, FirmwareContainer.Elf, file, null);
            return process.IsHostProcess
                ? process
                : throw FirmwareFaults.FirmwareContainer(name, $"it is a program for a computer that holds firmware for {process.Mcu}");
        }
        return Create(name, FirmwareContainer.Bin, file, null);
    }

    private static FirmwareImage Create(string name, FirmwareContainer container, ReadOnlyMemory<byte> bytes, uint? loadAddress)
    {
        var dictionary = DataDictionary.Find(bytes, out var at) ?? throw WithoutDictionary(name, bytes, at);
        var image = new FirmwareImage(name, container, bytes, loadAddress, dictionary, at);
        if (image.IsHostProcess)
            return image;
        // Klipper's linker script for ARM aligns the end of the last section to a word; so do UF2's blocks. An AVR's ELF has its own end.
        if (bytes.Length % 4 != 0 && container != FirmwareContainer.Elf)
            throw FirmwareFaults.FirmwareCutShort(name, $"its length of {bytes.Length} bytes is no multiple of 4, as every build's is");
        if (Chips.Mcu.Find(image.Mcu) is { } mcu && image.BuiltFor(mcu) is { } start && image._code.CutShort(start) is { } why)
            throw FirmwareFaults.FirmwareCutShort(name, why);
        return image;
    }

    private static FlashException WithoutDictionary(string name, ReadOnlyMemory<byte> file, (int Offset, int Length) broken)
    {
        if (broken.Length > 0)
            return FirmwareFaults.FirmwareCutShort(name, $"the data dictionary at byte {broken.Offset} does not inflate to its end");
        if (new StartupCode(file).CutShort() is { } why)
            return FirmwareFaults.FirmwareCutShort(name, why);
        var bytes = file.Span;
        var what = bytes switch
        {
            _ when bytes.StartsWith("PK"u8) => "it is a ZIP archive",
            _ when bytes.StartsWith(":1"u8) || bytes.StartsWith(":02"u8) => "it is an Intel HEX file, as AVR boards use them",
            _ when bytes.TrimStart(" \t\r\n"u8).StartsWith("<"u8) => "it is a web page or XML",
            _ => "it holds no data dictionary, so it is another firmware (Katapult, Marlin), or its end is missing",
        };
        return FirmwareFaults.NotKlipperFirmware(name, what);
    }

    private static string? DfuKind(ReadOnlySpan<byte> file)
    {
        // DFU 1.1 appendix B and UM0391.
        if (file.StartsWith("DfuSe\x01"u8))
            return "DfuSe file";
        return file.Length >= 16 && file[^8..^4].SequenceEqual("UFD\x10"u8) ? "file with a DFU suffix" : null;
    }

    /// <summary>Why this firmware must not be written to that chip; null when it may.</summary>
    /// <param name="mcu">The board's chip.</param>
    /// <param name="start">Application start as the board is declared.</param>
    /// <param name="flashEnd">First address past the flash that the chip really has.</param>
    public FlashException? CheckCompatibility(Mcu mcu, uint start, uint flashEnd)
    {
        if (!string.Equals(Mcu, mcu.Name, StringComparison.OrdinalIgnoreCase))
            return FirmwareFaults.FirmwareWrongMcu(IsHostProcess ? "linux (a process of the computer, for no board)" : Mcu, mcu.Name);
        if (!mcu.IsRamEnd(InitialStack))
            return FirmwareFaults.FirmwareBadVectors(
                $"the initial stack pointer is {InitialStack:x8}, the RAM of a {mcu.Name} ends at {mcu.RamEnd:x8}");
        if (ResetVector % 2 == 0)
            return FirmwareFaults.FirmwareBadVectors($"the reset vector {ResetVector:x8} is even");
        var built = BuiltFor(mcu);
        if (!_code.Contains(ResetVector, start))
            return FirmwareFaults.FirmwareWrongOffset(ResetVector, start, _code.Length,
                built is { } other && other != start ? $"{other:x8}" : null);
        // The range alone does not decide: a G0B1's image for 08000000 has its reset vector inside 08002000..0800d000 too.
        if (built is { } elsewhere && elsewhere != start && (LoadAddress is not null || _code.FitsExactly(elsewhere)))
            return FirmwareFaults.FirmwareLinkedElsewhere(elsewhere, start);
        if (LoadAddress is { } address && address + (uint)BootCode != start)
            return FirmwareFaults.FirmwareLinkedElsewhere(address + (uint)BootCode, start);
        // The ROM of an RP2040 without a bootloader starts nothing else.
        if (mcu.ImageStart(start) is var begin && begin + BootCode != start)
            return FirmwareFaults.FirmwareStrangeCode($"it lacks the {start - begin} bytes of boot code in front of {start:x8}");
        if (BootCode > 0 && !SecondStage.Starts(Bytes.Span))
            return FirmwareFaults.FirmwareStrangeCode($"the checksum of its boot code at {begin:x8} is wrong");
        for (var i = 2; !mcu.HandlersInRam && i < StartupCode.VectorWords; i++)
        {
            var handler = _code.Vector(i);
            if (handler % 2 == 0 || !_code.Contains(handler, start))
                return FirmwareFaults.FirmwareBadVectors($"handler {i} is {handler:x8}, which is no code of this firmware");
        }
        return start + (ulong)_code.Length > flashEnd ? FirmwareFaults.FirmwareTooBig(_code.Length, start, flashEnd) : null;
    }

    /// <summary>
    /// Why this is not as Klipper's build made it for this start, which <see cref="CheckCompatibility"/> has let through; null where it is.
    /// </summary>
    public FlashException? CheckStartUp(uint start) =>
        _code.Strange(start) is { } why ? FirmwareFaults.FirmwareStrangeCode(why) : null;

    /// <summary>
    /// The one application start of this chip for which the image was built; null when none or more than one is possible.
    /// </summary>
    public uint? BuiltFor(Mcu mcu)
    {
        if (LoadAddress is { } address)
            return mcu.Offsets.Contains(address + (uint)BootCode - mcu.FlashBase) ? address + (uint)BootCode : null;
        return _code.LinkedFor(mcu)?.Start;
    }
}

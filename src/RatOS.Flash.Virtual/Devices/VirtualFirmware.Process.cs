using System.Buffers.Binary;

namespace RatOS.Flash.Virtual.Devices;

/// <content>A program for the printer's own computer, a 64-bit Raspberry Pi, in place of an image for a chip.</content>
public sealed partial class VirtualFirmware
{
    private const int HeaderSize = 64;
    private const ushort Aarch64 = 183;   // EM_AARCH64 of the ELF specification

    /// <summary>The first 20 bytes of a program that this computer can run: 64 bits, little-endian, its machine.</summary>
    private static ReadOnlySpan<byte> Identity => [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, (byte)Aarch64, 0];

    /// <summary>Whether a file is a program for this computer, as the unit that replaces it looks at it.</summary>
    internal static string? WhyNoProgram(ReadOnlySpan<byte> file) =>
        !file.StartsWith(Identity[..4]) ? "it is no ELF program"
        : file.Length < HeaderSize || !file[4..6].SequenceEqual(Identity[4..6]) || !file[18..20].SequenceEqual(Identity[18..20]) ? "it is a program for another kind of computer"
        : FindDictionary(file) is not ({ }, { Mcu: "linux" }) ? "it is not Klipper's Linux process"
        : null;

    /// <summary>What runs when the program's file is started, and if nothing does, why not.</summary>
    internal static (VirtualFirmware? Running, string Reason) WouldRun(VirtualFlash file)
    {
        var bytes = file.Read(file.Base, (int)(file.End - file.Base));
        bytes = bytes[..(bytes.LastIndexOfAnyExcept((byte)0xFF) + 1)];
        if (WhyNoProgram(bytes) is { } why)
            return (null, why);
        var (offset, dictionary) = FindDictionary(bytes)!.Value;
        return (new VirtualFirmware(dictionary) { Start = file.Base, Length = offset + dictionary.CompressedDictionary.Length }, "Klipper runs");
    }

    private static void ProcessHeader(Span<byte> image)
    {
        image[..HeaderSize].Clear();
        Identity.CopyTo(image);
        BinaryPrimitives.WriteUInt16LittleEndian(image[52..], HeaderSize);
    }
}

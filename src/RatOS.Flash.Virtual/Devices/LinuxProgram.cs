using System.Buffers.Binary;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Klipper's Linux process as a program file for the printer's own computer, a 64-bit Raspberry Pi.</summary>
internal static class LinuxProgram
{
    private const int HeaderSize = 64;
    private const ushort Aarch64 = 183;   // EM_AARCH64 of the ELF specification

    /// <summary>The first 20 bytes of a program that this computer can run: 64 bits, little-endian, its machine.</summary>
    private static ReadOnlySpan<byte> Identity =>
        [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, (byte)Aarch64, 0];

    /// <summary>Why the unit refuses a file as a program for this computer; null when it takes it.</summary>
    public static string? WhyRefused(ReadOnlySpan<byte> file) =>
        !file.StartsWith(Identity[..4]) ? "it is no ELF program"
        : !IsForThisComputer(file) ? "it is a program for another kind of computer"
        : VirtualFirmware.FindDictionary(file) is not ({ }, { Mcu: "linux" }) ? "it is not Klipper's Linux process"
        : null;

    /// <summary>The firmware that starting the program in a file would run, or the reason why none would.</summary>
    public static (VirtualFirmware? Running, string Reason) WouldRun(VirtualFlash file)
    {
        var bytes = file.Read(file.Base, (int)(file.End - file.Base));
        bytes = bytes[..(bytes.LastIndexOfAnyExcept((byte)0xFF) + 1)];
        if (WhyRefused(bytes) is { } why)
            return (null, why);
        var (offset, dictionary) = VirtualFirmware.FindDictionary(bytes)!.Value;
        return (dictionary.At(file.Base, offset + dictionary.CompressedDictionary.Length), "Klipper runs");
    }

    /// <summary>Makes an image begin as such a program.</summary>
    public static void WriteHeader(Span<byte> image)
    {
        image[..HeaderSize].Clear();
        Identity.CopyTo(image);
        BinaryPrimitives.WriteUInt16LittleEndian(image[52..], HeaderSize);
    }

    private static bool IsForThisComputer(ReadOnlySpan<byte> file) =>
        file.Length >= HeaderSize && file[4..6].SequenceEqual(Identity[4..6]) && file[18..20].SequenceEqual(Identity[18..20]);
}

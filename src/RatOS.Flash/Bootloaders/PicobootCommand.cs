using System.Buffers.Binary;

namespace RatOS.Flash.Bootloaders;

/// <summary>A command of PICOBOOT: 32 bytes to the OUT endpoint (pico-sdk boot/picoboot.h; RP2350 datasheet 5.6.4).</summary>
/// <param name="Id">Its number; bit 7: data comes in.</param>
/// <param name="Length">Bytes of its data phase, 0 for none.</param>
/// <param name="Arguments">0 to 16 bytes.</param>
internal readonly record struct PicobootCommand(byte Id, int Length, ReadOnlyMemory<byte> Arguments)
{
    public const int Size = 32;

    public const byte ExclusiveAccess = 0x01, Reboot = 0x02, FlashErase = 0x03, Write = 0x05, ExitXip = 0x06, Reboot2 = 0x0A;
    public const byte Read = 0x84, GetInfo = 0x8B;

    private const uint Magic = 0x431F_D10B;

    public bool IsIn => (Id & 0x80) != 0;

    /// <param name="token">Comes back in the status of this command.</param>
    public byte[] Encode(uint token)
    {
        var bytes = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), token);
        (bytes[8], bytes[9]) = (Id, (byte)Arguments.Length);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), Length);
        Arguments.Span.CopyTo(bytes.AsSpan(16));
        return bytes;
    }

    /// <summary>A command with words as its arguments.</summary>
    public static PicobootCommand Of(byte id, int length, params ReadOnlySpan<uint> words)
    {
        var arguments = new byte[words.Length * 4];
        for (var i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(arguments.AsSpan(i * 4), words[i]);
        return new(id, length, arguments);
    }

    /// <summary>A command about a range of memory.</summary>
    public static PicobootCommand Range(byte id, uint address, int size) =>
        Of(id, id == FlashErase ? 0 : size, address, (uint)size);
}

/// <summary>The answer to GET_COMMAND_STATUS: how the last command ended (RP2350 datasheet 5.6.5.2).</summary>
/// <param name="Token">Of that command.</param>
/// <param name="Code">0: it was done.</param>
/// <param name="IsInProgress">The ROM still works on it.</param>
internal readonly record struct PicobootStatus(uint Token, uint Code, bool IsInProgress)
{
    public const int Size = 16;

    // pico-sdk boot/picoboot.h, enum picoboot_status
    private static readonly string[] Names =
    [
        "OK", "UNKNOWN_CMD", "INVALID_CMD_LENGTH", "INVALID_TRANSFER_LENGTH", "INVALID_ADDRESS", "BAD_ALIGNMENT", "INTERLEAVED_WRITE",
        "REBOOTING", "UNKNOWN_ERROR", "INVALID_STATE", "NOT_PERMITTED", "INVALID_ARG", "BUFFER_TOO_SMALL", "PRECONDITION_NOT_MET",
        "MODIFIED_DATA", "INVALID_DATA", "NOT_FOUND", "UNSUPPORTED_MODIFICATION",
    ];

    public string Name => Code < Names.Length ? Names[Code] : $"status {Code}";

    public static PicobootStatus Parse(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt32LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]), bytes[9] != 0);
}

/// <summary>The vendor interface of the ROM: 1 beside the drive, 0 where the drive is switched off.</summary>
/// <param name="Number">bInterfaceNumber.</param>
/// <param name="Out">Its bulk endpoint for commands.</param>
/// <param name="In">Its bulk endpoint for answers.</param>
internal readonly record struct PicobootInterface(byte Number, byte Out, byte In)
{
    private const byte InterfaceType = 4, EndpointType = 5, Vendor = 0xFF, Bulk = 2;

    /// <param name="configuration">The configuration descriptor with all that follows; it may be shorter than it claims.</param>
    /// <returns>Null where there is no vendor interface with a bulk endpoint each way.</returns>
    public static PicobootInterface? Find(ReadOnlySpan<byte> configuration)
    {
        byte? number = null, @out = null, @in = null;
        for (var rest = configuration; rest.Length >= 2 && rest[0] >= 2 && rest[0] <= rest.Length; rest = rest[rest[0]..])
        {
            if (rest[1] == InterfaceType && rest[0] >= 9)
                (number, @out, @in) = (rest[5] == Vendor && rest[3] == 0 ? rest[2] : null, null, null);
            else if (rest[1] == EndpointType && rest[0] >= 7 && (rest[3] & 3) == Bulk && number is not null)
                (@out, @in) = (rest[2] & 0x80) == 0 ? ((byte?)rest[2], @in) : (@out, rest[2]);
            if (number is { } found && @out is { } to && @in is { } from)
                return new(found, to, from);
        }
        return null;
    }
}

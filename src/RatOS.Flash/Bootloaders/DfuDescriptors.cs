using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Bootloaders;

/// <summary>The DFU-mode interface of a configuration descriptor: USB DFU 1.1 section 4.2, DfuSe extension UM0424.</summary>
/// <param name="Number">Interface number: wIndex of every request.</param>
/// <param name="Alternates">Alternate settings with the index of their name, in the order they came.</param>
/// <param name="TransferSize">wTransferSize as reported, 64..4096.</param>
/// <param name="CanUpload">bmAttributes bit 1: flash can be read back.</param>
internal sealed record DfuDescriptors(
    byte Number, ImmutableArray<(byte Alternate, byte NameIndex)> Alternates, int TransferSize, bool CanUpload)
{
    // Every ROM says 1024 or 2048. More than a page no Linux carries in one control transfer, and a block's address counts in transfer
    // sizes.
    private const int LeastTransfer = 64, MostTransfer = 4096;

    private const byte ClassApplicationSpecific = 0xFE;
    private const byte SubclassDfu = 0x01;
    private const byte ProtocolDfuMode = 0x02;
    private const byte TypeInterface = 0x04;
    private const byte TypeDfuFunctional = 0x21;

    /// <summary>Reads what came, however much the lengths inside claim.</summary>
    /// <exception cref="FlashException">No DFU interface, or one that lies about itself.</exception>
    public static DfuDescriptors Parse(ReadOnlySpan<byte> configuration)
    {
        byte? number = null;
        var alternates = ImmutableArray.CreateBuilder<(byte, byte)>();
        (int Size, byte Attributes)? functional = null;
        var inside = false;
        for (var at = 0; at + 2 <= configuration.Length;)
        {
            var length = configuration[at];
            if (length < 2)
                throw BootloaderFaults.DfuDescriptor($"a descriptor of {length} bytes at offset {at}");
            var descriptor = configuration[at..Math.Min(at + length, configuration.Length)];
            if (descriptor[1] == TypeInterface && descriptor.Length >= 9)
            {
                inside = descriptor[5] == ClassApplicationSpecific && descriptor[6] == SubclassDfu && descriptor[7] == ProtocolDfuMode
                    && (number is null || number == descriptor[2]);
                if (inside)
                {
                    number = descriptor[2];
                    alternates.Add((descriptor[3], descriptor[8]));
                }
            }
            else if (descriptor[1] == TypeDfuFunctional && inside && descriptor.Length >= 7)
            {
                functional = (BinaryPrimitives.ReadUInt16LittleEndian(descriptor[5..]), descriptor[2]);
            }
            at += length;
        }
        if (number is null)
            throw BootloaderFaults.DfuDescriptor("no interface of class FE/01/02");
        if (functional is not var (size, attributes))
            throw BootloaderFaults.DfuDescriptor("no DFU functional descriptor");
        if (size is < LeastTransfer or > MostTransfer)
            throw BootloaderFaults.DfuDescriptor($"a transfer size of {size} bytes");
        return new DfuDescriptors(number.Value, alternates.ToImmutable(), size, (attributes & 0x02) != 0);
    }
}

/// <summary>
/// One alternate setting's layout string: <c>@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg</c> (UM0424 section 10.3.2).
/// </summary>
/// <param name="Name">What stands before the first slash, without the @ and blanks.</param>
/// <param name="Areas">The sectors, in the order they stand there.</param>
internal sealed record DfuMemoryMap(string Name, ImmutableArray<DfuMemoryMap.Area> Areas)
{
    /// <summary>More sectors than any chip has: a string that claims more is not believed.</summary>
    private const int MostSectors = 4096;

    /// <param name="Sector">Address and size.</param>
    /// <param name="Access">The letter's low three bits: 1 readable, 2 erasable, 4 writable.</param>
    public readonly record struct Area(Sector Sector, int Access)
    {
        public bool IsFlash => (Access & 7) == 7;
    }

    public bool IsInternalFlash => Name.StartsWith("Internal Flash", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Takes every complete item and drops a truncated last one: F42x announces more than it sends (UM0424 has the format).
    /// Null if the text is no layout string.
    /// </summary>
    public static DfuMemoryMap? Parse(string text)
    {
        var parts = text.Split('/');
        if (parts.Length < 3 || !parts[0].StartsWith('@'))
            return null;
        var areas = ImmutableArray.CreateBuilder<Area>();
        for (var i = 1; i + 1 < parts.Length; i += 2)
        {
            var address = parts[i].Trim();
            if (!address.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
                || !uint.TryParse(address.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var at))
                break;
            foreach (var item in parts[i + 1].Split(','))
            {
                if (!TryParseItem(item, out var count, out var size, out var access) || areas.Count + count > MostSectors)
                    break;
                for (var n = 0; n < count; n++, at += (uint)size)
                    areas.Add(new Area(new Sector(at, size), access));
            }
        }
        return areas.Count == 0 ? null : new DfuMemoryMap(parts[0][1..].Trim(), areas.ToImmutable());
    }

    // "04*016Kg", "01*016 e", "64*02Kg": count, size, unit (blank or B, K, M), access letter.
    private static bool TryParseItem(ReadOnlySpan<char> item, out int count, out int size, out int access)
    {
        (count, size, access) = (0, 0, 0);
        item = item.Trim();
        var star = item.IndexOf('*');
        if (star <= 0 || item.Length < star + 3 || !int.TryParse(item[..star], NumberStyles.None, CultureInfo.InvariantCulture, out count))
            return false;
        var letter = item[^1];
        if (letter is < 'a' or > 'g')
            return false;
        access = letter & 7;
        var rest = item[(star + 1)..^1].TrimEnd();
        var unit = rest.Length == 0 ? 1 : rest[^1] switch { 'K' => 1024, 'M' => 1024 * 1024, _ => 1 };
        var digits = unit > 1 || rest is [.., 'B'] ? rest[..^1] : rest;
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number <= 0
            || number > 16 * 1024 * 1024 / unit)
            return false;
        size = number * unit;
        return count is > 0 and <= MostSectors;
    }
}

/// <summary>Answer of GETSTATUS: USB DFU 1.1 section 6.1.2.</summary>
/// <param name="Status">bStatus, 0 = OK.</param>
/// <param name="Poll">bwPollTimeout: how long the device wants to be left alone.</param>
/// <param name="State">bState.</param>
internal readonly record struct DfuStatus(byte Status, TimeSpan Poll, DfuState State)
{
    public const int Length = 6;

    private static readonly string[] StatusNames =
    [
        "OK", "errTARGET", "errFILE", "errWRITE", "errERASE", "errCHECK_ERASED", "errPROG", "errVERIFY", "errADDRESS", "errNOTDONE",
        "errFIRMWARE", "errVENDOR", "errUSBR", "errPOR", "errUNKNOWN", "errSTALLEDPKT",
    ];

    /// <summary>errVENDOR: AN3156 uses it for a read-protected chip.</summary>
    public bool IsReadProtected => Status == 11;

    public bool IsError => Status != 0 || State == DfuState.Error;

    public string StatusName => Status < StatusNames.Length ? StatusNames[Status] : $"status {Status}";

    public static DfuStatus Parse(ReadOnlySpan<byte> bytes) => bytes.Length < Length
        ? throw BootloaderFaults.DfuDescriptor($"a status of {bytes.Length} bytes")
        : new(bytes[0], TimeSpan.FromMilliseconds(bytes[1] | (bytes[2] << 8) | (bytes[3] << 16)), (DfuState)bytes[4]);
}

internal enum DfuState : byte
{
    AppIdle = 0,
    AppDetach = 1,
    Idle = 2,
    DownloadSync = 3,
    DownloadBusy = 4,
    DownloadIdle = 5,
    ManifestSync = 6,
    Manifest = 7,
    ManifestWaitReset = 8,
    UploadIdle = 9,
    Error = 10,
}

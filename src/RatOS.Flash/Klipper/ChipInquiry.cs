using System.Buffers.Binary;
using RatOS.Flash.Chips;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Klipper;

/// <summary>
/// What a running firmware's chip is asked, word by word through <c>debug_read</c>. A word that is followed is checked before; one that
/// contradicts leaves its fact unknown. A read of an unmapped address is a hard fault: the firmware hangs until its watchdog resets the
/// chip, so only <see cref="ReadableMemory"/> is read.
/// </summary>
/// <param name="mcu">The chip, as the firmware itself names it.</param>
/// <param name="dictionary">The firmware's.</param>
/// <param name="read">Reads 2 or 4 bytes at an address.</param>
internal sealed class ChipInquiry(Mcu mcu, DataDictionary dictionary, Func<uint, int, ValueTask<uint>> read)
{
    /// <summary>"CanBoot!", Katapult's former name, little-endian.</summary>
    private const ulong CanBootMark = 0x2174_6F6F_426E_6143;

    /// <summary>The checksums at the end of the second boot stage, which Klipper builds for three flash chips.</summary>
    private static readonly Dictionary<uint, string> SecondStages = new()
    {
        [0x7A4E_B274] = "W25Q080",
        [0x0D21_EC2C] = "GENERIC_03",
        [0xADFA_71A0] = "GENERIC_03_CLKDIV8",
    };

    /// <summary>The pins that Klipper offers for the UART of an RP2040 or RP2350 (Klipper src/rp2040/Kconfig).</summary>
    private static readonly (int Pin, string Symbol)[] RpSerialPins =
    [
        (0, "UART0_PINS_0_1"), (12, "UART0_PINS_12_13"), (16, "UART0_PINS_16_17"), (28, "UART0_PINS_28_29"),
        (4, "UART1_PINS_4_5"), (8, "UART1_PINS_8_9"), (20, "UART1_PINS_20_21"), (24, "UART1_PINS_24_25"),
    ];

    /// <summary>Bytes. Klipper's are of 45 KiB.</summary>
    private const uint LongestFirmware = 0x1_0000;

    private ReadableMemory _memory = new(mcu, mcu.SmallestFlash);

    /// <summary>The unique id, the flash's size, the chip's number, and Katapult below the application: what every flash asks.</summary>
    /// <param name="start">Where the application begins, as far as it is known without asking.</param>
    public async Task<ChipEvidence> AskIdentityAsync(uint? start)
    {
        var evidence = new ChipEvidence();
        if (mcu.UidAddress is { } uidAddress)
        {
            var uid = new byte[ReadableMemory.UidLength];
            for (var i = 0; i < uid.Length; i += 4)
            {
                var word = await ReadAsync(uidAddress + (uint)i);
                BinaryPrimitives.WriteUInt32LittleEndian(uid.AsSpan(i), word);
            }
            // A chip that hides its id reads equal bytes.
            if (uid.AsSpan().ContainsAnyExcept(uid[0]))
                evidence = evidence with { Uid = uid };
        }
        if (mcu.FlashSizeAddress is { } sizeAddress && await ReadAsync(sizeAddress, 2) is var size and > 0 and < 0xFFFF)
        {
            evidence = evidence with { FlashKib = (int)size };
            _memory = new(mcu, Math.Min(size * 1024, mcu.FlashSize));
        }
        if (mcu.IdCodeAddress is { } idAddress && (await ReadAsync(idAddress) & 0xFFF) is var id and > 0)
            evidence = evidence with { IdCode = (int)id };
        return start is { } known ? evidence with { Katapult = await HasKatapultAsync(known) } : evidence;
    }

    /// <summary>All of it, whatever is declared about the board.</summary>
    public async Task<ChipEvidence> AskAllAsync()
    {
        var evidence = await AskIdentityAsync(null);
        if (await FindStartAsync() is not { } start)
            return evidence;
        evidence = evidence with
        {
            ApplicationStart = start.Address,
            StackEnd = start.StackEnd,
            Katapult = await HasKatapultAsync(start.Address),
            ClockReference = await FindCrystalAsync(),
        };
        if (dictionary is { IsCanBridge: true, ClockFreq: { } clock }
            && CanTiming.Address(mcu, dictionary.Config.GetValueOrDefault("RESERVE_PINS_CAN")) is { } timing)
        {
            evidence = evidence with { CanBitrate = CanTiming.Rate(mcu.Family, clock, await ReadAsync(timing)) };
        }
        if (mcu.Family == ChipFamily.Rp && dictionary.Config.ContainsKey("SERIAL_BAUD"))
            evidence = evidence with { SerialPins = await FindSerialPinsAsync() };
        if (mcu.Name == "rp2040" && start.Address == mcu.FlashBase + 0x100)
            evidence = evidence with { FlashChip = SecondStages.GetValueOrDefault(await ReadAsync(ReadableMemory.SecondStageChecksum)) };
        if (mcu.Name is "stm32f042x6" or "stm32f070xb")
            evidence = evidence with { IsRemapped = (await ReadAsync(ReadableMemory.MemoryMode) & 0x10) != 0 };
        return evidence;
    }

    /// <summary>
    /// Klipper points VTOR at its own vectors. A Cortex-M0 has none, and Klipper on it and on an RP2040 copies the vectors to RAM: the
    /// copy is compared with each possible start.
    /// </summary>
    private async Task<(uint Address, uint? StackEnd)?> FindStartAsync()
    {
        if (mcu.Family == ChipFamily.Sam)
            return (mcu.FlashBase, null);   // Kconfig offers no other
        if (mcu.Family == ChipFamily.Stm32F0 && (await ReadAsync(ReadableMemory.MemoryMode) & 3) != 3)
            return await CheckAsync(mcu.FlashBase);
        if (mcu.Family != ChipFamily.Stm32F0 && !mcu.HandlersInRam)
        {
            var vectors = await ReadAsync(ReadableMemory.VectorTable);
            if (!mcu.Offsets.Contains(vectors - mcu.FlashBase) || await HasVectorsAboveAsync(vectors))
                return null;
            // The chip takes its handlers from there, so there is flash, whatever its size register says: an H750 says 128 KiB, and runs
            // what Klipper builds for 08020000.
            if (mcu.IsStm32)
                _memory = _memory with { FlashSize = Math.Max(_memory.FlashSize, vectors - mcu.FlashBase + LongestFirmware) };
            return await CheckAsync(vectors);
        }
        var copy = mcu.HandlersInRam ? await ReadAsync(ReadableMemory.VectorTable) : ReadableMemory.RamBase;
        if (copy < ReadableMemory.RamBase || copy >= mcu.RamEnd || copy % 0x80 != 0)
            return null;
        _memory = _memory with { VectorCopy = copy };
        var reset = await ReadAsync(copy + 4);
        var starts = new List<uint>();
        foreach (var offset in mcu.Offsets)
        {
            // The firmware's own request would have found no room for a bootloader that it does not start behind.
            if (_memory.HoldsVectors(mcu.FlashBase + offset) && await ReadAsync(mcu.FlashBase + offset + 4) == reset)
                starts.Add(mcu.FlashBase + offset);
        }
        return starts is [var one] ? await CheckAsync(one) : null;
    }

    /// <summary>
    /// Klipper leaves VTOR of an LPC176x, HC32F460 or SAM D/E/C as its bootloader set it. Where that did not, a second table of vectors
    /// shows it.
    /// </summary>
    private async Task<bool> HasVectorsAboveAsync(uint vectors)
    {
        foreach (var offset in mcu.Offsets.Where(offset => !mcu.IsStm32 && mcu.FlashBase + offset > vectors))
        {
            if (await CheckAsync(mcu.FlashBase + offset) is not null)
                return true;
        }
        return false;
    }

    /// <summary>The vectors of Klipper for this chip: a stack that begins at an end of RAM, and a reset handler inside the flash.</summary>
    private async Task<(uint Address, uint? StackEnd)?> CheckAsync(uint start)
    {
        if (!_memory.HoldsVectors(start))
            return null;
        var (stack, reset) = (await ReadAsync(start), await ReadAsync(start + 4));
        return mcu.IsRamEnd(stack) && reset % 2 == 1 && reset > start && reset < mcu.FlashBase + _memory.FlashSize ? (start, stack) : null;
    }

    /// <summary>The same conditions under which Klipper itself hands over to Katapult (Klipper src/generic/armcm_canboot.c).</summary>
    private async Task<bool?> HasKatapultAsync(uint start)
    {
        if (!mcu.MayHaveKatapult || start < mcu.BootStart + 8)
            return null;
        _memory = _memory with { ApplicationStart = start };
        var request = await ReadAsync(mcu.BootStart);
        var mark = await ReadAsync(mcu.BootStart + 4) - 9;
        return request % 8 == 0 && mark % 8 == 0 && mark >= mcu.FlashBase && mark + 8ul <= start
            && await ReadAsync(mark) == (CanBootMark & uint.MaxValue) && await ReadAsync(mark + 4) == CanBootMark >> 32;
    }

    /// <summary>
    /// The registers, where a chip has the choice, checked by the pins that a build with a crystal reserves; an F1 reserves none.
    /// </summary>
    private async Task<int?> FindCrystalAsync()
    {
        var crystalPins = dictionary.Config.GetValueOrDefault("RESERVE_PINS_crystal");
        if (mcu.Family == ChipFamily.Samd)
        {
            if (mcu.Name.StartsWith("samc21", StringComparison.Ordinal))
                return (await ReadAsync(ReadableMemory.SamcPll) >> 16 & 0x7FF) switch { 11 => 12_000_000, 24 => 25_000_000, _ => null };
            return crystalPins switch { null => ClockTree.Internal, "PA0,PA1" => 32_768, "PB22,PB23" => 25_000_000, _ => null };
        }
        if (ClockTree.Addresses(mcu.Family) is not { Length: > 0 } addresses || dictionary.ClockFreq is not { } clock)
            return null;
        var words = new uint[addresses.Length];
        for (var i = 0; i < words.Length; i++)
            words[i] = await ReadAsync(addresses[i]);
        var reference = ClockTree.Reference(mcu.Family, clock, words);
        return mcu.Family == ChipFamily.Stm32F1 || (reference == ClockTree.Internal) == (crystalPins is null) ? reference : null;
    }

    private async Task<string?> FindSerialPinsAsync()
    {
        const uint uart = 2;   // GPIOx_CTRL, FUNCSEL
        foreach (var (pin, symbol) in RpSerialPins)
        {
            if ((await ReadAsync(ReadableMemory.PinFunction(mcu, pin)) & 0x1F) == uart
                && (await ReadAsync(ReadableMemory.PinFunction(mcu, pin + 1)) & 0x1F) == uart)
                return symbol;
        }
        return null;
    }

    private ValueTask<uint> ReadAsync(uint address, int bytes = 4)
    {
        _memory.Guard(address, bytes);
        return read(address, bytes);
    }
}

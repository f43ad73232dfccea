using System.Buffers.Binary;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>The flash below the application: what a bootloader looks like to the engine, and to Klipper's search for Katapult.</summary>
internal static class BootArea
{
    private const int CodeSize = 6 * 1024;
    private const int SignatureOffset = 0x200;   // Klipper's src/stm32/dfu_reboot.c looks for it behind the vectors

    /// <summary>The ROM starts what is at the flash's beginning.</summary>
    public static bool IsStarted(VirtualFlash flash) => flash.IsSound(flash.Base, Boot2.Length)
        && VirtualCrc.OfBootCode(flash.Read(flash.Base, Boot2.Length - 4))
            == BinaryPrimitives.ReadUInt32LittleEndian(flash.Read(flash.Base + Boot2.Length - 4, 4));

    /// <summary>Vectors, noise, and Katapult's signature, which any other bootloader has reversed.</summary>
    public static byte[] Create(VirtualChip chip, BootStage stage, int size)
    {
        if (size == 0)
            return [];
        var image = new byte[size];
        var code = Math.Min(size, CodeSize);
        new Random(size).NextBytes(image.AsSpan(0, code));
        image.AsSpan(code).Fill(0xFF);
        // The RP2040's second-stage boot code comes before the vectors.
        var vectors = 0;
        if (chip.Bootsel is { IsRp2350: false })
        {
            Boot2.StandIn(Boot2Kind.W25Q080).CopyTo(image, 0);
            vectors = Boot2.Length;
        }
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(vectors), chip.RamEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(vectors + 4), chip.FlashBase + SignatureOffset + 9);
        "CanBoot!"u8.CopyTo(image.AsSpan(SignatureOffset));
        if (stage != BootStage.Katapult)
            image.AsSpan(SignatureOffset, 8).Reverse();
        return image;
    }
}

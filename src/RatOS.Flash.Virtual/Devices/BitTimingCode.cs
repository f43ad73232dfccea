namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// CAN bit timing as Klipper's drivers compute and write it: src/stm32/can.c (bxCAN), src/stm32/fdcan.c, src/atsamd/fdcan.c and
/// src/atsam/fdcan.c (M_CAN), src/lpc176x/can.c. An RP2040's CAN is a program of its PIO and has no such register.
/// </summary>
internal static class BitTimingCode
{
    public static IEnumerable<(uint Address, uint Value)> Registers(FirmwareBuild build)
    {
        if (build.CanRate is not { } rate || Controller(build.Chip, build.Link.Pins) is not { } address)
            yield break;
        // One clock serves both controllers, and CAN2 has its filters in CAN1: the other one keeps its value after reset.
        if (build.Chip.Family is VirtualFamily.F4 && address == 0x4000_681C)
            yield return (0x4000_641C, 0x0123_0000);
        else if (build.Chip.Family is VirtualFamily.G0 or VirtualFamily.H7)
            yield return (address ^ (build.Chip.Family == VirtualFamily.G0 ? 0xC00u : 0x400), 0x0600_0A03);
        var clocks = ClockOf(build) / (uint)rate;
        yield return (address, build.Chip.Family switch
        {
            VirtualFamily.F0 or VirtualFamily.F1 or VirtualFamily.F2 or VirtualFamily.F4 => Bx(clocks),
            VirtualFamily.Lpc176x => Lpc(clocks),
            _ => Fd(clocks),
        });
    }

    /// <summary>The bit timing register of the controller that has these pins; null for a chip without.</summary>
    private static uint? Controller(VirtualChip chip, string? pins)
    {
        var isSecond = pins is "PB0,PB1" or "PC2,PC3" or "PB5,PB6" or "PB12,PB13";
        return chip.Family switch
        {
            VirtualFamily.F0 or VirtualFamily.F1 => 0x4000_641C,
            VirtualFamily.F2 or VirtualFamily.F4 => isSecond ? 0x4000_681Cu : 0x4000_641C,
            VirtualFamily.G0 or VirtualFamily.G4 => isSecond ? 0x4000_681Cu : 0x4000_641C,
            VirtualFamily.H7 => isSecond ? 0x4000_A41Cu : 0x4000_A01C,
            VirtualFamily.Samc21 => pins is "PA25,PA24" or "PA23,PA22" ? 0x4200_1C1Cu : 0x4200_201C,
            VirtualFamily.Samd51 => pins is "PA25,PA24" or "PA23,PA22" ? 0x4200_001Cu : 0x4200_041C,
            VirtualFamily.Same70 => pins == "PB3,PB2" ? 0x4003_001Cu : 0x4003_401C,
            VirtualFamily.Lpc176x => pins is "P0.0,P0.1" or "P0.21,P0.22" ? 0x4004_4014u : 0x4004_8014,
            _ => null,
        };
    }

    private static uint ClockOf(FirmwareBuild build)
    {
        var frequency = (uint)build.ClockFrequency;
        return build.Chip.Family switch
        {
            VirtualFamily.F1 or VirtualFamily.G4 => frequency / 2,
            VirtualFamily.F2 or VirtualFamily.F4 or VirtualFamily.H7 => frequency / 4,
            VirtualFamily.Samc21 or VirtualFamily.Samd51 => 48_000_000,
            VirtualFamily.Same70 => 80_000_000,
            _ => frequency,
        };
    }

    /// <summary>Time quanta of a bit, most first: the first number that divides the clocks, else nine.</summary>
    private static (uint Prescaler, uint Before, uint After) Quanta(uint clocks)
    {
        var quanta = 18u;
        while (quanta > 9 && clocks % quanta != 0)
            quanta--;
        var after = quanta / 8;
        return (clocks / quanta, quanta - (1 + after), after);
    }

    private static uint Bx(uint clocks)
    {
        var (prescaler, before, after) = Quanta(clocks);
        return (1u << 24) | ((before - 1) << 16) | ((after - 1) << 20) | (prescaler - 1);
    }

    private static uint Fd(uint clocks)
    {
        var (prescaler, before, after) = Quanta(clocks);
        return (1u << 25) | ((before - 1) << 8) | (after - 1) | ((prescaler - 1) << 16);
    }

    /// <summary>The quanta whose sample point is nearest to 87.5 %.</summary>
    private static uint Lpc(uint clocks)
    {
        var (best, prescaler, before, after) = (uint.MaxValue, clocks / 10, 7u, 2u);
        for (var quanta = 25u; quanta >= 8; quanta--)
        {
            var (factor, late) = (clocks / quanta, Math.Clamp((quanta + 4) / 8, 2, 8));
            if (clocks % quanta != 0 || factor is 0 or > 1024)
                continue;
            var early = quanta - (1 + late);
            if (early > 16)
                (early, late) = (16, quanta - 17);
            if (early == 0 || late is < 2 or > 8)
                continue;
            var sample = (((1 + early) * 1000) + (quanta / 2)) / quanta;
            var error = sample > 875 ? sample - 875 : 875 - sample;
            if (error < best)
                (best, prescaler, before, after) = (error, factor, early, late);
        }
        return (prescaler - 1) | (1u << 14) | ((before - 1) << 16) | ((after - 1) << 20);
    }
}

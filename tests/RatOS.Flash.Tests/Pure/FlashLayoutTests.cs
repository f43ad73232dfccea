using CsCheck;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Tests.Pure;

public sealed class FlashLayoutTests
{
    private static FlashMemory Memory(string mcu, WriteOrder order, bool erasesByItself = false)
    {
        var chip = Mcu.Find(mcu)!;
        return new FlashMemory([.. chip.AllSectors()], chip.WriteUnit, order, erasesByItself);
    }

    [Fact]
    public void An_Octopus_image_erases_two_small_sectors_and_the_large_one_and_writes_the_first_last()
    {
        var layout = FlashLayout.Create(new byte[44_468], 0x0800_8000, Memory("stm32f446xx", WriteOrder.FirstSectorLast), 2048);
        Assert.Equal(["08008000+16K", "0800c000+16K", "08010000+64K"], layout.Sectors.Select(sector => sector.ToString()));
        Assert.Equal([(0x0800_C000u, 28_084), (0x0800_8000u, 16_384)], layout.Runs.Select(run => (run.Address, run.Data.Length)));
        Assert.True(layout.Erases);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0xFF)]
    public void Katapult_is_given_a_block_that_is_no_firmware_first_and_the_first_sector_last(byte fill)
    {
        var memory = Memory("stm32f446xx", WriteOrder.InvalidateFirst, erasesByItself: true) with { InvalidFill = fill };
        var layout = FlashLayout.Create(new byte[44_468], 0x0800_8000, memory, 64);
        Assert.Equal([(0x0800_8000u, 64), (0x0800_C000u, 28_096), (0x0800_8000u, 16_384)],
            layout.Runs.Select(run => (run.Address, run.Data.Length)));
        Assert.False(layout.Erases);
        Assert.Equal(44_480 + 64, layout.BytesToWrite);
        Assert.True(layout.Runs[0].Data.Span.IndexOfAnyExcept(fill) < 0);
    }

    [Fact]
    public void One_sector_that_holds_everything_is_written_once()
    {
        var layout =
            FlashLayout.Create(new byte[44_572], 0x0802_0000, Memory("stm32h723xx", WriteOrder.InvalidateFirst, erasesByItself: true), 64);
        Assert.Equal((0x0802_0000u, 44_608), Assert.Single(layout.Runs) is var run ? (run.Address, run.Data.Length) : default);
    }

    [Theory]
    [InlineData(4, 44_465, 44_468)]
    [InlineData(8, 44_465, 44_472)]
    [InlineData(32, 44_465, 44_480)]
    public void The_last_short_block_is_padded_with_ones_to_the_chips_write_unit(int unit, int size, int padded)
    {
        var memory = Memory("stm32g0b1xx", WriteOrder.Ascending) with { WriteUnit = unit };
        var image = Enumerable.Range(0, size).Select(i => (byte)i).ToArray();
        var layout = FlashLayout.Create(image, 0x0800_0000, memory, 1024);
        Assert.Equal(padded, layout.Data.Length);
        Assert.Equal(image, layout.Data[..size].ToArray());
        Assert.All(layout.Data[size..].ToArray(), b => Assert.Equal(0xFF, b));
    }

    [Fact]
    public void One_byte_too_many_is_refused_and_one_less_is_not()
    {
        var memory = Memory("stm32f072xb", WriteOrder.FirstSectorLast);
        Assert.Equal(64, FlashLayout.Create(new byte[128 * 1024], 0x0800_0000, memory, 2048).Sectors.Length);
        Assert.Equal("firmware-too-big",
            Assert.Throws<FlashException>(() => FlashLayout.Create(new byte[(128 * 1024) + 1], 0x0800_0000, memory, 2048)).Code);
    }

    [Fact]
    public void A_start_inside_a_sector_is_refused_because_the_erase_would_take_the_bootloaders_end()
    {
        var fault = Assert.Throws<FlashException>(() =>
            FlashLayout.Create(new byte[4096], 0x0802_0200, Memory("stm32f407xx", WriteOrder.Ascending), 2048));
        Assert.Equal("start-inside-sector", fault.Code);
    }

    [Fact]
    public void An_RP2040_is_written_page_by_page_and_the_page_with_the_boot_code_last()
    {
        var memory = Memory("rp2040", WriteOrder.FirstPageLast);
        var layout = FlashLayout.Create(new byte[44_000], 0x1000_0000, memory, 256);
        Assert.Equal((11, true), (layout.Sectors.Length, layout.Erases));
        Assert.Equal([(0x1000_0100u, 43_776), (0x1000_0000u, 256)], layout.Runs.Select(run => (run.Address, run.Data.Length)));
        Assert.Single(FlashLayout.Create(new byte[200], 0x1000_0000, memory, 256).Runs);
    }

    [Fact]
    public void A_gap_in_the_areas_of_the_bootloader_is_refused()
    {
        var memory = new FlashMemory([new Sector(0x0800_0000, 2048), new Sector(0x0800_1000, 2048)], 8, WriteOrder.Ascending, false);
        Assert.Equal("firmware-too-big",
            Assert.Throws<FlashException>(() => FlashLayout.Create(new byte[6000], 0x0800_0000, memory, 1024)).Code);
    }

    /// <summary>For every chip, size and order: the runs are exactly the image, all erased, and nothing outside of it is touched.</summary>
    [Fact]
    public void Runs_cover_the_image_exactly_and_stay_inside_the_erased_sectors() =>
        Gen.Select(
            Gen.Int[0, Mcu.All.Length - 1].Select(i => Mcu.All[i]), Gen.Enum<WriteOrder>(), Gen.Int[1, 30_000], Gen.Int[0, 10])
        .Sample((mcu, order, size, offset) =>
        {
            var start = mcu.FlashBase + mcu.Offsets[offset % mcu.Offsets.Length];
            if (!mcu.AllSectors().Any(sector => sector.Address == start) || start + size > mcu.FlashEnd)
                return;
            var memory = new FlashMemory([.. mcu.AllSectors()], mcu.WriteUnit, order, order == WriteOrder.InvalidateFirst);
            var image = new byte[size];
            new Random(size).NextBytes(image);
            var layout = FlashLayout.Create(image, start, memory, order == WriteOrder.InvalidateFirst ? 64 : 1024);

            var flash = new Dictionary<uint, byte>();
            foreach (var run in layout.Runs)
            {
                for (var i = 0; i < run.Data.Length; i++)
                    flash[run.Address + (uint)i] = run.Data.Span[i];
            }
            Assert.Equal(layout.Data.Length, flash.Count);
            Assert.Equal(layout.Data.ToArray(), flash.OrderBy(pair => pair.Key).Select(pair => pair.Value));
            Assert.Equal(start, layout.Sectors[0].Address);
            Assert.True(flash.Keys.All(address => layout.Sectors.Any(sector => sector.Overlaps(address, address + 1))));
            Assert.True(layout.Runs[^1].Address == start || order == WriteOrder.Ascending);
        }, iter: 60);
}

using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Flash memory as in silicon, and the effects of a power cut.</summary>
public sealed class VirtualFlashTests
{
    private const uint Start = 0x0800_8000; // F446: the third sector of 16 KiB

    private static readonly byte[] Ones = Enumerable.Repeat((byte)0xFF, 16 * 1024).ToArray();

    [Fact]
    public void Programming_clears_bits_and_never_sets_one()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        Assert.Equal((TimeSpan.FromMicroseconds(16), true), flash.Program(Start, [0xF0, 0xFF, 0xFF, 0xFF], TimeSpan.Zero));
        Assert.True(flash.Program(Start, [0x30, 0xFF, 0xFF, 0xFF], TimeSpan.Zero).Ok);
        Assert.False(flash.Program(Start, [0x0F, 0xFF, 0xFF, 0xFF], TimeSpan.Zero).Ok);
        Assert.Equal(0x00, flash.Read(Start, 1)[0]);
    }

    [Fact]
    public void A_unit_with_ECC_is_written_once()
    {
        var flash = new VirtualFlash(VirtualChip.G0B1);
        Assert.True(flash.Program(0x0800_0000, [1, 2, 3, 4, 5, 6, 7, 8], TimeSpan.Zero).Ok);
        Assert.False(flash.Program(0x0800_0000, new byte[8], TimeSpan.Zero).Ok);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], flash.Read(0x0800_0000, 8).ToArray());
        Assert.True(flash.Program(0x0800_0000, [1, 2, 3, 4, 5, 6, 7, 8], TimeSpan.Zero).Ok);
    }

    [Fact]
    public void An_erase_takes_one_sector_and_its_time_and_is_counted()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(Start - 4, new byte[16 * 1024 + 8]);
        var sector = flash.SectorAt(Start);
        Assert.Equal(TimeSpan.FromMilliseconds(250), flash.Erase(sector, TimeSpan.Zero));
        Assert.Equal(Ones, flash.Read(Start, Ones.Length).ToArray());
        Assert.Equal(0, flash.Read(Start - 1, 1)[0]);
        Assert.Equal(0, flash.Read(Start + 0x4000, 1)[0]);
        Assert.Equal((1, 1), (flash.Erases[sector], flash.Erases.Sum()));
    }

    [Theory]
    [InlineData(0x0800_0000u, 0)]
    [InlineData(0x0800_3FFFu, 0)]
    [InlineData(0x0800_4000u, 1)]
    [InlineData(0x0801_0000u, 4)]
    [InlineData(0x0802_0000u, 5)]
    [InlineData(0x0807_FFFFu, 7)]
    public void Addresses_lie_in_their_sectors(uint address, int sector) =>
        Assert.Equal(sector, new VirtualFlash(VirtualChip.F446).SectorAt(address));

    [Fact]
    public void A_power_cut_in_an_erase_leaves_the_sector_unsound()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(Start, new byte[0x4000]);
        flash.Erase(flash.SectorAt(Start), TimeSpan.FromSeconds(1));
        flash.CutPower(TimeSpan.FromSeconds(1.1));
        Assert.False(flash.IsSound(Start, 4));
        Assert.False(flash.IsSound(Start + 0x3FFC, 4));
        Assert.True(flash.IsSound(Start + 0x4000, 4));
        Assert.NotEqual(Ones, flash.Read(Start, Ones.Length).ToArray());

        flash.Erase(flash.SectorAt(Start), TimeSpan.FromSeconds(5));
        Assert.True(flash.IsSound(Start, 0x4000));
    }

    [Fact]
    public void A_power_cut_after_an_erase_changes_nothing()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(Start, new byte[0x4000]);
        flash.Erase(flash.SectorAt(Start), TimeSpan.FromSeconds(1));
        flash.CutPower(TimeSpan.FromSeconds(1.25));
        Assert.Equal(Ones, flash.Read(Start, Ones.Length).ToArray());
        Assert.True(flash.IsSound(Start, 0x4000));
    }

    [Fact]
    public void A_power_cut_in_a_write_leaves_one_unit_unsound_and_those_behind_it_blank()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Program(Start, new byte[64], TimeSpan.Zero); // 16 words of 16 us
        flash.CutPower(TimeSpan.FromMicroseconds(16 * 5.5));
        Assert.Equal(new byte[20], flash.Read(Start, 20).ToArray());
        Assert.True(flash.IsSound(Start, 20));
        Assert.False(flash.IsSound(Start + 20, 4));
        Assert.True(flash.IsSound(Start + 24, 40));
        Assert.Equal(Ones[..40], flash.Read(Start + 24, 40).ToArray());
        Assert.True(flash.Program(Start + 24, new byte[40], TimeSpan.FromSeconds(1)).Ok);
    }

    [Fact]
    public void Work_that_would_begin_after_the_cut_does_not_happen()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        var before = Enumerable.Range(0, 0x4000).Select(i => (byte)i).ToArray();
        flash.Preset(Start, before);
        // A program works ahead: two erases one behind the other, then a write.
        var sector = flash.SectorAt(Start);
        var first = flash.Erase(sector - 1, TimeSpan.Zero);
        var second = flash.Erase(sector, first);
        flash.Program(Start, new byte[64], first + second);
        flash.CutPower(TimeSpan.FromMilliseconds(100)); // in the first
        Assert.False(flash.IsSound(Start - 4, 4));
        Assert.True(flash.IsSound(Start, 0x4000));
        Assert.Equal(before, flash.Read(Start, before.Length).ToArray());
        Assert.Equal(0, flash.Erases[sector]);
    }

    [Fact]
    public void An_erase_that_never_began_heals_no_cell()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        var sector = flash.SectorAt(Start);
        flash.Erase(sector, TimeSpan.Zero);
        flash.CutPower(TimeSpan.FromMilliseconds(1));
        flash.Erase(sector - 1, TimeSpan.FromSeconds(1));
        flash.Erase(sector, TimeSpan.FromSeconds(1.25));
        flash.CutPower(TimeSpan.FromSeconds(1.1));
        Assert.False(flash.IsSound(Start, 4));
    }

    [Fact]
    public void The_same_cut_gives_the_same_bits()
    {
        static byte[] Cut()
        {
            var flash = new VirtualFlash(VirtualChip.H723);
            flash.Preset(0x0802_0000, new byte[1024]);
            flash.Erase(1, TimeSpan.Zero);
            flash.CutPower(TimeSpan.FromMilliseconds(333));
            return flash.Read(0x0802_0000, 1024).ToArray();
        }

        Assert.Equal(Cut(), Cut());
    }

    [Fact]
    public void The_chip_is_busy_while_it_works()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Erase(3, TimeSpan.FromSeconds(1));
        Assert.False(flash.IsBusy(TimeSpan.FromSeconds(0.9)));
        Assert.True(flash.IsBusy(TimeSpan.FromSeconds(1.1)));
        Assert.False(flash.IsBusy(TimeSpan.FromSeconds(1.3)));
    }

    [Fact]
    public void A_protected_sector_takes_nothing()
    {
        var flash = new VirtualFlash(VirtualChip.F446);
        flash.Preset(Start, [1, 2, 3, 4]);
        flash.Protect(flash.SectorAt(Start));
        Assert.Equal(TimeSpan.Zero, flash.Erase(flash.SectorAt(Start), TimeSpan.Zero));
        Assert.False(flash.Program(Start, new byte[4], TimeSpan.Zero).Ok);
        Assert.False(flash.Program(Start - 4, new byte[8], TimeSpan.Zero).Ok);
        Assert.Equal([1, 2, 3, 4], flash.Read(Start, 4).ToArray());
    }

    [Fact]
    public void A_worn_cell_shows_when_it_is_written()
    {
        var flash = new VirtualFlash(VirtualChip.F446, wornAt: Start + 5);
        Assert.False(flash.Program(Start, [1, 1, 1, 1, 1, 1, 1, 1], TimeSpan.Zero).Ok);
        Assert.Equal([1, 1, 1, 1, 1, 0, 1, 1], flash.Read(Start, 8).ToArray());
    }
}

using CsCheck;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

public sealed class DfuDescriptorTests
{
    // As the ROMs send them (DFU 1.1, 4.1.3; AN3156): interface FE/01/02, functional descriptor 09 21 0B FF 00 <size> 1A 01.
    private static readonly byte[] F446 = Convert.FromHexString(
        "09024800010100C032" + "0904000000FE010204" + "0904000100FE010205" + "0904000200FE010206" + "0904000300FE010207"
        + "09210BFF0000081A01");

    [Fact]
    public void The_rom_of_an_F446_shows_four_alternates_and_2048_bytes_a_transfer()
    {
        var dfu = DfuDescriptors.Parse(F446);
        Assert.Equal(0, dfu.Number);
        Assert.Equal([(0, 4), (1, 5), (2, 6), (3, 7)], dfu.Alternates.Select(pair => ((int)pair.Alternate, (int)pair.NameIndex)));
        Assert.Equal(2048, dfu.TransferSize);
        Assert.True(dfu.CanUpload);
    }

    [Theory]
    [InlineData("0902090001010 0C032", "no interface")]
    [InlineData("0902120001010 0C032 0904000000FE010204", "no DFU functional descriptor")]
    [InlineData("0902120001010 0C032 0904000000FE010204 09210BFF0000001A01", "transfer size of 0")]
    [InlineData("0902120001010 0C032 0904000000FE010204 09210BFF00FFFF1A01", "transfer size of 65535")]
    [InlineData("0902120001010 0C032 0004000000FE010204", "descriptor of 0 bytes")]
    public void Descriptors_that_lie_are_a_fault_with_the_reason(string hex, string reason)
    {
        var fault = Assert.Throws<FlashException>(() => DfuDescriptors.Parse(Convert.FromHexString(hex.Replace(" ", ""))));
        Assert.Equal("dfu-descriptor", fault.Code);
        Assert.Contains(reason, fault.Cause, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_cut_and_every_flipped_byte_gives_a_result_or_a_fault_but_never_anything_else()
    {
        for (var length = 0; length < F446.Length; length++)
            ParseOrFault(F446[..length]);
        Gen.Select(Gen.Int[0, F446.Length - 1], Gen.Byte).Sample((at, value) =>
        {
            var bytes = F446.ToArray();
            bytes[at] = value;
            ParseOrFault(bytes);
        });

        static void ParseOrFault(byte[] bytes)
        {
            try
            {
                Assert.InRange(DfuDescriptors.Parse(bytes).TransferSize, 64, 4096);
            }
            catch (FlashException fault)
            {
                Assert.Equal("dfu-descriptor", fault.Code);
            }
        }
    }

    [Theory]
    [InlineData("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg", 8, 0x0808_0000)]
    [InlineData("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", 12, 0x0810_0000)]
    [InlineData("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg", 24, 0x0820_0000)]
    [InlineData("@Internal Flash  /0x08000000/064*0002Kg", 64, 0x0802_0000)]
    [InlineData("@Internal Flash   /0x08000000/64*02Kg", 64, 0x0802_0000)]
    [InlineData("@Internal Flash   /0x08000000/256*02Kg", 256, 0x0808_0000)]
    [InlineData("@Internal Flash   /0x08000000/8*128Kg", 8, 0x0810_0000)]
    [InlineData("@Internal Flash   /0x08000000/16*128Kg", 16, 0x0820_0000)]
    // Cut short in the middle of an item: what came whole counts.
    [InlineData("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*06", 16, 0x0811_0000)]
    public void The_layout_of_every_chip_is_understood(string text, int sectors, uint end)
    {
        var map = DfuMemoryMap.Parse(text)!;
        Assert.True(map.IsInternalFlash);
        Assert.All(map.Areas, area => Assert.True(area.IsFlash));
        Assert.Equal(sectors, map.Areas.Length);
        Assert.Equal(end, map.Areas[^1].Sector.End);
    }

    [Theory]
    [InlineData("@Option Bytes  /0x1FFFC000/01*016 e", 1, 16)]
    [InlineData("@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e", 2, 16)]
    [InlineData("@OTP Memory /0x1FFF7800/01*512 e,01*016 e", 2, 512)]
    [InlineData("@Device Feature/0xFFFF0000/01*004 e", 1, 4)]
    [InlineData("@Option Bytes   /0x5200201C/01*88 e", 1, 88)]
    public void Memory_that_must_never_be_written_is_no_flash(string text, int areas, int firstSize)
    {
        var map = DfuMemoryMap.Parse(text)!;
        Assert.False(map.IsInternalFlash);
        Assert.Equal(areas, map.Areas.Length);
        Assert.Equal(firstSize, map.Areas[0].Sector.Size);
        Assert.All(map.Areas, area => Assert.False(area.IsFlash));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Internal Flash")]
    [InlineData("@Internal Flash")]
    [InlineData("@Internal Flash/0x08000000/")]
    [InlineData("@Internal Flash/banana/04*016Kg")]
    [InlineData("@Internal Flash/0x08000000/99999*128Kg")]
    [InlineData("@Internal Flash/0x08000000/01*99999999Kg")]
    [InlineData("@Internal Flash/0x08000000/-1*016Kg")]
    [InlineData("@Internal Flash/0x08000000/04*Kg")]
    public void Text_that_is_not_a_layout_is_rejected(string text) => Assert.Null(DfuMemoryMap.Parse(text));

    [Fact]
    public void Any_text_is_parsed_or_refused() =>
        Gen.String.Sample(text => DfuMemoryMap.Parse("@" + text) is null or { Areas.Length: > 0 and <= 4096 });

    [Fact]
    public void A_status_is_six_bytes_with_the_poll_time_in_the_middle()
    {
        var status = DfuStatus.Parse([0x00, 0x68, 0x01, 0x00, 0x04, 0x00]);
        Assert.Equal((0, TimeSpan.FromMilliseconds(360), DfuState.DownloadBusy), (status.Status, status.Poll, status.State));
        var error = DfuStatus.Parse([0x0B, 0, 0, 0, 0x0A, 0]);
        Assert.True(error is { IsError: true, IsReadProtected: true, StatusName: "errVENDOR" });
        Assert.Throws<FlashException>(() => DfuStatus.Parse([0, 0, 0, 0, 2]));
    }
}

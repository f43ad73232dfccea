using RatOS.Flash.Bootloaders;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The bytes of AN3155, as its figures and tables have them.</summary>
public sealed class Stm32UartFrameTests
{
    private static string Hex(byte[] bytes) => Convert.ToHexString(bytes);

    [Theory]
    [InlineData(Stm32UartFrame.Get, "00FF")]
    [InlineData(Stm32UartFrame.GetId, "02FD")]
    [InlineData(Stm32UartFrame.Read, "11EE")]
    [InlineData(Stm32UartFrame.Go, "21DE")]
    [InlineData(Stm32UartFrame.Write, "31CE")]
    [InlineData(Stm32UartFrame.Erase, "43BC")]
    [InlineData(Stm32UartFrame.ExtendedErase, "44BB")]
    public void A_command_is_followed_by_its_complement(byte command, string expected) =>
        Assert.Equal(expected, Hex(Stm32UartFrame.Command(command)));

    [Theory]
    [InlineData(0x0800_0000, "0800000008")]
    [InlineData(0x0800_8000, "0800800088")]
    [InlineData(0x0801_2345, "080123456F")]
    public void An_address_is_big_endian_and_ends_with_the_XOR_of_its_bytes(uint address, string expected) =>
        Assert.Equal(expected, Hex(Stm32UartFrame.Address(address)));

    [Fact]
    public void Counts_are_one_less_and_sums_cover_the_count()
    {
        Assert.Equal("FF00", Hex(Stm32UartFrame.ReadCount(256)));
        Assert.Equal("00FF", Hex(Stm32UartFrame.ReadCount(1)));
        Assert.Equal("03010204080C", Hex(Stm32UartFrame.Data([0x01, 0x02, 0x04, 0x08])));
        Assert.Equal(258, Stm32UartFrame.Data(new byte[256]).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => Stm32UartFrame.Data(new byte[6]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Stm32UartFrame.Data(new byte[260]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Stm32UartFrame.ReadCount(0));
    }

    [Theory]
    [InlineData(Stm32UartFrame.ExtendedErase, 2, "0000000202")]
    [InlineData(Stm32UartFrame.ExtendedErase, 0x105, "0000010504")]
    [InlineData(Stm32UartFrame.Erase, 2, "000202")]
    public void An_erase_names_one_page(byte command, int page, string expected) =>
        Assert.Equal(expected, Hex(Stm32UartFrame.Page(command, page)));

    /// <summary>FFFF, FFFE, FFFD and FF stand for the whole chip or a bank, in place of the count.</summary>
    [Fact]
    public void No_page_number_can_become_a_mass_erase()
    {
        for (var page = -1; page <= 0x1_0000; page++)
        {
            foreach (var (command, last) in new[] { (Stm32UartFrame.ExtendedErase, 0xFFF), (Stm32UartFrame.Erase, 0xFE) })
            {
                if (page < 0 || page > last)
                    Assert.Throws<ArgumentOutOfRangeException>(() => Stm32UartFrame.Page(command, page));
                else
                    Assert.Equal(0, Stm32UartFrame.Page(command, page)[0]);
            }
        }
    }

    /// <summary>So it ends whatever a dead predecessor began, without finishing it.</summary>
    [Fact]
    public void Nothing_that_is_made_of_fed_bytes_alone_is_a_command_or_has_a_right_sum()
    {
        var fed = Stm32UartFrame.Feed(0, 4096);
        Assert.Equal("010301070103010F", Hex(fed)[..16]);
        Assert.Equal(Hex(fed), Hex(Stm32UartFrame.Feed(0, 9)) + Hex(Stm32UartFrame.Feed(9, 4087)));
        for (var at = 0; at + 1 < fed.Length; at++)
        {
            Assert.NotEqual(0xFF, fed[at] ^ fed[at + 1]);
            AssertWrong(at, 5);                                               // an address
            AssertWrong(at, fed[at] + 3);                                     // the data of a write, the pages of an erase
            AssertWrong(at, (((fed[at] << 8) | fed[at + 1]) * 2) + 5);        // the pages of an extended erase
            AssertWrong(at, 2);                                               // a mass erase: FF and 00
            AssertWrong(at, 3);                                               // ... FF FF and 00
        }

        void AssertWrong(int at, int length)
        {
            if (at + length <= fed.Length)
                Assert.NotEqual(0, fed.AsSpan(at, length).ToArray().Aggregate((sum, value) => (byte)(sum ^ value)));
        }
    }
}

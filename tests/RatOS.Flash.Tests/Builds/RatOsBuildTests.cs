using RatOS.Flash.Boards;
using RatOS.Flash.Builds;

namespace RatOS.Flash.Tests.Builds;

/// <summary>
/// A build by the catalogue alone is that by RatOS's own configuration, whose symbols are in <c>Recordings/ratos-builds.txt</c>.
/// </summary>
public sealed class RatOsBuildTests
{
    private static readonly Dictionary<string, Dictionary<string, string>> OfRatOs =
        File.ReadLines(Path.Combine("Recordings", "ratos-builds.txt")).Where(line => !line.StartsWith('#')).Select(line => line.Split(' '))
            .ToDictionary(words => words[0], words => words[1..].Select(word => word.Split('=', 2))
                .ToDictionary(pair => pair[0], pair => pair[1]));

    public static TheoryData<string> Boards => [.. OfRatOs.Keys];

    [Fact]
    public void Every_board_that_is_built_is_in_the_listing() => Assert.Equal(
        BoardCatalogue.BuiltIn.Boards.Where(board => board.McuName is not null).Select(board => board.Id).Order(StringComparer.Ordinal),
        OfRatOs.Keys.Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Boards))]
    public void A_build_by_the_catalogue_has_the_symbols_of_RatOSs_own(string id)
    {
        var board = BoardCatalogue.BuiltIn.Find(id)!;
        var declared = BuildConfig.For(board).Declared.ToDictionary(symbol => symbol.Symbol, symbol => symbol.Value);
        foreach (var (symbol, value) in OfRatOs[id])
        {
            switch (symbol)
            {
                // Klipper's default for AVR and USB, and a Linux process has neither.
                case "FLASH_APPLICATION_ADDRESS" or "CLOCK_REF_FREQ" or "SERIAL" or "MCU" when !declared.ContainsKey(symbol):
                    Assert.True(board.McuName is "linux" || board.ApplicationStart is null || board.CrystalHz is null
                        || !board.McuName!.StartsWith("stm32", StringComparison.Ordinal), $"{symbol}={value} is not declared");
                    break;
                case "USB_VENDOR_ID" or "USB_DEVICE_ID":
                    Assert.Equal(symbol == "USB_VENDOR_ID" ? "0x1d50" : "0x614e", value);   // Klipper's defaults, which no build changes
                    break;
                case "SERIAL_BAUD":
                    Assert.Equal("250000", value);
                    break;
                case "USB_SERIAL_NUMBER" when value == "12345":   // Klipper's own, for a firmware without USB
                    Assert.DoesNotContain("USBSERIAL", declared.Keys);
                    break;
                default:
                    Assert.Equal((symbol, value), (symbol, declared.GetValueOrDefault(symbol)));
                    break;
            }
        }
        Assert.Equal(board.InitialPins, declared.GetValueOrDefault("INITIAL_PINS"));
    }
}

using RatOS.Flash.Boards;
using RatOS.Flash.Core;
using RatOS.Flash.Printer;

namespace RatOS.Flash.Tests.Pure;

/// <summary>printer.cfg with its includes, read without Klipper.</summary>
public sealed class ConfigFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ratos-flash-cfg");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Included_files_stand_where_they_are_included()
    {
        Put("printer.cfg", "[mcu]\nserial: /dev/a\n[include boards/*.cfg]\n[fan]\npin: PA1\n");
        Put("boards/b.cfg", "[include ../tool.cfg]\n[extruder]\n");
        Put("boards/a.cfg", "[stepper_x]\n");
        Put("boards/c.txt", "[no]\n");
        Put("tool.cfg", "[mcu EBBCan]\n");
        var read = ConfigFiles.Read(Path.Combine(_folder.FullName, "printer.cfg"));
        Assert.Equal(["mcu", "stepper_x", "mcu EBBCan", "extruder", "fan"], read.Sections.Select(section => section.Name));
        Assert.Empty(read.Findings);
    }

    [Fact]
    public void A_circle_of_includes_is_a_finding()
    {
        Put("printer.cfg", "[mcu]\n[include a.cfg]\n");
        Put("a.cfg", "[fan]\npin: PA1\n[include printer.cfg]\n[include *.cfg]\n");
        var read = ConfigFiles.Read(Path.Combine(_folder.FullName, "printer.cfg"));
        Assert.Equal(["mcu", "fan"], read.Sections.Select(section => section.Name));
        Assert.All(read.Findings, finding => Assert.Equal(FaultKind.PinsUnread, finding.Kind));
        Assert.Equal(3, read.Findings.Length);
    }

    [Fact]
    public void Files_that_include_each_other_in_ever_new_ways_end()
    {
        for (var i = 0; i < 12; i++)
            Put($"f{i}.cfg", "[include f*.cfg]\n[fan]\npin: PA1\n");
        var read = ConfigFiles.Read(Path.Combine(_folder.FullName, "f0.cfg"));
        Assert.InRange(read.Sections.Count, 1, 300);
        Assert.NotEmpty(read.Findings);
    }

    [Fact]
    public void A_missing_or_a_too_large_file_has_no_sections()
    {
        Put("large.cfg", "[mcu]\n" + new string('#', 1024 * 1024));
        Assert.Empty(ConfigFiles.Read(Path.Combine(_folder.FullName, "none.cfg")).Sections);
        var large = ConfigFiles.Read(Path.Combine(_folder.FullName, "large.cfg"));
        Assert.Equal((0, 1), (large.Sections.Count, large.Findings.Length));
    }

    [Fact]
    public void A_board_of_no_known_kind_is_named_by_its_pins_in_the_inventory()
    {
        Put("printer.cfg", """
            [mcu NHK]
            [mcu]
            [extruder]
            step_pin: NHK:gpio23
            dir_pin: NHK:gpio24
            enable_pin: !NHK:gpio25
            heater_pin: NHK:gpio9
            sensor_pin: NHK:gpio29
            [tmc2209 extruder]
            uart_pin: NHK:gpio0
            [adxl345]
            cs_pin: NHK:gpio21
            [output_pin led]
            pin: PA13
            """);
        var pins = PrinterPins.Of(ConfigFiles.Read(Path.Combine(_folder.FullName, "printer.cfg")).Sections);
        var tool = InventoryStage.InKlipper("1-1.3", "E6625887D3", "rp2040", "/dev/ttyACM3");
        var main = InventoryStage.InKlipper("1-1.4", "3A00", "stm32f103xe", "/dev/ttyACM4");
        var inventory = PrinterInventory.Create(
            [new("mcu nhk") { Serial = "/dev/ttyACM3" }, new("mcu") { Serial = "/dev/ttyACM4" }], new(1, [tool, main]), [],
            BoardCatalogue.BuiltIn, [], KlippyEvidence.None, pins: new(KlipperBoardConfigs.BuiltIn, pins));
        var board = inventory.Mcus[0];
        Assert.Equal(("LDO Nitehawk SB", 1.0), (board.KnownByPins?.Name, board.KnownByPins?.Score));
        Assert.Equal(("rp2040", FactSource.Bus), (board.Board!.Profile.Chip?.Value, board.Board.Profile.Chip?.Source));
        Assert.Equal("LDO Nitehawk SB", board.Board.Profile.KnownAs?.Value);
        Assert.Null(board.Board.Profile.ApplicationStart);
        Assert.Equal((null, true), (inventory.Mcus[1].KnownByPins, inventory.Mcus[1].Board!.Profile.DisablesSwd));
    }

    private void Put(string name, string text)
    {
        var path = Path.Combine(_folder.FullName, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}

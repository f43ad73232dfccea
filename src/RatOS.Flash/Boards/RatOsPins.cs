using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>
/// The pins of RatOS's boards (<c>boards/*/config.cfg</c>, <c>toolboard-config.cfg</c>): aliases such as <c>x_step_pin=PF13</c>, of which
/// those with one beginning belong together.
/// </summary>
/// <param name="read">Reads a file; null for one that cannot be read.</param>
internal sealed class RatOsPins(Func<string, string?> read)
{
    private const int MaxFile = 128 * 1024;

    private static readonly string[] Files = ["config.cfg", "toolboard-config.cfg"];

    /// <summary>How RatOS ends the name of an alias, the section of Klipper's that it is for, and the option there.</summary>
    private static readonly (string Ending, string Section, string Option)[] Endings =
    [
        ("_step_pin", "", "step_pin"), ("_dir_pin", "", "dir_pin"), ("_enable_pin", "", "enable_pin"), ("_uart_pin", "tmc", "uart_pin"),
        ("_diag_pin", "tmc", "diag_pin"), ("_endstop_pin", "", "endstop_pin"), ("_heater_pin", "heater", "heater_pin"),
        ("_heating_pin", "heater", "heater_pin"), ("bltouch_sensor_pin", "probe", "sensor_pin"), ("_sensor_pin", "heater", "sensor_pin"),
        ("_cooling_pin", "fan", "pin"), ("_fan_pin", "fan", "pin"), ("_controller_board_pin", "fan", "pin"),
        ("adxl345_cs_pin", "adxl345", "cs_pin"),
    ];

    /// <param name="ratOs">RatOS's boards, with their names, chips and folders.</param>
    public IEnumerable<KlipperBoardConfig> Read(RatOsCatalogue ratOs) =>
        from board in ratOs.Catalogue.Boards
        where board.McuName is not null && ratOs.Folders.ContainsKey(board.Id)
        let pins = PinsOf(ratOs.Folders[board.Id])
        where pins.Weight > 0
        select new KlipperBoardConfig(board.Id, board.DisplayName, [board.McuName!], pins, Head: null);

    private PinSet PinsOf(string folder)
    {
        foreach (var file in Files)
        {
            if (read(Path.Combine(folder, file)) is { } text)
                return Of(text);
        }
        return PinSet.None;
    }

    /// <summary>The features of one of RatOS's files, whatever it calls the MCU.</summary>
    internal static PinSet Of(string text)
    {
        var sections = new Dictionary<string, ConfigSection>(StringComparer.Ordinal);
        foreach (var section in ConfigSection.Read(text, withCommented: false, new WorkBudget(MaxFile)))
        {
            if (section.Type is not "board_pins")
                continue;
            foreach (var pair in section.Options.Where(option => option.Key == "aliases")
                .SelectMany(option => option.Value.Split([',', '\n'], StringSplitOptions.RemoveEmptyEntries)))
            {
                if (pair.Split('=', StringSplitOptions.TrimEntries) is [var alias, var pin]
                    && Array.Find(Endings, ending => alias.EndsWith(ending.Ending, StringComparison.Ordinal)) is { Ending: not null } found)
                    Add(alias[..^found.Ending.Length], found.Section, found.Option, pin);
            }
        }
        return PinSet.Of([.. sections.Values])["mcu"];

        void Add(string own, string section, string option, string pin)
        {
            var name = section switch
            {
                "tmc" => $"tmc2209 {own}",
                "heater" => $"heater_generic {own}",
                "" => own,
                _ => $"{section} {own}",
            };
            if (!sections.TryGetValue(name, out var its))
                sections[name] = its = new(name);
            its.Options.Add(new(option, pin));
        }
    }
}

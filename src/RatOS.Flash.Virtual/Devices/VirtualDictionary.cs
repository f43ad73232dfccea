using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// Writes the data dictionary of an invented Klipper build: keys, fixed commands and numbering of a real one, filled with invented
/// devices to its size. Numbers run on from commands to responses, so the eight additional commands of an F4 (SD card) move all
/// responses, as in real builds.
/// </summary>
internal static class VirtualDictionary
{
    private static readonly string[] FixedCommands =
    [
        "identify offset=%u count=%c", "clear_shutdown", "emergency_stop", "get_uptime", "get_clock", "finalize_config crc=%u",
        "get_config",
        "allocate_oids count=%c", "debug_nop", "debug_ping data=%*s", "debug_write order=%c addr=%u val=%u", "debug_read order=%c addr=%u",
    ];

    private static readonly string[] FixedResponses =
    [
        "starting", "is_shutdown static_string_id=%hu", "shutdown clock=%u static_string_id=%hu", "stats count=%u sum=%u sumsq=%u",
        "uptime high=%u clock=%u", "clock clock=%u", "config is_config=%c crc=%u is_shutdown=%c move_count=%hu", "pong data=%*s",
        "debug_result val=%u",
    ];

    /// <summary>The strings that the virtual firmware can report, in the order of their ids, which start at 2.</summary>
    private static readonly string[] FixedStrings =
    [
        "Shutdown cleared when not shutdown", "Timer too close", "sentinel timer called", "Invalid command", "Message encode error",
        "Command parser error", "Command request", "config_reset only available when shutdown", "oids already allocated",
        "Can't assign oid",
        "Invalid oid type", "Already finalized",
    ];

    private static readonly string[] Devices =
    [
        "stepper", "gantry", "adc_in", "pwm_fan", "gpio_out", "gpio_in", "tacho", "spi_port", "i2c_port", "uart_wire", "led_ring",
        "bk7319",
        "qmx55", "ta4410", "lx90d", "load_cell", "probe_eddy", "vw1120", "dial_7seg", "glyph_lcd", "thermo_k", "thermo_pt", "zr88_angle",
        "belt_tune", "dock_lock", "hall_width", "ozone", "jolt3d", "us9960", "filter_iir", "trig_sync", "door_btn", "servo_4q", "nfc_ring",
        "mzx_motion", "card_slot",
    ];

    private static readonly string[] Verbs = ["config_{0} oid=%c", "query_{0} oid=%c clock=%u", "{0}_send oid=%c", "{0}_set_limit oid=%c"];

    private static readonly string[] Parameters =
    [
        " pin=%u", " rest_ticks=%u", " pull_up=%c", " data=%*s", " sample_count=%c", " rate=%u", " invert=%c", " value=%hu",
        " max_duration=%u", " offset=%i", " bus_oid=%c", " cs_pin=%u", " min_value=%hu max_value=%hu", " trigger_reason=%c",
        " cycle_ticks=%u", " poll_ticks=%u timeout=%u", " mode=%u", " gain_channel=%c", " scale=%i scale_frac_bits=%c",
        " step_count=%hu add=%hi",
    ];

    private static readonly string[] Complaints =
    [
        "{0} does not answer", "{0} was set up twice", "No room left for {0}", "{0} heard too late", "Unknown kind of {0}",
        "{0} is in use", "Too much data for {0}", "{0} out of bounds",
    ];

    /// <summary>
    /// The commands of features that small chips may leave out (src/Kconfig, WANT_x), as Klipper v0.13 has them.
    /// </summary>
    private static readonly string[] FeatureCommands =
    [
        "config_analog_in oid=%c pin=%u", "config_spi oid=%c pin=%u cs_active_high=%c",
        "spi_set_sw_bus oid=%c miso_pin=%u mosi_pin=%u sclk_pin=%u mode=%u pulse_ticks=%u", "config_i2c oid=%c",
        "i2c_set_sw_bus oid=%c scl_pin=%u sda_pin=%u pulse_ticks=%u address=%u",
        "config_pwm_out oid=%c pin=%u cycle_ticks=%u value=%hu default_value=%hu max_duration=%u", "config_buttons oid=%c button_count=%c",
        "config_tmcuart oid=%c rx_pin=%u pull_up=%c tx_pin=%u bit_time=%u",
        "config_neopixel oid=%c pin=%u data_size=%hu bit_max_ticks=%u reset_min_ticks=%u",
        "config_counter oid=%c pin=%u pull_up=%c",
        "config_st7920 oid=%c cs_pin=%u sclk_pin=%u sid_pin=%u sync_delay_ticks=%u cmd_delay_ticks=%u",
        "config_hd44780 oid=%c rs_pin=%u e_pin=%u d4_pin=%u d5_pin=%u d6_pin=%u d7_pin=%u delay_ticks=%u",
        "config_adxl345 oid=%c spi_oid=%c", "config_lis2dw oid=%c bus_oid=%c bus_oid_type=%c lis_chip_type=%c",
        "config_bmi160 oid=%c spi_oid=%c",
        "config_mpu9250 oid=%c i2c_oid=%c", "config_icm20948 oid=%c i2c_oid=%c",
        "config_thermocouple oid=%c spi_oid=%c thermocouple_type=%c",
        "config_hx71x oid=%c gain_channel=%c dout_pin=%u sclk_pin=%u", "config_ads131m0x oid=%c spi_oid=%c data_ready_pin=%u",
        "config_ads1220 oid=%c spi_oid=%c data_ready_pin=%u", "config_ldc1612 oid=%c i2c_oid=%c",
        "config_spi_angle oid=%c spi_oid=%c spi_angle_type=%c", "config_trigger_analog oid=%c sos_filter_oid=%c",
    ];

    /// <summary>The dictionary as a build stores it: JSON in a zlib stream that begins with 78 da.</summary>
    public static byte[] Compressed(FirmwareBuild build, string version, string compiler) => Pack(Json(build, version, compiler));

    /// <summary>A dictionary with another constant MCU: that of a firmware that lies.</summary>
    public static byte[] WithMcu(ReadOnlyMemory<byte> compressed, string mcu)
    {
        using var zlib = new ZLibStream(new MemoryStream(compressed.ToArray()), CompressionMode.Decompress);
        using var json = JsonDocument.Parse(zlib);
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        using var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        Copy(json.RootElement);
        writer.Flush();
        return Pack(buffer.WrittenSpan);

        void Copy(JsonElement root)
        {
            writer.WriteStartObject();
            foreach (var item in root.EnumerateObject())
            {
                if (item.Value.ValueKind == JsonValueKind.String && item.Name == "MCU")
                {
                    writer.WriteString(item.Name, mcu);
                }
                else if (item.Name == "config")
                {
                    writer.WritePropertyName(item.Name);
                    Copy(item.Value);
                }
                else
                {
                    item.WriteTo(writer);
                }
            }
            writer.WriteEndObject();
        }
    }

    private static byte[] Pack(ReadOnlySpan<byte> json)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
            zlib.Write(json);
        return packed.ToArray();
    }

    private static ReadOnlySpan<byte> Json(FirmwareBuild build, string version, string compiler)
    {
        var chip = build.Chip;
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        var commandCount = chip.IsF4 ? 120 : 112;
        json.WriteStartObject();
        json.WriteString("app", "Klipper");
        json.WriteString("build_versions", compiler);
        var reset = chip == VirtualChip.Linux ? "config_reset" : "reset";
        var missing = build.MissingCommands.Split(' ');
        string[] features = [.. FeatureCommands.Where(command => !missing.Contains(command.Split(' ')[0]))];
        string[] first = [.. FixedCommands, .. features];
        string[] commands = [.. first, .. Invented(commandCount - first.Length - 1, Verbs), reset];
        WriteSorted(json, "commands", commands, Number, first: 1);
        WriteConfig(json, build);
        json.WriteStartObject("enumerations");
        WriteSorted(json, "sensor_type", PartNumbers(96), id => id, first: 0);
        WriteSorted(json, "static_string_id", [.. FixedStrings, .. Invented(49, Complaints)], id => id, first: 2);
        json.WriteEndObject();
        json.WriteString("license", "GNU GPLv3");
        json.WriteStartObject("responses");
        json.WriteNumber("identify_response offset=%u data=%.*s", 0);
        string[] responses = [.. FixedResponses, .. Invented(chip.IsF4 ? 19 : 15, ["{0}_state oid=%c next_clock=%u"])];
        for (var i = 0; i < responses.Length; i++)
            json.WriteNumber(responses[i], Number(commandCount + 1 + i));
        json.WriteEndObject();
        json.WriteString("version", version);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan;
    }

    /// <summary>A message's number in the dictionary: its one or two bytes on the wire, read as a signed number.</summary>
    private static int Number(int ordinal) => ordinal is >= 96 and < 128 ? ordinal - 128 : ordinal;

    /// <summary>
    /// Names of invented devices, with parameters where the pattern is a message: the same in each run, and as hard to compress as real
    /// ones.
    /// </summary>
    private static IEnumerable<string> Invented(int count, string[] patterns)
    {
        var dice = new Random(patterns[0].Length); // a seeded Random draws the same numbers everywhere
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            string text;
            do
                text = string.Format(CultureInfo.InvariantCulture, patterns[i % patterns.Length], Devices[dice.Next(Devices.Length)]);
            while (!seen.Add(text));
            for (var left = text.Contains('%', StringComparison.Ordinal) ? dice.Next(1, 4) : 0; left > 0; left--)
            {
                var parameter = Parameters[dice.Next(Parameters.Length)];
                if (!text.Contains(parameter, StringComparison.Ordinal))
                    text += parameter;
            }
            yield return text;
        }
    }

    private static IEnumerable<string> PartNumbers(int count)
    {
        var dice = new Random(2);
        return Enumerable.Range(0, count)
            .Select(_ => $"{(char)('a' + dice.Next(26))}{(char)('a' + dice.Next(26))}{dice.Next(100, 10_000)}").Distinct();
    }

    private static void WriteSorted(Utf8JsonWriter json, string key, IEnumerable<string> names, Func<int, int> number, int first)
    {
        json.WriteStartObject(key);
        foreach (var (index, name) in names.Index().OrderBy(pair => pair.Item, StringComparer.Ordinal))
            json.WriteNumber(name, number(first + index));
        json.WriteEndObject();
    }

    private static void WriteConfig(Utf8JsonWriter json, FirmwareBuild build)
    {
        var dice = new Random(1);
        var constants = new SortedDictionary<string, object>(StringComparer.Ordinal)
        {
            ["ADC_MAX"] = 4095,
            ["CLOCK_FREQ"] = build.ClockFrequency,
            ["MCU"] = build.Chip.Name,
            ["PWM_MAX"] = 32768,
            ["STATS_SUMSQ_BASE"] = 256,
        };
        for (var i = 0; i < 24; i++)
            constants[$"BUS_PINS_spi{i / 4}{(char)('a' + (i % 4))}"] = string.Join(',', Enumerable.Range(0, 3).Select(_ => Pin()));
        if (build.Chip != VirtualChip.Linux)
        {
            foreach (var (name, value) in build.Link.Constants(build.Chip))
                constants[name] = value;
            constants["STEPPER_STEP_BOTH_EDGE"] = 1;
            if (build.OptimizesStepEdges && build.Chip.Family is not (VirtualFamily.H7 or VirtualFamily.Avr))
                constants["STEPPER_OPTIMIZED_EDGE"] = (build.ClockFrequency + 7_999_999) / 8_000_000;
            if (build.Chip.Family == VirtualFamily.Avr)
                constants["STEPPER_OPTIMIZED_UNSTEP"] = 40;
            if (CrystalPins(build) is { } crystal)
                constants["RESERVE_PINS_crystal"] = crystal;
            if (build.InitialPins is { } pins)
                constants["INITIAL_PINS"] = pins;
        }
        json.WriteStartObject("config");
        foreach (var (name, value) in constants)
        {
            if (value is string text)
                json.WriteString(name, text);
            else
                json.WriteNumber(name, Convert.ToInt64(value, CultureInfo.InvariantCulture));
        }
        json.WriteEndObject();

        string Pin() => $"P{(char)('A' + dice.Next(8))}{dice.Next(16)}";
    }

    /// <summary>Builds for the chip say in their dictionary whether they are for a crystal.</summary>
    public static bool NamesCrystals(VirtualChip chip) =>
        CrystalPins(new FirmwareBuild(chip, 0) { Clock = ClockSource.Crystal(8) }) is not null;

    /// <summary>RESERVE_PINS_crystal of a build for a crystal; null for the internal clock, and where the family names none.</summary>
    private static string? CrystalPins(FirmwareBuild build) => build.Clock.IsInternal ? null : build.Chip.Family switch
    {
        VirtualFamily.F0 or VirtualFamily.G0 or VirtualFamily.G4 => "PF0,PF1",
        VirtualFamily.F2 or VirtualFamily.F4 or VirtualFamily.F7 or VirtualFamily.H7 => "PH0,PH1",
        VirtualFamily.L4 => "PC14,PC15",
        VirtualFamily.Samc21 => "PA14,PA15",
        VirtualFamily.Samd21 => "PA0,PA1",
        VirtualFamily.Samd51 => build.Clock == ClockSource.Crystal32K ? "PA0,PA1" : "PB22,PB23",
        _ => null,
    };
}

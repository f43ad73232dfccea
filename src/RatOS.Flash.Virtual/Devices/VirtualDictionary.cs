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

    /// <summary>The dictionary as a build stores it: JSON in a zlib stream that begins with 78 da.</summary>
    public static byte[] Compressed(VirtualChip chip, string version, string compiler, FirmwareLink link)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
            zlib.Write(Json(chip, version, compiler, link));
        return packed.ToArray();
    }

    private static ReadOnlySpan<byte> Json(VirtualChip chip, string version, string compiler, FirmwareLink link)
    {
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        var commandCount = chip.IsF4 ? 120 : 112;
        json.WriteStartObject();
        json.WriteString("app", "Klipper");
        json.WriteString("build_versions", compiler);
        var reset = chip == VirtualChip.Linux ? "config_reset" : "reset";
        string[] commands = [.. FixedCommands, .. Invented(commandCount - FixedCommands.Length - 1, Verbs), reset];
        WriteSorted(json, "commands", commands, Number, first: 1);
        WriteConfig(json, chip, link);
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

    private static void WriteConfig(Utf8JsonWriter json, VirtualChip chip, FirmwareLink link)
    {
        json.WriteStartObject("config");
        json.WriteNumber("ADC_MAX", 4095);
        var dice = new Random(1);
        for (var i = 0; i < 24; i++)
            json.WriteString($"BUS_PINS_spi{i / 4}{(char)('a' + (i % 4))}", string.Join(',', Enumerable.Range(0, 3).Select(_ => Pin())));
        if (chip != VirtualChip.Linux)
            link.WriteCan(json);
        json.WriteNumber("CLOCK_FREQ", ClockOf(chip));
        json.WriteString("MCU", chip.Name);
        json.WriteNumber("PWM_MAX", 32768);
        if (chip != VirtualChip.Linux)
            link.WritePins(json, chip);
        json.WriteNumber("STATS_SUMSQ_BASE", 256);
        json.WriteEndObject();

        string Pin() => $"P{(char)('A' + dice.Next(8))}{dice.Next(16)}";
    }

    /// <summary>Timer frequency in Hz, as in real builds.</summary>
    private static int ClockOf(VirtualChip chip) => chip.Name switch
    {
        "stm32f446xx" => 180_000_000,
        "stm32h723xx" => 520_000_000,
        "stm32g0b1xx" => 64_000_000,
        "stm32f072xb" => 48_000_000,
        "rp2040" => 12_000_000,
        "linux" => 50_000_000,
        _ => 168_000_000,
    };
}

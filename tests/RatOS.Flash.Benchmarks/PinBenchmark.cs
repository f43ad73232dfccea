using System.Diagnostics;
using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Core;

namespace RatOS.Flash.Benchmarks;

/// <summary>How long it takes to know four boards by their pins among the configurations of a Klipper checkout.</summary>
internal static class PinBenchmark
{
    private const int Configs = 250, Mcus = 4, Rounds = 20;

    /// <summary>The first time, with the files read; and each time after it, in milliseconds.</summary>
    public static (double First, double Cached) Measure()
    {
        var klipper = Directory.CreateTempSubdirectory("ratos-flash-pins");
        var folder = klipper.CreateSubdirectory("config").FullName;
        for (var i = 0; i < Configs; i++)
            File.WriteAllText(Path.Combine(folder, $"generic-maker-board-{i:000}.cfg"), Config(i));
        try
        {
            var begin = Stopwatch.GetTimestamp();
            var configs = KlipperBoardConfigs.Load(klipper.FullName, null);
            Match(configs);
            var first = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            begin = Stopwatch.GetTimestamp();
            for (var i = 0; i < Rounds; i++)
                Match(configs);
            return (first, Stopwatch.GetElapsedTime(begin).TotalMilliseconds / Rounds);
        }
        finally
        {
            klipper.Delete(recursive: true);
        }
    }

    private static void Match(KlipperBoardConfigs configs)
    {
        for (var i = 0; i < Mcus; i++)
        {
            var pins = PinSet.Of(ConfigSection.Read(Config(i * 60), withCommented: false, new WorkBudget(1 << 20)))["mcu"];
            if (configs.Match(pins, "stm32f446xx") is not { Score: 1 })
                throw new InvalidOperationException("a board was not known by its own pins");
        }
    }

    /// <summary>As long as one of Klipper's, with eight drivers: all boards have half of their pins in common.</summary>
    private static string Config(int board)
    {
        var text = new StringBuilder("""
            # This file contains common pin mappings for a board. To use this config, the firmware should be compiled for the STM32F446
            # with a "32KiB bootloader" and a "12MHz crystal". Copy "out/klipper.bin" to a file named "firmware.bin" on an SD card.

            """);
        for (var axis = 0; axis < 8; axis++)
        {
            var port = (char)('A' + (axis % 2 == 0 ? 0 : board % 7));
            text.Append($"""
                [stepper_{axis}]
                step_pin: P{port}{axis}
                dir_pin: P{port}{axis + 1}
                enable_pin: !P{port}{board % 3}
                microsteps: 16
                rotation_distance: 40
                endstop_pin: ^P{port}{axis + 2}
                position_endstop: 0.5
                position_max: 200

                #[tmc2209 stepper_{axis}]
                #uart_pin: P{port}{axis + 3}
                #run_current: 0.800
                #diag_pin: ^P{port}{axis + 2}

                [extruder{axis}]
                heater_pin: P{port}{axis + 4}
                sensor_pin: P{port}{axis + 5}

                """);
        }
        return text.ToString();
    }
}

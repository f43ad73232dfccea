using RatOS.Flash.Chips;
using RatOS.Flash.Firmware;

namespace RatOS.Flash.Klipper;

/// <summary>
/// Features that a build can leave out, by the command that shows them (Klipper src/Kconfig and the DECL_COMMAND of each). A feature that
/// is younger than the running firmware counts as left out too: a small chip would have no room for it.
/// </summary>
internal static class OptionalFeatures
{
    private static readonly (string Symbol, string[] Commands)[] Features =
    [
        ("WANT_ADC", ["config_analog_in"]),
        ("WANT_SPI", ["config_spi"]),
        ("WANT_SOFTWARE_SPI", ["spi_set_sw_bus", "spi_set_software_bus"]),
        ("WANT_I2C", ["config_i2c"]),
        ("WANT_SOFTWARE_I2C", ["i2c_set_sw_bus", "i2c_set_software_bus"]),
        ("WANT_HARD_PWM", ["config_pwm_out"]),
        ("WANT_BUTTONS", ["config_buttons"]),
        ("WANT_TMCUART", ["config_tmcuart"]),
        ("WANT_NEOPIXEL", ["config_neopixel"]),
        ("WANT_PULSE_COUNTER", ["config_counter"]),
        ("WANT_ST7920", ["config_st7920"]),
        ("WANT_HD44780", ["config_hd44780"]),
        ("WANT_ADXL345", ["config_adxl345"]),
        ("WANT_LIS2DW", ["config_lis2dw"]),
        ("WANT_BMI160", ["config_bmi160"]),
        ("WANT_MPU9250", ["config_mpu9250"]),
        ("WANT_ICM20948", ["config_icm20948"]),
        ("WANT_THERMOCOUPLE", ["config_thermocouple"]),
        ("WANT_HX71X", ["config_hx71x"]),
        ("WANT_ADS131M0X", ["config_ads131m0x"]),
        ("WANT_ADS1220", ["config_ads1220"]),
        ("WANT_LDC1612", ["config_ldc1612"]),
        ("WANT_SENSOR_ANGLE", ["config_spi_angle"]),
        ("WANT_TRIGGER_ANALOG", ["config_trigger_analog"]),
    ];

    /// <param name="dictionary">Of a running firmware.</param>
    /// <param name="stackEnd">Its first word; null where it was not read.</param>
    public static IEnumerable<string> MissingIn(DataDictionary dictionary, uint? stackEnd)
    {
        if (dictionary.Config.ContainsKey("STEPPER_STEP_BOTH_EDGE") && !dictionary.Config.ContainsKey("STEPPER_OPTIMIZED_EDGE"))
            yield return "WANT_STEPPER_OPTIMIZED_BOTH_EDGE";
        if (!HasLittleFlash(dictionary.Mcu, stackEnd))
            yield break;
        foreach (var (symbol, commands) in Features)
        {
            if (!commands.Any(dictionary.Commands.ContainsKey))
                yield return symbol;
        }
    }

    /// <summary>Kconfig counts on less than 64 KiB, and offers to leave features out.</summary>
    private static bool HasLittleFlash(string mcu, uint? stackEnd) => mcu switch
    {
        "stm32f031x6" or "stm32f042x6" or "samd21e15a" => true,
        "stm32f070xb" => stackEnd == Mcu.F070x6RamEnd,
        "stm32f103xe" => stackEnd == Mcu.F103x6RamEnd,
        "atmega168" or "atmega328" or "atmega328p" or "atmega32u4" or "lgt8f328p" => true,
        _ => false,
    };
}

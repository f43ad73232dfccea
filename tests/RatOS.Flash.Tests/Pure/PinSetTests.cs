using RatOS.Flash.Boards;
using RatOS.Flash.Core;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Pins of configurations, as features of boards.</summary>
public sealed class PinSetTests
{
    [Fact]
    public void Pins_of_each_mcu_are_features_without_the_names_of_axes()
    {
        var sets = Of("""
            [mcu]
            [mcu EBBCan]
            [stepper_y]
            step_pin: PF13
            dir_pin: !PF12   # turned round
            enable_pin: !PF14
            endstop_pin: ^PG6
            [tmc2209 stepper_y]
            uart_pin: PC4
            diag_pin: ^PG6
            [extruder]
            step_pin: EBBCan: PD0
            dir_pin: !EBBCan:PD1
            enable_pin: !EBBCan:PD2
            heater_pin: EBBCan:PB13
            sensor_pin: EBBCan:PA3
            [fan]
            pin: EBBCan:PA0
            [adxl345]
            cs_pin: EBBCan:PB12
            [bltouch]
            sensor_pin: PB7
            """);
        Assert.Equal(["Driver PF13 PF12 PF14", "Endstop PG6", "DriverLine PF13 PC4"], Words(sets["mcu"]));
        Assert.Equal(
            ["Driver PD0 PD1 PD2", "Heater PB13", "Thermistor PA3", "Fan PA0", "Accelerometer PB12"], Words(sets["ebbcan"]));
        Assert.Equal((7, 10), (sets["mcu"].Weight, sets["EBBCan"].Weight));
    }

    [Fact]
    public void Aliases_stand_for_the_pins_of_their_own_mcu() => Assert.Equal(
        ["Driver PF13 PF12 -"],
        Words(Of("""
            [board_pins octopus]
            aliases:
                x_step=PF13, x_dir=!PF12,
                EXP1_10=<5V>, empty
            [board_pins tool]
            mcu: tool
            aliases: x_step=PA1
            [mcu tool]
            [stepper_x]
            step_pin: x_step
            dir_pin: x_dir
            enable_pin: EXP1_10
            """)["mcu"]));

    [Fact]
    public void Pins_of_no_mcu_are_passed_over() => Assert.Empty(Of("""
        [stepper_z]
        endstop_pin: probe:z_virtual_endstop
        [heater_fan f]
        pin: multi_pin:fans
        [fan]
        pin: null
        [heater_fan g]
        pin:
        [extruder]
        heater_pin: other:PA1
        """)["mcu"].Features);

    [Fact]
    public void Commented_out_sections_count_only_where_they_are_asked_for()
    {
        const string Text = """
            # Use an SKR with this: it is good.
            [stepper_x]
            step_pin: PF13
            dir_pin: PF12
            #enable_pin: PF14

            # Driver3
            #[stepper_]
            #step_pin: PG4
            #dir_pin: PC1
            #enable_pin: !PA0
            #...
            """;
        Assert.Equal(["Driver PF13 PF12 -"], Words(Of(Text)["mcu"]));
        Assert.Equal(["Driver PF13 PF12 PF14", "Driver PG4 PC1 PA0"], Words(Of(Text, withCommented: true)["mcu"]));
    }

    [Fact]
    public void Two_drivers_of_one_name_do_not_share_their_line() => Assert.DoesNotContain(
        Of("[stepper_]\nstep_pin: PA1\n[stepper_]\nstep_pin: PA2\n[tmc2209 stepper_]\nuart_pin: PA3\n")["mcu"].Features,
        feature => feature.Role == PinRole.DriverLine);

    [Theory]
    [InlineData("PA13", true)]
    [InlineData("^PA14", true)]
    [InlineData("PA12", false)]
    public void Pins_of_the_debugger_are_seen_wherever_they_are_used(string pin, bool uses) =>
        Assert.Equal(uses, Of($"[output_pin beeper]\npin: {pin}\n")["mcu"].UsesDebugPins);

    [Fact]
    public void Thousands_of_pins_end_in_a_bounded_set()
    {
        var text = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"[heater_fan f{i}]\npin: PA{i}\n"));
        Assert.Equal(1000, Of(text)["mcu"].Features.Length);
    }

    [Fact]
    public void What_is_behind_the_budget_is_passed_over()
    {
        var budget = new WorkBudget(40);
        Assert.Equal(["fan"], ConfigSection.Read("[fan]\npin: PA1\n[heater_fan x]\npin: PA2\npin: PA3\n[fan]\n", false, budget)
            .Take(1).Select(section => section.Name));
        Assert.True(budget.IsSpent);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("[]\n:")]
    [InlineData("]\n[\n=\npin: PA1\n   more")]
    [InlineData("   continued before any section\n[mcu\n\n: :\n")]
    [InlineData("[board_pins]\naliases: =,==,a=,=b\n[board_pins x]\nmcu: ,,\naliases: a=a\n[fan]\npin: a")]
    [InlineData("[fan]\npin: ^^!!~~\n[fan]\npin: ::\n[fan]\npin: mcu:mcu:PA1")]
    public void Odd_lines_are_no_error(string text) => Assert.True(Of(text, withCommented: true)["mcu"].Weight <= 2);

    [Theory]
    [InlineData("Driver PF13 PF12 PF14", true)]
    [InlineData("driver PF13", false)]
    [InlineData("7 PF13", false)]
    [InlineData("", false)]
    public void A_feature_is_read_as_it_is_written(string text, bool isOne) =>
        Assert.Equal(isOne ? text : null, PinFeature.TryParse(text)?.ToString());

    private static string[] Words(PinSet pins) => [.. pins.Features.Select(feature => feature.ToString())];

    private static IReadOnlyDictionary<string, PinSet> Of(string text, bool withCommented = false) =>
        PinSet.Of(ConfigSection.Read(text, withCommented, new WorkBudget(1 << 20)));
}

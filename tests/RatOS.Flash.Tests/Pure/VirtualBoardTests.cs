using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The boot sequence of a virtual board, as its host sees it.</summary>
public sealed class VirtualBoardTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    private static void With(string scenario, Func<VirtualPrinter, VirtualBoard, Task> story, InjectedFaults? faults = null) =>
        VirtualTime.Run(time =>
    {
        var printer = VirtualPrinter.Create(scenario, time, faults);
        return story(printer, printer.Boards[0]);
    });

    /// <summary>Requests the bootloader as Klipper's own scripts do, and waits for the next session.</summary>
    private static async Task<(Device? Device, TimeSpan After)> TouchAsync(VirtualPrinter printer)
    {
        await printer.Klippy.StopAsync(CancellationToken.None);
        var before = DeviceOf(printer)!;
        var begin = printer.Time.Now;
        await printer.TouchAsync(before, 1200);
        var device = await ComesAsync(printer, device => device.Number != before.Number);
        return (device, printer.Time.Now - begin);
    }

    private static Device? DeviceOf(VirtualPrinter printer) =>
        printer.Look().Devices.FirstOrDefault(device => device.Port == printer.Boards[0].Port);

    private static Task<Device?> ComesAsync(VirtualPrinter printer, Func<Device, bool> wanted) => printer.WaitForAsync(
        seen => seen.Devices.FirstOrDefault(device => device.Port == printer.Boards[0].Port && wanted(device)), Long, printer.Time,
        CancellationToken.None);

    private static void Spoil(VirtualBoard board, uint offset) => board.Flash.Preset(board.ApplicationStart + offset, new byte[64]);

    private static void Blank(VirtualBoard board) =>
        board.Flash.Preset(
            board.ApplicationStart, Enumerable.Repeat((byte)0xFF, (int)(board.Flash.End - board.ApplicationStart)).ToArray());

    [Fact]
    public void Every_scenario_begins_with_its_boards_and_most_of_them_run_Klipper()
    {
        foreach (var scenario in VirtualPrinter.Scenarios)
        {
            With(scenario.Name, (printer, board) =>
            {
                Assert.Equal(scenario.Boards.Length, printer.Boards.Length);
                Assert.All(printer.Boards, one => Assert.True(one.IsBootAreaIntact));
                if (board.Setup.State == BoardState.Klipper)
                    Assert.Equal(board.Setup.Version, board.RunningFirmware?.Version);
                Assert.Contains(
                    printer.Look().Devices,
                    device => device.Port == board.Port || board.State == BoardState.Hung || board.Setup.IsProcess);
                return Task.CompletedTask;
            });
        }
    }

    [Theory]
    [InlineData("octopus", "0483:df11", 1.41, 2.5)] // through the stock bootloader's waits
    [InlineData("octopus-pro-h723", "0483:df11", 0.2, 1)]
    [InlineData("ebb42", "0483:df11", 0, 1)]
    [InlineData("octopus-katapult", "1d50:6177", 0, 1)]
    [InlineData("octopus-pro-429", "1d50:614e", 1.41, 2.5)] // its firmware cannot
    public void A_touch_starts_the_installed_bootloader(string scenario, string id, double least, double most) =>
        With(scenario, async (printer, board) =>
    {
        var (device, after) = await TouchAsync(printer);
        Assert.Equal(id, device?.Usb.ToString());
        Assert.InRange(after.TotalSeconds, least, most);
    });

    [Fact]
    public void The_ROM_shows_the_serial_that_follows_from_the_chips_id() => With("octopus", async (printer, board) =>
    {
        var words = new[] { 0, 4, 8 }.Select(at => BitConverter.ToUInt32(board.Uid.Span[at..])).ToArray();
        var (device, _) = await TouchAsync(printer);
        Assert.Equal($"{words[0] + words[2]:X8}{words[1] >> 16:X4}", device!.Serial);
    });

    [Fact]
    public void Only_1200_baud_with_DTR_low_is_a_touch() => With("octopus", async (printer, board) =>
    {
        await printer.Klippy.StopAsync(CancellationToken.None);
        await printer.TouchAsync(DeviceOf(printer)!, 9600);
        await using (await printer.OpenSerialAsync(DeviceOf(printer)!, SerialMode.Klipper))
            await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Klipper, board.State);
    });

    [Fact]
    public void Damaged_firmware_cannot_request_DFU_and_is_silent_after_a_reset() => With("octopus", async (printer, board) =>
    {
        Spoil(board, 0x4000);
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Hung, board.State);
        Assert.Null(DeviceOf(printer));
    });

    [Fact]
    public void The_stock_bootloader_waits_for_ever_without_firmware_and_BOOT0_starts_the_ROM() =>
        With("octopus", async (printer, board) =>
    {
        Blank(board);
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Null(DeviceOf(printer));
        Assert.Contains("stock bootloader", board.HangReason, StringComparison.Ordinal);
        board.Boot0 = true;
        board.PressReset();
        Assert.Equal("0483:df11", (await ComesAsync(printer, _ => true))?.Usb.ToString());
    });

    [Fact]
    public void A_file_on_the_card_is_flashed_at_a_reset_and_renamed_last() => With("octopus", async (printer, board) =>
    {
        board.SdFirmware = board.BuildFirmware();
        board.PressReset();
        await Task.Delay(TimeSpan.FromSeconds(2), printer.Time);
        Assert.NotEqual(BoardState.Klipper, board.State); // still writing: 1.41 s and more than a second of erases
        Assert.NotNull(board.SdFirmware);
        await ComesAsync(printer, device => device.Usb == UsbId.Klipper);
        Assert.Equal(VirtualPrinter.HostVersion, board.RunningFirmware?.Version);
        Assert.Null(board.SdFirmware);
    });

    [Fact]
    public void A_power_cut_while_the_card_is_flashed_repeats_the_flash() => With("octopus", async (printer, board) =>
    {
        board.SdFirmware = board.BuildFirmware();
        board.PressReset();
        await Task.Delay(TimeSpan.FromSeconds(0.9), printer.Time);
        board.PowerOff();
        Assert.False(board.Flash.IsSound(board.ApplicationStart, 44_000));
        board.PowerOn();
        await ComesAsync(printer, device => device.Usb == UsbId.Klipper);
        Assert.Equal(VirtualPrinter.HostVersion, board.RunningFirmware?.Version);
    });

    [Theory]
    [InlineData(0x00)]
    [InlineData(0xFF)]
    public void Katapult_stays_when_the_applications_first_word_is_blank_or_zero(byte value) =>
        With("octopus-katapult", async (printer, board) =>
    {
        board.Flash.Preset(board.ApplicationStart, [value, value, value, value]);
        board.PressReset();
        Assert.Equal("1d50:6177", (await ComesAsync(printer, device => device.Usb != UsbId.Klipper))?.Usb.ToString());
    });

    [Fact]
    public void Katapult_starts_anything_else() => With("octopus-katapult", async (printer, board) =>
    {
        Spoil(board, 0x8000);
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Hung, board.State);
        board.DoublePressReset();
        Assert.Equal("1d50:6177", (await ComesAsync(printer, _ => true))?.Usb.ToString());
    });

    [Fact]
    public void Two_slow_resets_are_no_double_reset() => With("octopus-katapult", async (printer, board) =>
    {
        board.PressReset();
        await Task.Delay(TimeSpan.FromSeconds(0.6), printer.Time);
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Klipper, board.State);
    });

    [Theory]
    [InlineData(false, true, BoardState.Rom)]       // power-on with the first word erased
    [InlineData(false, false, BoardState.Hung)]     // a reset does not look
    [InlineData(true, true, BoardState.Rom)]
    public void A_G0_looks_for_an_empty_flash_at_power_on(bool sticks, bool powerCycle, BoardState state) =>
        With("ebb42", async (printer, board) =>
    {
        Blank(board);
        if (powerCycle)
        {
            board.PowerOff();
            board.PowerOn();
        }
        else
        {
            board.PressReset();
        }
        await Task.Delay(Long, printer.Time);
        Assert.Equal(state, board.State);
        if (!powerCycle)
            return;
        board.Flash.Preset(board.ApplicationStart, board.BuildFirmware());
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(sticks ? BoardState.Rom : BoardState.Klipper, board.State);
        board.PowerOff();
        board.PowerOn();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Klipper, board.State);
    }, new InjectedFaults { EmptyMarkSticks = sticks });

    [Fact]
    public void A_board_without_its_bootloader_starts_its_ROM_only() => With("octopus", async (printer, board) =>
    {
        board.Flash.Erase(0, printer.Time.Now);
        await Task.Delay(Long, printer.Time);
        Assert.False(board.IsBootAreaIntact);
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Hung, board.State);
        board.Boot0 = true;
        board.PressReset();
        await Task.Delay(Long, printer.Time);
        Assert.Equal(BoardState.Rom, board.State);
    });

    [Fact]
    public void A_mainboard_keeps_running_without_its_cable_and_a_tool_board_does_not()
    {
        With("octopus-in-dfu", async (printer, board) =>
        {
            board.Unplug();
            await Task.Delay(Long, printer.Time);
            Assert.Equal(BoardState.Rom, board.State);
            board.Plug("1-1.8");
            Assert.Equal("0483:df11 at 1-1.8", (await ComesAsync(printer, _ => true))?.ToString());
        });
        With("ebb42", async (printer, board) =>
        {
            board.Unplug();
            Assert.Equal(BoardState.Off, board.State);
            board.PowerOn();
            Assert.Equal(BoardState.Off, board.State);
            board.Plug();
            await ComesAsync(printer, _ => true);
            Assert.Equal(BoardState.Klipper, board.State);
        });
    }

    [Fact]
    public void Plugging_a_cable_in_twice_has_the_effect_of_once() => With("octopus", async (printer, board) =>
    {
        board.Unplug();
        board.Plug();
        board.Plug();
        await Task.Delay(Long, printer.Time);
        board.Plug();
        await Task.Delay(Long, printer.Time);
        Assert.Single(printer.Look().Devices, device => device.Port == board.Port);
    });
}

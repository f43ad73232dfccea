using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The virtual bus: listed devices, access to them, and injected faults of transfers.</summary>
public sealed class VirtualPrinterTests
{
    private static readonly UsbSetup GetStatus = new(0xA1, 3, 0, 0);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    // Klipper's identify 0/40, and how its answer begins.
    private static readonly byte[] Identify = Convert.FromHexString("08100100285e9f7e");

    private static void With(string scenario, Func<VirtualPrinter, VirtualBoard, Task> story, InjectedFaults? faults = null) =>
        VirtualTime.Run(async time =>
    {
        var printer = VirtualPrinter.Create(scenario, time, faults);
        await printer.Klippy.StopAsync(CancellationToken.None);
        await story(printer, printer.Boards[0]);
    });

    private static Device DeviceOf(VirtualPrinter printer) =>
        printer.Look().Devices.First(device => device.Port == printer.Boards[0].Port);

    private static Task<IUsbDevice> OpenUsbAsync(VirtualPrinter printer) => printer.OpenUsbAsync(DeviceOf(printer));

    private static Task<ByteLine> OpenSerialAsync(VirtualPrinter printer, SerialMode? mode = null) =>
        printer.OpenSerialAsync(DeviceOf(printer), mode ?? SerialMode.Klipper);

    private static InjectedFaults At(int index, TransferFaultKind kind, double seconds = 1, double after = 0) =>
        new() { Transfers = [new TransferFault(index, kind, TimeSpan.FromSeconds(seconds)) { After = TimeSpan.FromSeconds(after) }] };

    private static async Task<string> AskAsync(ByteLine line)
    {
        await line.WriteAsync(Identify);
        var (text, buffer) = ("", new byte[256]);
        while (await line.ReadAsync(buffer, Second) is var read and > 0)
            text += Convert.ToHexString(buffer.AsSpan(0, read));
        return text;
    }

    [Fact]
    public void A_board_that_re_enumerates_gets_another_number_and_both_changes_are_seen() =>
        With("octopus", async (printer, board) =>
    {
        var before = printer.Look();
        var (first, second) = (printer.WaitForChangeAsync(before.Generation, CancellationToken.None),
            printer.WaitForChangeAsync(before.Generation, CancellationToken.None));
        board.Unplug();
        board.Plug();
        var gone = await first;
        Assert.Same(gone, await second);
        Assert.DoesNotContain(gone.Devices, device => device.Port == board.Port);
        // also when it happened before the call
        Assert.Same(gone, await printer.WaitForChangeAsync(before.Generation, CancellationToken.None));
        var back = await printer.WaitForChangeAsync(gone.Generation, CancellationToken.None);
        var (old, @new) =
            (before.Devices.First(device => device.Port == board.Port), back.Devices.First(device => device.Port == board.Port));
        Assert.NotEqual(old.Number, @new.Number);
        Assert.False(old.IsSameSession(@new));
        await Assert.ThrowsAsync<DeviceGoneException>(() => printer.OpenSerialAsync(old, SerialMode.Klipper));
    });

    [Fact]
    public void A_cancelled_wait_ends_alone() => With("octopus", async (printer, board) =>
    {
        using var cancel = new CancellationTokenSource();
        var generation = printer.Look().Generation;
        var (cancelled, other) =
            (printer.WaitForChangeAsync(generation, cancel.Token), printer.WaitForChangeAsync(generation, CancellationToken.None));
        printer.Time.Schedule(Second, cancel.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        board.Unplug();
        Assert.True((await other).Generation > generation);
    });

    [Fact]
    public void A_device_that_lingers_is_listed_and_cannot_be_opened() => With("octopus", async (printer, board) =>
    {
        var line = await OpenSerialAsync(printer);
        var device = DeviceOf(printer);
        board.PressReset();
        Assert.Contains(device, printer.Look().Devices);
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await line.ReadAsync(new byte[8], Second));
        await Task.Delay(Second, printer.Time);
        Assert.DoesNotContain(device, printer.Look().Devices);
    }, new InjectedFaults { Lingers = TimeSpan.FromSeconds(0.9) });

    [Fact]
    public void An_open_port_cannot_be_opened_again() => With("octopus", async (printer, board) =>
    {
        var line = await OpenSerialAsync(printer);
        Assert.Equal("port-held", (await Assert.ThrowsAsync<FlashException>(() => OpenSerialAsync(printer))).Code);
        Assert.Equal("port-held", (await Assert.ThrowsAsync<FlashException>(() => printer.TouchAsync(DeviceOf(printer), 1200))).Code);
        await line.DisposeAsync();
        await (await OpenSerialAsync(printer)).DisposeAsync();
    });

    [Fact]
    public void A_running_Klipper_holds_its_ports() => With("octopus", async (printer, board) =>
    {
        await printer.Klippy.StartAsync();
        var fault = await Assert.ThrowsAsync<FlashException>(() => OpenSerialAsync(printer));
        Assert.Equal("port-held", fault.Code);
        Assert.Contains("klippy", fault.Cause, StringComparison.Ordinal);
    });

    [Fact]
    public void Without_permission_nothing_opens() => With("octopus-in-dfu", async (printer, board) =>
        Assert.Equal("no-permission", (await Assert.ThrowsAsync<FlashException>(() => OpenUsbAsync(printer))).Code),
        new InjectedFaults { NoPermission = true });

    [Fact]
    public void Klipper_answers_on_its_port_and_the_bus_takes_its_time() => With("octopus", async (printer, board) =>
    {
        var line = await OpenSerialAsync(printer);
        var begin = printer.Time.Now;
        await line.WriteAsync(Identify);
        var buffer = new byte[64];
        Assert.True(await line.ReadAsync(buffer, Second) > 40);
        var least = (2 * VirtualPrinter.BulkOverhead) + ((Identify.Length + 40) * VirtualPrinter.BulkByte);
        Assert.InRange(printer.Time.Now - begin, least, least * 5);
    });

    [Theory]
    [InlineData(250_000, false, true)]
    [InlineData(115_200, false, false)]
    [InlineData(250_000, true, false)]
    public void A_UART_is_understood_only_at_its_own_rate(int baud, bool even, bool understood) =>
        With("uart-katapult", async (printer, board) =>
    {
        var line = await OpenSerialAsync(printer, new SerialMode(baud, even));
        Assert.Equal(understood, (await AskAsync(line)).Contains("78DA", StringComparison.Ordinal)); // the dictionary's first bytes
    });

    [Fact]
    public void A_read_returns_the_bytes_that_came_before_the_device_left() => With("octopus", async (printer, board) =>
    {
        var line = await OpenSerialAsync(printer);
        await line.WriteAsync(Identify);
        await Task.Delay(Second, printer.Time);
        board.Unplug();
        var (buffer, bytes) = (new byte[7], 0);
        await Assert.ThrowsAsync<DeviceGoneException>(async () =>
        {
            while (true)
                bytes += await line.ReadAsync(buffer, Second);
        });
        Assert.True(bytes > 40);
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await line.WriteAsync(Identify));
    });

    [Fact]
    public void A_device_that_leaves_ends_a_waiting_transfer_at_once() => With("octopus-in-dfu", async (printer, board) =>
    {
        var usb = await OpenUsbAsync(printer);
        var begin = printer.Time.Now;
        printer.Time.Schedule(Second, board.Unplug);
        // The ROM holds the second status request until the sector is erased: 1 s for 128 KiB at 08020000.
        await usb.ControlAsync(new UsbSetup(0x21, 1, 0, 0), Convert.FromHexString("4100000208"), Second);
        await usb.ControlAsync(GetStatus, new byte[6], Second);
        await Assert.ThrowsAsync<DeviceGoneException>(
            async () => await usb.ControlAsync(GetStatus, new byte[6], TimeSpan.FromSeconds(30)));
        Assert.InRange((printer.Time.Now - begin).TotalSeconds, 1, 1.01);
    });

    [Theory]
    [InlineData(TransferFaultKind.Stall, UsbStatus.Stall, 2)]
    [InlineData(TransferFaultKind.BusError, UsbStatus.Error, 2)]
    [InlineData(TransferFaultKind.Timeout, UsbStatus.Timeout, 2)]
    [InlineData(TransferFaultKind.AnswerLost, UsbStatus.Timeout, 3)] // the device did take it
    public void Faults_of_control_transfers_strike_at_their_transfer(TransferFaultKind kind, UsbStatus status, byte state) => With(
        "octopus-in-dfu",
        async (printer, board) =>
        {
            var usb = await OpenUsbAsync(printer);
            var answer = new byte[6];
            Assert.Equal(6, (await usb.ControlAsync(GetStatus, answer, Second)).Length);
            Assert.Equal(
                status, (await usb.ControlAsync(new UsbSetup(0x21, 1, 0, 0), Convert.FromHexString("2100800008"), Second)).Status);
            await usb.ControlAsync(new UsbSetup(0xA1, 5, 0, 0), answer.AsMemory(0, 1), Second);
            Assert.Equal(state, answer[0]);
            Assert.Equal(3, printer.Transfers);
        },
        At(2, kind));

    [Fact]
    public void A_transfer_that_is_aborted_on_its_way_never_reaches_the_board() => With("octopus-in-dfu", async (printer, board) =>
    {
        var usb = (VirtualUsb)await OpenUsbAsync(printer);
        var transfer = usb.ControlAsync(new UsbSetup(0x21, 1, 0, 0), Convert.FromHexString("2100800008"), Second).AsTask();
        usb.Abort();
        Assert.Equal(UsbStatus.Timeout, (await transfer).Status);
        var state = new byte[1];
        Assert.Equal(1, (await usb.ControlAsync(new UsbSetup(0xA1, 5, 0, 0), state, Second)).Length);
        Assert.Equal(2, state[0]);   // dfuIDLE
    });

    [Fact]
    public void A_cut_after_a_transfer_falls_into_the_erase() => With("octopus-in-dfu", async (printer, board) =>
    {
        var usb = await OpenUsbAsync(printer);
        await usb.ControlAsync(new UsbSetup(0x21, 1, 0, 0), Convert.FromHexString("4100800008"), Second);
        await usb.ControlAsync(GetStatus, new byte[6], Second);
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await usb.ControlAsync(GetStatus, new byte[6], Second));
        Assert.False(board.Flash.IsSound(board.ApplicationStart, 64));
        Assert.Equal(BoardState.Off, board.State);
        await Task.Delay(TimeSpan.FromSeconds(2), printer.Time);
        Assert.NotEqual(BoardState.Off, board.State);
    }, At(2, TransferFaultKind.PowerCut, seconds: 1, after: 0.1));

    [Fact]
    public void A_lost_answer_and_a_doubled_one()
    {
        With(
            "octopus", async (printer, board) => Assert.Equal("", await AskAsync(await OpenSerialAsync(printer))),
            At(1, TransferFaultKind.Lost));
        var usual = "";
        With("octopus", async (printer, board) => usual = await AskAsync(await OpenSerialAsync(printer)));
        With(
            "octopus", async (printer, board) => Assert.Equal(usual.Length * 2, (await AskAsync(await OpenSerialAsync(printer))).Length),
            At(1, TransferFaultKind.Doubled));
    }

    [Fact]
    public void Klipper_connects_once() => With("octopus", async (printer, board) =>
    {
        Assert.Equal(KlippyActivity.Ready, (await printer.Klippy.StartAsync()).Activity);
        board.PressReset();
        await Task.Delay(TimeSpan.FromSeconds(30), printer.Time);
        Assert.Equal((BoardState.Klipper, KlippyActivity.Shutdown), (board.State, printer.Klippy.State.Activity));
        Assert.Equal(KlippyActivity.Ready, (await printer.Klippy.StartAsync()).Activity);
        await printer.Klippy.StopAsync(CancellationToken.None);
        board.Unplug();
        var state = await printer.Klippy.StartAsync();
        Assert.Equal((KlippyActivity.Error, "mcu 'octopus': Unable to connect"), (state.Activity, state.Message));
    });

    [Fact]
    public void A_printer_is_kept_in_a_folder_and_loaded_unchanged()
    {
        var folder = Directory.CreateTempSubdirectory("virtual-printer-").FullName;
        try
        {
            With("octopus", async (printer, board) =>
            {
                board.Flash.Erase(3, printer.Time.Now);
                await Task.Delay(TimeSpan.FromMilliseconds(100), printer.Time);
                board.PowerOff();
                board.Boot0 = true;
                board.PowerOn();
                await Task.Delay(Second, printer.Time);
                printer.Save(folder);
                var (bytes, sound) =
                    (board.Flash.Read(board.Flash.Base, board.Chip.FlashSize).ToArray(), board.Flash.IsSound(0x0800_C000, 0x4000));

                var again = VirtualPrinter.Load(folder, "octopus", printer.Time).Boards[0];
                Assert.Equal((BoardState.Rom, true, false), (again.State, again.Boot0, sound));
                Assert.Equal(bytes, again.Flash.Read(again.Flash.Base, again.Chip.FlashSize).ToArray());
                Assert.False(again.Flash.IsSound(0x0800_C000, 0x4000));
                Assert.True(again.Flash.IsSound(0x0800_0000, 0xC000));
            });
            foreach (var (file, content) in new[] { ("printer.json", "{"), ("octopus.flash.bin", "short") })
            {
                var before = File.ReadAllBytes(Path.Combine(folder, file));
                File.WriteAllText(Path.Combine(folder, file), content);
                var fault = Assert.Throws<FlashException>(() => VirtualPrinter.Load(folder, "octopus", new VirtualTime()));
                Assert.Contains(folder, fault.Cause, StringComparison.Ordinal);
                Assert.NotEmpty(fault.Remedy.ToString());
                File.WriteAllBytes(Path.Combine(folder, file), before);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Faults_from_a_seed_are_the_same_every_time_and_have_a_text()
    {
        for (var seed = 0; seed < 200; seed++)
            Assert.Equal(InjectedFaults.FromSeed(seed).ToString(), InjectedFaults.FromSeed(seed).ToString());
        Assert.True(
            Enumerable.Range(0, 200).Select(seed => InjectedFaults.FromSeed(seed).ToString())
            .Distinct(StringComparer.Ordinal).Count() > 100);
        Assert.Equal("no faults", InjectedFaults.None.ToString());
        Assert.Equal("PowerCut at transfer 7 + 0.5 s for 2 s", At(7, TransferFaultKind.PowerCut, 2, 0.5).ToString());
    }
}

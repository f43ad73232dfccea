using System.Net.Sockets;
using System.Text;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Tests.Pure;

/// <summary>The virtual boards as a kernel uses them, over real sockets. The client is the tests' own.</summary>
public sealed class UsbIpTests
{
    private const string GetDevice = "8006000100001200", GetConfiguration = "800600020000FF00", GetStatus = "A103000000000600",
        GetState = "A105000000000100";
    private const byte BulkOut = 0x02, BulkIn = 0x81, Notify = 0x83;

    // Klipper's identify 0/40.
    private static readonly byte[] Identify = Convert.FromHexString("08100100285e9f7e");

    private static InjectedFaults At(int index, TransferFaultKind kind, double seconds = 1) =>
        new() { Transfers = [new TransferFault(index, kind, TimeSpan.FromSeconds(seconds))] };

    [Fact]
    public void The_list_names_each_board_with_its_interfaces_and_no_stranger() => UsbIpStage.With("voron", async stage =>
    {
        var list = await UsbIpClient.ListAsync(stage.Server.Port);
        Assert.Equal("011100050000000000000003", Convert.ToHexString(list.AsSpan(0, 12)));
        Assert.Equal(12 + (3 * (312 + 8)), list.Length);
        for (var i = 0; i < 3; i++)
        {
            var record = list.AsSpan(12 + (i * 320), 320);
            Assert.Equal(new[] { "1-1.1", "1-1.3", "1-1.2" }[i], Encoding.ASCII.GetString(record.Slice(256, 32)).TrimEnd('\0'));
            Assert.Equal("00000001", Convert.ToHexString(record.Slice(288, 4)));       // busnum
            Assert.Equal("00000002" + "1D50614E0100", Convert.ToHexString(record.Slice(296, 10)));   // full speed
            // class; configuration 1 of 1 with two interfaces
            Assert.Equal("020000" + "010102", Convert.ToHexString(record.Slice(306, 6)));
            Assert.Equal("02020100" + "0A000000", Convert.ToHexString(record[312..]));
        }
    });

    [Fact]
    public void A_kernel_enumerates_a_Klipper_board() => UsbIpStage.With("octopus", async stage =>
    {
        using var client = await stage.ImportAsync();
        Assert.Equal((0, 8, "1201000202000010"), await client.ControlAsync("8006000100000800"));   // the first look takes 8 bytes
        Assert.Equal((0, 18, "1201000202000010" + "501D4E610001" + "01020301"), await client.ControlAsync(GetDevice));
        Assert.Equal((0, 9, "09023E00020100C032"), await client.ControlAsync("8006000200000900"));
        var configuration = await client.ControlAsync(GetConfiguration);
        Assert.Equal((0, 0x3E), (configuration.Status, configuration.Length));
        Assert.Equal(
            "09023E00020100C032" + "090400000102020100" + "0524001001" + "04240206" + "0524060001" + "070583030800FF" + "09040100020A000000"
            + "07050202400000" + "07058102400000",
            configuration.Data);
        foreach (var stalled in new[] { "8006000600000A00", "8006000700000900", "8006000F00000500", "8006010200000900", "800609030904FF00",
                "0009020000000000" })
            // qualifier, other speed, BOS; missing descriptors
            Assert.Equal((UsbIpClient.Stall, 0, ""), await client.ControlAsync(stalled));
        Assert.Equal("04030904", (await client.ControlAsync("800600030000FF00")).Data);
        Assert.Equal(
            "1803" + Convert.ToHexString(Encoding.Unicode.GetBytes("stm32f446xx")), (await client.ControlAsync("800602030904FF00")).Data);
        Assert.Equal((0, 2, "1803"), await client.ControlAsync("8006020309040200"));
        foreach (var done in new[] { "0009010000000000", "010B000001000000", "0201000081000000", "2122030000000000" })
            Assert.Equal((0, 0, ""), await client.ControlAsync(done));   // configuration, interface, halt, line state
        Assert.Equal((0, 2, "0100"), await client.ControlAsync("8000000000000200"));
        Assert.Equal((0, 7, ""), await client.ControlAsync("2120000000000700", "80250000000008"));
        Assert.Equal((0, 7, "80250000000008"), await client.ControlAsync("A121000000000700"));
        Assert.Equal(0, stage.Printer.Transfers);   // none of that is a transfer that faults are counted by
    });

    [Fact]
    public void Klipper_answers_over_the_bulk_endpoints_into_waiting_reads() => UsbIpStage.With("octopus", async stage =>
    {
        using var client = await stage.ImportAsync();
        var (first, second) = (await client.SubmitAsync(BulkIn, 16), await client.SubmitAsync(BulkIn, 128));
        var notification = await client.SubmitAsync(Notify, 8);
        Assert.Equal((0, Identify.Length), await WriteAsync(client));
        // The answer is longer than the first read: the rest goes to the next one.
        var (head, rest) = (await client.AnswerAsync(first), await client.AnswerAsync(second));
        Assert.Equal((0, 16, 16), (head.Status, head.Length, head.Data.Length));
        Assert.Equal(head.Data[0], 16 + rest.Length);   // the first byte of a frame is its length
        // the dictionary's first bytes
        Assert.Contains("78DA", Convert.ToHexString([.. head.Data, .. rest.Data]), StringComparison.Ordinal);
        Assert.Equal(5, (await client.AnswerAsync(await client.SubmitAsync(BulkIn, 128))).Length);   // the acknowledgement
        Assert.Equal(1, stage.Printer.Transfers);
        Assert.False(client.HasAnswer(notification));
        Assert.Equal(
            (UsbIpClient.Stall, 0),
            (await client.AnswerAsync(await client.SubmitAsync(0x85, 64))) is var (status, length, _) ? (status, length) : default);
    });

    [Fact]
    public void A_waiting_read_is_unlinked_and_loses_no_byte() => UsbIpStage.With("octopus", async stage =>
    {
        using var client = await stage.ImportAsync();
        var read = await client.SubmitAsync(BulkIn, 128);
        Assert.Equal(UsbIpClient.ConnectionReset, await client.UnlinkedAsync(await client.SubmitUnlinkAsync(read)));
        Assert.Equal(0, await client.UnlinkedAsync(await client.SubmitUnlinkAsync(read)));   // once more: there is nothing
        await WriteAsync(client);
        await Task.Delay(TimeSpan.FromSeconds(1), stage.Time);
        Assert.True((await client.AnswerAsync(await client.SubmitAsync(BulkIn, 128))).Length > 40);
        Assert.False(client.HasAnswer(read));
        var answered = await client.SubmitAsync(0x80, 18, null, GetDevice);
        await client.AnswerAsync(answered);
        Assert.Equal(0, await client.UnlinkedAsync(await client.SubmitUnlinkAsync(answered)));
    });

    [Fact]
    public void A_board_is_erased_written_and_read_by_control_transfers_only() => UsbIpStage.With("octopus-in-dfu", async stage =>
    {
        using var client = await stage.ImportAsync();
        Assert.Equal("1201000100000040" + "830411DF0022" + "01020301", (await client.ControlAsync(GetDevice)).Data);
        Assert.Equal(0x36, (await client.ControlAsync(GetConfiguration)).Length);
        // it has no other endpoint
        Assert.Equal(UsbIpClient.Stall, (await client.AnswerAsync(await client.SubmitAsync(BulkIn, 64))).Status);
        Assert.Equal(0, (await client.ControlAsync("010B000000000000")).Status);
        Assert.Equal(0, stage.Printer.Transfers);

        var begin = stage.Time.Now;
        await DownloadAsync("2101000000000500", "4100800008");      // erase the sector at 08008000
        Assert.InRange(stage.Time.Now - begin, TimeSpan.FromSeconds(0.2), TimeSpan.FromMinutes(2));
        Assert.Equal(-1, stage.Board.Flash.Read(0x0800_8000, 0x4000).IndexOfAnyExcept((byte)0xFF));
        await DownloadAsync("2101000000000500", "2100800008");      // address
        var block = Enumerable.Range(0, 2048).Select(i => (byte)((i * 7) + (i >> 8))).ToArray();
        await DownloadAsync("2101020000000008", Convert.ToHexString(block));
        Assert.Equal(block, stage.Board.Flash.Read(0x0800_8000, 2048).ToArray());
        Assert.Equal((0, 0, ""), await client.ControlAsync("2106000000000000"));
        await DownloadAsync("2101000000000500", "2100800008");
        Assert.Equal((0, 0, ""), await client.ControlAsync("2106000000000000"));
        Assert.Equal((0, 2048, Convert.ToHexString(block)), await client.ControlAsync("A102020000000008"));
        Assert.Equal(4 + 8 + 3, stage.Printer.Transfers);

        async Task DownloadAsync(string setup, string data)
        {
            Assert.Equal((0, data.Length / 2, ""), await client.ControlAsync(setup, data));
            Assert.EndsWith("0400", (await client.ControlAsync(GetStatus)).Data, StringComparison.Ordinal);   // dfuDNBUSY
            Assert.Equal("000000000500", (await client.ControlAsync(GetStatus)).Data);                          // held until it is done
        }
    });

    [Fact]
    public void A_board_that_leaves_its_bootloader_answers_first_and_is_imported_again_as_Klipper() =>
        UsbIpStage.With("octopus-in-dfu", async stage =>
    {
        using var client = await stage.ImportAsync();
        await client.ControlAsync("2101000000000500", "2100800008");
        await client.ControlAsync(GetStatus);
        await client.ControlAsync(GetStatus);
        Assert.Equal(0, (await client.ControlAsync("2101000000000000")).Status);
        Assert.Equal("000000000700", (await client.ControlAsync(GetStatus)).Data);   // dfuMANIFEST
        Assert.True(await client.IsClosedAsync());
        await stage.WaitAsync(() => stage.Events.Count(one => one.Kind == UsbIpEventKind.Came) == 2);
        using var again = await stage.ImportAsync();
        Assert.NotEqual(client.DeviceId, again.DeviceId);
        Assert.Equal("501D4E61", (await again.ControlAsync(GetDevice)).Data[16..24]);
        Assert.Equal(
            [UsbIpEventKind.Came, UsbIpEventKind.Imported, UsbIpEventKind.Left, UsbIpEventKind.Released, UsbIpEventKind.Came,
                UsbIpEventKind.Imported],
            stage.Events.Select(one => one.Kind).OrderBy(kind => 0));
        Assert.Equal(("octopus", "1-1.1", BoardState.Klipper), (stage.Events[^1].Board, stage.Events[^1].Port, stage.Events[^1].State));
    });

    [Fact]
    public void A_touch_at_1200_baud_starts_the_bootloader() => UsbIpStage.With("octopus", async stage =>
    {
        using var client = await stage.ImportAsync();
        await client.ControlAsync("2122010000000000");
        await client.ControlAsync("2120000000000700", "B0040000000008");
        Assert.Equal((0, 0, ""), await client.ControlAsync("2122000000000000"));
        Assert.True(await client.IsClosedAsync());
        await stage.WaitAsync(() => stage.Board.State == BoardState.Rom && stage.Events[^1].Kind == UsbIpEventKind.Came);
        using var rom = await stage.ImportAsync();
        Assert.Equal("830411DF", (await rom.ControlAsync(GetDevice)).Data[16..24]);
        Assert.Equal("0A000000" + "0A00", (await rom.ControlAsync(GetStatus)).Data);   // jumped to: errFIRMWARE
    });

    /// <summary>The vendor interface and the drive beside it, each with its endpoints.</summary>
    [Fact]
    public void Bulk_transfers_reach_PICOBOOT_and_the_drive() => UsbIpStage.With("rp2040-in-bootsel", async stage =>
    {
        using var client = await stage.ImportAsync();
        await client.ControlAsync("0009010000000000");
        const string magic = "0BD11F43";
        await Command("0100000001010000" + "00000000" + "01");
        await Command("0200000006000000" + "00000000");
        await Out(0x03, magic + "0300000084080000" + "10000000" + "0000001010000000" + "0000000000000000");
        Assert.Equal(Convert.ToHexString(stage.Board.Flash.Read(0x1000_0000, 16)), await In(0x84, 16));
        await Out(0x03, "");

        // A read that nothing answers is taken back, and the next one is served.
        var idle = await client.SubmitAsync(0x84, 64);
        Assert.Equal(UsbIpClient.ConnectionReset, await client.UnlinkedAsync(await client.SubmitUnlinkAsync(idle)));
        await Command("0400000006000000" + "00000000");

        await Out(0x02, "5553424301000000" + "24000000" + "800006" + "120000002400" + new string('0', 20));
        Assert.StartsWith("00800202", await In(0x81, 36), StringComparison.Ordinal);
        Assert.Equal("55534253" + "01000000" + "00000000" + "00", await In(0x81, 13));

        async Task Command(string words)
        {
            await Out(0x03, (magic + words).PadRight(64, '0'));
            Assert.Equal("", await In(0x84, 64));
        }

        async Task Out(byte endpoint, string hex)
        {
            var bytes = Convert.FromHexString(hex);
            var answer = await client.AnswerAsync(await client.SubmitAsync(endpoint, bytes.Length, bytes));
            Assert.Equal((0, bytes.Length), (answer.Status, answer.Length));
        }

        async Task<string> In(byte endpoint, int length)
        {
            var answer = await client.AnswerAsync(await client.SubmitAsync(endpoint, length));
            Assert.Equal(0, answer.Status);
            return Convert.ToHexString(answer.Data);
        }
    });

    [Fact]
    public void Unplugging_fails_open_transfers_and_those_before_the_hub_reports_it() => UsbIpStage.With(
        "octopus-in-dfu",
        async stage =>
        {
            using var client = await stage.ImportAsync();
            await client.ControlAsync("2101000000000500", "4100000208");
            var status = await client.SubmitAsync(0x80, 6, null, GetStatus);
            Assert.Equal(UsbIpClient.ProtocolError, (await client.AnswerAsync(status)).Status);
            Assert.Equal(UsbIpClient.ProtocolError, (await client.ControlAsync(GetStatus)).Status);
            Assert.True(await client.IsClosedAsync());
            await stage.WaitAsync(() => stage.Events.Count(one => one.Kind == UsbIpEventKind.Came) == 2);
            using var again = await stage.ImportAsync();
            Assert.Equal(18, (await again.ControlAsync(GetDevice)).Length);
        },
        // A tenth of real speed: the host controller then fails transfers for a whole second before the connection closes.
        At(2, TransferFaultKind.Unplug, seconds: 0), pace: 0.1);

    /// <summary>As cdc_acm reads a board that has left, until the hub reports it.</summary>
    [Fact]
    public void A_driver_that_submits_again_after_each_failure_meets_one_failure_a_millisecond() => UsbIpStage.With(
        "octopus",
        async stage =>
        {
            using var client = await stage.ImportAsync();
            stage.Board.Unplug();
            var failures = 0;
            try
            {
                while ((await client.AnswerAsync(await client.SubmitAsync(BulkIn, 64))).Status == UsbIpClient.ProtocolError)
                    Assert.InRange(++failures, 1, 120);   // in 100 ms
                Assert.Fail("a transfer did not fail");
            }
            catch (Exception end) when (end is EndOfStreamException or SocketException)
            {
                // The connection has ended.
            }
            Assert.NotEqual(0, failures);
        },
        pace: 0.1);

    [Fact]
    public void A_transfer_without_an_answer_is_unlinked_and_the_next_one_works() => UsbIpStage.With(
        "octopus-in-dfu",
        async stage =>
        {
            using var client = await stage.ImportAsync();
            var lost = await client.SubmitAsync(0x80, 6, null, GetStatus);
            var next = await client.SubmitAsync(0x80, 1, null, GetState);   // queued behind it
            await Task.Delay(TimeSpan.FromSeconds(30), stage.Time);
            Assert.Equal(UsbIpClient.ConnectionReset, await client.UnlinkedAsync(await client.SubmitUnlinkAsync(lost)));
            Assert.Equal((0, 1), (await client.AnswerAsync(next)) is var (status, length, _) ? (status, length) : default);
            Assert.False(client.HasAnswer(lost));
            Assert.Equal(2, stage.Printer.Transfers);
        },
        At(1, TransferFaultKind.Timeout));

    [Fact]
    public void An_unlink_frees_the_endpoint_that_an_erase_holds() => UsbIpStage.With(
        "octopus-in-dfu",
        async stage =>
        {
            using var client = await stage.ImportAsync();
            await client.ControlAsync("2101000000000500", "4100000208");   // 128 KiB, 1 s
            await client.ControlAsync(GetStatus);
            var held = await client.SubmitAsync(0x80, 6, null, GetStatus);
            var begin = stage.Time.Now;
            Assert.Equal(UsbIpClient.ConnectionReset, await client.UnlinkedAsync(await client.SubmitUnlinkAsync(held)));
            Assert.Equal(18, (await client.ControlAsync(GetDevice)).Length);
            Assert.InRange(stage.Time.Now - begin, TimeSpan.Zero, TimeSpan.FromSeconds(0.9));
        },
        pace: 0.1);

    [Theory]
    [InlineData(TransferFaultKind.Stall, -32)]
    [InlineData(TransferFaultKind.BusError, -71)]
    public void Faults_of_control_transfers_arrive_as_the_kernels_numbers(TransferFaultKind kind, int status) => UsbIpStage.With(
        "octopus-in-dfu",
        async stage =>
        {
            using var client = await stage.ImportAsync();
            Assert.Equal(6, (await client.ControlAsync(GetStatus)).Length);
            Assert.Equal((status, 0, ""), await client.ControlAsync(GetStatus));
            Assert.Equal(6, (await client.ControlAsync(GetStatus)).Length);
        },
        At(2, kind));

    [Theory]
    [InlineData(TransferFaultKind.Lost)]
    [InlineData(TransferFaultKind.Doubled)]
    [InlineData(TransferFaultKind.Late)]
    public void Faults_of_frames_strike_on_the_bulk_endpoints(TransferFaultKind kind) => UsbIpStage.With(
        "octopus",
        async stage =>
        {
            using var client = await stage.ImportAsync();
            var reads = new[] { await client.SubmitAsync(BulkIn, 128), await client.SubmitAsync(BulkIn, 128),
                await client.SubmitAsync(BulkIn, 128) };
            var begin = stage.Time.Now;
            await WriteAsync(client);
            if (kind == TransferFaultKind.Late)
            {
                await client.AnswerAsync(reads[0]);
                Assert.True(stage.Time.Now - begin >= TimeSpan.FromSeconds(20));
                return;
            }
            await Task.Delay(TimeSpan.FromSeconds(10), stage.Time);
            await client.ControlAsync(GetDevice);   // earlier messages have arrived with its answer
            Assert.Equal(kind == TransferFaultKind.Doubled, client.HasAnswer(reads[1]));
            if (kind == TransferFaultKind.Doubled)
                Assert.Equal((await client.AnswerAsync(reads[0])).Data, (await client.AnswerAsync(reads[1])).Data);
        },
        At(1, kind, seconds: 20));

    [Fact]
    public void Two_boards_are_imported_at_the_same_time() => UsbIpStage.With("two-octopuses", async stage =>
    {
        using var one = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.1");
        using var two = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.2");
        var reads = (await one.SubmitAsync(BulkIn, 128), await two.SubmitAsync(BulkIn, 128));
        await WriteAsync(two);
        Assert.True((await two.AnswerAsync(reads.Item2)).Length > 40);
        stage.Printer.Boards[1].Unplug();
        Assert.True(await two.IsClosedAsync());
        await WriteAsync(one);
        Assert.True((await one.AnswerAsync(reads.Item1)).Length > 40);
    });

    [Fact]
    public void An_imported_device_is_refused_to_others_until_it_is_released() => UsbIpStage.With("octopus", async stage =>
    {
        var first = await stage.ImportAsync();
        using (var second = await UsbIpClient.ConnectAsync(stage.Server.Port))
        {
            Assert.Equal((2u, 0), await second.RequestAsync("1-1.1") is var (status, device) ? (status, device.Length) : default);
            Assert.True(await second.IsClosedAsync());
        }
        foreach (var missing in new[] { "1-1.4", "9-9", "" })   // a device that is no board, and two missing ones
        {
            using var third = await UsbIpClient.ConnectAsync(stage.Server.Port);
            Assert.Equal(4u, (await third.RequestAsync(missing)).Status);
        }
        // The printer's own door is shut meanwhile as well.
        await stage.Printer.Klippy.StopAsync(CancellationToken.None);
        var device1 = stage.Printer.Look().Devices.First(device => device.Port == "1-1.1");
        Assert.Equal(
            "port-held",
            (await Assert.ThrowsAsync<FlashException>(() => stage.Printer.OpenSerialAsync(device1, SerialMode.Klipper))).Code);
        first.Dispose();
        await stage.WaitAsync(() => stage.Events.Exists(one => one.Kind == UsbIpEventKind.Released));
        using var again = await stage.ImportAsync();
        Assert.Equal(18, (await again.ControlAsync(GetDevice)).Length);
    });

    [Fact]
    public void A_port_in_use_is_a_fault_with_a_remedy() => UsbIpStage.With("octopus", stage =>
    {
        Assert.Equal(
            "usbip-port", Assert.Throws<FlashException>(() => UsbIpServer.Start(stage.Printer, stage.Server.Port, _ => { })).Code);
        return Task.CompletedTask;
    });

    private static async Task<(int Status, int Length)> WriteAsync(UsbIpClient client)
    {
        var (status, length, _) = await client.AnswerAsync(await client.SubmitAsync(BulkOut, Identify.Length, Identify));
        return (status, length);
    }
}

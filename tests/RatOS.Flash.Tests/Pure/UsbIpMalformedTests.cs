using CsCheck;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Malformed and excessive input to the USB/IP server.</summary>
public sealed class UsbIpMalformedTests
{
    private const string GetDevice = "8006000100001200";
    private const byte BulkIn = 0x81;

    public static TheoryData<string> Malformed =>
    [
        "0110800500000000",                                     // another version
        "0111123400000000",                                     // unknown request
        "474554202F20485454502F312E300D0A",
        "01",                                                   // cut short
        "0111800300000000" + "312D31",
    ];

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_request_closes_only_its_own_connection(string hex) => UsbIpStage.With("octopus", async stage =>
    {
        using var good = await stage.ImportAsync();
        using (var bad = await UsbIpClient.ConnectAsync(stage.Server.Port))
        {
            await bad.SendAsync(Convert.FromHexString(hex));
            if (hex.Length is 2 or 22)
                bad.Dispose();
            else
                Assert.True(await bad.IsClosedAsync());
        }
        await stage.WaitAsync(() => stage.Events.Exists(one => one.Kind == UsbIpEventKind.Dropped));
        Assert.Equal(18, (await good.ControlAsync(GetDevice)).Length);
    });

    public static TheoryData<string> MalformedCommands =>
    [
        // unknown command
        "00000005" + "00000001" + "DDDDDDDD" + "00000001" + "00000000" + "00000000" + "00000012" + "0000000000000000"
            + "00000000" + GetDevice,
        // another device
        "00000001" + "00000001" + "00770077" + "00000001" + "00000000" + "00000000" + "00000012" + "0000000000000000"
        + "00000000" + GetDevice,
        // direction 2
        "00000001" + "00000001" + "DDDDDDDD" + "00000002" + "00000000" + "00000000" + "00000012" + "0000000000000000"
        + "00000000" + GetDevice,
        // endpoint 16
        "00000001" + "00000001" + "DDDDDDDD" + "00000001" + "00000010" + "00000000" + "00000012" + "0000000000000000"
        + "00000000" + GetDevice,
        // over 1 MiB
        "00000001" + "00000001" + "DDDDDDDD" + "00000000" + "00000002" + "00000000" + "00100001" + "0000000000000000"
        + "00000000" + GetDevice,
        "00000001" + "00000001" + "DDDDDDDD" + "00000001" + "00000000" + "00000000" + "FFFFFFFF" + "0000000000000000"
        + "00000000" + GetDevice,
        // isochronous
        "00000001" + "00000001" + "DDDDDDDD" + "00000001" + "00000001" + "00000000" + "00000012" + "0000000000000003"
        + "00000000" + GetDevice,
        // buffer too small
        "00000001" + "00000001" + "DDDDDDDD" + "00000001" + "00000000" + "00000000" + "00000011" + "0000000000000000"
        + "00000000" + GetDevice,
    ];

    [Theory]
    [MemberData(nameof(MalformedCommands))]
    public void A_malformed_command_closes_only_its_own_connection(string hex) => UsbIpStage.With("two-octopuses", async stage =>
    {
        using var good = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.2");
        using var bad = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.1");
        await bad.SendAsync(Convert.FromHexString(hex.Replace("DDDDDDDD", $"{bad.DeviceId:X8}", StringComparison.Ordinal)));
        Assert.True(await bad.IsClosedAsync());
        Assert.Equal(
            UsbIpEventKind.Dropped, stage.Events.Find(one => one.Text.Contains("closed", StringComparison.Ordinal))?.Kind);
        Assert.Equal(18, (await good.ControlAsync(GetDevice)).Length);
        using var again = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.1");
    });

    [Fact]
    public void Noise_after_an_import_does_not_affect_other_connections() => UsbIpStage.With("two-octopuses", async stage =>
    {
        using var good = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.2");
        var dice = new Random(4711);
        for (var round = 0; round < 40; round++)
        {
            using var bad = await UsbIpClient.ImportAsync(stage.Server.Port, "1-1.1");
            var noise = new byte[dice.Next(1, 400)];
            dice.NextBytes(noise);
            if (round % 2 == 0)
                Convert.FromHexString(
                    $"0000000100000001{bad.DeviceId:X8}0000000{round % 4 / 2}0000000{dice.Next(3)}000000000000{noise.Length:X4}")
                    .AsSpan(0, Math.Min(28, noise.Length)).CopyTo(noise);
            await bad.SendAsync(noise);
            bad.Dispose();
            await stage.WaitAsync(() => stage.Events.FindLast(one => one.Port == "1-1.1")?.Kind != UsbIpEventKind.Imported);
        }
        Assert.Equal(18, (await good.ControlAsync(GetDevice)).Length);
    });

    [Fact]
    public void More_transfers_than_any_kernel_sends_close_the_connection() => UsbIpStage.With("octopus", async stage =>
    {
        using var client = await stage.ImportAsync();
        for (var i = 0; i < 1025; i++)
            await client.SubmitAsync(BulkIn, 64);
        Assert.True(await client.IsClosedAsync());
        Assert.Contains(stage.Events, one => one.Text.Contains("1024 transfers", StringComparison.Ordinal));
    });

    [Fact]
    public void A_client_that_reads_no_answers_is_dropped() => UsbIpStage.With("octopus", async stage =>
    {
        using var client = await stage.ImportAsync();
        var unlinks = Convert.FromHexString(
            string.Concat(Enumerable.Repeat($"0000000200000001{client.DeviceId:X8}" + new string('0', 72), 1000)));
        // Until the buffers of both sides are full, and then some.
        await Assert.ThrowsAnyAsync<System.Net.Sockets.SocketException>(async () =>
        {
            for (var i = 0; i < 1000; i++)
                await client.SendAsync(unlinks);
        });
        Assert.Contains(stage.Events, one => one.Text.Contains("answers", StringComparison.Ordinal));
    });

    [Fact]
    public void Any_header_is_either_refused_or_parsed_correctly() =>
        Gen.Select(Gen.Byte.Array[48], Gen.UInt[0, 3], Gen.UInt[0, 2], Gen.UInt[0, 17], Gen.UInt[0, (1 << 20) + 2], Gen.Bool)
        .Sample((noise, command, direction, endpoint, length, tame) =>
        {
            if (tame)
            {
                foreach (var (at, value) in new[] { (0, command), (12, direction), (16, endpoint), (24, length), (32, 0u) })
                    System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(noise.AsSpan(at), value);
            }
            UsbIpCommand parsed;
            try
            {
                parsed = UsbIpWire.ParseCommand(noise);
            }
            catch (InvalidDataException)
            {
                return;
            }
            var hex = Convert.ToHexString(noise);
            Assert.Equal(hex[8..24], $"{parsed.Sequence:X8}{parsed.DeviceId:X8}");
            if (parsed.Unlinks is { } unlinked)
            {
                Assert.Equal(("00000002", hex[40..48]), (hex[..8], $"{unlinked:X8}"));
                return;
            }
            Assert.Equal("00000001", hex[..8]);
            Assert.InRange(parsed.Length, 0, 1 << 20);
            Assert.Equal(hex[24..40], $"0000000{(parsed.IsIn ? 1 : 0)}{parsed.Endpoint:X8}");
            Assert.Equal(hex[48..56], $"{parsed.Length:X8}");
            Assert.Equal(hex[80..], Convert.ToHexString([parsed.Setup.RequestType, parsed.Setup.Request,
                (byte)parsed.Setup.Value, (byte)(parsed.Setup.Value >> 8), (byte)parsed.Setup.Index, (byte)(parsed.Setup.Index >> 8),
                (byte)parsed.SetupLength, (byte)(parsed.SetupLength >> 8)]));
            Assert.True(parsed.Endpoint != 0 || parsed.SetupLength <= parsed.Length);
        }, iter: 20_000);
}

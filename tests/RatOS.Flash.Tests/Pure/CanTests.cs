using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>CAN's numbers, bytes and lines, by Klipper's docs/CANBUS_protocol.md and the recordings.</summary>
public sealed class CanTests
{
    private static readonly CanUuid Uuid = CanUuid.TryParse("a19f7f1b35c1")!.Value;

    [Fact]
    public void The_uuid_of_a_chip_is_the_measured_one()
    {
        Assert.Equal(Uuid, CanUuid.OfChip("HOSTPEER-001"u8));
        Assert.Equal("a19f7f1b35c1", $"{Uuid}");
        Assert.Equal(Uuid, CanUuid.OfSerial(Convert.ToHexString("HOSTPEER-001"u8)));
        Assert.Null(CanUuid.OfSerial("btt-octopus-11"));
        Assert.Null(CanUuid.OfSerial("btt-manta-e3ez-v1.0-pads"));   // 24 characters, and no hex
    }

    [Fact]
    public void Our_uuids_and_the_virtual_boards_are_the_same_for_ids_of_every_length()
    {
        var dice = new Random(1);
        for (var length = 0; length <= 16; length++)
        {
            var chipId = new byte[length];
            dice.NextBytes(chipId);
            Assert.Equal(CanUuid.Read(VirtualCanNode.UuidOf(chipId)), CanUuid.OfChip(chipId));
        }
    }

    [Theory]
    [InlineData("A19F7F1B35C1")]
    [InlineData("a19f7f1b35c1")]
    public void Twelve_hex_digits_are_a_uuid(string text) => Assert.Equal(Uuid, CanUuid.TryParse(text));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("a19f7f1b35c")]
    [InlineData("a19f7f1b35c11")]
    [InlineData("a19f7f1b35cg")]
    [InlineData("0xa19f7f1b35")]
    public void Everything_else_is_none(string? text) => Assert.Null(CanUuid.TryParse(text));

    [Fact]
    public void Broadcasts_are_those_of_Katapults_own_tool()
    {
        Assert.Equal("3f0 00", $"{CanAdmin.Query}");
        Assert.Equal("3f0 12", $"{CanAdmin.ClearBootloaders}");
        Assert.Equal("3f0 02a19f7f1b35c1", $"{CanAdmin.RequestBootloader(Uuid)}");
        Assert.Equal("3f0 11a19f7f1b35c181", $"{CanAdmin.AssignBootloader(Uuid, 0x81)}");
        Assert.Equal("3f0 01a19f7f1b35c104", $"{CanAdmin.AssignKlipper(Uuid, 4)}");
        Assert.Equal("203 ", $"{CanAdmin.ReleaseBootloader(0x81)}");
        Assert.Equal((0x202, 0x203), (CanLine.ToNode(0x81), CanLine.FromNode(0x81)));
    }

    [Fact]
    public void Answers_to_the_query_name_the_node_and_its_program()
    {
        Assert.Equal(new CanNode(Uuid, InBootloader: true), CanAdmin.Parse(new CanFrame(0x3F1, Convert.FromHexString("20a19f7f1b35c111"))));
        Assert.Equal(new CanNode(Uuid, InBootloader: false),
            CanAdmin.Parse(new CanFrame(0x3F1, Convert.FromHexString("20a19f7f1b35c101"))));
        Assert.Null(CanAdmin.Parse(new CanFrame(0x3F1, Convert.FromHexString("20a19f7f1b35c1"))));
        Assert.Null(CanAdmin.Parse(new CanFrame(0x3F1, Convert.FromHexString("20a19f7f1b35c102"))));
        Assert.Null(CanAdmin.Parse(new CanFrame(0x3F1, Convert.FromHexString("21a19f7f1b35c111"))));
        Assert.Null(CanAdmin.Parse(new CanFrame(0x3F0, Convert.FromHexString("20a19f7f1b35c111"))));
    }

    [Fact]
    public void A_frame_has_eleven_bits_and_eight_bytes_at_most()
    {
        Assert.Equal([1, 2, 3], new CanFrame(0x7FF, 1, 2, 3).ToArray());
        Assert.Equal(3, new CanFrame(0x7FF, 1, 2, 3)[2]);
        Assert.NotEqual(new CanFrame(1, 0), new CanFrame(1, 0, 0));
        Assert.Throws<ArgumentException>(() => new CanFrame(0x800));
        Assert.Throws<ArgumentException>(() => new CanFrame(-1));
        Assert.Throws<ArgumentException>(() => new CanFrame(1, 1, 2, 3, 4, 5, 6, 7, 8, 9));
        Assert.Throws<ArgumentOutOfRangeException>(() => new CanFrame(1, 1)[1]);
    }

    [Theory]
    [InlineData(1, new[] { 1 })]
    [InlineData(8, new[] { 8 })]
    [InlineData(76, new[] { 8, 8, 8, 8, 8, 8, 8, 8, 8, 4 })]
    public void A_line_goes_out_in_pieces_of_eight(int length, int[] pieces) => VirtualTime.Run(async time =>
    {
        var port = new MemoryPort(time);
        await using var line = await CanLine.OpenAsync(port, Uuid, 0x81, inBootloader: true, time);
        await line.WriteAsync(Enumerable.Range(0, length).Select(i => (byte)i).ToArray());
        var sent = port.Sent.Skip(1).ToList();
        Assert.All(sent, frame => Assert.Equal(0x202, frame.Id));
        Assert.Equal(Enumerable.Range(0, length).Select(i => (byte)i), sent.SelectMany(frame => frame.ToArray()));
        Assert.Equal(pieces, sent.Select(frame => frame.Length));
    });

    [Fact]
    public void A_line_hears_its_own_node_alone_and_ends_when_that_has_lost_its_number() => VirtualTime.Run(async time =>
    {
        var port = new MemoryPort(time);
        await using var line = await CanLine.OpenAsync(port, Uuid, 0x81, inBootloader: true, time);
        var buffer = new byte[5];
        port.Coming.Enqueue(new CanFrame(0x205, 9));
        port.Coming.Enqueue(new CanFrame(0x3F1, Convert.FromHexString("20ffffffffffff11")));
        port.Coming.Enqueue(new CanFrame(0x203, 1, 2, 3, 4, 5, 6, 7));
        Assert.Equal(5, await line.ReadAsync(buffer, TimeSpan.FromSeconds(1)));
        Assert.Equal(2, await line.ReadAsync(buffer, TimeSpan.FromSeconds(1)));
        Assert.Equal(new byte[] { 6, 7 }, buffer[..2]);
        port.Coming.Enqueue(new CanFrame(0x3F1, Convert.FromHexString("20a19f7f1b35c111")));
        await Assert.ThrowsAsync<DeviceGoneException>(async () => await line.ReadAsync(buffer, TimeSpan.FromSeconds(1)));
    });

    /// <summary>Frames that were sent, and frames to come.</summary>
    private sealed class MemoryPort(TimeProvider time) : CanPort
    {
        public List<CanFrame> Sent { get; } = [];

        public Queue<CanFrame> Coming { get; } = new();

        public override Device Device { get; } = new() { Port = "can0", Number = 1, Can = new CanLink(true, null, null) };

        public override CanBusState State => CanBusState.Working;

        public override ValueTask SendAsync(CanFrame frame)
        {
            Sent.Add(frame);
            return ValueTask.CompletedTask;
        }

        public override async ValueTask<CanFrame?> ReceiveAsync(TimeSpan timeout)
        {
            if (Coming.Count == 0)
                await Task.Delay(timeout, time);
            return Coming.TryDequeue(out var frame) ? frame : null;
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

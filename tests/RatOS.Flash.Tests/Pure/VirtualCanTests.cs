using System.Buffers.Binary;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.Pure;

/// <summary>
/// The virtual CAN nodes against recorded frames of the real Katapult, and against the sources where there is no recording.
/// </summary>
public sealed class VirtualCanTests
{
    private const int Admin = 0x3F0;
    private static readonly byte[] ChipId = "HOSTPEER-001"u8.ToArray();
    private static readonly byte[] Uuid = Convert.FromHexString("a19f7f1b35c1");

    /// <summary>A bus and the frames of its nodes.</summary>
    private sealed class Bus
    {
        public Bus(VirtualTime time)
        {
            Time = time;
            Can = new VirtualCanBus(time);
            Can.FromNodes += Received.Add;
        }

        public VirtualTime Time { get; }

        public VirtualCanBus Can { get; }

        public List<CanFrame> Received { get; } = [];

        public List<ResetRequest> Resets { get; } = [];

        public int Requests { get; private set; }

        public VirtualFlash Flash { get; } = new(VirtualChip.G0B1);

        public VirtualCanNode Katapult() =>
            Join(new KatapultProgram(Flash, VirtualChip.G0B1, 0x0800_2000, new KatapultTraits { Link = McuLink.Can, CanUuid = Uuid })
            {
                Send = (bytes, delay) => _node!.Send(bytes, delay),
                Reset = (request, _) => Resets.Add(request),
            });

        public VirtualCanNode Klipper() => Join(new KlipperProgram(
            VirtualFirmware.WouldStart(Preset(), VirtualChip.G0B1, 0x0800_2000).Running!, VirtualChip.G0B1, Flash, ChipId, McuLink.Can)
        {
            Send = (bytes, delay) => _node!.Send(bytes, delay),
            Reset = (request, _) => Resets.Add(request),
        });

        private VirtualCanNode? _node;

        private VirtualFlash Preset()
        {
            Flash.Preset(0x0800_2000, VirtualFirmware.Build(VirtualChip.G0B1, 0x0800_2000, "v0.13.0", link: FirmwareLink.Can));
            return Flash;
        }

        private VirtualCanNode Join(SerialProgram program)
        {
            _node = new VirtualCanNode(Time, Can, VirtualCanNode.UuidOf(ChipId), program, () => Requests++);
            Can.Join(_node);
            return _node;
        }

        /// <summary>Sends frames and returns all frames until the bus is quiet.</summary>
        public async Task<List<CanFrame>> AskAsync(params CanFrame[] frames)
        {
            Received.Clear();
            foreach (var frame in frames)
                Can.ToNodes(frame);
            await Task.Delay(TimeSpan.FromSeconds(1), Time);
            return [.. Received];
        }
    }

    private static void With(Func<Bus, Task> story) => VirtualTime.Run(time => story(new Bus(time)));

    /// <summary>A recording's frames in bursts: frames of the host, and the answers before its next ones.</summary>
    private static List<(List<CanFrame> Sent, List<CanFrame> Answered)> JobRecording(string name)
    {
        var bursts = new List<(List<CanFrame> Sent, List<CanFrame> Answered)>();
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Recordings", name))
            .Where(line => line.Length > 0 && line[0] is '>' or '<'))
        {
            var bytes = Convert.FromHexString(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2]);
            var frame = new CanFrame(BinaryPrimitives.ReadInt32LittleEndian(bytes), bytes.AsSpan(8, bytes[4]));
            if (line[0] == '<')
                bursts[^1].Answered.Add(frame);
            else if (bursts.Count == 0 || bursts[^1].Answered.Count > 0)
                bursts.Add(([frame], []));
            else
                bursts[^1].Sent.Add(frame);
        }
        return bursts;
    }

    [Fact]
    public void A_recorded_query_comes_out_frame_for_frame() => With(async bus =>
    {
        bus.Katapult();
        foreach (var (sent, answered) in JobRecording("katapult_g0b1_can_query.raw"))
            Assert.Equal(answered, await bus.AskAsync([.. sent]));
    });

    [Fact]
    public void A_recorded_flash_comes_out_frame_for_frame() => With(async bus =>
    {
        bus.Katapult();
        var recording = JobRecording("katapult_g0b1_can_flash.raw");
        Assert.True(recording.Count > 370, $"{recording.Count} bursts");
        foreach (var (sent, answered) in recording)
            Assert.Equal(answered, await bus.AskAsync([.. sent]));
        var image = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Recordings", "image_g0b1.bin"));
        Assert.Equal(image, bus.Flash.Read(0x0800_2000, image.Length).ToArray());
        Assert.Equal([ResetRequest.SkipKatapult], bus.Resets);
    });

    [Fact]
    public void Only_a_node_without_a_number_answers_the_query() => With(async bus =>
    {
        bus.Klipper();
        Assert.Equal([new CanFrame(0x3F1, [0x20, .. Uuid, 0x01])], await bus.AskAsync(new CanFrame(Admin, 0x00)));
        await bus.AskAsync(new CanFrame(Admin, [0x01, .. Uuid, 0x81]));
        Assert.Empty(await bus.AskAsync(new CanFrame(Admin, 0x00)));
        Assert.Empty(await bus.AskAsync(new CanFrame(Admin, 0x12), new CanFrame(Admin, 0x00)));   // Katapult's clear is nothing to Klipper
    });

    [Fact]
    public void Each_node_takes_only_its_own_assignment() => With(async bus =>
    {
        bus.Katapult();
        Assert.Empty(
            await bus.AskAsync(
                new CanFrame(Admin, [0x01, .. Uuid, 0x81]), new CanFrame(0x202, Convert.FromHexString("01881100f17c9903"))));
        Assert.Equal(
            8,
            (await bus.AskAsync(new CanFrame(Admin, [0x11, .. Uuid, 0x81]),
                new CanFrame(0x202, Convert.FromHexString("01881100f17c9903")))).Count);
        await bus.AskAsync(new CanFrame(Admin, [0x02, .. Uuid]));
        Assert.Equal(0, bus.Requests);   // it is in its bootloader already
    });

    [Fact]
    public void A_Katapult_that_receives_its_own_answer_id_gives_its_number_up() => With(async bus =>
    {
        var node = bus.Katapult();
        await bus.AskAsync(new CanFrame(Admin, [0x11, .. Uuid, 0x81]));
        Assert.Equal(0x202, node.AssignedId);
        Assert.Single(await bus.AskAsync(new CanFrame(0x203), new CanFrame(Admin, 0x00)));
    });

    [Fact]
    public void A_Klipper_whose_number_is_assigned_to_another_node_shuts_down_and_still_enters_its_bootloader() => With(async bus =>
    {
        bus.Klipper();
        await bus.AskAsync(new CanFrame(Admin, [0x01, .. Uuid, 0x81]));
        Assert.Single(await bus.AskAsync(new CanFrame(Admin, [0x01, 1, 2, 3, 4, 5, 6, 0x81]), new CanFrame(Admin, 0x00)));
        await bus.AskAsync(new CanFrame(Admin, [0x01, .. Uuid, 0x81]));
        // config: is_config 0, crc 0, is_shutdown 1, move_count 0.
        var answer = await bus.AskAsync(Block(GetConfig));
        Assert.Contains(
            "00000100", string.Concat(answer.Where(frame => frame.Id == 0x203).Select(frame => Convert.ToHexString(frame.ToArray()))),
            StringComparison.Ordinal);
        await bus.AskAsync(new CanFrame(Admin, [0x02, .. Uuid]));
        Assert.Equal(1, bus.Requests);
    });

    private const byte GetConfig = 7;   // the same in every build

    private static CanFrame Block(params byte[] payload)
    {
        byte[] block = [(byte)(payload.Length + 5), 0x10, .. payload, 0, 0, 0x7E];
        BinaryPrimitives.WriteUInt16BigEndian(block.AsSpan(payload.Length + 2), Crc16.Compute(block.AsSpan(0, payload.Length + 2)));
        return new CanFrame(0x202, block);
    }

    [Fact]
    public void A_frame_without_acknowledgement_waits_for_a_node() => With(async bus =>
    {
        Assert.Empty(await bus.AskAsync(new CanFrame(Admin, 0x00)));
        Assert.Equal(CanBusState.NotAcknowledged, bus.Can.State);
        bus.Katapult();
        Assert.Single(await bus.AskAsync());
        Assert.Equal(CanBusState.Working, bus.Can.State);
    });

    [Fact]
    public void With_another_bit_rate_no_frame_is_understood() => With(async bus =>
    {
        bus.Can.HostBitrate = 500_000;
        bus.Katapult();
        Assert.Empty(await bus.AskAsync(new CanFrame(Admin, 0x00)));
        Assert.Equal(CanBusState.NotAcknowledged, bus.Can.State);
    });

    [Fact]
    public void A_full_frame_takes_its_time_on_the_wire() => With(async bus =>
    {
        bus.Katapult();
        TimeSpan? heard = null;
        bus.Can.FromNodes += _ => heard ??= bus.Time.Now;
        bus.Can.ToNodes(new CanFrame(Admin, 0x00));
        await Task.Delay(TimeSpan.FromSeconds(1), bus.Time);
        Assert.InRange(heard!.Value.TotalMicroseconds, 200, 300);   // 1 byte there, 8 bytes back
    });
}

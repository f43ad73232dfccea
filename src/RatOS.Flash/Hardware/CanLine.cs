using System.Collections.Immutable;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware;

/// <summary>Messages to all nodes of a bus: queries, node ids, requests for the bootloader (Klipper docs/CANBUS_protocol.md).</summary>
/// <remarks>
/// Only a node without a number answers a query. A node keeps its number until a reset, so a node that had one and answers was reset: its
/// next session has begun.
/// </remarks>
internal static class CanAdmin
{
    public const int ToNodes = 0x3F0;
    public const int FromNodes = 0x3F1;

    private const byte QueryUnassigned = 0x00, AssignKlipperCommand = 0x01, RequestBootloaderCommand = 0x02,
        AssignBootloaderCommand = 0x11, ClearBootloaderCommand = 0x12;
    private const byte NeedsNumber = 0x20;

    public static CanFrame Query { get; } = new(ToNodes, QueryUnassigned);

    /// <summary>Every Katapult loses its number. No write may be under way on this bus.</summary>
    public static CanFrame ClearBootloaders { get; } = new(ToNodes, ClearBootloaderCommand);

    public static CanFrame AssignKlipper(CanUuid uuid, byte number) => Encode(AssignKlipperCommand, uuid, number);

    public static CanFrame AssignBootloader(CanUuid uuid, byte number) => Encode(AssignBootloaderCommand, uuid, number);

    /// <summary>Klipper obeys it in any state, with and without a number; Katapult ignores it.</summary>
    public static CanFrame RequestBootloader(CanUuid uuid) => Encode(RequestBootloaderCommand, uuid);

    /// <summary>
    /// A Katapult that receives a frame with the id of its own answers drops its number. Klipper would shut down: never use a number of
    /// Klipper's.
    /// </summary>
    public static CanFrame ReleaseBootloader(byte number) => new(CanLine.FromNode(number));

    /// <summary>Null for anything but the answer to a query.</summary>
    public static CanNode? Parse(CanFrame frame)
    {
        Span<byte> data = stackalloc byte[CanFrame.MaxLength];
        frame.CopyTo(data);
        return frame is { Id: FromNodes, Length: 8 } && data[0] == NeedsNumber && data[7] is AssignBootloaderCommand or AssignKlipperCommand
            ? new CanNode(CanUuid.Read(data[1..]), data[7] == AssignBootloaderCommand) : null;
    }

    /// <summary>The nodes without a number; one entry per answer.</summary>
    /// <param name="listen">Time for answers. All nodes answer within milliseconds of their next idle moment.</param>
    /// <param name="wanted">The query ends with this node's answer.</param>
    public static async Task<ImmutableArray<CanNode>> QueryAsync(CanPort port, TimeSpan listen, TimeProvider time, CanUuid? wanted = null)
    {
        var nodes = ImmutableArray.CreateBuilder<CanNode>();
        var begin = time.GetTimestamp();
        await port.SendAsync(Query);
        while (listen - time.GetElapsedTime(begin) is var left && left > TimeSpan.Zero && await port.ReceiveAsync(left) is { } frame)
        {
            if (Parse(frame) is not { } node)
                continue;
            nodes.Add(node);
            if (node.Uuid == wanted)
                break;
        }
        return nodes.ToImmutable();
    }

    /// <summary>Why frames do not get through, as the controller reports it; null while they do.</summary>
    public static FlashException? TroubleOf(CanPort port) => port.State switch
    {
        CanBusState.Off => CanFaults.CanBusOff(port.Device.Port),
        CanBusState.NotAcknowledged => CanFaults.CanNotAcknowledged(port.Device.Port, port.Device.Can?.Bitrate),
        _ => null,
    };

    private static CanFrame Encode(byte command, CanUuid uuid, params ReadOnlySpan<byte> rest)
    {
        Span<byte> data = stackalloc byte[CanFrame.MaxLength];
        data[0] = command;
        uuid.CopyTo(data[1..]);
        rest.CopyTo(data[(1 + CanUuid.Length)..]);
        return new CanFrame(ToNodes, data[..(1 + CanUuid.Length + rest.Length)]);
    }
}

/// <summary>
/// The byte line of one node: what is written goes out in pieces of 8 bytes, what the node sends comes back in such. A node that was reset
/// has lost its number, which ends this line.
/// </summary>
internal sealed class CanLine : ByteLine
{
    // A busy node (an erase takes 2 s) is silent as well: ask now and then whether it was reset.
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);

    // Nothing acknowledges an assignment, and a frame to a number that is not yet assigned is lost. Nodes poll thousands of times a second.
    private static readonly TimeSpan Assigning = TimeSpan.FromMilliseconds(20);

    private readonly CanPort _port;
    private readonly CanUuid _uuid;
    private readonly byte _number;
    private readonly TimeProvider _time;
    private readonly byte[] _rest = new byte[CanFrame.MaxLength];
    private (int From, int To) _unread;
    private long _lastSign;

    private CanLine(CanPort port, CanUuid uuid, byte number, TimeProvider time) =>
        (_port, _uuid, _number, _time, _lastSign) = (port, uuid, number, time, time.GetTimestamp());

    public override Device Device => _port.Device;

    /// <summary>The id of frames from the host to the node.</summary>
    public static int ToNode(byte number) => (number * 2) + 0x100;

    /// <summary>The id of frames from the node.</summary>
    public static int FromNode(byte number) => ToNode(number) + 1;

    /// <summary>
    /// Gives the node its number and opens the line to it, taking over the port. Only an answer shows that the node is there.
    /// </summary>
    /// <param name="inBootloader">Which of the two is addressed: each accepts only its own assignment, so neither receives the other's
    /// frames.</param>
    public static async Task<CanLine> OpenAsync(CanPort port, CanUuid uuid, byte number, bool inBootloader, TimeProvider time)
    {
        try
        {
            await port.SendAsync(inBootloader ? CanAdmin.AssignBootloader(uuid, number) : CanAdmin.AssignKlipper(uuid, number));
            await Task.Delay(Assigning, time);
            return new CanLine(port, uuid, number, time);
        }
        catch
        {
            await port.DisposeAsync();
            throw;
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame)
    {
        for (; !frame.IsEmpty; frame = frame[Math.Min(CanFrame.MaxLength, frame.Length)..])
            await _port.SendAsync(new CanFrame(ToNode(_number), frame.Span[..Math.Min(CanFrame.MaxLength, frame.Length)]));
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, TimeSpan timeout)
    {
        var begin = _time.GetTimestamp();
        while (_unread.From == _unread.To)
        {
            var left = timeout - _time.GetElapsedTime(begin);
            var untilQuery = Silence - _time.GetElapsedTime(_lastSign);
            if (untilQuery <= TimeSpan.Zero)
            {
                _lastSign = _time.GetTimestamp();
                await _port.SendAsync(CanAdmin.Query);
                continue;
            }
            if (left <= TimeSpan.Zero)
                return 0;
            if (await _port.ReceiveAsync(left < untilQuery ? left : untilQuery) is not { } frame)
                continue;
            if (frame.Id == FromNode(_number))
            {
                frame.CopyTo(_rest);
                _unread = (0, frame.Length);
                _lastSign = _time.GetTimestamp();
            }
            else if (CanAdmin.Parse(frame)?.Uuid == _uuid)
            {
                throw new DeviceGoneException($"{_uuid} on {Device.Port}");
            }
        }
        var length = Math.Min(_unread.To - _unread.From, buffer.Length);
        _rest.AsSpan(_unread.From, length).CopyTo(buffer.Span);
        _unread.From += length;
        return length;
    }

    public override ValueTask DisposeAsync() => _port.DisposeAsync();
}

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A USB/IP client by the kernel's protocol document. It shares no code with the server.</summary>
internal sealed class UsbIpClient : IDisposable
{
    public const int Stall = -32, ProtocolError = -71, ConnectionReset = -104;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly Dictionary<uint, (bool IsUnlink, int Status, int Length, byte[] Data)> _replies = [];
    private readonly Dictionary<uint, bool> _isIn = [];
    private uint _sequence;

    /// <summary>busnum and devnum of the last import.</summary>
    public uint DeviceId { get; set; }

    public static async Task<UsbIpClient> ConnectAsync(int port)
    {
        var client = new UsbIpClient();
        await client._socket.ConnectAsync(IPAddress.Loopback, port);
        return client;
    }

    public static async Task<byte[]> ListAsync(int port)
    {
        using var client = await ConnectAsync(port);
        await client.SendAsync(Convert.FromHexString("0111800500000000"));
        var list = new List<byte>();
        while (await client.TryReceiveAsync(1) is { } more)
            list.AddRange(more);
        return [.. list];
    }

    public static async Task<UsbIpClient> ImportAsync(int port, string busId)
    {
        var client = await ConnectAsync(port);
        var (status, device) = await client.RequestAsync(busId);
        Assert.Equal(0u, status);
        Assert.Equal(busId, System.Text.Encoding.ASCII.GetString(device.AsSpan(256, 32)).TrimEnd('\0'));
        client.DeviceId =
            (BinaryPrimitives.ReadUInt32BigEndian(device.AsSpan(288)) << 16) | BinaryPrimitives.ReadUInt32BigEndian(device.AsSpan(292));
        return client;
    }

    public async Task<(uint Status, byte[] Device)> RequestAsync(string busId)
    {
        var request = new byte[40];
        Convert.FromHexString("0111800300000000").CopyTo(request, 0);
        System.Text.Encoding.ASCII.GetBytes(busId, request.AsSpan(8));
        await SendAsync(request);
        var reply = (await TryReceiveAsync(8))!;
        Assert.Equal("01110003", Convert.ToHexString(reply.AsSpan(0, 4)));
        var status = BinaryPrimitives.ReadUInt32BigEndian(reply.AsSpan(4));
        return (status, status == 0 ? (await TryReceiveAsync(312))! : []);
    }

    /// <summary>Sends a submit and returns its number.</summary>
    public async Task<uint> SubmitAsync(byte address, int length, byte[]? data = null, string setup = "0000000000000000")
    {
        var isIn = (address & 0x80) != 0;
        _isIn[++_sequence] = isIn;
        await SendAsync(
            [.. Words(1, _sequence, DeviceId, isIn ? 1u : 0, address & 0x0Fu, 0, (uint)length, 0, 0, 0),
                .. Convert.FromHexString(setup), .. data ?? []]);
        return _sequence;
    }

    public async Task<uint> SubmitUnlinkAsync(uint unlinked)
    {
        await SendAsync([.. Words(2, ++_sequence, DeviceId, 0, 0, unlinked), .. new byte[24]]);
        return _sequence;
    }

    public async Task<(int Status, int Length, string Data)> ControlAsync(string setup, string data = "")
    {
        var length = Convert.FromHexString(setup) is [_, _, _, _, _, _, var low, var high] ? low | (high << 8) : 0;
        var isIn = (Convert.FromHexString(setup)[0] & 0x80) != 0;
        var answer = await AnswerAsync(await SubmitAsync(isIn ? (byte)0x80 : (byte)0, length, Convert.FromHexString(data), setup));
        return (answer.Status, answer.Length, Convert.ToHexString(answer.Data));
    }

    /// <summary>Waits for the answer to a submit; earlier answers are kept.</summary>
    public async Task<(int Status, int Length, byte[] Data)> AnswerAsync(uint sequence)
    {
        var (isUnlink, status, length, data) = await ReplyAsync(sequence);
        Assert.False(isUnlink);
        return (status, length, data);
    }

    public async Task<int> UnlinkedAsync(uint sequence)
    {
        var (isUnlink, status, _, _) = await ReplyAsync(sequence);
        Assert.True(isUnlink);
        return status;
    }

    public bool HasAnswer(uint sequence) => _replies.ContainsKey(sequence);

    /// <summary>True when the server closed the connection without another byte.</summary>
    public async Task<bool> IsClosedAsync() => await TryReceiveAsync(1) is null;

    public async Task SendAsync(byte[] bytes) => await _socket.SendAsync(bytes);

    public void Dispose() => _socket.Dispose();

    private async Task<(bool IsUnlink, int Status, int Length, byte[] Data)> ReplyAsync(uint sequence)
    {
        while (!_replies.ContainsKey(sequence))
        {
            var header = await TryReceiveAsync(48) ?? throw new EndOfStreamException();
            var words = Enumerable.Range(0, 12).Select(i => BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(i * 4))).ToArray();
            Assert.Contains(words[0], new uint[] { 3, 4 });
            Assert.Equal((0u, 0u, 0u), (words[2], words[3], words[4]));
            var data = words[0] == 3 && _isIn[words[1]] && words[6] > 0 ? (await TryReceiveAsync((int)words[6]))! : [];
            Assert.True(_replies.TryAdd(words[1], (words[0] == 4, (int)words[5], (int)words[6], data)), "answered twice");
        }
        return _replies[sequence];
    }

    private async Task<byte[]?> TryReceiveAsync(int length)
    {
        var bytes = new byte[length];
        for (var at = 0; at < length;)
        {
            var read = await _socket.ReceiveAsync(bytes.AsMemory(at)).AsTask().WaitAsync(Patience);
            if (read == 0)
                return at == 0 ? null : throw new EndOfStreamException();
            at += read;
        }
        return bytes;
    }

    private static byte[] Words(params uint[] words)
    {
        var bytes = new byte[words.Length * 4];
        for (var i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(i * 4), words[i]);
        return bytes;
    }
}

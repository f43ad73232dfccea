using System.Net.Sockets;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>A connection to the unix socket: JSON texts, each with the byte 03 behind it.</summary>
internal sealed class UnixPeer(VirtualMoonraker moonraker, Socket socket) : MoonrakerPeer(moonraker, socket)
{
    private const int LargestText = 20 * 1024 * 1024;
    private const byte EndOfText = 0x03;

    public override async Task RunAsync()
    {
        var client = Connect(isTrusted: true);
        var buffer = new byte[4096];
        var (start, end) = (0, 0);
        while (!IsClosed)
        {
            if (end == buffer.Length)
                Array.Resize(ref buffer, Math.Min(buffer.Length * 2, LargestText + 1));
            var read = await Stream.ReadAsync(buffer.AsMemory(end));
            if (read == 0)
                return;
            var searched = end;
            end += read;
            // Only the new bytes can hold the next end.
            for (int length; (length = buffer.AsSpan(searched, end - searched).IndexOf(EndOfText)) >= 0;)
            {
                _ = Moonraker.ReceiveAsync(client, buffer.AsSpan(start, searched + length - start).ToArray());
                (start, searched) = (searched + length + 1, searched + length + 1);
            }
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
            if (end > LargestText)
                throw new InvalidDataException("a text without end");
        }
    }

    protected override async ValueTask WriteAsync(ReadOnlyMemory<byte> text)
    {
        var framed = new byte[text.Length + 1];
        text.CopyTo(framed);
        framed[^1] = EndOfText;
        await Stream.WriteAsync(framed);
    }
}

using System.Globalization;
using System.Text;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Reads HTTP/1.1 requests from a connection, as far as Moonraker's clients need it.</summary>
internal sealed class HttpReader(Stream stream)
{
    private const int LargestHead = 64 * 1024;
    private const int LargestBody = 50 * 1024 * 1024;

    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    /// <summary>Bytes that were read and not used.</summary>
    public bool HasMore => _end > _start;

    private Span<byte> Unused => _buffer.AsSpan(_start, _end - _start);

    /// <summary>The next request without its body; null at the connection's proper end.</summary>
    /// <exception cref="InvalidDataException">No HTTP client sends this.</exception>
    public async Task<HttpRequest?> ReadHeadAsync()
    {
        int length;
        while ((length = Unused.IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (_end - _start > LargestHead)
                throw new InvalidDataException("a head without end");
            if (!await FillAsync())
                return _end == _start ? null : throw new InvalidDataException("half a head");
        }
        var lines = Encoding.Latin1.GetString(_buffer, _start, length).Split("\r\n");
        _start += length + 4;
        var words = lines[0].Split(' ');
        if (words.Length != 3 || !words[2].StartsWith("HTTP/1.", StringComparison.Ordinal) || !words[1].StartsWith('/'))
            throw new InvalidDataException("no HTTP");
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var line in lines.Skip(1))
        {
            if (line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon)
                headers[line[..colon].Trim()] = line[(colon + 1)..].Trim();
        }
        if (words[2] == "HTTP/1.0")
            headers.TryAdd("Connection", "close");
        var target = words[1].Split('?', 2);
        return new HttpRequest(words[0], target[0], target.Length > 1 ? target[1] : "", headers);
    }

    /// <exception cref="InvalidDataException">No HTTP client sends this.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpRequest request)
    {
        if (!request.HasWord("Transfer-Encoding", "chunked"))
        {
            var isNumber = int.TryParse(
                request.Header("Content-Length") ?? "0", NumberStyles.None, CultureInfo.InvariantCulture, out var total);
            return await TakeAsync(isNumber ? total : -1);
        }
        using var body = new MemoryStream();
        while (true)
        {
            var line = await ReadLineAsync();
            if (!int.TryParse(line.Split(';')[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var length))
                throw new InvalidDataException("no chunk");
            body.Write((await TakeAsync(length)).Span);
            if (body.Length > LargestBody || (await ReadLineAsync()).Length > 0)
                throw new InvalidDataException("no chunk");
            if (length == 0)
                return body.ToArray();
        }
    }

    private async Task<string> ReadLineAsync()
    {
        int length;
        while ((length = Unused.IndexOf("\r\n"u8)) < 0)
        {
            if (_end - _start > LargestHead || !await FillAsync())
                throw new InvalidDataException("a line without end");
        }
        var line = Encoding.Latin1.GetString(_buffer, _start, length);
        _start += length + 2;
        return line;
    }

    private async Task<ReadOnlyMemory<byte>> TakeAsync(int length)
    {
        if (length is < 0 or > LargestBody)
            throw new InvalidDataException("a body that is too large");
        while (_end - _start < length)
        {
            if (!await FillAsync())
                throw new InvalidDataException("half a body");
        }
        var body = _buffer.AsSpan(_start, length).ToArray();
        _start += length;
        return body;
    }

    /// <summary>Reads more bytes; false at the end.</summary>
    private async Task<bool> FillAsync()
    {
        Unused.CopyTo(_buffer);
        (_start, _end) = (0, _end - _start);
        if (_end == _buffer.Length)
            Array.Resize(ref _buffer, _buffer.Length * 2);
        var read = await stream.ReadAsync(_buffer.AsMemory(_end));
        _end += read;
        return read > 0;
    }
}

using System.Runtime.InteropServices;
using System.Text;

namespace RatOS.Flash.Agent.Cli;

/// <summary>
/// The standard streams and the terminal behind them. <c>System.Console</c> serves neither: its first <c>Out</c>, <c>Error</c> or <c>In</c>
/// switches the terminal's keypad to application mode (terminfo <c>smkx</c>, <c>ESC [ ? 1 h ESC =</c>), and the runtime never switches it
/// back.
/// </summary>
internal static partial class Terminal
{
    private const string Library = "libc";
    private const int StandardColumns = 80;
    private const int StandardRows = 24;

    private static readonly CancellationTokenSource ReaderLost = new();

    /// <summary>Cancelled when standard output is a pipe whose other end was closed.</summary>
    public static CancellationToken ReaderGone => ReaderLost.Token;

    /// <summary>Why a part of the output was lost; null where it was not. A reader that left is no fault.</summary>
    public static string? OutputFault { get; private set; }

    /// <summary>Standard output, in UTF-8; each line is written at once.</summary>
    public static TextWriter Out { get; } = Open(1);

    /// <summary>Standard error.</summary>
    public static TextWriter Error { get; } = Open(2);

    /// <summary>Input and output are a terminal that understands cursor movements.</summary>
    public static bool IsInteractive { get; } =
        IsTerminal(0) && IsTerminal(1) && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <summary>Standard error is a terminal as well.</summary>
    public static bool IsErrorHere { get; } = IsTerminal(2);

    /// <summary>Colours are wanted (https://no-color.org).</summary>
    public static bool HasColour { get; } = Environment.GetEnvironmentVariable("NO_COLOR") is null or "";

    /// <summary>The locale's characters are UTF-8, so a tick and a Braille spinner can be shown.</summary>
    public static bool IsUnicode { get; } = new[] { "LC_ALL", "LC_CTYPE", "LANG" }
        .Select(Environment.GetEnvironmentVariable).FirstOrDefault(static value => value is { Length: > 0 })
        ?.Replace("-", "", StringComparison.Ordinal).Contains("utf8", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>Of the terminal, now; 80 and 24 where it has no size.</summary>
    public static (int Columns, int Rows) Size
    {
        get
        {
            var size = default(WindowSize);
            var hasSize = SizeOf(1, WindowSizeRequest, ref size) == 0 && size is { Columns: > 0, Rows: > 0 };
            return hasSize ? (size.Columns, size.Rows) : (StandardColumns, StandardRows);
        }
    }

    /// <summary>One line of standard input; null at its end.</summary>
    public static string? ReadLine()
    {
        var line = new List<byte>();
        var one = new byte[1];
        while (true)
        {
            var count = Read(0, one, 1);
            if (count < 0 && Marshal.GetLastPInvokeError() == Interrupted)
                continue;
            if (count <= 0 && line.Count == 0)
                return null;
            if (count <= 0 || one[0] == '\n')
                return Encoding.UTF8.GetString([.. line]);
            line.Add(one[0]);
        }
    }

    private static bool IsTerminal(int descriptor) => IsATty(descriptor) == 1;

    private static TextWriter Open(int descriptor) =>
        TextWriter.Synchronized(new StreamWriter(new Stream(descriptor), new UTF8Encoding(false)) { AutoFlush = true });

    /// <summary>
    /// Writes as write(2) does, so that other programs may append to the same file. Text that cannot be written is lost.
    /// </summary>
    private sealed class Stream(int descriptor) : System.IO.Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            while (!buffer.IsEmpty)
            {
                var count = Terminal.Write(descriptor, buffer, buffer.Length);
                var error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
                if (count >= 0)
                {
                    buffer = buffer[(int)count..];
                }
                else if (error == TryAgain)
                {
                    _ = Poll(new PollEntry { Descriptor = descriptor, Wanted = PollOut }, 1, Timeout.Infinite);
                }
                else if (error != Interrupted)
                {
                    if (error == BrokenPipe && descriptor == 1)
                        ReaderLost.Cancel();
                    else if (descriptor == 1)
                        OutputFault ??= Marshal.GetPInvokeErrorMessage(error);
                    return;
                }
            }
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }

    private const int Interrupted = 4;   // EINTR
    private const int TryAgain = 11;     // EAGAIN
    private const int BrokenPipe = 32;   // EPIPE; the runtime ignores SIGPIPE
    private const short PollOut = 4;
    private const nuint WindowSizeRequest = 0x5413;   // TIOCGWINSZ of x86 and ARM

    [StructLayout(LayoutKind.Sequential)]
    private struct WindowSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort Width;
        public ushort Height;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Wanted;
        public short Seen;
    }

    [LibraryImport(Library, EntryPoint = "isatty")]
    private static partial int IsATty(int descriptor);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, [Out] byte[] buffer, nint count);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, ReadOnlySpan<byte> buffer, nint count);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(in PollEntry entry, nuint count, int timeout);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    private static partial int SizeOf(int descriptor, nuint request, ref WindowSize size);
}

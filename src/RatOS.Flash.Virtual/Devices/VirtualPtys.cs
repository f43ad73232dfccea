using RatOS.Flash.Core;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>
/// The serial lines of a virtual printer's boards as pseudo terminals, for other programs (Klipper, flashtool, stm32flash), without root.
/// The printer's time must be live.
/// </summary>
public sealed class VirtualPtys : IDisposable
{
    private readonly List<Port> _ports = [];

    private VirtualPtys()
    {
    }

    /// <summary>For each board: its name, the link in the folder, and the terminal that it points to.</summary>
    public IReadOnlyList<(string Board, string Link, string Terminal)> Ports =>
        [.. _ports.Select(port => (port.Board, port.Link, port.Terminal))];

    /// <summary>Makes one pseudo terminal for each board, at <c>folder/board</c>. Called on the printer's thread.</summary>
    /// <exception cref="FlashException">No pseudo terminals, or the folder cannot be written.</exception>
    public static VirtualPtys Open(VirtualPrinter printer, string folder)
    {
        var ptys = new VirtualPtys();
        try
        {
            Directory.CreateDirectory(folder);
            foreach (var board in printer.Boards)
                ptys._ports.Add(new Port(printer, board, Path.Combine(folder, board.Name)));
            return ptys;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            ptys.Dispose();
            throw VirtualFaults.NoPty(fault.Message);
        }
    }

    public void Dispose()
    {
        foreach (var port in _ports)
            port.Dispose();
    }

    /// <summary>One board's line. A thread waits for the host's bytes and posts them to the printer's thread.</summary>
    private sealed class Port : IDisposable
    {
        // How often the speed is checked for 1200 baud: there is no notification.
        private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

        private const int TouchBaud = 1200;
        private const int UsualBaud = 115_200;

        private readonly VirtualPrinter _printer;
        private readonly VirtualBoard _board;
        private readonly Pty _pty = Pty.Open();
        private readonly Thread _reader;
        private TimeSpan _outFree;   // when the line has carried what the host wrote
        private TimeSpan _inFree;
        private int _baud = UsualBaud;
        private volatile bool _isOver;

        public Port(VirtualPrinter printer, VirtualBoard board, string link)
        {
            (_printer, _board, Link) = (printer, board, link);
            // A link of an earlier run that was killed; any other file is kept.
            if (new FileInfo(link).LinkTarget is not null)
                File.Delete(link);
            File.CreateSymbolicLink(link, _pty.Path);
            board.Answered = Answered;
            _reader = new Thread(Wait) { IsBackground = true, Name = $"pty {board.Name}" };
            _reader.Start();
        }

        public string Board => _board.Name;

        public string Link { get; }

        public string Terminal => _pty.Path;

        public void Dispose()
        {
            _isOver = true;
            _reader.Join();
            _board.Answered = null;
            File.Delete(Link);
            _pty.Dispose();
        }

        private void Wait()
        {
            var buffer = new byte[4096];
            while (!_isOver)
            {
                var length = _pty.Read(buffer, Look);
                var baud = _pty.Baud;
                if (length > 0)
                {
                    var bytes = buffer.AsSpan(0, length).ToArray();
                    _printer.Time.Post(() => Received(bytes, baud));
                }
                else if (baud == TouchBaud && !_board.Setup.IsUart)
                {
                    // DTR is not visible here: the program has closed the port, or will soon. The next touch must be a change again.
                    _pty.SetRaw(UsualBaud);
                    _printer.Time.Post(() => _printer.Touch(_board, baud));
                }
            }
        }

        private void Received(byte[] bytes, int baud)
        {
            _baud = Math.Max(50, baud);
            var now = _printer.Time.Now;
            _outFree = (_outFree > now ? _outFree : now) + TimeOf(bytes.Length);
            _printer.Time.Schedule(_outFree - now, () =>
            {
                if (_board.Program is { } program)
                    program.Receive(
                        _board.Setup.IsUart ? VirtualLine.Received(program, ModeFor(program), bytes) : bytes, _printer.Time.Now);
            });
        }

        private void Answered(ReadOnlyMemory<byte> bytes, TimeSpan delay)
        {
            var answer = !_board.Setup.IsUart || _board.Program is not { } program ? bytes.ToArray()
                : VirtualLine.Sent(program, ModeFor(program), bytes);
            var now = _printer.Time.Now;
            _inFree = (_inFree > now + delay ? _inFree : now + delay) + TimeOf(answer.Length);
            _printer.Time.Schedule(_inFree - now, () =>
            {
                if (!_isOver)
                    _pty.Write(answer);
            });
        }

        /// <summary>The host's speed with the board's parity, because a pty has none.</summary>
        private SerialMode ModeFor(SerialProgram program) => new(_baud, program.Mode.EvenParity);

        private TimeSpan TimeOf(int bytes) => _board.Setup.IsUart
            ? VirtualLine.TimeOf(new SerialMode(_baud, _board.Program?.Mode.EvenParity == true), bytes)
            : _printer.BulkTime(bytes);
    }
}

using System.Diagnostics;

namespace RatOS.Flash.Fuzz;

/// <summary>
/// The input that runs now, where the end of this process leaves it: an overflow of the stack ends a process without a word, and an
/// endless loop never ends.
/// </summary>
internal sealed class LastInput : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private readonly string _path;
    private readonly FileStream _file;
    private readonly Timer _watch;
    private long _begin;
    private bool _isOver;

    public LastInput(FuzzTarget target, string folder)
    {
        Directory.CreateDirectory(folder);
        _path = Path.Combine(folder, target.Name + "-last");
        _file = new(_path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        _watch = new(_ => Watch(target), null, Longest / 4, Longest / 4);
    }

    public void Begin(byte[] input)
    {
        _file.Position = 0;
        _file.Write(input);
        _file.SetLength(input.Length);
        Interlocked.Exchange(ref _begin, Stopwatch.GetTimestamp());
    }

    public void End() => Interlocked.Exchange(ref _begin, 0);

    private void Watch(FuzzTarget target)
    {
        if (Interlocked.Read(ref _begin) is not 0 and var begin && Stopwatch.GetElapsedTime(begin) > Longest)
        {
            Console.WriteLine($"{target.Name}: an input does not end; it is in {_path}");
            Environment.Exit(1);
        }
    }

    public void Dispose()
    {
        if (_isOver)
            return;
        _isOver = true;
        _watch.Dispose();
        _file.Dispose();
        File.Delete(_path);
    }
}

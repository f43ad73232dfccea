using System.Runtime.InteropServices;

namespace RatOS.Flash.Fuzz;

/// <summary>The processor time of this thread: a busy computer makes no input slow (clock_gettime(2)).</summary>
internal static partial class ThreadClock
{
    private const int ThreadTime = 3;   // CLOCK_THREAD_CPUTIME_ID

    public static TimeSpan Now
    {
        get
        {
            _ = GetTime(ThreadTime, out var time);
            return TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromMicroseconds(time.Nanoseconds / 1000.0);
        }
    }

    private struct Time
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, out Time time);
}

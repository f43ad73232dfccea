using System.Net.Sockets;
using System.Text;

namespace RatOS.Flash.Agent.Service;

/// <summary>What a service tells systemd (sd_notify(3)): one datagram of text to the socket that it names. Without systemd nothing happens.</summary>
internal static class Systemd
{
    public static void Notify(string state)
    {
        if (Environment.GetEnvironmentVariable("NOTIFY_SOCKET") is not { Length: > 1 } path || path[0] is not ('/' or '@'))
            return;
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.SendTo(Encoding.UTF8.GetBytes(state), new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path));
        }
        catch (SocketException)
        {
            // systemd restarts who says nothing; there is nobody else to tell.
        }
    }

    /// <summary>How often it wants to hear that we live; null when it does not.</summary>
    public static TimeSpan? Watchdog => long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), out var microseconds) && microseconds > 0
        && (Environment.GetEnvironmentVariable("WATCHDOG_PID") is not { Length: > 0 } process || process == Environment.ProcessId.ToString()) ? TimeSpan.FromMicroseconds(microseconds) : null;

    /// <summary>Says that the agent's own thread still turns, twice as often as it must, until it is cancelled.</summary>
    public static async Task KeepAliveAsync(TimeProvider time, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            Notify("WATCHDOG=1");
            await Task.Delay(Watchdog / 2 ?? Timeout.InfiniteTimeSpan, time, over).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
    }
}

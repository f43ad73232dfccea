using System.Net.Sockets;
using System.Text;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Notifications to systemd (sd_notify(3)): one datagram of text to the socket that it names. Without systemd nothing happens.
/// </summary>
internal static class Systemd
{
    /// <param name="state">Such as <c>READY=1</c>.</param>
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
            // systemd restarts a service that says nothing.
        }
    }

    /// <summary>How often systemd expects a sign of life; null where it expects none.</summary>
    public static TimeSpan? Watchdog
    {
        get
        {
            var isOurs = Environment.GetEnvironmentVariable("WATCHDOG_PID") is not { Length: > 0 } process
                || process == Environment.ProcessId.ToString();
            var isSet = long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), out var microseconds) && microseconds > 0;
            return isOurs && isSet ? TimeSpan.FromMicroseconds(microseconds) : null;
        }
    }

    /// <summary>Reports that the agent's thread is not stuck, at twice the rate that systemd expects, until it is cancelled.</summary>
    public static async Task KeepAliveAsync(TimeProvider time, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            Notify("WATCHDOG=1");
            await Task.Delay(Watchdog / 2 ?? Timeout.InfiniteTimeSpan, time, over)
                .ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        }
    }
}

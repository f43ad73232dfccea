using RatOS.Flash.Agent.Jobs;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// Shows one job to pages and other clients: its state after each change, but at most ten events a second, because every client of
/// Moonraker gets every event. An event has one board, or all of them (a snapshot). Boards that changed take turns, and the last state
/// of each is always sent.
/// </summary>
/// <param name="job">The job.</param>
/// <param name="time">The only clock.</param>
/// <param name="board">Sends the state of one board.</param>
/// <param name="snapshot">Sends the state of all boards.</param>
internal sealed class JobEvents(Job job, TimeProvider time, Action<string> board, Action snapshot)
{
    private static readonly TimeSpan BetweenEvents = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MoreForEachBoard = TimeSpan.FromMilliseconds(20);

    private readonly TimeSpan _betweenSnapshots = TimeSpan.FromMilliseconds(250) + job.Requests.Count * MoreForEachBoard;
    private readonly Lock _lock = new();
    private readonly List<string> _changed = [];   // boards, in the order of their turns
    private bool _isAllChanged;
    private bool _isDue;
    private long? _event, _snapshot;

    /// <param name="name">The board that changed; null for the whole job.</param>
    public void Changed(string? name)
    {
        lock (_lock)
        {
            if (name is null)
                _isAllChanged = true;
            else if (!_changed.Contains(name))
                _changed.Add(name);
            if (_isDue)
                return;
            _isDue = true;
            if (Left(_event, BetweenEvents) > TimeSpan.Zero)
                _ = NextAsync();
            else
                Send();
        }
    }

    private async Task NextAsync()
    {
        do
        {
            await Task.Delay(Left(_event, BetweenEvents), time);
        }
        while (SendNext());
    }

    /// <returns>Another board waits for its turn.</returns>
    private bool SendNext()
    {
        lock (_lock)
        {
            Send();
            return _isDue;
        }
    }

    private void Send()
    {
        // Its end is shown by the end of the job.
        if (job.Report is not null)
            _changed.Clear();
        else if (_isAllChanged || Left(_snapshot, _betweenSnapshots) <= TimeSpan.Zero)
        {
            _changed.Clear();
            snapshot();
            _snapshot = time.GetTimestamp();
        }
        else
        {
            board(_changed[0]);
            _changed.RemoveAt(0);
        }
        (_isAllChanged, _event) = (false, time.GetTimestamp());
        _isDue = _changed.Count > 0;
    }

    /// <summary>Zero or more.</summary>
    private TimeSpan Left(long? last, TimeSpan pause) =>
        last is { } before && pause - time.GetElapsedTime(before) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;
}

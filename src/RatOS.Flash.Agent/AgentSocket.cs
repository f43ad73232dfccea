using System.Net.Sockets;
using System.Text.Json;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent;

/// <summary>The agent's own socket: the same doors as over Moonraker, and the events of a job as they happen. Only the printer's user may open it.</summary>
internal sealed class AgentSocket : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;
    private readonly HashSet<Rpc> _clients = [];

    /// <param name="path">A file that is there is left over: whoever asks for the socket holds the printer's lock.</param>
    /// <exception cref="FlashException">It cannot be made.</exception>
    public AgentSocket(string path)
    {
        _path = path;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Delete(path);
            _listener.Bind(new UnixDomainSocketEndPoint(path));
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            _listener.Listen();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            _listener.Dispose();
            throw Faults.NoSocket(path, fault.Message);
        }
    }

    /// <summary>Takes clients until it is cancelled.</summary>
    public async Task RunAsync(IDoors doors, FlashQueue queue, CancellationToken over)
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(over);
                _ = ServeAsync(client, doors, queue);
            }
        }
        catch (OperationCanceledException)
        {
            // That was the end.
        }
    }

    private async Task ServeAsync(Socket client, IDoors doors, FlashQueue queue)
    {
        using var rpc = new Rpc(new NetworkStream(client, ownsSocket: true));
        rpc.Offer(doors);
        rpc.Offer<IFollow>(new Follower(rpc, queue));
        _clients.Add(rpc);
        rpc.StartListening();
        try
        {
            await rpc.Completion;
        }
        catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException or InvalidDataException or JsonException or StreamJsonRpc.BadRpcHeaderException or StreamJsonRpc.ConnectionLostException)
        {
            // A client that talks nonsense or dies is its own affair.
        }
        finally
        {
            _clients.Remove(rpc);
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        foreach (var client in _clients.ToList())
            client.Dispose();
        File.Delete(_path);
    }

    private sealed class Follower(Rpc rpc, FlashQueue queue) : IFollow
    {
        public async Task<JsonElement> FollowAsync(JsonElement arguments)
        {
            var id = arguments.Word("job");
            var job = id is null ? null : queue.Find(id);
            if (id is not null && job is null)
                return JsonSerializer.SerializeToElement(JsonAnswer.Of(Faults.UnknownJob(Text.Clean(id))), Wire.Shapes.JsonAnswer);
            var sent = Task.CompletedTask;
            if (job is not null)
            {
                foreach (var step in job.Events)
                    sent = Send(job, step, sent);
                job.Happened += OnEvent;
                var report = await job.Done;
                await sent;
                return JsonSerializer.SerializeToElement(new JsonAnswer(true) { Job = job.Id, Result = JsonResult.Of(report) }, Wire.Shapes.JsonAnswer);
            }
            // Everything, for as long as the client is there.
            queue.Added += OnAdded;
            foreach (var open in queue.Open)
                OnAdded(open);
            try
            {
                await rpc.Completion;
            }
            finally
            {
                queue.Added -= OnAdded;
            }
            return JsonSerializer.SerializeToElement(new JsonAnswer(true), Wire.Shapes.JsonAnswer);

            void OnEvent(FlashEvent step) => sent = Send(job!, step, sent);

            void OnAdded(Job added) => added.Happened += step => sent = Send(added, step, sent);
        }

        private async Task Send(Job job, FlashEvent step, Task before)
        {
            await before;
            try
            {
                await rpc.NotifyWithParameterObjectAsync(
                    "event", (IReadOnlyDictionary<string, object?>)new Dictionary<string, object?>
                    {
                        ["job"] = job.Id,
                        ["step"] = JsonSerializer.SerializeToElement(JsonStep.Of(step), Wire.Shapes.JsonStep),
                    }, argumentDeclaredTypes: null);
            }
            catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException or StreamJsonRpc.ConnectionLostException)
            {
                // It hung up; the flash goes on.
            }
        }
    }
}

/// <summary>The boards of a printer by way of its running agent.</summary>
internal sealed class AgentBoards : BoardService, IDisposable
{
    private readonly Rpc _rpc;
    private readonly Events _events = new();
    private readonly DataFolder _data;

    private AgentBoards(Stream stream, DataFolder data)
    {
        _data = data;
        _rpc = new Rpc(stream);
        _rpc.Offer<IFollower>(_events);
        _rpc.StartListening();
    }

    /// <summary>Null when no agent runs there.</summary>
    public static AgentBoards? TryOpen(DataFolder data)
    {
        if (!File.Exists(data.Socket))
            return null;
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(data.Socket));
            return new AgentBoards(new NetworkStream(socket, ownsSocket: true), data);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;   // left over by an agent that was killed
        }
    }

    public override string Description => $"this printer's agent ({_data.Root})";

    public override async Task<IReadOnlyList<JsonBoard>> ListAsync() => (await AskAsync("boards")).Boards ?? [];

    public override async Task<PlanView> PlanAsync(Asked asked)
    {
        var answer = await AskAsync("plan", Arguments.Of(asked));
        return new(answer.Plan ?? [], answer.Findings ?? []);
    }

    public override async Task<FlashReport> FlashAsync(Asked asked, Action<FlashEvent> tell, CancellationToken cancel)
    {
        var job = (await AskAsync(asked.Recover ? "recover" : "flash", Arguments.Of(asked))).Job!;
        _events.Tell = tell;
        using var stop = cancel.Register(() => _ = AskAsync("cancel", new() { ["job"] = job }));
        return (await AskAsync("follow", new() { ["job"] = job })).Result!.ToReport();
    }

    /// <summary>Every event of every job, until it is cancelled.</summary>
    public async Task WatchAsync(Action<FlashEvent> tell, CancellationToken cancel)
    {
        _events.Tell = tell;
        await AskAsync("follow").WaitAsync(cancel);
    }

    /// <exception cref="FlashException">The agent refused, or is gone.</exception>
    public async Task<JsonAnswer> AskAsync(string method, Dictionary<string, object?>? arguments = null)
    {
        try
        {
            var answer = JsonSerializer.Deserialize(await _rpc.CallAsync(method, arguments), Wire.Shapes.JsonAnswer) ?? throw new JsonException("null");
            return answer.Error is { } fault ? throw new FlashException(fault.Code, fault.Cause, fault.Remedy) : answer;
        }
        catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException or JsonException or StreamJsonRpc.ConnectionLostException or StreamJsonRpc.RemoteRpcException)
        {
            throw Faults.AgentGone(gone is StreamJsonRpc.RemoteRpcException or JsonException ? $"it answers as another version does ({Text.Clean(gone.Message)})" : "it hung up");
        }
    }

    public void Dispose() => _rpc.Dispose();

    private sealed class Events : IFollower
    {
        public Action<FlashEvent>? Tell { get; set; }

        public Task EventAsync(JsonElement arguments)
        {
            if (arguments.At("step") is { } step && JsonSerializer.Deserialize(step, Wire.Shapes.JsonStep) is { Phase: not null, Kind: not null, Message: not null } line)
                Tell?.Invoke(line.ToEvent());
            return Task.CompletedTask;
        }
    }
}

using System.Net.Sockets;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>
/// The agent's own socket: the same methods as over Moonraker, and the events of a job as they happen. Only the printer's user may open
/// it.
/// </summary>
internal sealed class AgentSocket : IDisposable
{
    private const int MostClients = 32;
    private const int MostOpenRequests = 64;   // of a client that does not read its answers
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;
    private readonly HashSet<Rpc> _clients = [];

    private readonly TimeProvider _time;
    private readonly LogFile _log;

    /// <param name="path">A file that exists there is left over: the caller holds the printer's lock.</param>
    /// <param name="time">The only clock.</param>
    /// <param name="log">The log.</param>
    /// <exception cref="FlashException"><c>no-socket</c>.</exception>
    public AgentSocket(string path, TimeProvider time, LogFile log)
    {
        (_path, _time, _log) = (path, time, log);
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
            throw AgentFaults.NoSocket(path, fault.Message);
        }
    }

    /// <summary>Accepts clients until it is cancelled.</summary>
    public async Task RunAsync(IAgentApi api, FlashQueue queue, CancellationToken over)
    {
        try
        {
            while (true)
            {
                try
                {
                    var client = await _listener.AcceptAsync(over);
                    if (_clients.Count < MostClients)
                    {
                        _ = ServeAsync(client, api, queue);
                        continue;
                    }
                    client.Dispose();
                    _log.Say($"A client of the agent's socket is refused: {MostClients} are connected.");
                }
                catch (SocketException fault)
                {
                    // Such as too many open files: later there may be room.
                    _log.Say($"The agent's socket accepts no client: {fault.Message}");
                    await Task.Delay(Pause, _time, over);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The agent ends.
        }
    }

    private async Task ServeAsync(Socket client, IAgentApi api, FlashQueue queue)
    {
        using var rpc = new Rpc(new NetworkStream(client, ownsSocket: true), _log.Say, MostOpenRequests, carriesFiles: true);
        rpc.Offer(api);
        rpc.Offer<IFollow>(new Follower(rpc, queue));
        _clients.Add(rpc);
        rpc.StartListening();
        try
        {
            await rpc.Completion;
        }
        catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException or InvalidDataException
            or JsonException or StreamJsonRpc.BadRpcHeaderException or StreamJsonRpc.ConnectionLostException)
        {
            // A client that sends nonsense or dies affects nothing else.
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
                return JsonSerializer.SerializeToElement(
                    JsonAnswer.Of(AgentFaults.UnknownJob(Text.Clean(id))).In(FrontEnd.CommandLine), JsonContract.Shapes.JsonAnswer);
            var sent = Task.CompletedTask;
            if (job is not null)
            {
                foreach (var step in job.Events)
                    sent = Send(job, step, sent);
                await TellAsync(job);
                var report = await job.Done;
                await sent;
                var answer = new JsonAnswer(true) { Job = job.Id, Result = JsonResult.Of(report).In(FrontEnd.CommandLine) };
                return JsonSerializer.SerializeToElement(answer, JsonContract.Shapes.JsonAnswer);
            }
            // All jobs, as long as the client is connected.
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
            return JsonSerializer.SerializeToElement(new JsonAnswer(true), JsonContract.Shapes.JsonAnswer);

            void OnAdded(Job added) => _ = TellAsync(added);

            // Until the job is done or the client leaves: a job may wait for a week.
            async Task TellAsync(Job of)
            {
                of.Happened += OnStep;
                await Task.WhenAny(of.Done, rpc.Completion);
                of.Happened -= OnStep;

                void OnStep(FlashEvent step) => sent = Send(of, step, sent);
            }
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
                        ["step"] = JsonSerializer.SerializeToElement(
                            JsonStep.Of(step).In(FrontEnd.CommandLine), JsonContract.Shapes.JsonStep),
                    }, argumentDeclaredTypes: null);
            }
            catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException
                or StreamJsonRpc.ConnectionLostException)
            {
                // The client is gone; the flash continues.
            }
        }
    }
}

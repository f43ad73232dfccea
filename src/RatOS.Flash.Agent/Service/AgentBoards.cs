using System.Net.Sockets;
using System.Text.Json;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>The boards of a printer, flashed by its running agent.</summary>
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

    /// <summary>Connects to the agent; null when none runs.</summary>
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
            return null;   // a socket that a killed agent left behind
        }
    }

    public override string Description => $"this printer's agent ({_data.Root})";

    public override async Task<BoardList> ListAsync()
    {
        var answer = await AskAsync("boards");
        return new(answer.Boards ?? [], answer.Skipped ?? []);
    }

    public override async Task<PlanView> PlanAsync(FlashOptions options)
    {
        var answer = await AskAsync("plan", FlashArguments.Of(options));
        return new(answer.Plan ?? [], answer.Findings ?? []);
    }

    public override async Task<IReadOnlyList<JsonFile>> FilesAsync() => (await AskAsync("files")).Files ?? [];

    public override Task AnswerAsync(string board, string fact, string? value) =>
        AskAsync("answer", new() { ["board"] = board, ["fact"] = fact, ["value"] = value });

    public override async Task<FlashReport> FlashAsync(FlashOptions options, Action<FlashEvent> tell, CancellationToken cancel)
    {
        var method = options.Job switch { FlashJob.Recover => "recover", FlashJob.Identify => "identify", _ => "flash" };
        var answer = await AskAsync(method, FlashArguments.Of(options));
        var job = answer.Job!;
        HasJoined = answer.Joined == true;
        _events.Tell = tell;
        using var stop = cancel.Register(() => _ = HasJoined ? Task.CompletedTask : AskAsync("cancel", new() { ["job"] = job }));
        try
        {
            var end = AskAsync("follow", new() { ["job"] = job });
            return (await (HasJoined ? end.WaitAsync(cancel) : end)).Result!.ToReport();
        }
        catch (OperationCanceledException)
        {
            throw AgentFaults.LeftJob(job);
        }
    }

    /// <summary>The last flash is the job of another request, which wanted the same: to leave it does not cancel it.</summary>
    public bool HasJoined { get; private set; }

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
            var answer = JsonSerializer.Deserialize(await _rpc.CallAsync(method, arguments), JsonContract.Shapes.JsonAnswer)
                ?? throw new JsonException("null");
            return answer.Error is not { } fault ? answer
                : throw new FlashException(FaultKind.Of(fault.Code), fault.Cause, (Remedy)fault.Remedy);
        }
        catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException or JsonException
            or StreamJsonRpc.ConnectionLostException or StreamJsonRpc.RemoteRpcException)
        {
            throw AgentFaults.AgentGone(gone is StreamJsonRpc.RemoteRpcException or JsonException
                ? $"it answers as another version does ({Text.Clean(gone.Message)})" : "it hung up");
        }
    }

    public void Dispose() => _rpc.Dispose();

    private sealed class Events : IFollower
    {
        public Action<FlashEvent>? Tell { get; set; }

        public Task EventAsync(JsonElement arguments)
        {
            var step = arguments.At("step") is { } json ? JsonSerializer.Deserialize(json, JsonContract.Shapes.JsonStep) : null;
            if (step is { IsWhole: true })
                Tell?.Invoke(step.ToEvent());
            return Task.CompletedTask;
        }
    }
}

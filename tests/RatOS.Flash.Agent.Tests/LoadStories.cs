using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Tests;

/// <summary>Many requests at once, from each door: what they cost is bounded by counts.</summary>
public sealed class LoadStories
{
    private const int Requests = 300;
    private const int MostOpen = 64;
    private const int MostClients = 32;

    [Fact]
    public void Hundreds_of_requests_beside_a_flash_share_what_they_look_at_and_the_flash_ends_well() => AgentStory.Of(async story =>
    {
        await story.TypeAsync("FLASH_MCU BOARD=octopus");
        await story.UntilPhaseAsync("write");
        var before = story.Moonraker.Calls.Count;
        using var own = AgentBoards.TryOpen(story.Data)!;
        var looks = Enumerable.Range(0, MostOpen - 4).Select(number => own.AskAsync(number % 3 == 0 ? "boards" : "status")).ToList();
        Assert.All(await Task.WhenAll(looks), answer => Assert.True(answer.Ok));
        var calls = story.Moonraker.Calls.Count - before;
        Assert.True(calls < looks.Count, $"{looks.Count} requests led to {calls} calls of Moonraker");

        var macros = Enumerable.Range(0, Requests).Select(_ => story.TypeAsync("FLASH_STATUS"));
        var (fine, busy) = await ByMoonrakerAsync(story, ["boards", "status", "plan", "history", "job"]);
        await Task.WhenAll(macros);
        Assert.Equal(Requests, fine + busy);
        Assert.True(fine >= MostOpen && busy > 0, $"{fine} were answered and {busy} refused");
        Assert.True((await story.UntilOverAsync()).Ok);
        // None is counted any longer.
        Assert.True((await story.RequestAsync("status")).Flag("ok"));
    });

    /// <summary>A request names boards. Only the own socket carries a file, and none has thousands of values.</summary>
    [Fact]
    public void A_request_of_megabytes_is_refused_before_it_is_parsed() => AgentStory.Of(async story =>
    {
        foreach (var junk in (object[])[new string('x', 1 << 20), Enumerable.Repeat(0, 100_000).ToArray()])
        {
            await Assert.ThrowsAsync<MoonrakerException>(() => story.RequestAsync("status", ("junk", junk)));
            Assert.True((await story.RequestAsync("status")).Flag("ok"));
        }
        using var own = AgentBoards.TryOpen(story.Data)!;
        var refused = await Assert.ThrowsAsync<FlashException>(() => own.AskAsync(
            "plan", new() { ["board"] = "octopus", ["bytes"] = new string('A', 1 << 20), ["firmware"] = "x.bin" }));
        Assert.Equal("not-klipper-firmware", refused.Code);   // it was read
    });

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","method":"plan","params":{"x":[1,2,3,4]},"id":7}""", true, 7L)]
    [InlineData("""{"method":"plan","params":"xxxxxxxxxxxxxxxxxxxxxxxxxxx","id":8}""", false, 8L)]
    [InlineData("""{"method":"notify","params":[[]]}""", false, null)]
    [InlineData("""{"method":"notify_update_refreshed","params":[{"x":[1,2,3,4]}]}""", true, null, "notify_update_refreshed")]
    [InlineData("""{"jsonrpc":"2.0","result":{"method":[1,2,3,4,5,6,7,8,9],"id":1},"id":7}""", null, null)]
    public void A_request_is_told_from_an_answer_by_its_names(string text, bool? hasMany, long? id, string? announces = null)
    {
        var request = ForeignRequest.Of(Encoding.UTF8.GetBytes(text), 10);
        Assert.Equal((hasMany, id, announces), (request?.HasManyTokens, request?.Id, request?.Announces));
    }

    [Fact]
    public void A_flash_can_be_cancelled_while_too_many_requests_are_open() => AgentStory.Of(async story =>
    {
        story.Moonraker.Print.PrintState = "printing";
        Assert.True((await story.RequestAsync("flash", ("board", "octopus"), ("when_idle", true))).Flag("ok"));
        using var own = AgentBoards.TryOpen(story.Data)!;
        using var other = AgentBoards.TryOpen(story.Data)!;
        var looks = Enumerable.Range(0, MostOpen).Select(_ => own.AskAsync("boards")).ToList();
        await story.UntilAsync(() => looks.Any(look => !look.IsCompleted), "requests are open");
        // Neither is a flash kept from the queue.
        Assert.True((await other.AskAsync("flash", new() { ["board"] = "octopus", ["when_idle"] = true })).Joined == true);
        Assert.True((await other.AskAsync("cancel")).Ok);
        await Task.WhenAll(looks).ContinueWith(static _ => { }, TaskScheduler.FromCurrentSynchronizationContext());
        Assert.Equal("cancelled", (await story.UntilOverAsync()).Boards[0].Fault?.Code);
        story.Moonraker.Print.PrintState = "complete";
    });

    [Fact]
    public void A_client_that_reads_no_answer_is_not_read_any_further_and_the_others_are() => AgentStory.Of(async story =>
    {
        const int many = 20_000;
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(story.Data.Socket));
        client.Blocking = false;
        var text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, many).Select(id =>
            $"{{\"jsonrpc\":\"2.0\",\"method\":\"job\",\"params\":{{\"job\":\"{new string('x', 60)}\"}},\"id\":{id}}}\u0003")));
        var sent = await SendUntilFullAsync(story, client, text);
        Assert.True(sent < text.Length / 2, $"{sent} of {text.Length} bytes were taken");
        using var other = AgentBoards.TryOpen(story.Data)!;
        Assert.True((await other.AskAsync("status")).Ok);

        // It reads at last: every request is answered, in time.
        var (answers, buffer) = (0, new byte[64 * 1024]);
        while (answers < many)
        {
            if (client.Poll(0, SelectMode.SelectRead))
                answers += buffer.AsSpan(0, client.Receive(buffer)).Count((byte)3);
            else
                await Task.Delay(TimeSpan.FromMilliseconds(50), story.Time);
            if (sent < text.Length && client.Poll(0, SelectMode.SelectWrite))
                sent += client.Send(text.AsSpan(sent, Math.Min(4096, text.Length - sent)), SocketFlags.None, out _);
        }
    });

    [Fact]
    public void A_client_too_many_is_refused_until_another_one_leaves() => AgentStory.Of(async story =>
    {
        var clients = Enumerable.Range(0, MostClients).Select(_ => AgentBoards.TryOpen(story.Data)!).ToList();
        Assert.All(await Task.WhenAll(clients.Select(client => client.AskAsync("history"))), answer => Assert.True(answer.Ok));
        using (var late = AgentBoards.TryOpen(story.Data)!)
            Assert.Equal(FaultKind.AgentGone, (await Assert.ThrowsAsync<FlashException>(() => late.AskAsync("history"))).Kind);
        Assert.Contains($"{MostClients} are connected", story.Log, StringComparison.Ordinal);
        clients[0].Dispose();
        var isIn = false;
        await story.UntilAsync(
            () =>
            {
                isIn = isIn || TryAsk(story);
                return isIn;
            },
            "there is room again");
        clients.ForEach(client => client.Dispose());
    });

    private static bool TryAsk(AgentStory story)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(story.Data.Socket));
        return !socket.Poll(TimeSpan.FromMilliseconds(200), SelectMode.SelectRead);   // one that is refused reads its end
    }

    /// <summary>The bytes that were taken until nothing more was, for seconds.</summary>
    private static async Task<int> SendUntilFullAsync(AgentStory story, Socket client, byte[] text)
    {
        var sent = 0;
        for (var idle = 0; idle < 60 && sent < text.Length;)
        {
            if (client.Poll(0, SelectMode.SelectWrite))
                (sent, idle) = (sent + client.Send(text.AsSpan(sent, Math.Min(4096, text.Length - sent)), SocketFlags.None, out _), 0);
            else
                idle++;
            await Task.Delay(TimeSpan.FromMilliseconds(50), story.Time);
        }
        return sent;
    }

    /// <summary>Sends requests by way of Moonraker, all at once.</summary>
    private static async Task<(int Fine, int Busy)> ByMoonrakerAsync(AgentStory story, string[] methods)
    {
        using var over = new CancellationTokenSource();
        var client = new MoonrakerConnection(new(story.Data.Moonraker), story.Time, story.LogFile);
        var line = client.RunAsync(over.Token);
        Assert.True(await client.WaitConnectedAsync(TimeSpan.FromMinutes(1), CancellationToken.None));
        var answers = await Task.WhenAll(Enumerable.Range(0, Requests).Select(number => client.CallAsync(
            "server.extensions.request", new()
            {
                ["agent"] = "ratos_flash",
                ["method"] = methods[number % methods.Length],
                ["arguments"] = new JsonObject { ["job"] = "none", ["board"] = "octopus" },
            })));
        await over.CancelAsync();
        await line;
        var busy = answers.Count(answer => answer.Word("error", "code") == "agent-busy");
        return (answers.Length - busy, busy);
    }
}

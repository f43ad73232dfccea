using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Tests.Moonraker;

/// <summary>The virtual Moonraker's HTTP, as a real client of it finds it.</summary>
public sealed class MoonrakerHttpTests
{
    private static void With(MoonrakerSetup setup, Func<MoonrakerStage, HttpClient, Task> story, double pace = 20) =>
        MoonrakerStage.With(setup, async stage =>
    {
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{stage.Moonraker.Port}") };
        await story(stage, http);
    }, pace);

    private static async Task<(HttpStatusCode Status, JsonNode Body)> ReadAsync(Task<HttpResponseMessage> request)
    {
        using var response = await request;
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!);
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    [Fact]
    public void Methods_are_paths_and_arguments_come_in_the_query_or_in_a_body() => With(new MoonrakerSetup(), async (stage, http) =>
    {
        Assert.Equal("ready", (string?)(await ReadAsync(http.GetAsync("/server/info"))).Body["result"]!["klippy_state"]);
        Assert.Equal(
            "ok", (string?)(await ReadAsync(http.PostAsync("/printer/gcode/script?script=M118%20hello+there", null))).Body["result"]);
        Assert.Equal("ok",
            (string?)(await ReadAsync(http.PostAsync("/printer/gcode/script",
                Json("""{"script":"RESPOND TYPE=error MSG=\"no\""}""")))).Body["result"]);
        Assert.Equal(["echo: hello there", "!! no"], stage.Moonraker.Console);
        var (_, query) = await ReadAsync(http.GetAsync("/printer/objects/query?print_stats=state,filename&webhooks"));
        Assert.Equal(
            """{"print_stats":{"state":"standby","filename":""},"webhooks":{"state":"ready","state_message":"Printer is ready"}}""",
            query["result"]!["status"]!.ToJsonString());
        (_, query) = await ReadAsync(http.PostAsync("/printer/objects/query", Json("""{"objects":{"print_stats":["state"]}}""")));
        Assert.Equal("""{"print_stats":{"state":"standby"}}""", query["result"]!["status"]!.ToJsonString());
        Assert.Equal(
            ["server.info", "printer.gcode.script", "printer.gcode.script", "printer.objects.query", "printer.objects.query"],
            stage.Moonraker.Calls);
    });

    [Fact]
    public void The_database_has_one_path_and_three_verbs() => With(new MoonrakerSetup(), async (stage, http) =>
    {
        // A body without a length is sent in chunks.
        using var request = new HttpRequestMessage(HttpMethod.Post,
            "/server/database/item")
        { Content = Json("""{"namespace":"ratos_flash","key":"job.1","value":{"ok":true}}""") };
        request.Headers.TransferEncodingChunked = true;
        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(http.SendAsync(request))).Status);
        Assert.Equal("""{"1":{"ok":true}}""",
            (await ReadAsync(
                http.GetAsync("/server/database/item?namespace=ratos_flash&key=job"))).Body["result"]!["value"]!.ToJsonString());
        Assert.Equal(
            HttpStatusCode.OK, (await ReadAsync(http.DeleteAsync("/server/database/item?namespace=ratos_flash&key=job.1"))).Status);
        var (status, body) = await ReadAsync(http.GetAsync("/server/database/item?namespace=ratos_flash&key=job.1"));
        Assert.Equal(
            (HttpStatusCode.NotFound, "Key 'job.1' in namespace 'ratos_flash' not found"), (status, (string?)body["error"]!["message"]));
    });

    [Fact]
    public void Failures_have_their_status_and_Moonrakers_messages() => With(new MoonrakerSetup(), async (stage, http) =>
    {
        Assert.Equal((HttpStatusCode.NotFound, "Not Found"), await FailAsync(http.GetAsync("/no/such/method")));
        // sockets alone
        Assert.Equal((HttpStatusCode.NotFound, "Not Found"), await FailAsync(http.PostAsync("/connection/register_remote_method", null)));
        Assert.Equal(
            (HttpStatusCode.MethodNotAllowed, "Method Not Allowed"), await FailAsync(http.GetAsync("/printer/gcode/script?script=M118")));
        Assert.Equal(
            (HttpStatusCode.BadRequest, "No data for argument: script"), await FailAsync(http.PostAsync("/printer/gcode/script", null)));
        Assert.Equal(
            (HttpStatusCode.BadRequest, "Error parsing JSON body"), await FailAsync(http.PostAsync("/printer/gcode/script", Json("{"))));
        Assert.Equal((HttpStatusCode.BadRequest, "Agent nobody not connected"),
            await FailAsync(http.PostAsync("/server/extensions/request", Json("""{"agent":"nobody","method":"x"}"""))));
        await stage.Printer.Klippy.StopAsync(CancellationToken.None);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "Klippy Host not connected"), await FailAsync(http.GetAsync("/printer/info")));
    });

    [Fact]
    public void A_request_to_the_agent_goes_both_ways() => With(new MoonrakerSetup(), async (stage, http) =>
    {
        using var agent = await stage.ConnectUnixAsync();
        await agent.IdentifyAsync();
        var answer =
            ReadAsync(http.PostAsync("/server/extensions/request",
                Json("""{"agent":"ratos_flash","method":"flash","arguments":{"board":"octopus"}}""")));
        await stage.WaitAsync(() => agent.Methods.Contains("flash"));
        var request = agent.Received[^1];
        Assert.Equal("""{"board":"octopus"}""", request["params"]!.ToJsonString());
        await agent.SendAsync($$"""{"jsonrpc":"2.0","result":{"job":"1"},"id":{{request["id"]}} }""");
        Assert.Equal("""{"result":{"job":"1"}}""", (await answer).Body.ToJsonString());
    });

    [Fact]
    public void A_client_without_the_key_is_refused() => With(new MoonrakerSetup { ApiKey = "right" }, async (stage, http) =>
    {
        Assert.Equal((HttpStatusCode.Unauthorized, "Unauthorized"), await FailAsync(http.GetAsync("/server/info")));
        http.DefaultRequestHeaders.Add("X-Api-Key", "right");
        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(http.GetAsync("/server/info"))).Status);
        Assert.Equal("right", (string?)(await ReadAsync(http.GetAsync("/access/api_key"))).Body["result"]);
    });

    [Fact]
    public void A_login_is_renewed_after_an_hour() => With(new MoonrakerSetup { Login = ("anna", "secret") }, async (stage, http) =>
    {
        var login = (await ReadAsync(http.PostAsync("/access/login", Json("""{"username":"anna","password":"secret"}""")))).Body["result"]!;
        Assert.Equal(HttpStatusCode.OK, (await ReadAsync(http.GetAsync($"/server/info?access_token={login["token"]}"))).Status);
        await Task.Delay(TimeSpan.FromMinutes(61), stage.Time);
        Assert.Equal(
            (HttpStatusCode.Unauthorized, "Unauthorized"), await FailAsync(http.GetAsync($"/server/info?access_token={login["token"]}")));
        // The page of somebody whose hour is over still loads.
        using var page = await http.GetAsync($"/server/ratos_flash/page?access_token={login["token"]}");
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        var renewed = await ReadAsync(http.PostAsync("/access/refresh_jwt", Json($$"""{"refresh_token":"{{login["refresh_token"]}}"}""")));
        Assert.Equal(
            HttpStatusCode.OK, (await ReadAsync(http.GetAsync($"/server/info?access_token={renewed.Body["result"]!["token"]}"))).Status);
        await Task.Delay(TimeSpan.FromMinutes(61), stage.Time);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ReadAsync(http.GetAsync("/server/info"))).Status);
    }, pace: 3000);

    private static async Task<(HttpStatusCode Status, string? Message)> FailAsync(Task<HttpResponseMessage> request)
    {
        var (status, body) = await ReadAsync(request);
        Assert.Equal((int)status, (int?)body["error"]!["code"]);
        return (status, (string?)body["error"]!["message"]);
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.Moonraker;

namespace RatOS.Flash.Agent.Tests;

/// <summary>A browser at the virtual Moonraker: the page, files, logins, and odd requests.</summary>
public sealed class PageStories
{
    private const string Page = "/server/ratos_flash/page";
    private const string Meta = "\n<meta name=\"frame-origins\" content=\"\">";

    private static void Of(Func<AgentStory, Browser, Task> tell, MoonrakerSetup? setup = null, bool isAlone = true) =>
        AgentStory.Of(async story =>
    {
        using var browser = new Browser(story.Moonraker.Port);
        await tell(story, browser);
    }, setup: setup, isAlone: isAlone);

    [Fact]
    public void The_page_and_its_files_are_those_that_the_component_serves() => Of(async (_, browser) =>
    {
        var folder = Path.Combine(FindRoot(), "moonraker-component", "page");
        foreach (var file in Directory.GetFiles(folder))
        {
            var name = Path.GetFileName(file);
            var (status, type, text) = await browser.GetAsync(name == "page.html" ? Page : $"{Page}/{name}");
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.Equal(
                Path.GetExtension(name) switch
                {
                    ".html" => "text/html; charset=UTF-8",
                    ".js" => "text/javascript; charset=UTF-8",
                    ".css" => "text/css; charset=UTF-8",
                    _ => "image/svg+xml",
                }, type);
            Assert.Equal(await File.ReadAllTextAsync(file), text.Replace(Meta, "", StringComparison.Ordinal));
        }
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync($"{Page}/page.html")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync($"{Page}/")).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.SendAsync("POST", Page)).Status);
        Assert.Equal((HttpStatusCode.MethodNotAllowed, ""), Without(await browser.SendAsync("HEAD", Page)));
        Assert.True((await browser.ResultAsync("GET", "/server/ratos_flash/info")).Flag("page"));
        var components = (await browser.ResultAsync("GET", "/server/info")).Items("components");
        Assert.Contains("ratos_flash", components.Select(name => name.GetString()));
    });

    [Fact]
    public void Without_the_component_there_is_no_page() => Of(
        async (_, browser) => Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync(Page)).Status), new() { HasComponent = false });

    [Fact]
    public void Status_names_the_page() => Of(async (story, _) =>
        Assert.Equal($"http://127.0.0.1:{story.Moonraker.Port}{Page}", (await story.RequestAsync("status")).Word("page")), isAlone: false);

    [Fact]
    public void Firmware_is_uploaded_listed_downloaded_flashed_and_deleted() => Of(async (story, browser) =>
    {
        using var socket = await BrowserSocket.ConnectAsync(story.Moonraker.Port);
        var firmware = VirtualFirmware.Build(VirtualChip.F446, 0x0800_8000, "v0.12.0-99-gdeadbeef0", 8 * 1024);
        var (status, _, text) = await browser.UploadAsync("ratos_flash", "my octopus.bin", firmware);
        Assert.Equal(HttpStatusCode.Created, status);
        Assert.Equal(("create_file", "my octopus.bin", "ratos_flash"), Item(JsonElement.Parse(text)));
        Assert.Equal(("create_file", "my octopus.bin", "ratos_flash"), Item(await socket.NotificationAsync("notify_filelist_changed")));
        Assert.Equal(firmware, await File.ReadAllBytesAsync(Path.Combine(story.Data.Firmware, "my octopus.bin")));
        var files = await browser.ResultAsync("GET", "/server/files/list?root=ratos_flash");
        Assert.Equal(("my octopus.bin", firmware.Length), (files[0].Word("path"), files[0].Number("size")));
        using (var response = await browser.Http.GetAsync("/server/files/ratos_flash/my%20octopus.bin"))
        {
            Assert.Equal(firmware, await response.Content.ReadAsByteArrayAsync());
            Assert.Equal("attachment", response.Content.Headers.ContentDisposition?.DispositionType);
        }
        using (var head = await browser.Http.SendAsync(new(HttpMethod.Head, "/server/files/ratos_flash/my%20octopus.bin")))
            Assert.Equal(firmware.Length, head.Content.Headers.ContentLength);

        // As any file from elsewhere.
        var refused = await story.RequestAsync("flash", ("board", "octopus"), ("firmware", "my octopus.bin"));
        Assert.Equal("firmware-unconfirmed", refused.Word("error", "code"));

        Assert.Equal("delete_file", (await browser.ResultAsync("DELETE", "/server/files/ratos_flash/my%20octopus.bin")).Word("action"));
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync("/server/files/ratos_flash/my%20octopus.bin")).Status);
        Assert.Equal(0, (await socket.ResultAsync("server.files.list", new { root = "ratos_flash" })).GetArrayLength());

        static (string?, string?, string?) Item(JsonElement change) =>
            (change.Word("action"), change.Word("item", "path"), change.Word("item", "root"));
    }, isAlone: false);

    [Fact]
    public void Files_are_reached_in_their_folders_alone() => Of(async (story, browser) =>
    {
        await File.WriteAllTextAsync(Path.Combine(story.Data.Root, "secret"), "x");
        await File.WriteAllTextAsync(Path.Combine(story.Data.Root, "logs", "bundle.zip"), "zip");
        Assert.Equal((HttpStatusCode.OK, "zip"), Without(await browser.GetAsync("/server/files/logs/bundle.zip")));
        // A browser would resolve such paths itself.
        foreach (var path in (string[])["../secret", "%2e%2e/secret", "..%2Fsecret", "%2Fetc/passwd", "a%00b", "/etc/passwd", ""])
        {
            Assert.Equal(["403 Forbidden"], Statuses(await RawAsync(
                story.Moonraker.Port, $"GET /server/files/logs/{path} HTTP/1.0\r\n\r\n")));
        }
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync("/server/files/nothing/x")).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.SendAsync("DELETE", "/server/files/logs/bundle.zip")).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.SendAsync("POST", "/server/files/logs/bundle.zip")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.SendAsync("DELETE", "/server/files/config/none")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.SendAsync("DELETE", "/server/files/config/..%2Fsecret")).Status);

        Assert.Equal(HttpStatusCode.BadRequest, (await browser.UploadAsync("logs", "x", [1])).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.UploadAsync("nothing", "x", [1])).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.UploadAsync("config", "../x", [1])).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.UploadAsync("config", " ", [1])).Status);
        Assert.Equal(HttpStatusCode.Created, (await browser.UploadAsync("config", "x", [1], ("path", "deep/folder"))).Status);
        Assert.True(File.Exists(Path.Combine(story.Data.Root, "config", "deep", "folder", "x")));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await browser.UploadAsync("config", "y", [1], ("checksum", "00"))).Status);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await browser.GetAsync("/server/files/upload")).Status);
        foreach (var body in (string[])["", "--x", "--x\r\n--x--", "--x\r\nno end\r\n\r\n"])
        {
            using var content = new StringContent(body);
            content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=x");
            using var answer = await browser.Http.PostAsync("/server/files/upload", content);
            Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        }
        Assert.False(File.Exists(Path.Combine(story.Data.Root, "x")));
    });

    private static readonly MoonrakerSetup WithLogin = new() { Login = ("anna", "se:cret") };

    [Fact]
    public void With_a_login_only_the_page_is_for_everybody() => Of(async (_, browser) =>
    {
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(Page)).Status);
        foreach (var path in (string[])["/server/info", "/server/files/list", "/server/files/logs/x", "/no/such/thing", "/access/user"])
            Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync(path)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.UploadAsync("ratos_flash", "x", [1])).Status);
        Assert.True((await browser.ResultAsync("GET", "/access/info")).Flag("login_required"));
        Assert.Equal("400 Invalid Password", await LogInAsync("anna", "wrong"));
        Assert.Equal("400 Unregistered User: eve", await LogInAsync("eve", "se:cret"));
        Assert.Equal("400 Invalid Request for user _TRUSTED_USER_", await LogInAsync("_TRUSTED_USER_", ""));

        async Task<string> LogInAsync(string username, string password)
        {
            var (status, _, text) = await browser.SendAsync("POST", "/access/login", new { username, password });
            return $"{(int)status} {JsonElement.Parse(text).Word("error", "message")}";
        }
    }, WithLogin);

    [Fact]
    public void A_login_gives_tokens_that_a_logout_ends() => Of(async (_, browser) =>
    {
        var login = await browser.ResultAsync("POST", "/access/login", new { username = "anna", password = "se:cret" });
        Assert.Equal(("anna", "moonraker", "user_logged_in"), (login.Word("username"), login.Word("source"), login.Word("action")));
        var (token, refresh) = (login.Word("token")!, login.Word("refresh_token")!);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync($"/server/info?access_token={token}")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync($"/server/info?access_token={refresh}")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync($"{Page}?access_token={token}x")).Status);
        var again = await browser.ResultAsync("POST", "/access/refresh_jwt", new { refresh_token = refresh });
        Assert.Equal("user_jwt_refresh", again.Word("action"));
        Assert.Equal(
            HttpStatusCode.Unauthorized, (await browser.SendAsync("POST", "/access/refresh_jwt", new { refresh_token = token })).Status);
        browser.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", again.Word("token"));
        Assert.Equal("anna", (await browser.ResultAsync("GET", "/access/user")).Word("username"));
        Assert.Equal(HttpStatusCode.Created, (await browser.UploadAsync("ratos_flash", "x", [1])).Status);
        Assert.Equal("user_logged_out", (await browser.ResultAsync("POST", "/access/logout")).Word("action"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync("/server/info")).Status);
        browser.Http.DefaultRequestHeaders.Authorization = null;
        Assert.Equal(
            HttpStatusCode.Unauthorized, (await browser.SendAsync("POST", "/access/refresh_jwt", new { refresh_token = refresh })).Status);
    }, WithLogin);

    [Fact]
    public void A_websocket_logs_in_by_its_token_or_by_the_password() => Of(async (story, browser) =>
    {
        using var stranger = await BrowserSocket.ConnectAsync(story.Moonraker.Port);
        Assert.Equal("-32602 Unauthorized", await stranger.ErrorAsync("server.info"));
        Assert.Equal("-32602 Unauthorized", await stranger.ErrorAsync("server.connection.identify", Identity(null)));
        var login = await stranger.ResultAsync("access.login", new { username = "anna", password = "se:cret" });
        Assert.Equal("anna", (await stranger.ResultAsync("access.get_user")).Word("username"));

        using var known = await BrowserSocket.ConnectAsync(story.Moonraker.Port);
        Assert.Equal(
            "-32602 Failed to decode JWT: Invalid key ID", await known.ErrorAsync("server.connection.identify", Identity("x.y.z")));
        await known.ResultAsync("server.connection.identify", Identity(login.Word("token")));
        await known.ResultAsync("server.websocket.id");
        var once = (await known.ResultAsync("access.oneshot_token")).GetString();
        using var third = await BrowserSocket.ConnectAsync(story.Moonraker.Port, $"?token={once}");
        Assert.Equal("anna", (await third.ResultAsync("access.get_user")).Word("username"));
        using var bearer = await BrowserSocket.ConnectAsync(story.Moonraker.Port, $"?access_token={login.Word("token")}");
        await bearer.ResultAsync("server.info");

        Assert.Equal("user_logged_out", (await known.ResultAsync("access.logout")).Word("action"));
        Assert.Equal("anna", (await third.NotificationAsync("notify_user_logged_out")).Word("username"));
        Assert.Equal("-32602 Unauthorized", await third.ErrorAsync("server.info"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync($"/server/info?access_token={login.Word("token")}")).Status);

        static object Identity(string? token) =>
            new { client_name = "page", version = "1", type = "web", url = "http://localhost", access_token = token };
    }, WithLogin);

    [Fact]
    public void The_agent_needs_no_login_on_the_unix_socket() => Of(async (story, browser) =>
    {
        var login = await browser.ResultAsync("POST", "/access/login", new { username = "anna", password = "se:cret" });
        browser.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", login.Word("token"));
        var answer = await browser.ResultAsync(
            "POST", "/server/extensions/request", new { agent = "ratos_flash", method = "flash", arguments = new { board = "octopus" } });
        Assert.True(answer.Flag("ok"));
        Assert.True((await story.UntilOverAsync()).Ok);
    }, WithLogin, isAlone: false);

    [Fact]
    public void Webcams_are_kept() => Of(async (_, browser) =>
    {
        var added = await browser.ResultAsync(
            "POST", "/server/webcams/item", new { name = "Firmware", service = "iframe", stream_url = Page });
        Assert.Equal("iframe", added.Word("webcam", "service"));
        var renamed = await browser.ResultAsync("POST", "/server/webcams/item", new { uid = added.Word("webcam", "uid"), name = "Flash" });
        Assert.Equal((Page, "Flash"), (renamed.Word("webcam", "stream_url"), renamed.Word("webcam", "name")));
        Assert.Single((await browser.ResultAsync("GET", "/server/webcams/list")).Items("webcams"));
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync("/server/webcams/item?name=Firmware")).Status);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync("/server/webcams/item?name=Flash")).Status);
        await browser.ResultAsync("DELETE", "/server/webcams/item?name=Flash");
        Assert.Empty((await browser.ResultAsync("GET", "/server/webcams/list")).Items("webcams"));
    });

    [Fact]
    public void One_connection_serves_many_requests_and_many_connections_are_served_at_once() => Of(async (story, browser) =>
    {
        var pages = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => browser.GetAsync(Page)));
        Assert.All(pages, page => Assert.Equal(HttpStatusCode.OK, page.Status));
        var answer = await RawAsync(story.Moonraker.Port, $"GET {Page} HTTP/1.1\r\nHost: x\r\n\r\nHEAD {Page}/main.js HTTP/1.1\r\n\r\n"
            + "GET /server/info HTTP/1.1\r\nConnection: close\r\n\r\n");
        Assert.Equal(["200 OK", "405 Method Not Allowed", "200 OK"], Statuses(answer));
        Assert.Equal(["200 OK"], Statuses(await RawAsync(story.Moonraker.Port, $"GET {Page} HTTP/1.0\r\n\r\n")));
    });

    [Theory]
    [InlineData("nonsense\r\n\r\n")]
    [InlineData("GET\r\n\r\n")]
    [InlineData("GET http://elsewhere/ HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/2.0\r\n\r\n")]
    [InlineData("POST /access/login HTTP/1.1\r\nContent-Length: -1\r\n\r\n")]
    [InlineData("POST /access/login HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")]
    [InlineData("POST /access/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")]
    public void Requests_that_are_not_HTTP_are_refused(string request) => Of(async (story, browser) =>
    {
        Assert.Equal(["400 Bad Request"], Statuses(await RawAsync(story.Moonraker.Port, request)));
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(Page)).Status);
    });

    private static (HttpStatusCode, string) Without((HttpStatusCode Status, string? Type, string Text) answer) =>
        (answer.Status, answer.Text);

    private static IEnumerable<string> Statuses(string answer) =>
        answer.Split("HTTP/1.1 ").Skip(1).Select(part => part.Split("\r\n")[0]);

    private static async Task<string> RawAsync(int port, string request)
    {
        using var client = new TcpClient("127.0.0.1", port);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request));
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        return await reader.ReadToEndAsync();
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "RatOS.Flash.sln")))
            folder = folder.Parent!;
        return folder.FullName;
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Moonraker's methods by HTTP.</summary>
internal sealed class MoonrakerHttp(VirtualMoonraker moonraker, JsonRpcRouter router)
{
    /// <summary>Runs a request; null when it is never answered.</summary>
    public async Task<HttpAnswer?> ServeAsync(HttpRequest request)
    {
        try
        {
            return await AnswerAsync(request);
        }
        catch (MoonrakerException failed)
        {
            var status = failed.Status is >= 400 and < 600 ? failed.Status : 500;
            var logged = failed.Status == 401 ? failed.Message : failed.Logged;
            var shown = string.IsNullOrEmpty(logged) ? failed.Message : $"{failed.Message} ({logged})";
            var error = new JsonObject
            {
                ["code"] = status,
                ["message"] = failed.Message,
                ["traceback"] = $"Traceback (most recent call last):\n[...]\ntornado.web.HTTPError: HTTP {status}: {shown}\n",
            };
            return HttpAnswer.Of(status, await router.DelayAsync(new JsonObject { ["error"] = error }));
        }
    }

    private async Task<HttpAnswer?> AnswerAsync(HttpRequest request)
    {
        var page = moonraker.Setup.HasComponent ? MoonrakerPage.Find(request.Path) : null;
        var methods = router.Methods.Where(method => method.Value.Verb is not null && request.Path == PathOf(method.Key, method.Value))
            .ToList();
        // Objects may be queried by POST too, because their list can be long.
        var (name, method) = methods.Find(method =>
            method.Value.Verb == request.Verb || (method.Key == "printer.objects.query" && request.Verb == "POST"));
        if (method is null ? moonraker.IsSilent : !router.TryBegin(name))
            return null;

        // A stranger does not even learn what is not there.
        var isOpen = page is not null || methods.Exists(static method => method.Value.IsOpen);
        if (UserOf(request, isOpen) is var user && user is null && !isOpen)
            throw new MoonrakerException(401, "Unauthorized");
        if (page is not null)
            return request.Verb == "GET" ? page : throw new MoonrakerException(405, "Method Not Allowed");
        if (ServeFile(request) is { } answer)
            return answer;
        if (methods.Count == 0)
            throw new MoonrakerException(404, "Not Found");
        if (method is null)
            throw new MoonrakerException(405, "Method Not Allowed");
        var client = new MoonrakerClient(moonraker.Clients.NextId(), _ => { }, _ => { })
        {
            IsHttp = true,
            IsTrusted = user is not null,
            User = user,
        };
        using var parameters = JsonDocument.Parse(MoonrakerJson.Write(Parameters(request)));
        var result = await router.RunAsync(method, new MoonrakerCall(client, parameters.RootElement));
        return HttpAnswer.Of(200, await router.DelayAsync(new JsonObject { ["result"] = result }));
    }

    private string? UserOf(HttpRequest request, bool isOpen)
    {
        try
        {
            return moonraker.Access.UserOf(request, isOpen);
        }
        catch (MoonrakerException)
        {
            throw new MoonrakerException(401, "Unauthorized");
        }
    }

    private HttpAnswer? ServeFile(HttpRequest request)
    {
        try
        {
            return moonraker.Files?.Serve(request);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new MoonrakerException(500, HttpAnswer.Reason(500)) { Logged = fault.Message };
        }
    }

    private static string PathOf(string name, MoonrakerMethod method) => method.Path ?? $"/{name.Replace('.', '/')}";

    /// <summary>The texts of the query string, overridden by the members of a JSON body.</summary>
    private static JsonObject Parameters(HttpRequest request)
    {
        var parameters = new JsonObject();
        foreach (var (name, value) in request.Arguments.Where(argument => argument.Name is not ("token" or "access_token")))
            parameters[name] = value;
        if (request.Body.IsEmpty || !request.HasWord("Content-Type", "application/json"))
            return parameters;
        try
        {
            using var body = JsonDocument.Parse(request.Body);
            foreach (var member in body.RootElement.EnumerateObject())
                parameters[member.Name] = MoonrakerJson.ToNode(member.Value);
            return parameters;
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            throw new MoonrakerException(400, "Error parsing JSON body");
        }
    }
}

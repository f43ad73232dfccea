using System.Text.Json;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Moonraker's methods by HTTP.</summary>
internal sealed class MoonrakerHttp(VirtualMoonraker moonraker, JsonRpcRouter router)
{
    /// <summary>Runs a request; null when it is never answered.</summary>
    public async Task<(int Status, JsonNode Body)?> ServeAsync(HttpRequest request)
    {
        try
        {
            var (name, method) = Find(request);
            if (!router.TryBegin(name))
                return null;
            var client = new MoonrakerClient(moonraker.Clients.NextId(), _ => { }, _ => { })
            {
                IsHttp = true,
                IsTrusted = moonraker.Access.IsTrusted(request),
            };
            using var parameters = JsonDocument.Parse(MoonrakerJson.Write(Parameters(request)));
            var result = await router.RunAsync(method, new MoonrakerCall(client, parameters.RootElement));
            return (200, await router.DelayAsync(new JsonObject { ["result"] = result }));
        }
        catch (MoonrakerException failed)
        {
            var status = failed.Status is >= 400 and < 600 ? failed.Status : 500;
            var shown = failed.Status == 401 ? $"{failed.Message} ({failed.Message})" : failed.Message;
            var error = new JsonObject
            {
                ["code"] = status,
                ["message"] = failed.Message,
                ["traceback"] = $"Traceback (most recent call last):\n[...]\ntornado.web.HTTPError: HTTP {status}: {shown}\n",
            };
            return (status, await router.DelayAsync(new JsonObject { ["error"] = error }));
        }
    }

    private (string Name, MoonrakerMethod Method) Find(HttpRequest request)
    {
        var named = router.Methods.Where(method => method.Value.Verb is not null && request.Path == PathOf(method.Key, method.Value))
            .ToList();
        if (named.Count == 0)
            throw new MoonrakerException(404, "Not Found");
        // Objects may be queried by POST too, because their list can be long.
        var found = named.Find(method =>
            method.Value.Verb == request.Verb || (method.Key == "printer.objects.query" && request.Verb == "POST"));
        return found.Value is null ? throw new MoonrakerException(405, "Method Not Allowed") : (found.Key, found.Value);
    }

    private static string PathOf(string name, MoonrakerMethod method) => method.Path ?? $"/{name.Replace('.', '/')}";

    /// <summary>The texts of the query string, overridden by the members of a JSON body.</summary>
    private static JsonObject Parameters(HttpRequest request)
    {
        var parameters = new JsonObject();
        foreach (var (name, value) in request.Arguments.Where(argument => argument.Name != "token"))
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

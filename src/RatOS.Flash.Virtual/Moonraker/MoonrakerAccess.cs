using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>Who may use Moonraker: its API key, and tokens that are valid once (moonraker: components/authorization.py).</summary>
internal sealed class MoonrakerAccess(VirtualMoonraker moonraker)
{
    private const string UsualKey = "00112233445566778899aabbccddeeff";
    private static readonly TimeSpan TokenTime = TimeSpan.FromSeconds(5);

    private readonly HashSet<string> _tokens = new(StringComparer.Ordinal);   // not used yet

    /// <summary>There is always a key. Trusted clients need none, but a wrong one is refused.</summary>
    public string ApiKey => moonraker.Setup.ApiKey ?? UsualKey;

    public bool IsTrusted(HttpRequest request) => moonraker.Setup.ApiKey is not { } key || request.Header("X-Api-Key") == key
        || request.Arguments.Any(argument => argument.Name == "token" && _tokens.Remove(argument.Value));

    /// <summary>The access check of identify: a valid key makes a client trusted.</summary>
    public void Check(MoonrakerCall call)
    {
        if (call.Optional("api_key") is { } key)
        {
            if (key.ToString() != ApiKey)
                throw new MoonrakerException(401, "Invalid API Key");
            call.Client.IsTrusted = true;
        }
        if (!call.Client.IsTrusted)
            throw new MoonrakerException(401, "Unauthorized");
    }

    public JsonNode Token()
    {
        var token = Convert.ToHexString(SHA256.HashData(Encoding.ASCII.GetBytes($"{moonraker.Clients.NextId()}")))[..32];
        _tokens.Add(token);
        moonraker.Time.Schedule(TokenTime, () => _tokens.Remove(token));
        return token;
    }

    public static JsonNode Info(MoonrakerCall call) => new JsonObject
    {
        ["default_source"] = "moonraker",
        ["available_sources"] = MoonrakerJson.Texts(["moonraker"]),
        ["login_required"] = false,
        ["trusted"] = call.Client.IsTrusted,
    };
}

using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>
/// Who may use Moonraker: its API key, logged-in users, and tokens that are valid once (moonraker: components/authorization.py).
/// </summary>
internal sealed class MoonrakerAccess(VirtualMoonraker moonraker)
{
    public const string ApiUser = "_API_KEY_USER_";
    public const string TrustedUser = "_TRUSTED_USER_";

    private const string UsualKey = "00112233445566778899aabbccddeeff";
    private static readonly TimeSpan TokenTime = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, string?> _tokens = new(StringComparer.Ordinal);   // not used yet, with their users

    /// <summary>There is always a key. Trusted clients need none, but a wrong one is refused.</summary>
    public string ApiKey => moonraker.Setup.ApiKey ?? UsualKey;

    public MoonrakerLogins Logins { get; } = new(moonraker);

    /// <summary>The user of a request; null for a stranger.</summary>
    /// <param name="request">The request.</param>
    /// <param name="isOpen">Strangers may send it: a token that was valid once will do.</param>
    /// <exception cref="MoonrakerException">401: its token is not valid, which no request may have.</exception>
    public string? UserOf(HttpRequest request, bool isOpen = false)
    {
        if (TokenOf(request) is { Length: > 0 } token)
            return Logins.UserOf(token, "access", checksTime: !isOpen);
        foreach (var (_, value) in request.Arguments.Where(argument => argument.Name == "token"))
        {
            if (_tokens.Remove(value, out var user) && user is not null)
                return user;
        }
        if (request.Header("X-Api-Key") == ApiKey)
            return ApiUser;
        return moonraker.Setup is { ApiKey: null, Login: null } ? TrustedUser : null;
    }

    /// <summary>The access check of identify: a valid key makes a client trusted.</summary>
    public void Check(MoonrakerCall call)
    {
        if (call.Optional("access_token") is { ValueKind: not JsonValueKind.Null } token)
        {
            (call.Client.User, call.Client.IsTrusted) = (Logins.UserOf(token.ToString(), "access"), true);
        }
        else if (call.Optional("api_key") is { } key)
        {
            if (key.ToString() != ApiKey)
                throw new MoonrakerException(401, "Invalid API Key");
            (call.Client.User, call.Client.IsTrusted) = (ApiUser, true);
        }
        if (!call.Client.IsTrusted)
            throw new MoonrakerException(401, "Unauthorized");
    }

    public JsonNode Token(MoonrakerCall call)
    {
        var token = Convert.ToHexString(Sha256.HashData(Encoding.ASCII.GetBytes($"{moonraker.Clients.NextId()}")))[..32];
        _tokens[token] = call.Client.User;
        moonraker.Time.Schedule(TokenTime, () => _tokens.Remove(token));
        return token;
    }

    public JsonNode Info(MoonrakerCall call) => new JsonObject
    {
        ["default_source"] = "moonraker",
        ["available_sources"] = MoonrakerJson.Texts(["moonraker"]),
        ["login_required"] = moonraker.Setup.Login is not null,
        // The address alone is asked for, which does not help where logins are required.
        ["trusted"] = moonraker.Setup.ApiKey is null || call.Client.IsTrusted,
    };

    private static string? TokenOf(HttpRequest request) => request.Header("Authorization") is { } given
        ? given.StartsWith("Bearer ", StringComparison.Ordinal) ? given[7..] : null
        : request.Header("X-Access-Token")
            ?? request.Arguments.Where(argument => argument.Name == "access_token").Select(argument => argument.Value).LastOrDefault();
}

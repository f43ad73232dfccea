using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Moonraker;

/// <summary>The user who logs in with a password, and the tokens of that user (moonraker: components/authorization.py).</summary>
internal sealed class MoonrakerLogins(VirtualMoonraker moonraker)
{
    private static readonly TimeSpan AccessTime = TimeSpan.FromHours(1);
    private static readonly TimeSpan RefreshTime = TimeSpan.FromDays(90);
    private static readonly TimeSpan LogoutTime = TimeSpan.FromMilliseconds(5);

    private readonly DateTimeOffset _created = moonraker.Time.GetUtcNow();
    private byte[]? _key;   // signs the tokens; null while the user is logged out

    public JsonNode Login(MoonrakerCall call)
    {
        var (name, password) = (call.Text("username"), call.Text("password"));
        var source = call.Optional("source") is null ? "moonraker" : call.Text("source").ToLowerInvariant();
        if (source == "ldap")
            throw new MoonrakerException(401, "LDAP authentication not available");
        if (source != "moonraker")
            throw new MoonrakerException(400, $"Invalid 'source': {source}");
        if (name is MoonrakerAccess.ApiUser or MoonrakerAccess.TrustedUser)
            throw new MoonrakerException(400, $"Invalid Request for user {name}");
        if (moonraker.Setup.Login is not { } login || login.User != name)
            throw new MoonrakerException(400, $"Unregistered User: {name}");
        if (login.Password != password)
            throw new MoonrakerException(400, "Invalid Password");
        _key ??= SecureRandom.Bytes(32);
        (call.Client.User, call.Client.IsTrusted) = (name, true);
        return new JsonObject
        {
            ["username"] = name,
            ["token"] = Token(name, "access", AccessTime),
            ["source"] = source,
            ["refresh_token"] = Token(name, "refresh", RefreshTime),
            ["action"] = "user_logged_in",
        };
    }

    public JsonNode Refresh(MoonrakerCall call)
    {
        string name;
        try
        {
            name = UserOf(call.Text("refresh_token"), "refresh");
        }
        catch (MoonrakerException invalid) when (invalid.Status == 401)
        {
            throw new MoonrakerException(401, "Invalid Refresh Token");
        }
        return new JsonObject
        {
            ["username"] = name,
            ["token"] = Token(name, "access", AccessTime),
            ["source"] = "moonraker",
            ["action"] = "user_jwt_refresh",
        };
    }

    /// <summary>Ends every login of the user: no token of before is valid, and its websockets are strangers again.</summary>
    public JsonNode Logout(MoonrakerCall call)
    {
        var name = call.Client.User ?? throw new MoonrakerException(400, "No user logged in");
        if (name is MoonrakerAccess.ApiUser or MoonrakerAccess.TrustedUser)
            throw new MoonrakerException(400, $"Invalid log out request for user {name}");
        _key = null;
        moonraker.Time.Schedule(LogoutTime, () =>
        {
            moonraker.Clients.Notify("notify_user_logged_out", new JsonObject { ["username"] = name });
            foreach (var client in moonraker.Clients.All.Where(client => client.User == name))
                (client.User, client.IsTrusted) = (null, false);
        });
        return new JsonObject { ["username"] = name, ["action"] = "user_logged_out" };
    }

    public JsonNode User(MoonrakerCall call) => new JsonObject
    {
        ["username"] = call.Client.User,
        ["source"] = call.Client.User is null ? null : "moonraker",
        ["created_on"] = call.Client.User is null ? null : _created.ToUnixTimeMilliseconds() / 1000.0,
    };

    /// <summary>The user whom a token names.</summary>
    /// <exception cref="MoonrakerException">401: the token is not valid, or no longer.</exception>
    public string UserOf(string token, string type, bool checksTime = true)
    {
        var end = token.LastIndexOf('.');
        if (_key is null || end < 0 || token[(end + 1)..] != Signature(token[..end]))
            throw new MoonrakerException(401, "Failed to decode JWT: Invalid key ID");
        using var document = JsonDocument.Parse(Base64Url.DecodeFromChars(token[..end].Split('.')[1]));
        var payload = document.RootElement;
        if (payload.GetProperty("token_type").GetString() is var given && given != type)
            throw new MoonrakerException(401, $"JWT Token type mismatch: Expected {type}, Recd: {given}");
        if (checksTime && payload.GetProperty("exp").GetInt64() < moonraker.Time.GetUtcNow().ToUnixTimeSeconds())
            throw new MoonrakerException(401, "JWT Expired");
        return payload.GetProperty("username").GetString()!;
    }

    /// <summary>A token with the members of Moonraker's. The signature is another one, since the base library has no Ed25519.</summary>
    private string Token(string name, string type, TimeSpan time)
    {
        var now = moonraker.Time.GetUtcNow();
        var head = new JsonObject { ["kid"] = "virtual", ["alg"] = "EdDSA", ["typ"] = "JWT" };
        var payload = new JsonObject
        {
            ["iss"] = $"http://virtual:{moonraker.Port}",
            ["aud"] = "Moonraker",
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = (now + time).ToUnixTimeSeconds(),
            ["username"] = name,
            ["token_type"] = type,
        };
        var message = $"{Base64Url.EncodeToString(MoonrakerJson.Write(head))}.{Base64Url.EncodeToString(MoonrakerJson.Write(payload))}";
        return $"{message}.{Signature(message)}";
    }

    private string Signature(string message) => Base64Url.EncodeToString(Sha256.Hmac(_key!, Encoding.UTF8.GetBytes(message)));
}

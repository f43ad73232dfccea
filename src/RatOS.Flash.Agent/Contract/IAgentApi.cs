using System.Text.Json;
using PolyType;
using StreamJsonRpc;

namespace RatOS.Flash.Agent.Contract;

/// <summary>
/// What the running agent can be asked, over Moonraker (<c>server.extensions.request</c>) and over its own socket alike. Each takes named arguments or none, answers at
/// once with a <see cref="JsonAnswer"/>, and never with an error of JSON-RPC, for those are mangled on the way (facts: rule 4). The first three are for macros, which hear no
/// answer: theirs goes to the console.
/// </summary>
[JsonRpcContract]
[GenerateShape(IncludeMethods = MethodShapeFlags.PublicInstance)]
internal partial interface IAgentApi
{
    [JsonRpcMethod("ratos_flash_mcu")]
    Task MacroFlashAsync(JsonElement arguments = default);

    [JsonRpcMethod("ratos_flash_status")]
    Task MacroStatusAsync(JsonElement arguments = default);

    [JsonRpcMethod("ratos_flash_cancel")]
    Task MacroCancelAsync(JsonElement arguments = default);

    /// <summary>
    /// <c>board</c> (or <c>mcu</c>, <c>boards</c>; default <c>all</c>), <c>firmware</c>, <c>port</c>, <c>uuid</c>, <c>bootloader</c> and the flags of <see cref="FlashFlag"/>.
    /// </summary>
    [JsonRpcMethod("flash")]
    Task<JsonElement> FlashAsync(JsonElement arguments = default);

    /// <summary>As <c>flash</c>, for boards in any state that are to run again: they are flashed only where nothing less helps.</summary>
    [JsonRpcMethod("recover")]
    Task<JsonElement> RecoverAsync(JsonElement arguments = default);

    /// <summary>As <c>flash</c>, touching nothing.</summary>
    [JsonRpcMethod("plan")]
    Task<JsonElement> PlanAsync(JsonElement arguments = default);

    [JsonRpcMethod("boards")]
    Task<JsonElement> BoardsAsync(JsonElement arguments = default);

    [JsonRpcMethod("status")]
    Task<JsonElement> StatusAsync(JsonElement arguments = default);

    /// <summary><c>job</c>.</summary>
    [JsonRpcMethod("job")]
    Task<JsonElement> JobAsync(JsonElement arguments = default);

    /// <summary><c>job</c>; without, all of them.</summary>
    [JsonRpcMethod("cancel")]
    Task<JsonElement> CancelAsync(JsonElement arguments = default);

    /// <summary>What is wrong with the printer's computer, as far as the agent may see.</summary>
    [JsonRpcMethod("doctor")]
    Task<JsonElement> DoctorAsync(JsonElement arguments = default);

    /// <summary><c>limit</c> (default 20).</summary>
    [JsonRpcMethod("history")]
    Task<JsonElement> HistoryAsync(JsonElement arguments = default);

    /// <summary><c>job</c> (default: the last one). Answers with the <c>file</c> that was written, in the printer's logs folder.</summary>
    [JsonRpcMethod("bundle")]
    Task<JsonElement> BundleAsync(JsonElement arguments = default);
}

/// <summary>On the agent's own socket alone.</summary>
[JsonRpcContract]
[GenerateShape(IncludeMethods = MethodShapeFlags.PublicInstance)]
internal partial interface IFollow
{
    /// <summary>Sends every event of a job (<c>job</c>; without, of every job) as a call of <c>event</c>, and answers with the result when it is over.</summary>
    [JsonRpcMethod("follow")]
    Task<JsonElement> FollowAsync(JsonElement arguments = default);
}

/// <summary>What the command line offers to the agent while it follows.</summary>
[JsonRpcContract]
[GenerateShape(IncludeMethods = MethodShapeFlags.PublicInstance)]
internal partial interface IFollower
{
    /// <summary><c>job</c> and <c>step</c>, the latter as in a line of <c>--json</c>.</summary>
    [JsonRpcMethod("event")]
    Task EventAsync(JsonElement arguments = default);
}

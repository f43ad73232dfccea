using System.Text.Json;
using PolyType;
using StreamJsonRpc;

namespace RatOS.Flash.Agent.Contract;

/// <summary>
/// What clients can ask of the running agent, over Moonraker (<c>server.extensions.request</c>) and over its own socket alike. Each
/// method takes named arguments or none, and answers at once with a <see cref="JsonAnswer"/>. It never answers with an error of JSON-RPC:
/// Moonraker's HTTP server changes their codes and texts. The first five are for macros, which get no answer: theirs goes to the
/// console.
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

    [JsonRpcMethod("ratos_flash_doctor")]
    Task MacroDoctorAsync(JsonElement arguments = default);

    /// <summary><c>job</c> (default: the last one).</summary>
    [JsonRpcMethod("ratos_flash_bundle")]
    Task MacroBundleAsync(JsonElement arguments = default);

    /// <summary>
    /// <c>board</c> (or <c>mcu</c>, <c>boards</c>; default <c>all</c>), <c>firmware</c>, <c>port</c>, <c>uuid</c>, <c>bootloader</c> and
    /// the flags of <see cref="FlashFlag"/>.
    /// </summary>
    [JsonRpcMethod("flash")]
    Task<JsonElement> FlashAsync(JsonElement arguments = default);

    /// <summary>As <c>flash</c>: gets boards running again. They are flashed only if nothing less helps.</summary>
    [JsonRpcMethod("recover")]
    Task<JsonElement> RecoverAsync(JsonElement arguments = default);

    /// <summary>As <c>flash</c>: asks running boards what they are. Klipper is stopped for it; nothing is written.</summary>
    [JsonRpcMethod("identify")]
    Task<JsonElement> IdentifyAsync(JsonElement arguments = default);

    /// <summary>As <c>flash</c>: what it would do. Nothing is touched.</summary>
    [JsonRpcMethod("plan")]
    Task<JsonElement> PlanAsync(JsonElement arguments = default);

    /// <summary>
    /// <c>board</c>, <c>fact</c> and <c>value</c>: what a board cannot tell itself, as in ratos-flash.conf. Without <c>value</c> it is
    /// forgotten. Through Moonraker only a value that the board's question offers.
    /// </summary>
    [JsonRpcMethod("answer")]
    Task<JsonElement> AnswerAsync(JsonElement arguments = default);

    /// <summary>
    /// <c>board</c>, <c>set</c> (all assignments of the form, by symbol) and <c>save</c>: Klipper's menu for a board as a form. Without
    /// <c>save</c> nothing is kept.
    /// </summary>
    [JsonRpcMethod("options")]
    Task<JsonElement> OptionsAsync(JsonElement arguments = default);

    [JsonRpcMethod("boards")]
    Task<JsonElement> BoardsAsync(JsonElement arguments = default);

    [JsonRpcMethod("status")]
    Task<JsonElement> StatusAsync(JsonElement arguments = default);

    /// <summary><c>job</c>.</summary>
    [JsonRpcMethod("job")]
    Task<JsonElement> JobAsync(JsonElement arguments = default);

    /// <summary><c>job</c> (default: all of them).</summary>
    [JsonRpcMethod("cancel")]
    Task<JsonElement> CancelAsync(JsonElement arguments = default);

    /// <summary>The firmware folder: what each file holds, and which boards it fits.</summary>
    [JsonRpcMethod("files")]
    Task<JsonElement> FilesAsync(JsonElement arguments = default);

    /// <summary>Problems of the printer's computer, as far as the agent's user can see them.</summary>
    [JsonRpcMethod("doctor")]
    Task<JsonElement> DoctorAsync(JsonElement arguments = default);

    /// <summary><c>limit</c> (default 20).</summary>
    [JsonRpcMethod("history")]
    Task<JsonElement> HistoryAsync(JsonElement arguments = default);

    /// <summary><c>job</c> (default: the last one). Answers with the <c>file</c> in the printer's logs folder.</summary>
    [JsonRpcMethod("bundle")]
    Task<JsonElement> BundleAsync(JsonElement arguments = default);
}

/// <summary>Only on the agent's own socket.</summary>
[JsonRpcContract]
[GenerateShape(IncludeMethods = MethodShapeFlags.PublicInstance)]
internal partial interface IFollow
{
    /// <summary>
    /// Sends every event of a job (<c>job</c>; default: of all jobs) as a call of <c>event</c>, and answers with the result at the end.
    /// </summary>
    [JsonRpcMethod("follow")]
    Task<JsonElement> FollowAsync(JsonElement arguments = default);
}

/// <summary>What the command line offers to the agent while it follows a job.</summary>
[JsonRpcContract]
[GenerateShape(IncludeMethods = MethodShapeFlags.PublicInstance)]
internal partial interface IFollower
{
    /// <summary><c>job</c> and <c>step</c>, the latter as in a line of <c>--json</c>.</summary>
    [JsonRpcMethod("event")]
    Task EventAsync(JsonElement arguments = default);
}

using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Contract;

/// <summary>
/// The JSON of <c>--json</c>, of the agent's answers and events, and of journals. Names and values are a contract: new ones may come,
/// none changes or goes (<c>docs/json.md</c>, <c>docs/contract.json</c>).
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(JsonPlan))]
[JsonSerializable(typeof(JsonFinding))]
[JsonSerializable(typeof(JsonBus))]
[JsonSerializable(typeof(JsonBoard))]
[JsonSerializable(typeof(JsonFile))]
[JsonSerializable(typeof(JsonFirmware))]
[JsonSerializable(typeof(JsonScenario))]
[JsonSerializable(typeof(JsonSeed))]
[JsonSerializable(typeof(JsonSeeds))]
[JsonSerializable(typeof(JsonStep))]
[JsonSerializable(typeof(JsonResult))]
[JsonSerializable(typeof(JsonFault))]
[JsonSerializable(typeof(JsonMessage))]
[JsonSerializable(typeof(JsonCheck))]
[JsonSerializable(typeof(JsonDoctor))]
[JsonSerializable(typeof(JsonJob))]
[JsonSerializable(typeof(JsonJob[]))]
[JsonSerializable(typeof(JsonJobStep))]
[JsonSerializable(typeof(JsonHeader))]
[JsonSerializable(typeof(JsonService))]
[JsonSerializable(typeof(JsonAnswer))]
[JsonSerializable(typeof(JsonKind))]
[JsonSerializable(typeof(JsonSkipped))]
[JsonSerializable(typeof(JsonGood))]
[JsonSerializable(typeof(JsonMcus))]
[JsonSerializable(typeof(JsonExport))]
internal sealed partial class JsonShapes : JsonSerializerContext;

/// <inheritdoc cref="JsonShapes"/>
internal static class JsonContract
{
    // For readers: an apostrophe is no \u0027. No client may put it into a web page unescaped.
    public static readonly JsonShapes Shapes = new(
        new JsonSerializerOptions(JsonShapes.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <inheritdoc cref="ContractNameAttribute.Of"/>
    public static string Name<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>(T value)
        where T : struct, Enum => ContractNameAttribute.Of(value);

    /// <summary>The value with a name.</summary>
    /// <param name="name">The name.</param>
    /// <param name="unknown">The value for a name of a newer version.</param>
    public static T Value<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] T>(string name, T unknown)
        where T : struct, Enum => ContractNameAttribute.Find<T>(name) ?? unknown;

    /// <summary>Chooses the words for a front end.</summary>
    /// <param name="frontEnd">The front end.</param>
    /// <param name="commandLine">For a terminal.</param>
    /// <param name="browser">For a browser; null where it is the same.</param>
    public static string Words(FrontEnd frontEnd, string commandLine, string? browser) =>
        frontEnd == FrontEnd.Browser ? browser ?? commandLine : commandLine;

    /// <summary>An address such as <c>0x08008000</c>.</summary>
    public static string? Hex(uint? address) => address is { } value ? $"0x{value:x8}" : null;
}

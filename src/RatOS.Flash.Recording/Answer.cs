using RatOS.Flash.Core;

namespace RatOS.Flash.Recording;

/// <summary>The right side of a line while it is written: how a call ended.</summary>
/// <param name="Kind"><c>ok</c>, <c>gone</c>, <c>fault</c>, <c>cancelled</c>.</param>
/// <param name="Words">Its results, or the device's name, or code, cause and remedy.</param>
/// <param name="Data">Bytes that came back; null for none.</param>
internal readonly record struct Answer(string Kind, string?[] Words, ReadOnlyMemory<byte>? Data = null)
{
    public static Answer Ok(params string?[] words) => new("ok", words);

    public static Answer Bytes(ReadOnlyMemory<byte> data, params string?[] words) => new("ok", words, data);

    public static Answer Of(FlashException fault) => new("fault", WordsOf(fault));

    /// <summary>Code, cause and remedy; then the remedy for a browser where it differs.</summary>
    public static string?[] WordsOf(FlashException? fault) =>
        [fault?.Code, fault?.Cause, fault?.Remedy.In(FrontEnd.CommandLine), fault?.Remedy.OnlyInBrowser];

    /// <summary>Null for an exception that is a bug, and not recorded.</summary>
    public static Answer? For(Exception fault) => fault switch
    {
        DeviceGoneException gone => new("gone", [gone.Device]),
        FlashException known => Of(known),
        OperationCanceledException => new("cancelled", []),
        _ => null,
    };
}

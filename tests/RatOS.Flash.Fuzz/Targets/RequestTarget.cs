using System.Text;
using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Moonraker;
using RatOS.Flash.Agent.Service;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>
/// Requests: JSON arguments of <c>flash</c> from any door, and lines of Klipper's console, which name a button of a prompt. The first line
/// of an input is the console's, and the rest is JSON and the file of the buttons alike.
/// </summary>
internal sealed class RequestTarget : FuzzTarget
{
    private static readonly LogFile Log = LogFile.Open(ScratchFile.Path("log"), static _ => { });

    public override string Name => "requests";

    public override string Oracle =>
        "An accepted request is written and read back equal, none but the own socket carries firmware, and a button works once.";

    public override IEnumerable<string> Tokens =>
    [
        "\n", "{\"boards\":[", "\"board\":\"", "\"mcu\":\"all\"", "\"firmware\":\"x.bin\"", "\"bytes\":\"AAAA\"", "\"port\":\"1-1.2\"",
        "\"uuid\":\"0123456789ab\"", "\"bootloader\":\"katapult\"", "\"change_link\":\"usb:can\"", "\"confirm\":\"", "\"force\":1",
        "\"consent\":true", "\"hot\":\"yes\"", "\"sd_card\":1", "\"when_idle\":1",
        "\"if_needed\":1", "\"timeout\":5", "\"rollback\":1", "\"person\":0", "\\ud800", "\\\\u",
        "flash 00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff flash {}", "cancel ", "later ", "1e999",
        "..", "[]", ",",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        const string token = "00112233445566778899aabbccddeeff";
        yield return Bytes(
            "\n{\"boards\":[\"octopus\",\"toolhead\"],\"firmware\":\"klipper.bin\",\"bytes\":\"QUJDRA==\",\"port\":\"1-1.2\",\"force\":1}");
        yield return Bytes(
            "\n{\"board\":\"ebb\",\"uuid\":\"0123456789ab\",\"bootloader\":\"katapult\",\"change_link\":\"usb:can\",\"hot\":\"on\"}");
        yield return Bytes($"flash {token}\n{token} flash {{\"board\":\"octopus\",\"confirm\":\"ab,cd\"}}\n");
        yield return Bytes($"cancel {token}\n{token} cancel {{\"job\":\"20260101-000000-0000\"}}\n");
    }

    public override void Run(byte[] input)
    {
        var end = Array.IndexOf(input, (byte)'\n');
        var (line, rest) = end < 0 ? (input, []) : (input[..end], input[(end + 1)..]);
        Press(Encoding.UTF8.GetString(line), rest);
        JsonDocument document;
        try
        {
            document = ForeignJson.Parse(rest);
        }
        catch (JsonException)
        {
            return;
        }
        using (document)
        {
            Walk(document.RootElement);
            foreach (var isOwn in (bool[])[false, true])
                Parse(document.RootElement, isOwn);
        }
    }

    private static void Press(string line, byte[] file)
    {
        var path = ScratchFile.Write("buttons", file);
        var buttons = new PromptButtons(path, Log);
        if (buttons.Press(line) is null)
            return;
        Hold(!buttons.IsOpen && buttons.Press(line) is null, "a button works once");
        Hold(!new PromptButtons(path, Log).IsOpen, "no button works after the next start");
    }

    private static void Parse(JsonElement arguments, bool isOwn)
    {
        FlashOptions options;
        try
        {
            options = FlashArguments.Parse(
                arguments, ScratchFile.Path("firmware"), FlashArguments.OriginOf(arguments, JobOrigin.Macro), isOwn);
        }
        catch (FlashException fault)
        {
            Hold(!fault.Cause.Any(char.IsControl), $"a plain cause: {fault.Cause}");
            return;
        }
        Hold(isOwn || options.Firmware is null or { IsUploaded: true }, "firmware comes by the own socket alone");
        Hold(options.Boards.Length is > 0 and <= 32 && options.Boards.All(name => name.Length is > 0 and <= 64), "names of boards");
        var text = JsonSerializer.Serialize(FlashArguments.Of(options), RpcShapes.Default.DictionaryStringObject);
        using var again = ForeignJson.Parse(text);
        var back = FlashArguments.Parse(again.RootElement, "", JobOrigin.CommandLine, mayCarryFirmware: true);
        Hold(back.Boards.SequenceEqual(options.Boards) && back.Job == options.Job && back.Port == options.Port && back.Uuid == options.Uuid
            && back.Bootloader == options.Bootloader && back.LinkChange == options.LinkChange && back.RollsBack == options.RollsBack
            && back.AcceptsWarnings == options.AcceptsWarnings && back.IncludesUpToDate == options.IncludesUpToDate
            && back.AllowsHotHeaters == options.AllowsHotHeaters && back.WhenIdle == options.WhenIdle
            && back.OnlyIfNeeded == options.OnlyIfNeeded && back.IdleLimit == options.IdleLimit
            && back.FirmwareSha256 == options.FirmwareSha256
            && (back.Firmware is null) == (options.Firmware is null), "a request is read as it was written");
        Hold(options.Firmware is null || options.Firmware.Bytes.Span.SequenceEqual(back.Firmware!.Bytes.Span), "firmware arrives whole");
    }

    /// <summary>Asks for every text and number: that must not throw behind <see cref="ForeignJson"/>.</summary>
    private static void Walk(JsonElement element)
    {
        foreach (var item in element.Items())
            Walk(item);
        foreach (var member in element.Members())
        {
            _ = member.Name;
            _ = element.Flag(member.Name) || element.Number(member.Name) > 0 || element.Word(member.Name) is null;
            Walk(member.Value);
        }
    }
}

using System.Text;
using RatOS.Flash.Boards;
using RatOS.Flash.Builds;
using RatOS.Flash.Core;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>
/// Board definitions of an installed RatOS, in a folder that browsers can write. An input is the text of several files with a line of
/// dashes between them: a definition and a configuration for each of up to three boards.
/// </summary>
internal sealed class DefinitionTarget : FuzzTarget
{
    private const string Separator = "\n----\n";
    private const int Boards = 3;

    public override string Name => "definitions";

    public override string Oracle =>
        "A bad definition is a finding, and an accepted one has nothing that a shell, make or a path reads in another way.";

    public override IEnumerable<string> Tokens =>
    [
        Separator, "\"id\":\"", "\"name\":\"", "\"manufacturer\":\"", "\"isHost\":true", "\"isToolboard\":true", "\"serialPath\":\"/dev/",
        "\"firmwareBinaryName\":\"", "\"compileScript\":\"", "\"flashInstructions\":\"", "\"dfu\":{", "\"hasBoot0Jumper\":true",
        "\"instructions\":[", "\"flashDevice\":\"0483:df11\"", "\"disableAutoFlash\":true", "\nCONFIG_MCU=\"stm32f446xx\"\n",
        "\nCONFIG_MACH_LINUX=y\n", "\nCONFIG_USBSERIAL=y\n", "\nCONFIG_CANSERIAL=y\n", "\nCONFIG_FLASH_START=0x8000\n",
        "\nCONFIG_CLOCK_REF_FREQ=12000000\n", "\nCONFIG_STM32_USB_PA11_PA12=y\n", "\nCONFIG_INITIAL_PINS=\"!PA1\"\n", "$(shell id)", "`id`",
        "..", "/", "\\ud800", "btt-octopus-11", "\r\n", "\u202e", "null", "\0",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        const string definition =
            """
            {"id":"btt-octopus-11","name":"Octopus 1.1","manufacturer":"BTT","isHost":false,"serialPath":"/dev/btt-octopus-11",
             "firmwareBinaryName":"firmware-btt-octopus-11.bin","compileScript":"compile.sh","flashScript":"flash.sh",
             "flashInstructions":"Set the jumper.","disableAutoFlash":false,
             "dfu":{"flashDevice":"0483:df11","hasBoot0Jumper":true,"instructions":["Press boot","Press reset"]}}
            """;
        const string config =
            """
            CONFIG_LOW_LEVEL_OPTIONS=y
            CONFIG_MACH_STM32=y
            CONFIG_MCU="stm32f446xx"
            CONFIG_CLOCK_REF_FREQ=12000000
            CONFIG_FLASH_APPLICATION_ADDRESS=0x8008000
            CONFIG_STM32_USB_PA11_PA12=y
            CONFIG_USBSERIAL=y
            CONFIG_USB_SERIAL_NUMBER="btt-octopus-11"
            """;
        yield return Bytes(definition);
        yield return Bytes(definition + Separator + config);
        var other = definition.Replace("octopus-11", "new-board", StringComparison.Ordinal)
            .Replace("Octopus", "Newer", StringComparison.Ordinal);
        yield return Bytes(string.Join(Separator, definition, config, other, config));
        foreach (var board in BoardCatalogue.BuiltIn.Boards.Where(board => board.FirmwareConfig is not null).Take(5))
            yield return Bytes(definition.Replace("btt-octopus-11", board.Id, StringComparison.Ordinal) + Separator + board.FirmwareConfig);
    }

    public override void Run(byte[] input)
    {
        var parts = Parts(input, Encoding.UTF8.GetBytes(Separator));
        for (var board = 0; board < Boards; board++)
        {
            Put($"boards/{board}/board-definition.json", parts.ElementAtOrDefault(board * 2));
            Put($"boards/{board}/firmware.config", parts.ElementAtOrDefault((board * 2) + 1));
        }
        var loaded = RatOsCatalogue.Load(ScratchFile.Path("boards"));
        Hold(loaded.Findings.All(finding => !finding.Text.Any(char.IsControl)), "plain findings");
        foreach (var board in loaded.Catalogue.Boards.Where(board => board.Origin is not null))
        {
            Hold(board.Id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && board.Id[0] != '-', "an id is a word");
            Hold(!board.DisplayName.Any(PlainText.IsHidden), "a plain name");
            Hold(board.FirmwareConfig?.AsSpan().IndexOfAny("$`\\") is null or < 0, "no configuration that make expands");
            Hold(board.FirmwareBinaryName?.Contains('/', StringComparison.Ordinal) != true, "no path");
            Hold(board.Preconditions.All(step => !step.Any(char.IsControl)), "plain steps");
            _ = board.ApplicationStart;
            Build(board);
        }
    }

    private static void Build(Board board)
    {
        try
        {
            BuildConfig.For(board);
        }
        catch (FlashException)
        {
            // It says why it cannot be built.
        }
    }

    private static void Put(string name, byte[]? content)
    {
        if (content is null && File.Exists(ScratchFile.Path(name)))
            File.Delete(ScratchFile.Path(name));
        if (content is null)
            Directory.CreateDirectory(Path.GetDirectoryName(ScratchFile.Path(name))!);
        else
            ScratchFile.Write(name, content);
    }

    private static List<byte[]> Parts(byte[] input, byte[] separator)
    {
        var parts = new List<byte[]>();
        for (var rest = input.AsSpan(); ;)
        {
            var at = rest.IndexOf(separator);
            parts.Add(rest[..(at < 0 ? rest.Length : at)].ToArray());
            if (at < 0)
                return parts;
            rest = rest[(at + separator.Length)..];
        }
    }
}

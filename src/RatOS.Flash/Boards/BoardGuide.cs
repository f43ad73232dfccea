using System.Collections.Immutable;
using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>Who writes a board's firmware, and through what.</summary>
public enum BoardRoad
{
    /// <summary>This product, and the running Klipper starts the bootloader.</summary>
    [ContractName("engine")] Engine,

    /// <summary>This product, once a person has started the chip's ROM. With Katapult below the firmware no person is needed.</summary>
    [ContractName("engine-by-hand")] EngineByHand,

    /// <summary>A person copies a .uf2 onto the drive that the chip's ROM shows.</summary>
    [ContractName("uf2")] Uf2,

    /// <summary>The board's own bootloader takes a file from its SD card.</summary>
    [ContractName("sd-card")] SdCard,

    /// <summary>avrdude.</summary>
    [ContractName("avrdude")] Avrdude,

    /// <summary>dfu-util: the firmware begins inside a flash sector, of which this product leaves the other part alone.</summary>
    [ContractName("dfu-util")] DfuUtil,

    /// <summary>It is a program on this computer.</summary>
    [ContractName("process")] Process,

    /// <summary>The updater of whoever made it.</summary>
    [ContractName("own-updater")] OwnUpdater,

    /// <summary>Nobody told enough about it.</summary>
    [ContractName("unknown")] Unknown,
}

/// <summary>How a board's firmware is brought onto it where this product cannot write it by itself: the file's name and the steps, whole and in order.</summary>
/// <param name="Road">The road.</param>
/// <param name="BuildsFile">What Klipper's build makes for it, <c>klipper.bin</c>; null for a firmware that is not Klipper's.</param>
/// <param name="FileName">The name that the firmware must have for it, as its bootloader wants it or as RatOS calls it.</param>
/// <param name="Steps">Sentences, in order.</param>
public sealed record BoardGuide(BoardRoad Road, string? BuildsFile, string? FileName, ImmutableArray<string> Steps)
{
    /// <summary>One line: <c>(1) ... (2) ...</c></summary>
    public string Text => OneLine(Steps);

    internal static string OneLine(ImmutableArray<string> steps) => string.Join(" ", steps.Select((step, i) => $"({i + 1}) {step}"));

    public static BoardGuide Of(Board board)
    {
        var road = RoadOf(board);
        var (file, name) = road switch
        {
            BoardRoad.Uf2 => ("klipper.uf2", NameFor(board, ".uf2")),
            BoardRoad.Avrdude => ("klipper.elf.hex", NameFor(board, ".elf.hex")),
            BoardRoad.Process => ("klipper.elf", "klipper_mcu"),
            BoardRoad.SdCard => ("klipper.bin", SdCardBootloader.FileName),
            BoardRoad.OwnUpdater => (null, null),
            _ => ("klipper.bin", (string?)NameFor(board, ".bin")),
        };
        return new(road, file, name, Sentences(board, road, file, name));
    }

    /// <summary>The manual way into the bootloader.</summary>
    public static ImmutableArray<string> EnterSteps(Board board) => board.Dfu is { Steps.Length: > 0 } guide
        ? [.. guide.Steps.Select(BoardCatalogue.BuiltIn.StepText)]
        : IsRp(board) ? ["Hold the BOOT button (BOOTSEL).", "Press and release RESET, or plug the USB cable in anew.", "Let BOOT go."]
        : ["Set the BOOT0 jumper, or hold the BOOT button.", "Press and release RESET.", "Leave the jumper on until the flash is over."];

    /// <summary>The way by the board's SD card.</summary>
    /// <param name="board">The board's kind.</param>
    /// <param name="card">Where the file lies on a card that is in this computer; null where none is.</param>
    /// <param name="file">Where else it lies; null where it is to be built yet.</param>
    internal static ImmutableArray<string> CardSteps(Board board, string? card = null, string? file = null) =>
    [
        card is null ? $"Copy {file ?? "the built klipper.bin"} onto a card of 32 GB or less with FAT32, as {SdCardBootloader.FileName}." : $"{SdCardBootloader.FileName} is on the card at {card}: `umount {card}`, and take the card out of this computer.",
        "Put the card into the board's SD slot, and press the board's reset button, or switch the printer off and on.",
        $"Give it half a minute: its bootloader writes the file and renames it to {board.SdCard?.RenamedTo ?? "another name"}. `ratos-flash boards` shows the version that runs.",
    ];

    /// <summary>For a board that waits in the ROM of an RP2040 or RP2350.</summary>
    internal static string InBootsel(Board board) => RoadOf(board) == BoardRoad.Uf2
        ? new BoardGuide(BoardRoad.Uf2, null, null, CopyUf2(board, NameFor(board, ".uf2"))).Text
        // Its firmware is a .bin that Katapult alone can write.
        : "(1) Switch its power off and on, or press RESET without BOOT: its Katapult or its Klipper starts, and it can be flashed. "
            + "(2) If it comes back in BOOTSEL, there is no Katapult: copy a katapult.uf2 built for it onto its drive, then flash.";

    private static BoardRoad RoadOf(Board board)
    {
        if (board.Kind == "probe")
            return BoardRoad.OwnUpdater;
        if (board.McuName is not { } chip)
            return BoardRoad.Unknown;
        if (chip == "linux")
            return BoardRoad.Process;
        if (chip.StartsWith("at", StringComparison.Ordinal))
            return BoardRoad.Avrdude;
        if (board.Mcu is not { } mcu || board.ApplicationStart is not { } start)
            return BoardRoad.Unknown;
        if (chip.StartsWith("lpc", StringComparison.Ordinal))
            return board.SdCard is null ? BoardRoad.Unknown : BoardRoad.SdCard;
        if (!mcu.IsStm32)
            return start == mcu.FlashBase + mcu.Offsets[0] ? BoardRoad.Uf2 : BoardRoad.Engine;
        if (mcu.AllSectors().All(sector => sector.Address != start))
            return BoardRoad.DfuUtil;
        return board.EntersDfu ? BoardRoad.Engine : BoardRoad.EngineByHand;
    }

    private static ImmutableArray<string> Sentences(Board board, BoardRoad road, string? file, string? name) => road switch
    {
        BoardRoad.Engine => [],
        BoardRoad.EngineByHand => EnterSteps(board),
        BoardRoad.Uf2 => [.. EnterSteps(board), .. CopyUf2(board, name!)],
        BoardRoad.SdCard =>
        [
            .. CardSteps(board),
            .. board.KlipperSdBoard is { } sd && board.Symlinks is [var link, ..] ? (ImmutableArray<string>)
                [$"Or, with the card in its slot and Klipper running on the board: `sudo systemctl stop klipper`, `~/klipper/scripts/flash-sdcard.sh -f {name} {link} {sd}`, `sudo systemctl start klipper`."] : [],
        ],
        BoardRoad.Avrdude =>
        [
            "`sudo apt-get install avrdude`, once.",
            "`sudo systemctl stop klipper`",
            $"`avrdude -p {board.McuName} -c {Programmer(board.McuName!)} -P {(board.Symlinks is [var link, ..] ? link : "PORT")} -D -U flash:w:{name}:i`, where {name} is the built {file}.",
            "`sudo systemctl start klipper`",
        ],
        BoardRoad.DfuUtil =>
        [
            .. EnterSteps(board),
            "`sudo systemctl stop klipper`",
            $"`dfu-util -d 0483:df11 -a 0 -s 0x{board.ApplicationStart:x8}:leave -D {name}`, where {name} is the built {file}.",
            "Take the jumper off, switch the printer off and on, and `sudo systemctl start klipper`.",
        ],
        BoardRoad.Process =>
        [
            $"`sudo systemctl stop klipper klipper-mcu`",
            $"`sudo install -m 755 {file} /usr/local/bin/{name}.new && sudo mv /usr/local/bin/{name}.new /usr/local/bin/{name}`, where {file} is the one built for this computer.",
            "`sudo systemctl start klipper-mcu klipper`",
        ],
        BoardRoad.OwnUpdater => ["Update it with the updater of whoever made it; its firmware is not built from Klipper's sources."],
        _ => [$"Describe the board in ratos-flash.conf (`[board NAME]` with its kind), or build {file} for it and write it the way its vendor says."],
    };

    private static ImmutableArray<string> CopyUf2(Board board, string name)
    {
        var label = board.McuName == "rp2350" ? "RP2350" : "RPI-RP2";
        return
        [
            $"It shows a drive called {label}. Copy the built {name} onto it: `sudo mount /dev/disk/by-label/{label} /mnt && sudo cp {name} /mnt/ && sudo umount /mnt`.",
            "The board starts the firmware by itself; `ratos-flash boards` shows the new version.",
        ];
    }

    private static bool IsRp(Board board) => board.McuName is "rp2040" or "rp2350";

    private static string NameFor(Board board, string ending) =>
        board.FirmwareBinaryName is { } name && name.EndsWith(ending, StringComparison.OrdinalIgnoreCase) ? name : $"firmware-{board.Id}{ending}";

    // Klipper's own choice for each family (src/avr/Kconfig).
    private static string Programmer(string chip) => chip switch
    {
        "atmega2560" => "wiring",
        "at90usb1286" or "at90usb646" or "atmega32u4" => "avr109",
        _ => "arduino",
    };
}

using System.Collections.Immutable;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;

namespace RatOS.Flash.Boards;

/// <summary>The manual way of flashing a board: the file's name and the steps, complete and in order.</summary>
/// <param name="Method">The flash method.</param>
/// <param name="BuildsFile">The file of Klipper's build for it, <c>klipper.bin</c>; null for a firmware that is not Klipper's.</param>
/// <param name="FileName">The name that the file must have, as its bootloader requires it or as RatOS calls it.</param>
/// <param name="Steps">Sentences, in order.</param>
public sealed record BoardGuide(FlashMethod Method, string? BuildsFile, string? FileName, ImmutableArray<string> Steps)
{
    /// <summary>One line: <c>(1) ... (2) ...</c></summary>
    public Remedy Remedy => Remedy.Numbered(Steps);

    public static BoardGuide Of(Board kind) => Of(BoardProfile.Of(kind));

    public static BoardGuide Of(BoardProfile board)
    {
        var method = MethodOf(board);
        var (file, name) = method switch
        {
            FlashMethod.Uf2 or FlashMethod.Engine when IsAtFlashBegin(board) => ("klipper.uf2", NameFor(board.Kind, ".uf2")),
            FlashMethod.Avrdude => ("klipper.elf.hex", NameFor(board.Kind, ".elf.hex")),
            FlashMethod.Process => ("klipper.elf", "klipper_mcu"),
            FlashMethod.SdCard => ("klipper.bin", board.SdCard?.Value.Name ?? SdCardBootloader.FileName),
            FlashMethod.EngineManual when !HasUsbRom(board) => ("klipper.bin", board.SdCard?.Value.Name ?? NameFor(board.Kind, ".bin")),
            FlashMethod.OwnUpdater => (null, null),
            _ => ("klipper.bin", (string?)NameFor(board.Kind, ".bin")),
        };
        return new(method, file, name, Sentences(board, method, file, name));
    }

    /// <summary>The manual way into the bootloader.</summary>
    public static ImmutableArray<string> EnterSteps(BoardProfile board) => !HasUsbRom(board) && board.Link?.Value.Link != BuildLink.Uart
        ? WithoutUsbRom(board) : board.Kind.Dfu is { Steps.Length: > 0 } guide
        ? [.. guide.Steps.Select(BoardCatalogue.BuiltIn.StepText)]
        : IsRp(board) ? ["Hold the BOOT button (BOOTSEL).", "Press and release RESET, or plug the USB cable in again.", "Release BOOT."]
        : ["Set the BOOT0 jumper, or hold the BOOT button.", "Press and release RESET.", "Remove the jumper, or release the button."];

    /// <summary>
    /// For a chip whose ROM has no USB DFU (AN2606: STM32F103, F031, G070 and G071): BOOT0 starts a ROM that listens on a UART.
    /// </summary>
    private static ImmutableArray<string> WithoutUsbRom(BoardProfile board) =>
    [
        $"The ROM of a {board.Chip?.Value} has no USB DFU, so BOOT0 does not help on USB.",
        .. WithoutKatapult(board),
        "Or, with an ST-Link on its SWD pins: `st-flash --reset write klipper.bin "
            + $"{(board.ApplicationStart is { } start ? $"0x{start.Value:x8}" : "ADDRESS")}`.",
        "Or connect a USB-UART adapter to PA9 and PA10, set BOOT0, reset the board, and run "
            + $"`ratos-flash flash {board.Name} --port PORT --bootloader stm32-uart` with the adapter's port.",
    ];

    /// <summary>For a board whose Klipper starts no bootloader: the card that its own one may read.</summary>
    internal static ImmutableArray<string> WithoutKatapult(BoardProfile board) => board.SdCard is { } card ? CardGuide(board, card)
        :
        [
            "If the board still has the bootloader that it was sold with, copy the built klipper.bin onto a card of 32 GB or less with "
                + "FAT32, under the file name that its maker uses, put it into the board's SD slot, and reset the board.",
        ];

    private static bool HasUsbRom(BoardProfile board) => board.Mcu is not { IsStm32: true, HasUsbDfu: false };

    /// <summary>
    /// The same in one line. A double reset starts a Katapult, also on an RP2040, whose BOOT button is often out of reach.
    /// </summary>
    internal static Remedy EnterInOneLine(BoardProfile board) =>
        IsRp(board) && board.ApplicationStart is not null && !IsAtFlashBegin(board)
            ? $"{RemedyAction.DoubleReset}." : Remedy.Numbered(EnterSteps(board), OperatorStep.StartBootloader);

    /// <summary>The way by the board's SD card: with this program, or manually.</summary>
    private static ImmutableArray<string> CardGuide(BoardProfile board, Fact<CardFile> card)
    {
        // A chip that only a maker's fork of Klipper has cannot be built for here.
        var isOurs = board.Mcu is not null || board.Chip is null;
        var name = card.Value.NeedsNewName ? "a file with a new name" : card.Value.Path;
        var copy = Copying(card.Value, null);
        return
        [
            .. CheckBoard(card),
            .. isOurs ? (ImmutableArray<string>)
            [
                (board.ApplicationStart is null ? "While the board runs Klipper: " : "") + $"`ratos-flash flash {board.Name} --sd-card` "
                    + $"makes {name}, writes it onto the card in this computer, and offers it for download.",
            ] : [],
            isOurs ? $"Or manually: c{copy[1..]}" : copy,
            .. AtBoard(card),
        ];
    }

    /// <summary>The way of a file that this program made.</summary>
    /// <param name="card">The file that the board takes.</param>
    /// <param name="place">Where a card with the file is in this computer; null where none is.</param>
    /// <param name="file">Where else the file is; null where it could not be put anywhere.</param>
    internal static ImmutableArray<string> CardSteps(Fact<CardFile> card, string? place, string? file) =>
    [
        .. CheckBoard(card),
        place is null ? Copying(card.Value, file)
            : $"{card.Value.Path} is on the card at {place}: `umount {place}`, and take the card out of this computer.",
        .. AtBoard(card),
    ];

    private static ImmutableArray<string> CheckBoard(Fact<CardFile> card) => card.Source == FactSource.Catalogue ? []
        : [$"Check that this is your board. Its stock bootloader is known by {card.Where}."];

    private static string Copying(CardFile card, string? file) =>
        $"Copy {file ?? Converted(card)} onto a card of 32 GB or less with FAT32"
            + (card.Folder is { } folder ? $", in a folder called {folder}" : "")
            + (card.Name is { } name && !(card.NeedsNewName && file is null) ? $", as {name}."
                : ", under a name that ends in .bin and that this board has never had.");

    private static ImmutableArray<string> AtBoard(Fact<CardFile> card) =>
    [
        card.Source == FactSource.Catalogue
            ? "Put the card into the board's SD slot. Press the board's reset button, or switch the printer off and on."
            : "Put the card into the board's SD slot, and switch the printer off and on.",
        $"Wait half a minute: its bootloader installs the file{(card.Value.RenamedTo is { } name ? $" and renames it to {name}" : "")}. "
            + "The list of boards then shows the version that runs.",
    ];

    /// <summary>How the file is made without this program.</summary>
    private static string Converted(CardFile card) => card.Encoding switch
    {
        CardEncoding.MksRobin =>
            $"the built klipper.bin, converted by `~/klipper/scripts/update_mks_robin.py klipper.bin {card.Name}`,",
        CardEncoding.Chitu => $"the built klipper.bin, converted by `~/klipper/scripts/update_chitu.py klipper.bin {card.Name}`,",
        CardEncoding.SRecord => $"the built klipper.elf, converted by `arm-none-eabi-objcopy -O srec klipper.elf {card.Name}`,",
        _ => "the built klipper.bin",
    };

    private static FlashMethod MethodOf(BoardProfile board)
    {
        if (board.Kind.Kind == "probe")
            return FlashMethod.OwnUpdater;
        if (board.Chip?.Value is not { } chip)
            return FlashMethod.Unknown;
        if (chip == "linux")
            return FlashMethod.Process;
        if (Mcu.IsAvr(chip))
            return FlashMethod.Avrdude;
        if (board.Mcu is not { IsWritten: true } mcu || board.ApplicationStart?.Value is not { } start)
            return FlashMethod.Unknown;
        // With Katapult below it is written as any other chip; its stock bootloader is no driver's.
        if (chip.StartsWith("lpc", StringComparison.Ordinal) && board.Bootloader is null)
            return board.SdCard is null && !board.CardCandidates.Any() ? FlashMethod.Unknown : FlashMethod.SdCard;
        if (!mcu.IsStm32)
            // On a UART nothing shows that its ROM waits, and nothing proves what was written by USB.
            return IsAtFlashBegin(board) && board.Link is { Value.Link: BuildLink.Uart } ? FlashMethod.Uf2 : FlashMethod.Engine;
        if (mcu.AllSectors().All(sector => sector.Address != start))
            return FlashMethod.DfuUtil;
        return board.EntersDfu ? FlashMethod.Engine : FlashMethod.EngineManual;
    }

    private static ImmutableArray<string> Sentences(BoardProfile board, FlashMethod method, string? file, string? name) => method switch
    {
        FlashMethod.Engine => [],
        FlashMethod.EngineManual => EnterSteps(board),
        FlashMethod.Uf2 => [.. EnterSteps(board), .. CopyUf2(board, name!)],
        FlashMethod.SdCard when board.SdCard is null =>
            [$"`ratos-flash flash {board.Name} --sd-card` asks which file its stock bootloader takes, and makes that one."],
        FlashMethod.SdCard =>
        [
            .. CardGuide(board, board.SdCard!),
            .. (board.Kind.KlipperSdBoard ?? board.FlashSdCardBoard?.Value) is { } sd && PortOf(board) is { } link
                ? (ImmutableArray<string>)["Or, with the card in its slot and Klipper running on the board: `sudo systemctl stop klipper`, "
                    + $"`~/klipper/scripts/flash-sdcard.sh -f {name} {link} {sd}`, `sudo systemctl start klipper`."] : [],
        ],
        FlashMethod.Avrdude =>
        [
            "`sudo apt-get install avrdude`, once.",
            "`sudo systemctl stop klipper`",
            $"`avrdude -p {board.Chip?.Value} -c {Programmer(board.Chip!.Value)} -P "
                + $"{PortOf(board) ?? "PORT"} -D -U flash:w:{name}:i`, where {name} is the built {file}.",
            "`sudo systemctl start klipper`",
        ],
        FlashMethod.DfuUtil =>
        [
            .. EnterSteps(board),
            "`sudo systemctl stop klipper`",
            $"`dfu-util -d 0483:df11 -a 0 -s 0x{board.ApplicationStart?.Value:x8}:leave -D {name}`, where {name} is the built {file}.",
            "Remove the jumper, switch the printer off and on, and `sudo systemctl start klipper`.",
        ],
        FlashMethod.Process =>
        [
            $"`sudo systemctl stop klipper klipper-mcu`",
            $"`sudo install -m 755 {file} /usr/local/bin/{name}.new && sudo mv /usr/local/bin/{name}.new /usr/local/bin/{name}`, where "
                + $"{file} is the file that was built for this computer.",
            "`sudo systemctl start klipper-mcu klipper`",
        ],
        FlashMethod.Unknown when board.SdCard is { } card => CardGuide(board, card),
        FlashMethod.OwnUpdater => ["Update it with its vendor's updater: its firmware is not built from Klipper's sources."],
        FlashMethod.Unknown when IsClone(board) =>
        [
            $"Klipper's own sources have no {board.Chip!.Value}: this firmware comes from its maker's fork of Klipper. Update it with the "
                + "maker's update, or build and write it as that fork describes.",
        ],
        FlashMethod.Unknown when board.Mcu is { IsWritten: false } =>
            [$"Build {file}, and write it with the method of the board's vendor."],
        FlashMethod.Unknown when MissingFact.Of(board) is { } missing =>
            [$"{missing.Text} Then {RemedyAction.Answer(missing).In(FrontEnd.CommandLine)}."],
        _ => [$"Build {file}, and write it with the method of the board's vendor."],
    };

    /// <summary>Its port for a command: as printer.cfg has it, else the link that RatOS makes; null for neither.</summary>
    private static string? PortOf(BoardProfile board) => board.HostPort is { Value: var path } && path.StartsWith('/')
        && path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '_' or '-' or '.' or ':' or '+' or '@')
            ? path : board.Kind.Symlinks is [var link, ..] ? link : null;

    private static ImmutableArray<string> CopyUf2(BoardProfile board, string name)
    {
        // Klipper's build writes the RP2040's family into each .uf2, which the RP2350's ROM leaves alone (RP2350 datasheet 5.5.3).
        if (board.Chip?.Value == "rp2350")
            return ["`picotool load -v -x klipper.elf`, with the file of the same build: its ROM refuses a .uf2 of family e48bff56."];
        const string label = "RPI-RP2";
        return
        [
            $"The board appears as a drive called {label}. Copy the built {name} onto it: "
                + $"`sudo mount /dev/disk/by-label/{label} /mnt && sudo cp {name} /mnt/ && sudo umount /mnt`.",
            "The board starts the firmware automatically. The list of boards then shows the new version.",
        ];
    }

    /// <summary>An RP2040 or RP2350 without a bootloader: Klipper's build for it is a .uf2 (Klipper src/rp2040/Makefile).</summary>
    private static bool IsAtFlashBegin(BoardProfile board) => IsRp(board) && board.Mcu is { } mcu
        && board.ApplicationStart?.Value is { } start && mcu.ImageStart(start) == mcu.FlashBase;

    /// <summary>A chip that firmware itself names, of families that only forks of Klipper build for.</summary>
    private static bool IsClone(BoardProfile board) => board.Chip?.Value is { } chip
        && new[] { "gd32", "n32", "at32", "apm32" }.Any(family => chip.StartsWith(family, StringComparison.Ordinal));

    private static bool IsRp(BoardProfile board) => board.Chip?.Value is "rp2040" or "rp2350";

    private static string NameFor(Board board, string ending) =>
        board.FirmwareBinaryName is { } name && name.EndsWith(ending, StringComparison.OrdinalIgnoreCase) ? name
            : $"firmware-{board.Id}{ending}";

    // Klipper's own choice for each family (src/avr/Kconfig).
    private static string Programmer(string chip) => chip switch
    {
        "atmega2560" => "wiring",
        "at90usb1286" or "at90usb646" or "atmega32u4" => "avr109",
        _ => "arduino",
    };
}

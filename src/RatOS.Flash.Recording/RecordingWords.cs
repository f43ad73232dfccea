using System.Globalization;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Recording;

/// <summary>
/// The words of a recording. They are part of its format: an enum member may be renamed in code, its word stays, because recordings of
/// earlier versions hold it.
/// </summary>
internal static class RecordingWords
{
    public static readonly WordTable<FlashPhase> Phases = new(
        (FlashPhase.Look, "Look"), (FlashPhase.Plan, "Plan"), (FlashPhase.Build, "Build"), (FlashPhase.Stop, "Stop"),
        (FlashPhase.Ask, "Ask"),
        (FlashPhase.Enter, "Enter"), (FlashPhase.Identify, "Identify"), (FlashPhase.Erase, "Erase"), (FlashPhase.Write, "Write"),
        (FlashPhase.Verify, "Verify"), (FlashPhase.Leave, "Leave"), (FlashPhase.Confirm, "Confirm"), (FlashPhase.Prove, "Prove"),
        (FlashPhase.Start, "Start"), (FlashPhase.Operator, "Person"), (FlashPhase.Done, "Done"));

    public static readonly WordTable<FlashEventKind> EventKinds = new(
        (FlashEventKind.Begin, "Begin"), (FlashEventKind.Progress, "Progress"), (FlashEventKind.End, "End"), (FlashEventKind.Note, "Note"),
        (FlashEventKind.Warning, "Warning"), (FlashEventKind.PointOfNoReturn, "PointOfNoReturn"), (FlashEventKind.Verdict, "Verdict"));

    public static readonly WordTable<BoardCondition> Conditions = new(
        (BoardCondition.Unchanged, "Unchanged"), (BoardCondition.InBootloaderUnchanged, "InBootloaderUnchanged"),
        (BoardCondition.InBootloaderWithoutFirmware, "InBootloaderWithoutFirmware"), (BoardCondition.Unconfirmed, "Unconfirmed"),
        (BoardCondition.Flashed, "Flashed"), (BoardCondition.Running, "Running"),
        (BoardCondition.Unknown, "Unknown"));

    public static readonly WordTable<UsbStatus> UsbStatuses = new(
        (UsbStatus.Ok, "Ok"), (UsbStatus.Stall, "Stall"), (UsbStatus.Timeout, "Timeout"), (UsbStatus.Error, "Error"));

    public static readonly WordTable<CanBusState> CanBusStates = new(
        (CanBusState.Working, "Working"), (CanBusState.NotAcknowledged, "NotAcknowledged"), (CanBusState.Off, "Off"));

    public static readonly WordTable<KlippyActivity> KlippyActivities = new(
        (KlippyActivity.Absent, "Absent"), (KlippyActivity.Stopped, "Stopped"), (KlippyActivity.Ready, "Ready"),
        (KlippyActivity.Busy, "Busy"),
        (KlippyActivity.Error, "Error"), (KlippyActivity.Shutdown, "Shutdown"), (KlippyActivity.Unknown, "Unknown"));

    /// <summary>A driver's name without hyphens, <c>DfuSe</c>; <see cref="Drivers.Find"/> reads it.</summary>
    public static string BootloaderWord(BootloaderDriver driver) =>
        string.Concat(driver.Name.Split('-').Select(part => char.ToUpperInvariant(part[0]) + part[1..]));

    public static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Null for a word that is no number.</summary>
    public static int? Integer(string? word) =>
        int.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;

    /// <summary>A text as one word: percent-encoded, <c>-</c> for null, <c>%</c> for empty.</summary>
    public static string Escape(string? text) => text switch
    {
        null => "-",
        "" => "%",
        "-" => "%2D",
        _ => Uri.EscapeDataString(text),
    };

    /// <inheritdoc cref="Escape"/>
    public static string? Unescape(string word) => word switch
    {
        "-" => null,
        "%" => "",
        _ => Uri.UnescapeDataString(word),
    };
}

/// <summary>The values of an enum and their words in a recording.</summary>
internal sealed class WordTable<T>(params (T Value, string Word)[] rows) where T : struct, Enum
{
    /// <summary>A test holds that no value is missing. If one is, its name is written: a recording must not break a flash.</summary>
    public string Of(T value)
    {
        foreach (var row in rows)
        {
            if (EqualityComparer<T>.Default.Equals(row.Value, value))
                return row.Word;
        }
        return value.ToString();
    }

    /// <summary>Null for an unknown word, such as one of a later version.</summary>
    public T? Find(string? word)
    {
        foreach (var row in rows)
        {
            if (row.Word == word)
                return row.Value;
        }
        return null;
    }

    public bool Has(T value) => rows.Any(row => EqualityComparer<T>.Default.Equals(row.Value, value));
}

using RatOS.Flash.Bootloaders;
using RatOS.Flash.Recording;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>The words of the recording format, version 1. Recordings of earlier versions hold them, so this list only grows.</summary>
public sealed class RecordingWordsTests
{
    [Fact]
    public void Phases_keep_their_words() => Check(
        RecordingWords.Phases,
        "Look Plan Build Stop Ask Enter Identify Erase Write Verify Leave Confirm Prove Start Person Done");

    [Fact]
    public void Kinds_of_events_keep_their_words() =>
        Check(RecordingWords.EventKinds, "Begin Progress End Note Warning PointOfNoReturn Verdict");

    [Fact]
    public void Conditions_keep_their_words() => Check(
        RecordingWords.Conditions, "Unchanged InBootloaderUnchanged InBootloaderWithoutFirmware Unconfirmed Flashed Running");

    [Fact]
    public void Bootloaders_keep_their_words() => Assert.All((string[])["DfuSe", "Katapult", "Stm32Uart"], word =>
        Assert.Equal(word, RecordingWords.BootloaderWord(Drivers.Find(word)!)));

    [Fact]
    public void States_of_buses_and_of_Klipper_keep_their_words()
    {
        Check(RecordingWords.UsbStatuses, "Ok Stall Timeout Error");
        Check(RecordingWords.CanBusStates, "Working NotAcknowledged Off");
        Check(RecordingWords.KlippyActivities, "Absent Stopped Ready Busy Error Shutdown Unknown");
    }

    private static void Check<T>(WordTable<T> table, string words) where T : struct, Enum
    {
        Assert.All(words.Split(' '), word => Assert.Equal(word, table.Of(table.Find(word)!.Value)));
        Assert.All(Enum.GetValues<T>(), value => Assert.True(table.Has(value), $"{value} has no word"));
        Assert.Null(table.Find("Nonsense"));
        Assert.Null(table.Find("1"));
    }
}

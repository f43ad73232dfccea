using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Disk, clock, USB and power supply.</summary>
internal static partial class ComputerChecks
{
    private const long LeastFree = 100L << 20;   // a build, a log and a journal
    private const int MostPorts = 8;
    private const int FewResets = 3;
    private const int MatchLimit = 1000;   // milliseconds for one line

    public static IEnumerable<DoctorFinding> Disk(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        if (data.IsReadOnly)
            yield return new(DoctorFindings.DiskReadOnly(data.Root));
        if (data.Free is { } free && free < LeastFree)
            yield return new(DoctorFindings.DiskFull(data.Root, free >> 20, LeastFree >> 20));
    }

    public static IEnumerable<DoctorFinding> Clock(DoctorFacts facts)
    {
        if (facts.Now.Year < 2024)
            yield return new(DoctorFindings.ClockWrong($"{facts.Now:yyyy-MM-dd}"));
    }

    public static IEnumerable<DoctorFinding> Usb(DoctorFacts facts)
    {
        if (facts.KernelLog is not { } log)
            yield break;
        foreach (var port in ByPort(log, UsbTrouble()).Take(MostPorts))
            yield return new(DoctorFindings.UsbErrors(port.Key, port.Count(), Text.Clean(port.Last().Value)));
        foreach (var port in ByPort(log, UsbReset()).Where(port => port.Count() >= FewResets).Take(MostPorts))
            yield return new(DoctorFindings.UsbResets(port.Key, port.Count()));
        if (log.LastOrDefault(IsOverCurrent) is { } line)
            yield return new(DoctorFindings.UsbOverCurrent(Text.Clean(line)));
    }

    // Bits of the firmware's answer (Raspberry Pi documentation, vcgencmd get_throttled).
    public static IEnumerable<DoctorFinding> Power(DoctorFacts facts)
    {
        const uint volts = 1, slow = 0b1110, wasVolts = volts << 16, wasSlow = slow << 16;
        if (facts.Throttled is not { } bits)
            yield break;
        if ((bits & volts) != 0)
            yield return new(DoctorFindings.Undervoltage(bits));
        else if ((bits & wasVolts) != 0)
            yield return new(DoctorFindings.UndervoltageBefore(bits));
        if ((bits & (slow | wasSlow)) != 0 && (bits & (volts | wasVolts)) == 0)
            yield return new(DoctorFindings.Throttled(bits));
    }

    private static IEnumerable<IGrouping<string, Match>> ByPort(IEnumerable<string> log, Regex pattern) =>
        log.Select(line => pattern.Match(line)).Where(match => match.Success)
            .GroupBy(match => match.Groups["port"].Value, StringComparer.Ordinal);

    private static bool IsOverCurrent(string line) =>
        line.Contains("over-current", StringComparison.OrdinalIgnoreCase) && line.Contains("usb", StringComparison.OrdinalIgnoreCase);

    // "usb 1-1.3: device descriptor read/64, error -71" and similar (linux: drivers/usb/core/hub.c).
    [GeneratedRegex(
        @"usb (?<port>[0-9]+-[0-9.]+|[0-9]+-[0-9.]+-port[0-9]+): (?:device descriptor read.*error|device not accepting address"
        + "|unable to enumerate|can't set config|cannot reset|.*disabled by hub|.*Cannot enable).*",
        RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex UsbTrouble();

    [GeneratedRegex(@"usb (?<port>[0-9]+-[0-9.]+): reset (?:low|full|high)-speed USB device", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex UsbReset();
}

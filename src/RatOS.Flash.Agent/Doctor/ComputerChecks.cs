using System.Text.RegularExpressions;
using RatOS.Flash.Agent.Contract;

namespace RatOS.Flash.Agent.Doctor;

/// <summary>Disk, clock, USB and power supply.</summary>
internal static partial class ComputerChecks
{
    private const long LeastFree = 100L << 20;   // a build, a log and a journal
    private const int MostPorts = 8;
    private const int FewResets = 3;
    private const int MatchLimit = 1000;   // milliseconds for one line
    private const string AnotherCable = "Try another cable, then another port. A hub needs its own supply.";

    public static IEnumerable<DoctorFinding> Disk(DoctorFacts facts)
    {
        if (facts.Data is not { } data)
            yield break;
        if (data.IsReadOnly)
        {
            yield return DoctorFinding.Problem(
                "disk-read-only", $"The file system of {data.Root} is read-only: it is damaged, or mounted read-only.",
                "sudo touch /forcefsck && sudo reboot");
        }
        if (data.Free is { } free && free < LeastFree)
        {
            yield return DoctorFinding.Problem(
                "disk-full", $"{data.Root} has {free >> 20} MiB free. A build and its journal need up to {LeastFree >> 20} MiB.",
                $"du -xh {data.Root} | sort -h | tail -n 20");
        }
    }

    public static IEnumerable<DoctorFinding> Clock(DoctorFacts facts)
    {
        if (facts.Now.Year < 2024)
        {
            yield return DoctorFinding.Problem(
                "clock-wrong", $"This computer's date is {facts.Now:yyyy-MM-dd}: updates refuse certificates, and logs have wrong dates.",
                "sudo timedatectl set-ntp true");
        }
    }

    public static IEnumerable<DoctorFinding> Usb(DoctorFacts facts)
    {
        if (facts.KernelLog is not { } log)
            yield break;
        foreach (var port in ByPort(log, UsbTrouble()).Take(MostPorts))
        {
            yield return DoctorFinding.Warning(
                "usb-errors",
                $"The kernel log has {port.Count()} errors of USB port {port.Key}, the last: {Text.Clean(port.Last().Value)}.",
                AnotherCable);
        }
        foreach (var port in ByPort(log, UsbReset()).Where(port => port.Count() >= FewResets).Take(MostPorts))
            yield return DoctorFinding.Warning(
                "usb-resets", $"The kernel reset the device at USB port {port.Key} {port.Count()} times.", AnotherCable);
        if (log.LastOrDefault(IsOverCurrent) is { } line)
        {
            yield return DoctorFinding.Problem(
                "usb-over-current", $"A USB port was overloaded: {Text.Clean(line)}.",
                "Feed the boards from their own supply, and look for a short circuit.");
        }
    }

    // Bits of the firmware's answer (Raspberry Pi documentation, vcgencmd get_throttled).
    public static IEnumerable<DoctorFinding> Power(DoctorFacts facts)
    {
        const uint volts = 1, slow = 0b1110, wasVolts = volts << 16, wasSlow = slow << 16;
        const string supply = "Use a supply of 5.1 V and 3 A or more with a short, thick cable, and feed the boards from their own.";
        if (facts.Throttled is not { } bits)
            yield break;
        if ((bits & volts) != 0)
        {
            yield return DoctorFinding.Problem(
                "undervoltage", $"This computer has undervoltage now (0x{bits:x}): USB devices may fail in the middle of a flash.",
                supply);
        }
        else if ((bits & wasVolts) != 0)
            yield return DoctorFinding.Warning(
                "undervoltage-before", $"This computer had undervoltage since it started (0x{bits:x}).", supply);
        if ((bits & (slow | wasSlow)) != 0 && (bits & (volts | wasVolts)) == 0)
        {
            yield return DoctorFinding.Warning(
                "throttled", $"This computer was throttled by its temperature (0x{bits:x}): builds take longer.",
                "Give it a heat sink or a fan.");
        }
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

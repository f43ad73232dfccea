using System.Globalization;
using System.IO.Enumeration;
using System.Text.RegularExpressions;
using RatOS.Flash.Core;

namespace RatOS.Flash.Hardware.Linux;

/// <summary>
/// What the installed udev rules will let this user do with a USB device that is not there yet. They are read as far as packages for
/// debuggers and bootloaders use them: a line that names the ids, with a mode, a group or <c>uaccess</c> in the same file.
/// </summary>
/// <param name="root">In front of every path.</param>
internal sealed partial class UdevRules(string root = "")
{
    private const int MatchLimit = 1000;

    public bool IsRoot { private get; init; } = Libc.EffectiveUser() == 0;

    /// <summary>The user is in the group of that name.</summary>
    public Func<string, bool> IsMember { private get; init; } = Access.IsMember;

    private static readonly string[] Folders =
        ["/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"];

    /// <summary>
    /// The fault of a user who will not be allowed to open such a device; null where it may be, or where no udev runs.
    /// </summary>
    public FlashException? WhyClosed(UsbId id)
    {
        if (IsRoot || !File.Exists(root + "/run/udev/control"))
            return null;
        var shown = $"the board's bootloader ({id})";
        var rules = Folders.Where(folder => Directory.Exists(root + folder))
            .SelectMany(folder => Directory.EnumerateFiles(root + folder, "*.rules")).Select(Lines).ToList();
        var naming = rules.Where(lines => lines.Exists(line => Names(line, id))).ToList();
        if (naming.Count == 0)
            return rules.Exists(lines => lines.Exists(MayBeFor)) ? null : ComputerFaults.NoUdevRule(shown, Access.RuleFor(id));
        var groups = naming.SelectMany(lines => lines).SelectMany(line => Group().Matches(line))
            .Select(match => match.Groups["value"].Value).Distinct(StringComparer.Ordinal).ToList();
        var isOpen = groups.Count == 0 || groups.Exists(group => IsMember(group))
            || naming.Exists(lines => lines.Exists(line => Open().IsMatch(line)));
        return isOpen ? null : ComputerFaults.NotInGroup(shown, groups[0], Accounts.UserName);
    }

    private static List<string> Lines(string file)
    {
        try
        {
            var text = File.ReadAllText(file).Replace("\\\n", "", StringComparison.Ordinal);
            return [.. text.Split('\n').Where(line => !line.StartsWith('#'))];
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static bool Names(string line, UsbId id) =>
        Matches(Vendor().Match(line), id.Vendor) == true && Matches(Product().Match(line), id.Product) != false;

    /// <summary>Null where the line has no such key.</summary>
    private static bool? Matches(Match key, ushort id)
    {
        var text = id.ToString("x4", CultureInfo.InvariantCulture);
        return key.Success ? key.Groups["value"].Value.Split('|').Any(one => FileSystemName.MatchesSimpleExpression(one, text)) : null;
    }

    /// <summary>It names no ids: it is for every device, or for some by texts of theirs, which are not known yet.</summary>
    private bool MayBeFor(string line) => !Vendor().IsMatch(line)
        && (ByText().IsMatch(line) || (EveryDevice().IsMatch(line) && !line.Contains("ID_", StringComparison.Ordinal)))
        && (Open().IsMatch(line) || Group().Matches(line).Any(match => IsMember(match.Groups["value"].Value)));

    [GeneratedRegex("""idVendor\}=="(?<value>[^"]*)""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Vendor();

    [GeneratedRegex("""idProduct\}=="(?<value>[^"]*)""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Product();

    [GeneratedRegex("""GROUP:?="(?<value>[^"]*)""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Group();

    [GeneratedRegex("""MODE:?="0?66[67]"|uaccess""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex Open();

    [GeneratedRegex("""\{(product|manufacturer|ID_MODEL|ID_VENDOR)\}=""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex ByText();

    [GeneratedRegex(
        """^SUBSYSTEM=="usb(_device)?", *(ENV\{DEVTYPE\}=="usb_device", *)?(MODE|GROUP)""", RegexOptions.ExplicitCapture, MatchLimit)]
    private static partial Regex EveryDevice();
}

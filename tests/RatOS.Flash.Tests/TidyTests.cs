using RatOS.Flash.Flashing;
using RatOS.Flash.Hardware;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests;

/// <summary>The house keeps its shape: arrows point one way, interfaces are few, files can be read in one sitting.</summary>
public sealed class TidyTests
{
    internal static readonly string Root = FindRoot();

    [Fact]
    public void The_engine_knows_nobody_but_the_base_library()
    {
        var references = typeof(Flasher).Assembly.GetReferencedAssemblies().Select(name => name.Name!);
        // Where the base library keeps the error codes of processes.
        Assert.All(references.Except(["Microsoft.Win32.Primitives"]), name => Assert.StartsWith("System.", name, StringComparison.Ordinal));
    }

    [Fact]
    public void The_virtual_printer_knows_the_engine_alone() =>
        Assert.All(
            typeof(VirtualPrinter).Assembly.GetReferencedAssemblies().Select(name => name.Name!),
            name => Assert.True(name is "RatOS.Flash" or "RatOS.Flash.Recording" || name.StartsWith("System.", StringComparison.Ordinal), name));

    [Fact]
    public void There_are_just_the_interfaces_with_two_real_implementations() =>
        Assert.Equal(
            ["IHardware", "IKlippy", "IUsbDevice"],
            typeof(IHardware).Assembly.GetTypes().Concat(typeof(VirtualPrinter).Assembly.GetTypes())
                .Where(type => type.IsInterface && type.Namespace?.StartsWith("RatOS", StringComparison.Ordinal) == true).Select(type => type.Name).Order());

    [Fact]
    public void Every_fault_has_a_stable_code_a_cause_and_a_remedy()
    {
        var faults = FaultList.All;
        Assert.True(faults.Count > 40, $"only {faults.Count} faults were found");
        Assert.All(faults, fault => Assert.Matches("^[a-z0-9]+(-[a-z0-9]+)*$", fault.Code));
        // A remedy that is a guide of the board's is [guide] here.
        Assert.All(faults, fault => Assert.True(fault.Cause.Length > 10 && (fault.Remedy.Length > 10 || fault.Remedy is ['[', .., ']']) && fault.Remedy.TrimEnd()[^1] is not ',', fault.Code));
    }

    [Fact]
    public void One_file_alone_knows_libusb() =>
        Assert.Equal(["LibUsb.cs"], Sources().Where(file => File.ReadAllText(file).Contains("libusb_", StringComparison.Ordinal)).Select(Path.GetFileName));

    [Fact]
    public void No_source_file_is_longer_than_400_lines()
    {
        Assert.NotEmpty(Sources());
        Assert.All(Sources(), file => Assert.True(File.ReadLines(file).Count() <= 400, file));
    }

    internal static List<string> Sources() => [.. Directory.EnumerateFiles(Path.Combine(Root, "src"), "*.cs", SearchOption.AllDirectories)
        .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))];

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "RatOS.Flash.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("no RatOS.Flash.sln above the tests");
        return folder.FullName;
    }
}

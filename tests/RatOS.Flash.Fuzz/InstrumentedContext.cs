using System.Reflection;
using System.Runtime.Loader;
using SharpFuzz;

namespace RatOS.Flash.Fuzz;

/// <summary>
/// Loads this program a second time, beside copies of the product's assemblies that count their branches in SharpFuzz's trace memory
/// (SharpFuzz README.md, "Fuzzer.Instrument"). The copies are made at each start, so no build step can be forgotten.
/// </summary>
internal sealed class InstrumentedContext : AssemblyLoadContext, IDisposable
{
    /// <summary>The virtual printer makes seeds and is not under test here.</summary>
    private static readonly string[] Instrumented = ["RatOS.Flash", "RatOS.Flash.Recording", "ratos-flash"];

    private static readonly string[] Reloaded = ["RatOS.Flash.Virtual", "RatOS.Flash.Fuzz"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ratos-flash-fuzz");

    private InstrumentedContext()
        : base("instrumented")
    {
        foreach (var name in Instrumented)
        {
            var copy = PathOf(name);
            File.Copy(Path.Combine(AppContext.BaseDirectory, name + ".dll"), copy);
            // The types are instrumented while they are listed.
            _ = SharpFuzz.Fuzzer.Instrument(copy, static _ => true, Options.Value).Count();
        }
    }

    public static InstrumentedContext Create() => new();

    /// <summary>Runs a static method of the second copy of this program.</summary>
    /// <param name="type">Its type, of the first copy.</param>
    /// <param name="method">It takes texts and returns an exit code.</param>
    /// <param name="arguments">The texts.</param>
    public int Run(Type type, string method, string[] arguments) =>
        (int)LoadFromAssemblyName(type.Assembly.GetName()).GetType(type.FullName!)!
            .GetMethod(method, BindingFlags.Public | BindingFlags.Static)!.Invoke(null, [arguments])!;

    protected override Assembly? Load(AssemblyName assemblyName) => assemblyName.Name switch
    {
        { } name when Instrumented.Contains(name) => LoadFromAssemblyPath(PathOf(name)),
        { } name when Reloaded.Contains(name) => LoadFromAssemblyPath(Path.Combine(AppContext.BaseDirectory, name + ".dll")),
        _ => null,
    };

    public void Dispose() => _folder.Delete(recursive: true);

    private string PathOf(string name) => Path.Combine(_folder.FullName, name + ".dll");
}

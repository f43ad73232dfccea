using RatOS.Flash.Fuzz;

if (FuzzOptions.Parse(args) is not { } options)
{
    Console.Error.WriteLine(FuzzOptions.Usage);
    return 2;
}
using var instrumented = InstrumentedContext.Create();
return instrumented.Run(typeof(Session), nameof(Session.Run), options.ToArguments());

using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Agent.Contract;

// `--version` is asked by installers and by Moonraker at every start: it answers before anything is built up.
if (args is ["--version"])
{
    Console.WriteLine(Product.Version);
    return 0;
}
return CommandLine.Run(args);

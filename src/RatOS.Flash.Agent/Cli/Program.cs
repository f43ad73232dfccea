using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Agent.Contract;

// Installers and Moonraker ask for `--version` at every start: it answers before the verbs are built.
if (args is ["--version"])
{
    Terminal.Out.WriteLine(Product.Version);
    return 0;
}
return CommandLine.Run(args);

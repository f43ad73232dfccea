using RatOS.Flash.Agent.Cli;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Hardware.Linux;

// Installers and Moonraker ask for `--version` at every start: it answers before the verbs are built.
if (args is ["--version"])
{
    Terminal.Out.WriteLine(Product.Version);
    return 0;
}
Accounts.UseFilesAndDns();
return CommandLine.Run(args);

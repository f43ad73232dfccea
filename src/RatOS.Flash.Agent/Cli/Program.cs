using System.Runtime.InteropServices;
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
// A limit of the size of files is met like a full disk.
const PosixSignal fileTooLarge = (PosixSignal)25;   // SIGXFSZ
using var limit = PosixSignalRegistration.Create(fileTooLarge, static context => context.Cancel = true);
var code = CommandLine.Run(args);
if (Terminal.OutputFault is not { } fault)
    return code;
Terminal.Error.WriteLine($"ratos-flash: standard output cannot be written: {fault}");
// The board counts, not the report of it.
return args is ["flash" or "recover" or "rollback", ..] || code != ExitCode.Done ? code : ExitCode.Failed;

using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Virtual.Moonraker;

/// <content>The services of the process that is an MCU: its own, and the unit of root's that replaces its program.</content>
public sealed partial class VirtualMoonraker
{
    private const string ProcessService = "klipper-mcu";
    private const string UnitService = "ratos-flash-host-mcu";
    private static readonly TimeSpan UnitTime = TimeSpan.FromSeconds(0.3);

    private string[] Services() =>
    [
        "klipper", "moonraker", .. _printer.Process is null ? [] : (string[])[ProcessService], .. _printer.Process is null || _setup.HostMcuFolder is null ? [] : (string[])[UnitService],
    ];

    private async Task ActAsync(Task before, VirtualHostProcess process, string service, string action)
    {
        await before;
        await Task.Yield();
        if (service == ProcessService)
        {
            if (action == "restart")
                process.Restart();
            return;
        }
        await Task.Delay(UnitTime, Time);
        // What config/ratos-flash-host-mcu does: a request, a program, an answer.
        try
        {
            var words = (await File.ReadAllTextAsync(Path.Combine(_setup.HostMcuFolder!, "request"))).Trim().Split(' ');
            if (words[0] == "install" && process.IgnoresInstall)
                return;
            var refusal = words[0] switch
            {
                "install" => process.Install(await File.ReadAllBytesAsync(Path.Combine(_setup.HostMcuFolder!, "klipper_mcu.new"))),
                "restore" => process.Restore(),
                _ => "the request makes no sense",
            };
            await File.WriteAllTextAsync(Path.Combine(_setup.HostMcuFolder!, "result"), $"{words[^1]} {(refusal is null ? "done" : $"refused: {refusal}")}\n");
        }
        catch (IOException)
        {
            // There is no request: it ends without an answer.
        }
    }
}

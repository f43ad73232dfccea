using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A virtual printer and its USB/IP server, on live time.</summary>
internal sealed record UsbIpStage(VirtualPrinter Printer, UsbIpServer Server, List<UsbIpEvent> Events)
{
    public VirtualBoard Board => Printer.Boards[0];

    public VirtualTime Time => Printer.Time;

    /// <param name="scenario">Its name.</param>
    /// <param name="story">The test.</param>
    /// <param name="faults">Null for the scenario's own.</param>
    /// <param name="pace">Virtual seconds for each real one.</param>
    public static void With(string scenario, Func<UsbIpStage, Task> story, InjectedFaults? faults = null, double pace = 50)
    {
        var time = new VirtualTime { IsLive = true, Pace = pace, YieldsToLoad = true };
        time.Run(async () =>
        {
            var printer = VirtualPrinter.Create(scenario, time, faults);
            var events = new List<UsbIpEvent>();
            await using var server = UsbIpServer.Start(printer, 0, events.Add);
            await story(new UsbIpStage(printer, server, events));
            Assert.DoesNotContain(events, one => one.Text.Contains("internal error", StringComparison.Ordinal));
            return true;
        });
    }

    public Task<UsbIpClient> ImportAsync() => UsbIpClient.ImportAsync(Server.Port, Board.Port!);

    public async Task WaitAsync(Func<bool> until)
    {
        for (var tries = 0; !until(); tries++)
        {
            Assert.True(tries < 2000, "the awaited event did not happen");
            await Task.Delay(TimeSpan.FromSeconds(0.25), Time);
        }
    }
}

using System.Text;
using CsCheck;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;
using RatOS.Flash.Virtual.UsbIp;

namespace RatOS.Flash.Tests.Pure;

/// <summary>A USB/IP server with virtual boards, and what a kernel asks them.</summary>
internal sealed record UsbIpStage(VirtualPrinter Printer, UsbIpServer Server, List<UsbIpEvent> Told)
{
    public const string GetDevice = "8006000100001200", GetConfiguration = "800600020000FF00", GetStatus = "A103000000000600",
        GetState = "A105000000000100";
    public const byte BulkOut = 0x02, BulkIn = 0x81, Notify = 0x83;

    // Klipper's identify 0/40.
    public static readonly byte[] Identify = Convert.FromHexString("08100100285e9f7e");

    public VirtualBoard Board => Printer.Boards[0];

    public VirtualTime Time => Printer.Time;

    public Task<UsbIpClient> ImportAsync() => UsbIpClient.ImportAsync(Server.Port, Board.Port!);

    public async Task WaitAsync(Func<bool> until)
    {
        for (var tries = 0; !until(); tries++)
        {
            Assert.True(tries < 2000, "the awaited event did not happen");
            await Task.Delay(TimeSpan.FromSeconds(0.25), Time);
        }
    }

    public static void With(string scenario, Func<UsbIpStage, Task> story, InjectedFaults? faults = null, double pace = 50)
    {
        var time = new VirtualTime { IsLive = true, Pace = pace };
        time.Run(async () =>
        {
            var printer = VirtualPrinter.Create(scenario, time, faults);
            var told = new List<UsbIpEvent>();
            await using var server = UsbIpServer.Start(printer, 0, told.Add);
            await story(new UsbIpStage(printer, server, told));
            Assert.DoesNotContain(told, happened => happened.Text.Contains("internal error", StringComparison.Ordinal));
            return true;
        });
    }

    public static InjectedFaults At(int index, TransferFaultKind kind, double seconds = 1) =>
        new() { Transfers = [new TransferFault(index, kind, TimeSpan.FromSeconds(seconds))] };

    public static async Task<(int Status, int Length)> WriteAsync(UsbIpClient client)
    {
        var (status, length, _) = await client.AnswerAsync(await client.SubmitAsync(BulkOut, Identify.Length, Identify));
        return (status, length);
    }
}

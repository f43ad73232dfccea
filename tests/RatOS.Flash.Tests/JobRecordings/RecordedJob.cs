using RatOS.Flash.Bootloaders;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Tests.JobRecordings;

/// <summary>Flashes of the virtual printer, recorded.</summary>
internal static class RecordedJob
{
    /// <summary>Records a flash of all boards of a scenario.</summary>
    public static (byte[] Bytes, FlashReport Report, List<string> Trouble) Record(
        string scenario, InjectedFaults? faults = null, Func<MemoryStream, Stream>? disk = null, Action<CallRecorder,
        FlashEvent>? onEvent = null) =>
        Record(Scenario.Find(scenario), faults, disk, onEvent);

    /// <inheritdoc cref="Record(string, InjectedFaults?, Func{MemoryStream, Stream}?, Action{CallRecorder, FlashEvent}?)"/>
    public static (byte[] Bytes, FlashReport Report, List<string> Trouble) Record(
        Scenario scenario, InjectedFaults? faults = null, Func<MemoryStream, Stream>? disk = null, Action<CallRecorder,
        FlashEvent>? onEvent = null)
    {
        var (file, trouble) = (new MemoryStream(), new List<string>());
        FlashReport? report = null;
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create(scenario, time, faults ?? InjectedFaults.None);
            var recorder = new CallRecorder(time, trouble.Add);
            var hardware = recorder.Record(printer);
            // The process is older than its first job.
            await Task.Delay(TimeSpan.FromSeconds(7), time);
            FlashRequest[] requests = [.. printer.PrinterBoards.Select(board => new FlashRequest(board with
            {
                Bootloader = printer.Boards.Single(one => one.Name == board.Name).Setup is { IsUart: true, State: BoardState.Rom }
                    ? Drivers.Find("stm32-uart")
                    : null,
            }, FirmwareImage.Parse(printer.Boards.Single(one => one.Name == board.Name).BuildFirmware(),
            "klipper.bin")) { Job = scenario.HasCard ? FlashJob.SdCard : FlashJob.Write })];
            // Only a card needs an operator.
            recorder.Begin(disk?.Invoke(file) ?? file, "0.1.0", requests, hasOperator: scenario.HasCard, readOut: []);
            using var cancel = new CancellationTokenSource();
            cancel.Token.Register(recorder.Cancel);
            report = await new Flasher(hardware, recorder.Record(printer.Klippy), time,
                new FlashServices { HasOperator = scenario.HasCard }, step =>
            {
                recorder.Event(step);
                onEvent?.Invoke(recorder, step);
                if (step.Message == "Cancel now")
                    cancel.Cancel();
                return ValueTask.CompletedTask;
            }).FlashAsync(requests, cancel.Token);
            recorder.End();
        });
        return (file.ToArray(), report!, trouble);
    }

    public static JobRecording Read(byte[] bytes) => JobRecording.Read(new MemoryStream(bytes), "recording");

    /// <summary>Replays a recording against the engine that made it, and checks that nothing differs.</summary>
    public static Replay PlayedAlike(byte[] bytes, FlashReport report)
    {
        var recording = Read(bytes);
        Assert.True(recording.IsWhole, recording.Damage);
        var replay = Replay.Run(recording);
        Assert.True(
            replay.Divergence is null,
            $"{replay.Divergence}\n{string.Join('\n', replay.Events.TakeLast(5))}\n"
            + string.Join('\n', RecordingTimeline.Of(recording).TakeLast(40)));
        Assert.Equal(
            report.Boards.Select(board => (board.Board, board.Condition, board.Fault)),
            replay.Report!.Boards.Select(board => (board.Board, board.Condition, board.Fault)));
        return replay;
    }
}

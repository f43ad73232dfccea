using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;
using RatOS.Flash.Recording;
using RatOS.Flash.Virtual.Devices;

namespace RatOS.Flash.Fuzz.Targets;

/// <summary>The journal of a job after power cuts, full disks and hands: read at each start of the agent.</summary>
internal sealed class JournalTarget : FuzzTarget
{
    private const int LongestLine = 1024 * 1024;

    public override string Name => "journal";

    public override string Oracle =>
        "A damaged line is skipped, every view of the job can be made, and steps and results are written and read back equal.";

    public override IEnumerable<string> Tokens =>
    [
        "\n", "{\"event\":\"job\",", "{\"event\":\"step\",", "{\"event\":\"verdict\",", "{\"event\":\"result\",", "{\"event\":\"klipper\",",
        "\"boards\":[", "\"images\":{", "\"sd_card\":[", "\"phase\":\"erase\"", "\"phase\":\"write\"", "\"phase\":\"verify\"",
        "\"phase\":\"person\"", "\"kind\":\"begin\"", "\"kind\":\"end\"", "\"kind\":\"progress\"", "\"kind\":\"point-of-no-return\"",
        "\"place\":{\"port\":", "\"report\":{", "\"fault\":{", "\"back\":{", "\"condition\":\"flashed\"", "\"state\":\"started\"",
        "\"klippy\":{", "null", "\\ud800", "1e300", "[]", "{}", "\"at\":", "\"elapsed\":", "\"notes\":[",
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        foreach (var scenario in (string[])["octopus", "voron"])
        {
            var text = string.Concat(LinesOf(scenario).Select(line => line + "\n"));
            yield return Bytes(text);
            yield return Bytes(text[..(text.Length / 2)]);
        }
    }

    public override void Run(byte[] input)
    {
        if (JournalRecord.Read(ScratchFile.Write(Journal.FileName, input), LongestLine) is not { } record)
            return;
        var interrupted = record.Interrupted();
        Hold(interrupted.Boards.Length == record.Header.Boards.Length, "each board has an end");
        foreach (var board in record.Header.Boards)
            record.EndOf(board);
        foreach (var view in (JsonJob[])[record.View(), record.RunningView()])
        {
            foreach (var frontEnd in (FrontEnd[])[FrontEnd.Browser, FrontEnd.CommandLine])
            {
                foreach (var row in JobText.Of(view.In(frontEnd)).SelectMany(line => line.Wrap(80)))
                    Hold(!row.Any(char.IsControl), "rows of a terminal");
            }
            Same(view, JsonContract.Shapes.JsonJob);
        }
        foreach (var step in record.Steps)
        {
            var known = JsonStep.Of(step.ToEvent());
            Hold(Text(JsonStep.Of(Same(known, JsonContract.Shapes.JsonStep).ToEvent()), JsonContract.Shapes.JsonStep)
                == Text(known, JsonContract.Shapes.JsonStep), "a step is read as it was written");
        }
        if (record.Result is { } result)
        {
            var known = JsonResult.Of(result.ToReport());
            Hold(Text(JsonResult.Of(Same(known, JsonContract.Shapes.JsonResult).ToReport()), JsonContract.Shapes.JsonResult)
                == Text(known, JsonContract.Shapes.JsonResult), "a result is read as it was written");
        }
    }

    private static string Text<T>(T value, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Serialize(value, type);

    private static T Same<T>(T value, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(Text(value, type), type)!;

    private static List<string> LinesOf(string scenario)
    {
        var lines = new List<string>();
        VirtualTime.Run(async time =>
        {
            var printer = VirtualPrinter.Create(scenario, time, InjectedFaults.FromSeed(7));
            FlashRequest[] requests = [.. printer.Boards.Zip(printer.PrinterBoards, (board, known) =>
                new FlashRequest(known, FirmwareImage.Parse(board.BuildFirmware(), "klipper.bin")))];
            lines.Add(Text(
                new JsonHeader("job", "20260101-000000-0000", JobOrigin.Macro, "2026-01-01T00:00:00Z",
                    [.. requests.Select(request => request.Board.Name)],
                    requests.ToDictionary(request => request.Board.Name, request => request.Image!.Sha256), "0.1.0"),
                JsonContract.Shapes.JsonHeader));
            lines.Add(Text(new JsonService("klipper", "klipper", "stopping"), JsonContract.Shapes.JsonService));
            var report = await new Flasher(printer, printer.Klippy, time, new FlashServices(), step =>
            {
                if (step.Kind != FlashEventKind.Progress)
                    lines.Add(Text(JsonStep.Of(step), JsonContract.Shapes.JsonStep));
                return ValueTask.CompletedTask;
            }).FlashAsync(requests, CancellationToken.None);
            lines.Add(Text(new JsonService("klipper", "klipper", "started"), JsonContract.Shapes.JsonService));
            lines.Add(Text(JsonResult.Of(report), JsonContract.Shapes.JsonResult));
        });
        return lines;
    }
}

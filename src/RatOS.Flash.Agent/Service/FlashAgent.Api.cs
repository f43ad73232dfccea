using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Service;

/// <content>What is asked from outside, by macros, screens and programs.</content>
internal sealed partial class FlashAgent
{
    public Task MacroFlashAsync(JsonElement arguments)
    {
        Acknowledge();
        return TellAsync(() => EnqueueAsync(arguments, JobOrigin.Macro));
    }

    public async Task MacroStatusAsync(JsonElement arguments)
    {
        Acknowledge();
        foreach (var line in _queue.Open.Select(job => job.View()).DefaultIfEmpty(Last()).OfType<JsonJob>().SelectMany(JobText.Of))
            _notifier.Console($"// RatOS.Flash: {line.Text.Trim()}");
        foreach (var row in await _boards.ListAsync())
            _notifier.Console($"// RatOS.Flash: {row.Board ?? "-"} {row.Description} {row.State}");
    }

    public Task MacroCancelAsync(JsonElement arguments)
    {
        Acknowledge();
        _notifier.Console($"// RatOS.Flash: {(Cancelled(null) is { Count: > 0 } ids ? $"cancelling {string.Join(", ", ids)}; a write that has begun is finished first" : "nothing to cancel")}");
        return Task.CompletedTask;
    }

    public Task<JsonElement> FlashAsync(JsonElement arguments) => Wired(() => EnqueueAsync(arguments, JobOrigin.Request));

    public Task<JsonElement> RecoverAsync(JsonElement arguments) => Wired(() => EnqueueAsync(arguments, JobOrigin.Request, isRecovery: true));

    public Task<JsonElement> PlanAsync(JsonElement arguments) => Wired(async () =>
    {
        var plan = await _boards.PlanAsync(FlashArguments.Parse(arguments, _data.Firmware));
        return new JsonAnswer(true) { Plan = plan.Boards, Findings = plan.Findings };
    });

    public Task<JsonElement> BoardsAsync(JsonElement arguments) => Wired(async () => new JsonAnswer(true) { Boards = [.. await _boards.ListAsync()] });

    public Task<JsonElement> StatusAsync(JsonElement arguments) => Wired(async () =>
    {
        var klippy = await Klippy().LookAsync(CancellationToken.None);
        return new JsonAnswer(true)
        {
            Version = Product.Version,
            Klippy = JsonContract.Name(klippy.Activity),
            Message = klippy.Blocker?.Cause ?? klippy.Message,
            Jobs = [.. _queue.Open.Select(job => job.View())],
            Taken = _moonraker.Taken.Count == 0 ? null : [.. _moonraker.Taken],
        };
    });

    public Task<JsonElement> JobAsync(JsonElement arguments) => Wired(() =>
    {
        var id = arguments.Word("job") ?? throw AgentFaults.BadRequest("it names no job");
        var job = _queue.Find(id)?.View() ?? Journal.ReadAll(_data.Jobs).LastOrDefault(record => record.Header.Job == id)?.View() ?? throw AgentFaults.UnknownJob(Text.Clean(id));
        return Task.FromResult(new JsonAnswer(true) { Jobs = [job] });
    });

    public Task<JsonElement> CancelAsync(JsonElement arguments) => Wired(() =>
    {
        var id = arguments.Word("job");
        var ids = Cancelled(id);
        return ids.Count == 0 && id is not null ? throw AgentFaults.UnknownJob(Text.Clean(id)) : Task.FromResult(new JsonAnswer(true) { Jobs = [.. _queue.Open.Where(job => ids.Contains(job.Id)).Select(job => job.View())] });
    });

    public Task<JsonElement> HistoryAsync(JsonElement arguments) => Wired(() => Task.FromResult(new JsonAnswer(true)
    {
        Jobs = History((int)Math.Clamp(arguments.Number("limit") ?? HistoryShown, 1, 100)),
    }));

    public Task<JsonElement> DoctorAsync(JsonElement arguments) => Wired(async () =>
    {
        var (probe, troubles, _) = SystemProbe.Of(_printer, _data, Product.Version, _log);
        var findings = DoctorChecks.Judge(await probe.LookAsync(await SystemProbe.AskAsync(_moonraker), [.. troubles]));
        return new JsonAnswer(true) { Checks = [.. findings.Select(finding => finding.ToJson())] };
    });
}

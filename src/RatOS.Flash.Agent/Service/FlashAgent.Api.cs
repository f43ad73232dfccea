using System.Text.Json;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Doctor;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Service;

/// <content>What is asked from outside, by macros, screens and programs.</content>
internal sealed partial class FlashAgent
{
    /// <summary>The agent's methods at one door, which answers in the words of its front end.</summary>
    private sealed class Door(FlashAgent agent, FrontEnd frontEnd) : IAgentApi
    {
        public Task MacroFlashAsync(JsonElement arguments)
        {
            agent.Acknowledge();
            return agent.TellAsync(() => agent.EnqueueAsync(arguments, JobOrigin.Macro));
        }

        public async Task MacroStatusAsync(JsonElement arguments)
        {
            agent.Acknowledge();
            foreach (var line in agent._queue.Open.Select(job => job.View()).DefaultIfEmpty(agent.Last()).OfType<JsonJob>().SelectMany(job => JobText.Of(job.In(FrontEnd.Browser))))
                agent._notifier.Console($"// RatOS.Flash: {line.Text.Trim()}");
            foreach (var row in await agent._boards.ListAsync())
                agent._notifier.Console($"// RatOS.Flash: {row.Board ?? "-"} {row.Description} {row.State}");
        }

        public Task MacroCancelAsync(JsonElement arguments)
        {
            agent.Acknowledge();
            agent._notifier.Console($"// RatOS.Flash: {(agent.Cancelled(null) is { Count: > 0 } ids ? $"cancelling {string.Join(", ", ids)}; a write that has begun is finished first" : "nothing to cancel")}");
            return Task.CompletedTask;
        }

        public Task<JsonElement> FlashAsync(JsonElement arguments) => AnswerAsync(() => agent.EnqueueAsync(arguments, JobOrigin.Request));

        public Task<JsonElement> RecoverAsync(JsonElement arguments) => AnswerAsync(() => agent.EnqueueAsync(arguments, JobOrigin.Request, isRecovery: true));

        public Task<JsonElement> PlanAsync(JsonElement arguments) => AnswerAsync(async () =>
        {
            var plan = await agent._boards.PlanAsync(FlashArguments.Parse(arguments, agent._data.Firmware));
            return new JsonAnswer(true) { Plan = plan.Boards, Findings = plan.Findings };
        });

        public Task<JsonElement> BoardsAsync(JsonElement arguments) => AnswerAsync(async () => new JsonAnswer(true) { Boards = [.. await agent._boards.ListAsync()] });

        public Task<JsonElement> StatusAsync(JsonElement arguments) => AnswerAsync(async () =>
        {
            var klippy = await agent.Klippy().LookAsync(CancellationToken.None);
            return new JsonAnswer(true)
            {
                Version = Product.Version,
                Klippy = JsonContract.Name(klippy.Activity),
                Message = klippy.Blocker?.Cause ?? klippy.Message,
                Jobs = [.. agent._queue.Open.Select(job => job.View())],
                Taken = agent._moonraker.Taken.Count == 0 ? null : [.. agent._moonraker.Taken],
            };
        });

        public Task<JsonElement> JobAsync(JsonElement arguments) => AnswerAsync(() =>
        {
            var id = arguments.Word("job") ?? throw AgentFaults.BadRequest("it names no job");
            var job = agent._queue.Find(id)?.View() ?? Journal.ReadAll(agent._data.Jobs).LastOrDefault(record => record.Header.Job == id)?.View() ?? throw AgentFaults.UnknownJob(Text.Clean(id));
            return Task.FromResult(new JsonAnswer(true) { Jobs = [job] });
        });

        public Task<JsonElement> CancelAsync(JsonElement arguments) => AnswerAsync(() =>
        {
            var id = arguments.Word("job");
            var ids = agent.Cancelled(id);
            return ids.Count == 0 && id is not null ? throw AgentFaults.UnknownJob(Text.Clean(id)) : Task.FromResult(new JsonAnswer(true) { Jobs = [.. agent._queue.Open.Where(job => ids.Contains(job.Id)).Select(job => job.View())] });
        });

        public Task<JsonElement> HistoryAsync(JsonElement arguments) => AnswerAsync(() => Task.FromResult(new JsonAnswer(true)
        {
            Jobs = agent.History((int)Math.Clamp(arguments.Number("limit") ?? HistoryShown, 1, 100)),
        }));

        public Task<JsonElement> DoctorAsync(JsonElement arguments) => AnswerAsync(async () =>
        {
            var (probe, troubles, _) = SystemProbe.Of(agent._printer, agent._data, Product.Version, agent._log);
            var findings = DoctorChecks.Judge(await probe.LookAsync(await SystemProbe.AskAsync(agent._moonraker), [.. troubles]));
            return new JsonAnswer(true) { Checks = [.. findings.Select(finding => finding.ToJson())] };
        });

        public Task<JsonElement> BundleAsync(JsonElement arguments) =>
            AnswerAsync(async () => new JsonAnswer(true) { File = await agent.BundleAsync(arguments.Word("job")) });

        private async Task<JsonElement> AnswerAsync(Func<Task<JsonAnswer>> work) =>
            JsonSerializer.SerializeToElement((await agent.AnswerAsync(work)).In(frontEnd), JsonContract.Shapes.JsonAnswer);
    }
}

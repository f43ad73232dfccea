using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Jobs;
using RatOS.Flash.Core;

namespace RatOS.Flash.Agent.Service;

/// <content>How a door answers, whatever happens behind it.</content>
internal sealed partial class FlashAgent
{
    private JsonJob[] History(int limit) => [.. Journal.ReadAll(_data.Jobs).Where(record => record.Result is not null).TakeLast(limit).Select(record => record.View())];

    private JsonJob? Last() => History(1).LastOrDefault();

    /// <summary>Does what nobody hears the answer of; that it failed is said on the console.</summary>
    private async Task TellAsync(Func<Task<JsonAnswer>> door)
    {
        if ((await AnswerAsync(door)).In(FrontEnd.Browser).Error is { } fault)
            _notifier.Console($"!! RatOS.Flash: {fault.Cause} {fault.Remedy} [{fault.Code}]");
    }

    private async Task<JsonAnswer> AnswerAsync(Func<Task<JsonAnswer>> door)
    {
        try
        {
            return await door();
        }
        catch (FlashException fault)
        {
            _log.Fault(fault);
            return JsonAnswer.Of(fault);
        }
        catch (Exception bug)
        {
            _log.Bug(bug);
            return JsonAnswer.Of(FlashFaults.Internal(bug));
        }
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Core;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Service;

/// <summary>Questions before a flash: a prompt on the printer's screens, whose button makes the request once more.</summary>
/// <param name="notifier">The printer's screens.</param>
internal sealed class FlashQuestions(Notifier notifier)
{
    /// <summary>FLASH_MCU without a board: one press must not flash a whole printer.</summary>
    public void AskWhether(JsonElement arguments, IReadOnlyList<FlashRequest> requests) => AskAgain(
        "Flash boards?", ConsoleText.Due(requests), "Flash", arguments, isRecovery: false, "board", FlashOptions.All);

    /// <summary>Firmware from elsewhere needs the user's word, and no flag of a request is that: a prompt shows what it is.</summary>
    /// <exception cref="FlashException"><c>firmware-unconfirmed</c>.</exception>
    public void AskToConfirm(JsonElement arguments, bool isRecovery, IReadOnlyList<FlashRequest> requests, string origin)
    {
        var unconfirmed = requests.Where(request => request.SkipReason is null).SelectMany(request => request.Findings
            .Where(finding => finding.Kind == FaultKind.FirmwareUnconfirmed).Select(finding => (Finding: finding, Image: request.Image!)))
            .ToList();
        if (unconfirmed.Count == 0)
            return;
        if (origin != JobOrigin.Page)   // which asks itself
        {
            AskAgain(
                "Firmware from elsewhere", string.Join(" ", unconfirmed.Select(firmware => firmware.Finding.Text)) + " Flash it?", "Flash",
                arguments, isRecovery, "confirm", string.Join(',', unconfirmed.Select(firmware => firmware.Image.Sha256).Distinct()));
        }
        throw unconfirmed[0].Finding.ToFault();
    }

    /// <summary>A macro and a screen show no answer: a prompt has the warnings, and a button that accepts them.</summary>
    public void AskForConsent(JsonElement arguments, bool isRecovery, IEnumerable<JsonPlan> warned)
    {
        var warnings = warned.SelectMany(board => board.Findings).Where(finding => finding.NeedsConsent).Select(finding => finding.Text);
        AskAgain(
            "Flash despite warnings?", string.Join(" ", warnings.Distinct()), "Flash anyway", arguments, isRecovery,
            FlashFlag.Consent.Json, true);
    }

    /// <summary>A prompt whose button makes the request once more, with one argument that accepts what the prompt shows.</summary>
    private void AskAgain(
        string title, string text, string label, JsonElement arguments, bool isRecovery, string accepts, JsonNode value)
    {
        var again = arguments.ValueKind == JsonValueKind.Object ? JsonNode.Parse(arguments.GetRawText())!.AsObject() : [];
        again[accepts] = value;
        notifier.Prompt(title, text, [new(label, "warning", isRecovery ? "recover" : "flash", again), PromptButton.Later]);
    }
}

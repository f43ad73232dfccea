using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware.Linux;

namespace RatOS.Flash.Agent.Service;

/// <summary>A button of a prompt, and the request that its press is.</summary>
/// <param name="Label">On it.</param>
/// <param name="Style">One of Mainsail's: <c>primary</c>, <c>info</c>, <c>warning</c>.</param>
/// <param name="Verb"><c>flash</c>, <c>recover</c>, <c>cancel</c> or <c>later</c>.</param>
/// <param name="Arguments">Of the verb; null for none.</param>
internal sealed record PromptButton(string Label, string Style, string Verb, JsonObject? Arguments = null)
{
    public static PromptButton Later => new("Not now", "info", "later");
}

/// <summary>
/// The buttons of the prompt that is shown. A press arrives as a line of Klipper's console, which any G-code file can print as well. So
/// the line only names a button, by a token that cannot be guessed, and a prompt is answered once. Browsers show a prompt longer than an
/// agent runs, so the tokens are kept in a file.
/// </summary>
/// <param name="file">The file.</param>
/// <param name="log">The log.</param>
internal sealed class PromptButtons(string file, LogFile log)
{
    private const int TokenDigits = 32;
    private const int Longest = 1024 * 1024;

    private Dictionary<string, (string Verb, string Arguments)>? _shown;

    private Dictionary<string, (string Verb, string Arguments)> Shown => _shown ??= Read();

    /// <summary>A prompt is shown.</summary>
    public bool IsOpen => Shown.Count > 0;

    /// <summary>Takes over the buttons of a new prompt; those of the one before no longer work.</summary>
    /// <returns>What each button prints behind <see cref="Notifier.Action"/>.</returns>
    public List<string> Show(IEnumerable<PromptButton> buttons)
    {
        Shown.Clear();
        var presses = new List<string>();
        foreach (var button in buttons)
        {
            var token = Convert.ToHexStringLower(SecureRandom.Bytes(TokenDigits / 2));
            Shown[token] = (button.Verb, (button.Arguments ?? []).ToJsonString());
            presses.Add($"{button.Verb} {token}");
        }
        Write();
        return presses;
    }

    /// <summary>The request of the button that was pressed; null for a line that is no press of a shown button.</summary>
    /// <param name="press">The words behind <see cref="Notifier.Action"/>.</param>
    public (string Verb, JsonObject Arguments)? Press(string press)
    {
        if (press.Trim().Split(' ') is not [var verb, var token] || !Shown.TryGetValue(token, out var button) || button.Verb != verb)
            return null;
        Close();
        return (verb, JsonNode.Parse(button.Arguments)!.AsObject());
    }

    /// <summary>The prompt is gone: none of its buttons works any more.</summary>
    public void Close()
    {
        if (!IsOpen)
            return;
        Shown.Clear();
        Write();
    }

    private Dictionary<string, (string Verb, string Arguments)> Read()
    {
        var shown = new Dictionary<string, (string, string)>(StringComparer.Ordinal);
        try
        {
            foreach (var words in (Path.Exists(file) ? TextFile.Read(file, Longest).Split('\n') : []).Select(line => line.Split(' ', 3)))
            {
                if (words is [{ Length: TokenDigits } token, var verb, var arguments] && IsObject(arguments))
                    shown[token] = (verb, arguments);
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Cannot read the buttons of the last prompt: {fault.Message}");
        }
        return shown;
    }

    /// <summary>False for a line that was damaged.</summary>
    private static bool IsObject(string arguments)
    {
        try
        {
            using var document = ForeignJson.Parse(arguments);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private void Write()
    {
        try
        {
            var lines = Shown.Select(button => $"{button.Key} {button.Value.Verb} {button.Value.Arguments}\n");
            AtomicFile.Write(file, Encoding.UTF8.GetBytes(string.Concat(lines)));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            log.Say($"Cannot keep the buttons of the prompt: {fault.Message}");
        }
    }
}

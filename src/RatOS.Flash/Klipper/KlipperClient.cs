using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Hardware;

namespace RatOS.Flash.Klipper;

/// <summary>Klipper's state on a board. Configuration and its checksum outlive the host's connection.</summary>
/// <param name="IsConfigured">Klippy has configured it.</param>
/// <param name="Crc">Of that configuration.</param>
/// <param name="IsShutdown">It refuses every command except those that a flash needs.</param>
/// <param name="MoveCount">Size of its move queue.</param>
public sealed record KlipperConfig(bool IsConfigured, uint Crc, bool IsShutdown, int MoveCount);

/// <summary>
/// Talks to a running Klipper firmware as klippy does, and asks only what changes nothing: its identity, its state, its chip.
/// Never open it on a board that may be in Katapult: a Klipper frame wedges Katapult until its next reset.
/// </summary>
/// <remarks>
/// One question at a time. Every question ends with its answer, or 2.5 s after the last useful message.
/// A <see cref="DeviceGoneException"/> passes through.
/// </remarks>
public sealed class KlipperClient : IAsyncDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(2.5);

    /// <summary>Time for a firmware to refuse a command that has no answer; shorter than the link's first retransmission.</summary>
    private static readonly TimeSpan RefusalTime = TimeSpan.FromMilliseconds(40);

    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(1);

    private static readonly byte[] BootloaderRequest = "~ \x1c Request Serial Bootloader!! ~"u8.ToArray();

    private static readonly byte[] Flush = [KlipperBlock.Sync];

    private readonly ByteLine _line;
    private readonly string _board;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly KlipperLink _link = new();

    private KlipperClient(ByteLine line, string board, TimeProvider time) =>
        (_line, _board, _time, _started) = (line, board, time, time.GetTimestamp());

    /// <summary>The dictionary exactly as the board sent it; empty before <see cref="IdentifyAsync"/>.</summary>
    public ReadOnlyMemory<byte> CompressedDictionary { get; private set; }

    /// <summary>The same, read; null before <see cref="IdentifyAsync"/>.</summary>
    public DataDictionary? Dictionary { get; private set; }

    private TimeSpan Now => _time.GetElapsedTime(_started);

    /// <summary>Takes over the line, and ends a partial frame that its last owner may have left.</summary>
    /// <param name="boardName">For faults.</param>
    public static async Task<KlipperClient> ConnectAsync(ByteLine line, string boardName, TimeProvider time, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        await line.WriteAsync(Flush);
        return new KlipperClient(line, boardName, time);
    }

    /// <summary>Asks for the data dictionary. Works in every state of the firmware and changes nothing.</summary>
    /// <exception cref="FlashException">No answer, or no dictionary.</exception>
    public async Task<DataDictionary> IdentifyAsync(CancellationToken cancel)
    {
        var identification = new Identification();
        await RunAsync(identification, "it is being identified", cancel);
        var dictionary = DataDictionary.Parse(identification.Data);
        CompressedDictionary = identification.Data;
        return Dictionary = dictionary;
    }

    /// <exception cref="FlashException">No answer.</exception>
    public async Task<KlipperConfig> GetConfigAsync(CancellationToken cancel)
    {
        var dictionary = await DictionaryAsync(cancel);
        var values = new int[4];
        if (!await AskAsync(dictionary, "get_config", [], "config", values, "it is asked for its state", cancel))
            throw FlashFaults.KlipperDictionary("it has no get_config");
        return new KlipperConfig(values[0] != 0, (uint)values[1], values[2] != 0, values[3]);
    }

    /// <summary>How long ago the chip was reset, by its own clock; null when this build does not report it.</summary>
    /// <exception cref="FlashException">No answer.</exception>
    public async Task<TimeSpan?> GetUptimeAsync(CancellationToken cancel)
    {
        var dictionary = await DictionaryAsync(cancel);
        var values = new int[2];
        if (dictionary.ClockFreq is not { } frequency
            || !await AskAsync(dictionary, "get_uptime", [], "uptime", values, "it is asked for its uptime", cancel))
            return null;
        return TimeSpan.FromSeconds((((ulong)(uint)values[0] << 32) | (uint)values[1]) / (double)frequency);
    }

    /// <summary>
    /// Reads the chip's id registers and looks for Katapult below the application, all through the running firmware.
    /// <see cref="ChipEvidence.None"/> when the firmware cannot, or was built for another chip: then the addresses would mean nothing.
    /// </summary>
    /// <param name="mcu">Its chip.</param>
    /// <param name="applicationStart">Where the running firmware begins, by what is known without asking it; null for unknown.</param>
    /// <param name="cancel">Ends the questions.</param>
    /// <param name="asksAll">Also asks where it really begins, and how it was built.</param>
    /// <exception cref="FlashException">No answer.</exception>
    public async Task<ChipEvidence> AskChipAsync(Mcu mcu, uint? applicationStart, CancellationToken cancel, bool asksAll = false)
    {
        var dictionary = await DictionaryAsync(cancel);
        if (!dictionary.Commands.ContainsKey("debug_read") || !dictionary.Responses.ContainsKey("debug_result")
            || !string.Equals(dictionary.Mcu, mcu.Name, StringComparison.OrdinalIgnoreCase))
        {
            return ChipEvidence.None;
        }
        var inquiry = new ChipInquiry(mcu, dictionary, async (address, bytes) =>
        {
            var value = new int[1];
            await AskAsync(
                dictionary, "debug_read", [bytes == 4 ? 2 : 1, (int)address], "debug_result", value, "its chip is asked for", cancel);
            return (uint)value[0];
        });
        return asksAll ? await inquiry.AskAllAsync() : await inquiry.AskIdentityAsync(applicationStart);
    }

    /// <summary>
    /// Resets the chip; the board leaves the bus. False when the firmware has no such command. There is no answer: only the bus shows
    /// whether it left.
    /// </summary>
    /// <exception cref="FlashException">The dictionary, which holds the command's number, was asked for first and did not come.</exception>
    public Task<bool> ResetAsync() => OrderAsync("reset");

    /// <summary>Stops the firmware: all heaters and motors go off. It stays on the bus and answers this client.</summary>
    /// <exception cref="FlashException">The dictionary, which holds the command's number, was asked for first and did not come.</exception>
    public Task EmergencyStopAsync() => OrderAsync("emergency_stop");

    /// <summary>
    /// Asks firmware on a UART for its bootloader, in any state: one block that it must refuse, after a 7e that ends whatever came before.
    /// There is no answer (Klipper src/generic/serial_irq.c).
    /// </summary>
    /// <exception cref="DeviceGoneException"/>
    public static ValueTask RequestBootloaderAsync(ByteLine line) => line.WriteAsync(BootloaderRequest);

    public ValueTask DisposeAsync() => _line.DisposeAsync();

    private async ValueTask<DataDictionary> DictionaryAsync(CancellationToken cancel) => Dictionary ?? await IdentifyAsync(cancel);

    /// <summary>Sends a command that is not acknowledged, repeated only when the firmware refuses the number of the block.</summary>
    private async Task<bool> OrderAsync(string command)
    {
        var dictionary = await DictionaryAsync(CancellationToken.None);
        if (Encode(dictionary, command, []) is not { } order)
            return false;
        try
        {
            // Nothing else may be in flight: a late acknowledgement would look like a refusal.
            for (var end = Now + Silence; _link.InFlight > 0 && Now < end;)
                await StepAsync(null, end);
            var sent = new Order(order);
            for (var end = Now + RefusalTime; !sent.IsDone && Now < end;)
                await StepAsync(sent, end);
        }
        catch (DeviceGoneException)
        {
            // A reset does exactly that.
        }
        return true;
    }

    /// <summary>Asks one question; false when this build does not know it.</summary>
    private async Task<bool> AskAsync(
        DataDictionary dictionary, string command, int[] arguments, string response, int[] values, string doing, CancellationToken cancel)
    {
        if (Encode(dictionary, command, arguments) is not { } question || !dictionary.Responses.TryGetValue(response, out var answer))
            return false;
        await RunAsync(new Question(question, answer.Id, values), doing, cancel);
        return true;
    }

    /// <summary>Null when the command is not there or takes other parameters: a wrong one shuts the firmware down.</summary>
    private static byte[]? Encode(DataDictionary dictionary, string command, int[] arguments)
    {
        if (!dictionary.Commands.TryGetValue(command, out var message) || message.Format.AsSpan().Count('%') != arguments.Length)
            return null;
        Span<byte> bytes = stackalloc byte[KlipperBlock.MaxPayload];
        var length = KlipperBlock.WriteNumber(bytes, message.Id);
        foreach (var argument in arguments)
            length += KlipperBlock.WriteNumber(bytes[length..], argument);
        return bytes[..length].ToArray();
    }

    private async Task RunAsync(KlipperExchange exchange, string doing, CancellationToken cancel)
    {
        for (var end = Now + Silence; !exchange.IsDone;)
        {
            cancel.ThrowIfCancellationRequested();
            if (await StepAsync(exchange, end))
                end = Now + Silence;
            else if (Now >= end)
                throw FlashFaults.KlipperSilent(_board, doing);
        }
    }

    /// <summary>Sends due frames and takes received ones, waiting once at most; true when the exchange advanced.</summary>
    private async ValueTask<bool> StepAsync(KlipperExchange? exchange, TimeSpan end)
    {
        exchange?.Ask(_link);
        while (_link.NextFrame(Now) is { IsEmpty: false } frame)
            await _line.WriteAsync(frame);

        var wait = (_link.Deadline < end && _link.InFlight > 0 ? _link.Deadline : end) - Now;
        _link.Received(await _line.ReadAsync(_link.Space, wait > ShortestWait ? wait : ShortestWait));

        var isForward = false;
        while (_link.TryTake(Now, out var message))
        {
            if (!message.IsEmpty)
                isForward |= exchange is not null && exchange.Take(_link, message);
            exchange?.Settle(_link);
        }
        return isForward;
    }
}

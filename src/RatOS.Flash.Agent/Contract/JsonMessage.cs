namespace RatOS.Flash.Agent.Contract;

internal sealed record JsonMessage(string Event, string Text);

internal sealed record JsonBus(string Event, string Kind, string? Board, string? Port, string? State, string Text);

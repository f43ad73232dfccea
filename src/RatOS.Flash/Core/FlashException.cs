namespace RatOS.Flash.Core;

/// <summary>A fault: its kind, its cause and a remedy. All are made in the classes beside this one.</summary>
/// <param name="kind">Its code, and how the engine may react.</param>
/// <param name="cause">What was seen, with its numbers: one or two sentences.</param>
/// <param name="remedy">What the reader does now.</param>
public sealed class FlashException(FaultKind kind, string cause, Remedy remedy) : Exception($"{cause} {remedy}")
{
    public FaultKind Kind { get; } = kind;

    public string Code => Kind.Code;

    public string Cause { get; } = cause;

    public Remedy Remedy { get; } = remedy;

    /// <summary>The fact that is missing; null where none is.</summary>
    public FactQuestion? Question { get; init; }
}

/// <summary>The device left the bus, or re-enumerated. The transport's only exception besides <see cref="FlashException"/>.</summary>
public sealed class DeviceGoneException(string device) : Exception($"{device} left the bus.")
{
    /// <summary>The device in words: <c>0483:df11 at 1-1.3</c>.</summary>
    public string Device { get; } = device;
}

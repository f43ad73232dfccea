namespace RatOS.Flash.Boards;

/// <summary>What a group of a board's pins is wired to. The names of axes do not count: people swap sockets.</summary>
public enum PinRole
{
    /// <summary>Step, direction and enable of a stepper driver.</summary>
    Driver,

    /// <summary>Step of a driver, and its UART or chip select.</summary>
    DriverLine,

    Heater,
    Thermistor,
    Fan,

    /// <summary>An endstop, or a driver's DIAG, which shares its socket.</summary>
    Endstop,

    /// <summary>Chip select of an accelerometer.</summary>
    Accelerometer,
}

/// <summary>Pins of one MCU that belong together on its circuit board.</summary>
/// <param name="Role">What they do.</param>
/// <param name="Pins">Their names with a blank between: <c>PF13 PF12 PF14</c>.</param>
public readonly record struct PinFeature(PinRole Role, string Pins)
{
    /// <summary>A driver's pins are seldom equal by chance; a fan is put onto any free output.</summary>
    public int Weight => Role switch
    {
        PinRole.Driver => 4,
        PinRole.DriverLine or PinRole.Heater or PinRole.Thermistor => 2,
        _ => 1,
    };

    /// <summary>As a file has it: <c>Driver PF13 PF12 PF14</c>.</summary>
    public override string ToString() => $"{Role} {Pins}";

    /// <summary>Reads <see cref="ToString"/>; null for anything else.</summary>
    public static PinFeature? TryParse(string text) =>
        text.Length <= 100 && text.IndexOf(' ', StringComparison.Ordinal) is var at and > 0 && char.IsAsciiLetter(text[0])
        && Enum.TryParse<PinRole>(text[..at], out var role) && Enum.IsDefined(role) ? new(role, text[(at + 1)..]) : null;
}

namespace RatOS.Flash.Hardware;

/// <summary>USB vendor and product id. Those of bootloaders stand in their drivers.</summary>
public readonly record struct UsbId(ushort Vendor, ushort Product)
{
    public static readonly UsbId Klipper = new(0x1d50, 0x614e);
    public static readonly UsbId KlipperCanBridge = new(0x1d50, 0x606f);

    public override string ToString() => $"{Vendor:x4}:{Product:x4}";
}

namespace RatOS.Flash.Hardware;

/// <summary>USB vendor and product id. Who is who: facts, "Who is at the port".</summary>
public readonly record struct UsbId(ushort Vendor, ushort Product)
{
    public static readonly UsbId Klipper = new(0x1d50, 0x614e);
    public static readonly UsbId KlipperCanBridge = new(0x1d50, 0x606f);
    public static readonly UsbId Katapult = new(0x1d50, 0x6177);
    public static readonly UsbId StmDfu = new(0x0483, 0xdf11);
    public static readonly UsbId Rp2040Boot = new(0x2e8a, 0x0003);
    public static readonly UsbId Rp2350Boot = new(0x2e8a, 0x000f);
    public static readonly UsbId GigaDeviceDfu = new(0x28e9, 0x0189);

    /// <summary>A bootloader of any kind announces itself so.</summary>
    public bool IsBootloader => this == StmDfu || this == Katapult || this == Rp2040Boot || this == Rp2350Boot || this == GigaDeviceDfu;

    public override string ToString() => $"{Vendor:x4}:{Product:x4}";
}

using RatOS.Flash.Boards;
using RatOS.Flash.Bootloaders;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Tests.Scenarios;

/// <summary>
/// A bootloader that exists in tests alone: what a contributor writes for a new one. Its protocol is four vendor requests on endpoint 0.
/// </summary>
internal sealed class ToyDriver : BootloaderDriver
{
    /// <summary>An id of pid.codes for private tests.</summary>
    public static readonly UsbId Id = new(0x1209, 0x0001);

    /// <summary>Vendor requests to the interface; the address is in the setup's value (low half) and index (high half).</summary>
    public const byte Erase = 1, Write = 2, Read = 3, Leave = 4;

    public const int BlockSize = 512;

    /// <summary>Bytes below the application.</summary>
    public const uint Size = 0x1_0000;

    public override string Name => "toy";

    public override string Label => "the toy";

    public override string Title => "The toy";

    public override bool Shows(Device device) => device.Usb == Id;

    public override bool IsOn(Mcu mcu) => mcu.IsStm32;

    public override string? SerialOf(ChipEvidence chip) => chip.Uid is { } uid ? Convert.ToHexString(uid.Span) : null;

    public override bool? IsStartedByKlipper(BuildLink link, BoardProfile board) =>
        board.ApplicationStart?.Value - board.Mcu?.FlashBase == Size;

    public override bool ReplacesStock => true;

    public override SerialMode? Mode => null;

    public override async Task<Bootloader> OpenAsync(IUsbDevice usb, BootloaderTarget target)
    {
        await usb.ClaimAsync(0, 0);
        return new Toy(usb, target);
    }

    private sealed class Toy(IUsbDevice usb, BootloaderTarget target) : Bootloader
    {
        private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

        public override string Name => "Toy";

        public override FlashMemory Memory { get; } = new(
            [.. target.Mcu.AllSectors().Where(sector => sector.Address >= target.Start)], target.Mcu.WriteUnit, WriteOrder.FirstSectorLast,
            ErasesByItself: false);

        public override int BlockSize => ToyDriver.BlockSize;

        public override void CheckChip(string board, Mcu mcu, uint start)
        {
            if (usb.Device.Product != $"Toy {mcu.Name}")
                throw BoardFaults.WrongMcu(board, mcu.Name, $"its bootloader calls itself {usb.Device.Product}");
        }

        public override Task EraseAsync(Sector sector) => AskAsync(ToyDriver.Erase, sector.Address, Memory<byte>.Empty);

        public override Task WriteAsync(uint address, ReadOnlyMemory<byte> data, Func<int, ValueTask> done) =>
            EachAsync(ToyDriver.Write, address, data.ToArray(), done);

        public override Task FinishAsync() => Task.CompletedTask;

        public override Task ReadAsync(uint address, Memory<byte> data, Func<int, ValueTask> done) =>
            EachAsync(ToyDriver.Read, address, data, done);

        public override Task LeaveAsync() => AskAsync(ToyDriver.Leave, 0, Memory<byte>.Empty);

        public override ValueTask DisposeAsync() => usb.DisposeAsync();

        private async Task EachAsync(byte request, uint address, Memory<byte> data, Func<int, ValueTask> done)
        {
            for (var at = 0; at < data.Length; at += BlockSize)
            {
                var block = data.Slice(at, Math.Min(BlockSize, data.Length - at));
                await AskAsync(request, address + (uint)at, block);
                await done(at + block.Length);
            }
        }

        private async Task AskAsync(byte request, uint address, Memory<byte> data)
        {
            var setup = new UsbSetup(request == ToyDriver.Read ? (byte)0xC1 : (byte)0x41, request, (ushort)address,
                (ushort)(address >> 16));
            var transfer = await usb.ControlAsync(setup, data, Limit);
            if (!transfer.IsOk || transfer.Length != data.Length)
                throw new FlashException(FaultKind.DfuRefused, $"The toy refused request {request} at {address:x8}.", $"Flash again.");
        }
    }
}

using RatOS.Flash.Core;
using RatOS.Flash.Hardware;
using RatOS.Flash.Klipper;

namespace RatOS.Flash.Flashing;

/// <summary>
/// A board as a node on CAN. The bus does not list it, so it is queried: a node with a number does not answer a query to all nodes, and one
/// that answers has been reset. So its sessions end and begin.
/// </summary>
internal sealed class CanBoard(IHardware hardware, BoardPorts ports, TimeProvider time, BoardPlan plan)
{
    // Nodes answer within milliseconds; the reset takes longer.
    private static readonly TimeSpan QueryTime = TimeSpan.FromMilliseconds(250);

    private readonly HashSet<CanUuid> _others = [];   // other nodes that answered

    public CanUuid Uuid => plan.Request.Board.CanUuid ?? throw new InvalidOperationException($"{plan.Name} is not on CAN");

    /// <summary>A node only: a bridge is followed by its interface and its USB port.</summary>
    public bool IsNode(Device device) => device.Can is not null && !plan.IsCanBridge && plan.Request.Board.CanUuid is not null;

    public async Task<ByteLine> OpenLineAsync(Device device, bool inBootloader) =>
        await CanLine.OpenAsync(
            await ports.OpenCanAsync(device), Uuid, inBootloader ? plan.BootloaderNumber : plan.KlipperNumber, inBootloader, time);

    /// <summary>Assigns a number first: a node without one would answer the next query as if it had been reset.</summary>
    public async Task RequestBootloaderAsync(Device device)
    {
        await using var port = await ports.OpenCanAsync(device);
        await port.SendAsync(CanAdmin.AssignKlipper(Uuid, plan.KlipperNumber));
        await port.SendAsync(CanAdmin.RequestBootloader(Uuid));
    }

    /// <exception cref="FlashException">The node does not answer at all.</exception>
    public async Task<bool> IsThereAsync(Device device)
    {
        await using var port = await ports.OpenCanAsync(device);
        if (await AnswersAsKlipperAsync(port))
            return true;
        throw CanAdmin.TroubleOf(port) ?? CanFaults.CanNodeSilent(
            plan.Name, $"{Uuid}", device.Port,
                _others.Count > 0 ? $"these do: {string.Join(", ", _others)}" : "nor does any other node without a number");
    }

    /// <summary>
    /// Queries until the node answers, also when the interface disappears and returns; null if it does not answer.
    /// </summary>
    /// <param name="limit">The time limit.</param>
    /// <param name="isLost">It may still have its number, as after a fault of the bus: then the number is taken from it, or its Klipper is
    /// asked directly.</param>
    /// <param name="findOnUsb">Finds a board whose bootloader is on USB there.</param>
    /// <param name="cancel">Ends the queries.</param>
    /// <exception cref="FlashException">The bus had errors until the end.</exception>
    public async Task<Device?> FindAsync(
        TimeSpan limit, bool isLost, Func<DeviceList, Device?> findOnUsb, CancellationToken cancel)
    {
        var name = plan.Request.Board.CanInterface;
        var begin = time.GetTimestamp();
        FlashException? trouble = null;
        while (limit - time.GetElapsedTime(begin) is var rest && rest > TimeSpan.Zero)
        {
            var can = await hardware.WaitForAsync(
                seen => findOnUsb(seen) ?? seen.Devices.FirstOrDefault(device => device.Port == name && device.Can is { IsUp: true }),
                    rest, time, cancel);
            if (can is null)
                return hardware.Look().Devices.Any(device => device.Port == name && device.Can is not null) ? throw CanFaults.CanDown(name)
                    : null;
            if (can.Can is null)
                return can;
            try
            {
                await using var port = await ports.OpenCanAsync(can);
                while (limit > time.GetElapsedTime(begin))
                {
                    cancel.ThrowIfCancellationRequested();
                    if (findOnUsb(hardware.Look()) is { } usb)
                        return usb;
                    if (isLost)
                        await port.SendAsync(CanAdmin.ReleaseBootloader(plan.BootloaderNumber));
                    var nodes = await CanAdmin.QueryAsync(port, QueryTime, time, Uuid);
                    if (nodes.FirstOrDefault(node => node.Uuid == Uuid) is { } answer)
                        return can with { CanNode = answer };
                    _others.UnionWith(nodes.Select(node => node.Uuid));
                    if (isLost && await AnswersAsKlipperAsync(port))
                        return can with { CanNode = new CanNode(Uuid, InBootloader: false) };
                    trouble = CanAdmin.TroubleOf(port);
                }
            }
            catch (DeviceGoneException)
            {
                await Task.Delay(QueryTime, time, cancel);   // the list may still have it for a moment
            }
            catch (FlashException fault) when (fault.Kind.IsCanTrouble)
            {
                trouble = fault;
                await Task.Delay(QueryTime, time, cancel);
            }
        }
        return trouble is null ? null : throw trouble;
    }

    /// <summary>Any answer to the first block of an identify. Only Klipper receives it: no bootloader takes that number.</summary>
    private async Task<bool> AnswersAsKlipperAsync(CanPort port)
    {
        var block = new byte[KlipperBlock.MaxLength];
        var length = KlipperBlock.Write(block.AsSpan(1), 0, [1, 0, 40]);
        block[0] = KlipperBlock.Sync;
        // The caller owns the port, so the line is not closed.
        var line = await CanLine.OpenAsync(port, Uuid, plan.KlipperNumber, inBootloader: false, time);
        await line.WriteAsync(block.AsMemory(0, length + 1));
        return await line.ReadAsync(block, QueryTime) > 0;
    }

    /// <summary>The interface of the bus, with the node taken to be in its bootloader; null if the interface is down.</summary>
    public Device? InBootloader() =>
        hardware.Look().Devices.FirstOrDefault(device => device.Port == plan.Device!.Port && device.Can is { IsUp: true }) is { } can
        ? can with { CanNode = new CanNode(Uuid, InBootloader: true) } : null;
}

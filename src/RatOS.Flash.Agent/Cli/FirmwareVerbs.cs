using System.Text;
using RatOS.Flash.Agent.Boards;
using RatOS.Flash.Agent.Contract;
using RatOS.Flash.Agent.Settings;
using RatOS.Flash.Builds;
using RatOS.Flash.Chips;
using RatOS.Flash.Core;
using RatOS.Flash.Firmware;
using RatOS.Flash.Flashing;

namespace RatOS.Flash.Agent.Cli;

/// <summary>The verbs that make, look at and keep firmware files, and flash none. Each returns the exit code.</summary>
internal sealed class FirmwareVerbs(VerbContext context)
{
    private readonly Output _output = context.Output;

    public Task<int> InspectAsync(string file)
    {
        var image = FirmwareImage.Open(file);
        var (start, misfit) = Check(image);
        _output.Firmware(file, image, start, misfit);
        return Task.FromResult(misfit is null ? ExitCode.Done : ExitCode.Refused);
    }

    /// <exception cref="FlashException">There is no such printer.</exception>
    private string FirmwareFolder =>
        Directory.Exists(context.Folder.Root) ? context.Folder.Firmware : throw AgentFaults.NoDataFolder(context.Folder.Root);

    public Task<int> ListAsync() => context.WithBoardsAsync(noKlipper: false, isFlash: false, async boards =>
    {
        var folder = FirmwareFolder;
        var files = await boards.FilesAsync();
        _output.Files(files);
        if (files.Count == 0)
            _output.Hint($"There is no file in {folder}.");
        return ExitCode.Done;
    });

    /// <summary>Copies a firmware file into the printer's firmware folder, whole or not at all.</summary>
    /// <param name="file">Its path; the name stays.</param>
    /// <param name="sha256">That it must have; null for any.</param>
    public Task<int> PushAsync(string file, string? sha256)
    {
        var given = FirmwareFile.Read(file);
        FirmwareFile.Check(given, sha256);
        var image = given.Image;
        var (start, misfit) = Check(image);
        if (misfit is not null)
            throw misfit;
        var name = Path.GetFileName(file);
        if (name.Length > FlashArguments.LongestFileName)
        {
            throw FirmwareFaults.FirmwareUnreadable(
                Text.Clean(name), $"its name has more than {FlashArguments.LongestFileName} characters");
        }
        _output.Firmware(DataFolder.WriteTo(FirmwareFolder, name, given.Bytes), image, start, misfit);
        return Task.FromResult(ExitCode.Done);
    }

    /// <summary>Builds boards' firmware from the Klipper checkout, and flashes nothing.</summary>
    /// <param name="options">Which boards.</param>
    /// <param name="folder">Takes <c>BOARD.bin</c>, or with the ending that the board takes, and <c>BOARD.config</c>.</param>
    public async Task<int> BuildAsync(FlashOptions options, string folder)
    {
        using var cancel = new CancellationTokenSource();
        using var interrupts = context.OnInterrupt(cancel.Cancel, needsReader: true);
        var local = context.KeptBoards();
        var requests = await local.RequestAsync(options with { Job = FlashJob.Identify });   // opens no file of the firmware folder
        var boards = requests.Where(request => !request.UsesOwnUpdater).Select(request => request.Board).ToList();
        var shown = new HashSet<(string Board, BuildStep Step)>();
        IReadOnlyDictionary<string, BuiltOrNot>? built = null;
        try
        {
            if (local.Firmware.CanBuild)
                built = await local.Firmware.BuildAsync(boards, [], Show, cancel.Token);
        }
        catch (OperationCanceledException)
        {
            _output.Say("Cancelled. No firmware was written.");
            return ExitCode.Failed;
        }
        var code = ExitCode.Done;
        foreach (var board in boards)
        {
            try
            {
                Keep(board.Name, folder, built?[board.Name] ?? new(null, null), context.Printer.Build(board));
            }
            catch (FlashException fault)
            {
                _output.Fault(fault);
                code = ExitCode.Failed;
            }
        }
        return code;

        ValueTask Show(BuildProgress progress)
        {
            // Once: boards that are built side by side take turns.
            if (progress.Step != BuildStep.Done && shown.Add((progress.Board, progress.Step)))
                _output.Hint($"{progress.Board}: {progress.Step.ToString().ToLowerInvariant()}");
            return ValueTask.CompletedTask;
        }
    }

    /// <param name="board">Its name.</param>
    /// <param name="folder">Takes the files.</param>
    /// <param name="built">The outcome of its build.</param>
    /// <param name="made">The firmware that a virtual printer comes with; null for others.</param>
    private void Keep(string board, string folder, BuiltOrNot built, FirmwareImage? made)
    {
        var name = Text.FileName(board);
        if (built.Fault is { } fault)
            throw fault;
        if (built.Firmware is { } firmware)
        {
            var ending = Path.GetFileName(firmware.File);
            var bytes = FirmwareFile.Read(firmware.File).Bytes;
            var file = DataFolder.WriteTo(folder, name + ending[ending.IndexOf('.', StringComparison.Ordinal)..], bytes);
            DataFolder.WriteTo(folder, name + ".config", Encoding.UTF8.GetBytes(firmware.ConfigText));
            _output.Firmware(file, firmware.Image, Check(firmware.Image).Start, misfit: null);
        }
        else if (made is not null)
        {
            _output.Firmware(DataFolder.WriteTo(folder, name + ".bin", made.Bytes), made, Check(made).Start, misfit: null);
        }
        else
        {
            throw BoardFirmware.NoCheckout();
        }
    }

    private static (uint? Start, FlashException? Misfit) Check(FirmwareImage image)
    {
        var mcu = Mcu.Find(image.Mcu);
        var start = mcu is null ? null : image.BuiltFor(mcu);
        return (start, mcu is not null && start is { } address
            ? image.CheckCompatibility(mcu, address, mcu.FlashEnd) ?? image.CheckStartUp(address) : null);
    }
}

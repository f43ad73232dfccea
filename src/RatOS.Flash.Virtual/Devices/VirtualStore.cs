using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Keeps a virtual printer in a folder: flash contents as files, everything else in <c>printer.json</c>.</summary>
internal static class VirtualStore
{
    private const string StateFile = "printer.json";

    /// <summary>Null when nothing was kept there.</summary>
    /// <exception cref="FlashException">The folder is damaged or cannot be read.</exception>
    public static ImmutableArray<StoredBoard>? Load(string folder)
    {
        var path = Path.Combine(folder, StateFile);
        try
        {
            return File.Exists(path)
                ? JsonSerializer.Deserialize(File.ReadAllBytes(path), StoreJson.Default.ImmutableArrayStoredBoard)
                : null;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            throw VirtualFaults.VirtualFolder(folder, fault.Message);
        }
    }

    /// <exception cref="FlashException">What was kept does not fit the board.</exception>
    public static void Restore(string folder, ImmutableArray<StoredBoard> boards, VirtualBoard board)
    {
        var stored = boards.FirstOrDefault(candidate => candidate.Name == board.Name) ?? throw VirtualFaults.VirtualFolder(
            folder, $"it knows no board '{board.Name}'");
        try
        {
            var flash = File.ReadAllBytes(Path.Combine(folder, $"{board.Name}.flash.bin"));
            if (flash.Length != board.Chip.FlashSize)
                throw VirtualFaults.VirtualFolder(
                    folder, $"the flash of '{board.Name}' has {flash.Length} bytes instead of {board.Chip.FlashSize}");
            board.Restore(flash, stored);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw VirtualFaults.VirtualFolder(folder, fault.Message);
        }
    }

    /// <exception cref="FlashException">The folder cannot be written.</exception>
    public static void Save(string folder, VirtualPrinter printer)
    {
        try
        {
            Directory.CreateDirectory(folder);
            foreach (var board in printer.Boards)
                Replace(
                    Path.Combine(folder, $"{board.Name}.flash.bin"), board.Flash.Read(board.Flash.Base, board.Chip.FlashSize).ToArray());
            ImmutableArray<StoredBoard> states = [.. printer.Boards.Select(board => board.Store())];
            Replace(
                Path.Combine(folder, StateFile), JsonSerializer.SerializeToUtf8Bytes(states, StoreJson.Default.ImmutableArrayStoredBoard));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw VirtualFaults.VirtualFolder(folder, fault.Message);
        }
    }

    // Written beside and renamed: a call that is killed leaves the old state.
    private static void Replace(string path, byte[] bytes)
    {
        File.WriteAllBytes(path + ".new", bytes);
        File.Move(path + ".new", path, overwrite: true);
    }
}

/// <param name="Name">Whose state it is.</param>
/// <param name="State">What it was doing.</param>
/// <param name="Port">Where it was plugged in; null for nowhere.</param>
/// <param name="Boot0">The jumper.</param>
/// <param name="HasSdFirmware">A file is on the card in its slot.</param>
/// <param name="Unsound">Offset and length of flash that was left half written.</param>
internal sealed record StoredBoard(
    string Name, BoardState State, string? Port, bool Boot0, bool HasSdFirmware, ImmutableArray<StoredRange> Unsound);

internal sealed record StoredRange(int Offset, int Length);

[JsonSourceGenerationOptions(UseStringEnumConverter = true, WriteIndented = true, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ImmutableArray<StoredBoard>))]
internal sealed partial class StoreJson : JsonSerializerContext;

using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using RatOS.Flash.Core;

namespace RatOS.Flash.Virtual.Devices;

/// <summary>Keeps a virtual printer in a folder: flash contents as files, all other state in <c>printer.json</c>.</summary>
internal static class VirtualStore
{
    private const string StateFile = "printer.json", FlashFiles = "*.flash.bin";

    /// <summary>Deletes a kept printer, and no file of others.</summary>
    /// <exception cref="FlashException">The folder holds none, or cannot be written.</exception>
    public static void Delete(string folder)
    {
        if (!Directory.Exists(folder))
            return;
        if (!File.Exists(Path.Combine(folder, StateFile)) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw VirtualFaults.FolderOfOthers(folder);
        try
        {
            File.Delete(Path.Combine(folder, StateFile));
            foreach (var flash in Directory.EnumerateFiles(folder, FlashFiles))
                File.Delete(flash);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw VirtualFaults.VirtualFolder(folder, fault.Message);
        }
    }

    /// <summary>The boards' state; null when the folder holds none.</summary>
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

    /// <exception cref="FlashException">The stored flash does not fit the board.</exception>
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

    // Written beside and renamed: an interrupted call leaves the old state.
    private static void Replace(string path, byte[] bytes)
    {
        File.WriteAllBytes(path + ".new", bytes);
        File.Move(path + ".new", path, overwrite: true);
    }
}

/// <summary>The kept state of a board.</summary>
/// <param name="Name">The board's name.</param>
/// <param name="State">Its state.</param>
/// <param name="Port">The port it was plugged into; null for none.</param>
/// <param name="Boot0">The jumper.</param>
/// <param name="HasSdFirmware">The card in its slot holds a firmware file.</param>
/// <param name="Unsound">Offset and length of half-written flash.</param>
internal sealed record StoredBoard(
    string Name, BoardState State, string? Port, bool Boot0, bool HasSdFirmware, ImmutableArray<StoredRange> Unsound)
{
    /// <inheritdoc cref="VirtualBoard.LastCardFile"/>
    public string? LastCardFile { get; init; }
}

internal sealed record StoredRange(int Offset, int Length);

[JsonSourceGenerationOptions(
    UseStringEnumConverter = true, WriteIndented = true, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ImmutableArray<StoredBoard>))]
internal sealed partial class StoreJson : JsonSerializerContext;
